//! The guard before the SDK: it reads what a request asks for and refuses what its user may not do.
//!
//! A tool can only refuse inside of a result, with status 200, and no client steps up at that. Here it
//! is a real 403, with the challenge that makes clients ask for more scope, and the request's own id.
//!
//! Spec: MCP 2026-07-28, basic/authorization, "Scope Challenge Handling".

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;

use crate::access;
use crate::access::Access;
use crate::auth::User;
use crate::config::MAX_BODY;
use crate::headers;
use crate::jsonrpc;
use crate::jsonrpc::Error;
use crate::metrics::Method;

/// The middleware. Errors without an id are those of bodies that could not be read.
pub(crate) async fn check(
    Extension(user): Extension<Arc<User>>,
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let body = read(Request::from_parts(parts.clone(), body)).await?;
    let value = jsonrpc::parse(&body)?;
    let method = Extension(Method::of(value["method"].as_str().unwrap_or_default()));
    if let Err(refusal) = permit(&access, &user, &parts.headers, &value) {
        return Ok((method, jsonrpc::answer(jsonrpc::id(&value), Err(refusal))).into_response());
    }
    // The token was for this server and ends here: no tool can pass it on.
    parts.headers.remove(AUTHORIZATION);
    // Written anew from what was checked: two readers of the same bytes may differ, on two members of
    // one name for example.
    parts.headers.remove(CONTENT_LENGTH);
    let checked = Body::from(value.to_string());
    Ok((method, next.run(Request::from_parts(parts, checked)).await).into_response())
}

/// The body, within the limit.
async fn read(request: Request) -> Result<Bytes, Error> {
    // What `Content-Length` says is enough to refuse: nobody waits for the rest.
    if request.body().size_hint().lower() > MAX_BODY as u64 {
        let rule = format!("a body may have {MAX_BODY} bytes");
        return Err(Error::http(StatusCode::PAYLOAD_TOO_LARGE, rule));
    }
    Bytes::from_request(request, &())
        .await
        .map_err(|rejection| Error::http(rejection.status(), rejection.body_text()))
}

/// Decides on one message. A notification passes with any valid token: without sessions there is
/// nothing that it could change.
fn permit(
    access: &Access,
    user: &Arc<User>,
    headers: &HeaderMap,
    value: &Value,
) -> Result<(), Error> {
    let message = jsonrpc::message(value.clone())?;
    if value.get("id").is_none() {
        return Ok(());
    }
    if !access::is_method(&message.method) {
        return Err(method_not_found(headers, &message.method));
    }
    let name = message.params.get("name").and_then(Value::as_str);
    access.check(user, &message.method, name)
}

/// What is not in the table is refused, also where the SDK would answer it. In the modern era that is
/// status 404; a client of the handshake era would take that for the end of its session.
fn method_not_found(
    headers: &HeaderMap,
    method: &str,
) -> Error {
    let version = headers::value(headers, "MCP-Protocol-Version");
    let is_modern = version.is_some_and(|version| version == "2026-07-28");
    let status = if is_modern {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::OK
    };
    let message = format!("method not found: {method}");
    Error::new(jsonrpc::METHOD_NOT_FOUND, message).with_status(status)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use clap::Parser;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;
    use crate::config::Config;

    /// Stands where the SDK does, and answers what it was handed.
    async fn hand_back(
        headers: HeaderMap,
        body: String,
    ) -> (HeaderMap, String) {
        (headers, body)
    }

    #[tokio::test]
    async fn behind_the_guard_there_is_what_was_checked_and_no_token() {
        let claims = json!({"sub": "alice", "iss": "an issuer", "aud": "us", "exp": 1});
        let user: User = serde_json::from_value(claims).unwrap();
        let access = Access::new(&Config::parse_from(["rmcp-server"]));
        let app: Router = Router::new()
            .route("/", post(hand_back))
            .route_layer(from_fn_with_state(Arc::new(access), check))
            .layer(Extension(Arc::new(user)));
        let request = Request::post("/")
            .header(AUTHORIZATION, "Bearer TOKEN")
            .header("Mcp-Method", "ping")
            .body(Body::from(
                r#"{"jsonrpc": "2.0", "id": 1, "method": "none", "method": "ping"}"#,
            ))
            .unwrap();
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        assert_eq!(parts.status, StatusCode::OK);
        assert_eq!(parts.headers["mcp-method"], "ping");
        assert_eq!(parts.headers.get(AUTHORIZATION), None);
        let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap();
        let seen: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(seen, json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
        assert_eq!(body.iter().filter(|byte| **byte == b':').count(), 3);
    }
}
