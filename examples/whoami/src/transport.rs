//! Streamable HTTP: from a POST to a JSON-RPC message, and back.
//!
//! Spec: MCP 2026-07-28, basic/transports/streamable-http. Left out: SSE (every answer is one JSON
//! object, which all clients take) and sessions (there is no state that could need one).

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::body::HttpBody;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::auth::User;
use crate::call::Call;
use crate::call::Era;
use crate::call::MODERN;
use crate::call::VERSIONS;
use crate::call::is_modern;
use crate::config::Config;
use crate::config::MAX_BODY;
use crate::headers;
use crate::jsonrpc;
use crate::jsonrpc::Error;
use crate::jsonrpc::Message;
use crate::mcp;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// `POST /mcp`: one message in, one answer out.
pub(crate) async fn receive(
    Extension(user): Extension<Arc<User>>,
    State(config): State<Arc<Config>>,
    mut request: Request,
) -> Result<Response, Error> {
    let headers = std::mem::take(request.headers_mut());
    let value = read(&headers, request).await?;
    let id = jsonrpc::id(&value);
    // One block, because whatever goes wrong in it is answered with this id.
    let outcome = async {
        let message = jsonrpc::message(value)?;
        // A notification: nobody waits for an answer.
        if id.is_none() {
            return Ok(None);
        }
        let call = Call {
            era: era(&headers, &message)?,
            method: message.method,
            params: message.params,
            user,
            config,
        };
        if call.era == Era::Modern {
            let in_header = headers::value(&headers, "Mcp-Method");
            headers::agree("Mcp-Method", in_header.as_deref(), Some(&call.method))?;
            check_name(&headers, &call)?;
        }
        mcp::dispatch(&call).await.map(Some)
    };
    match outcome.await.transpose() {
        Some(outcome) => Ok(jsonrpc::answer(id, outcome)),
        None => Ok(StatusCode::ACCEPTED.into_response()),
    }
}

/// Any other method on `/mcp`: there is no stream to GET and no session to DELETE. The router adds
/// the `Allow` header.
pub(crate) async fn method_not_allowed() -> Error {
    let rule = "send one JSON-RPC message per POST";
    Error::http(StatusCode::METHOD_NOT_ALLOWED, rule)
}

/// The body as JSON. The content type is checked because a page of another site may send a form
/// or plain text without asking first, but `application/json` only after a CORS preflight.
async fn read(
    headers: &HeaderMap,
    request: Request,
) -> Result<Value, Error> {
    let content_type = headers::value(headers, "Content-Type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let rule = "send the header Content-Type: application/json (curl --json does)";
        return Err(Error::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, rule));
    }
    // What `Content-Length` says is enough to refuse: nobody waits for the rest.
    if request.body().size_hint().lower() > MAX_BODY as u64 {
        let rule = format!("a body may have {MAX_BODY} bytes");
        return Err(Error::http(StatusCode::PAYLOAD_TOO_LARGE, rule));
    }
    let body = Bytes::from_request(request, &())
        .await
        .map_err(|rejection| Error::http(rejection.status(), rejection.body_text()))?;
    jsonrpc::parse(&body)
}

/// Which era a request belongs to: what its `_meta` or its header names decides. A modern request
/// comes back only if its version and capabilities are all in place.
fn era(
    headers: &HeaderMap,
    message: &Message,
) -> Result<Era, Error> {
    let meta = |key| message.params.get("_meta").and_then(|meta| meta.get(key));
    let in_meta = meta(META_VERSION).and_then(Value::as_str);
    let in_header = headers::value(headers, "MCP-Protocol-Version");
    let in_header = in_header.as_deref();
    // An `initialize` is of the handshake era, whatever its header names.
    let by_header = in_header.is_some_and(is_modern) && message.method != "initialize";
    if !by_header && !in_meta.is_some_and(is_modern) {
        return Ok(Era::Handshake);
    }
    let version = in_meta.or(in_header).unwrap_or_default();
    headers::agree("MCP-Protocol-Version", in_header, Some(version))?;
    if version != MODERN {
        return Err(unsupported_version(version));
    }
    if in_meta.is_none() || !meta(META_CAPABILITIES).is_some_and(Value::is_object) {
        let rule = format!("params._meta needs {META_VERSION} and {META_CAPABILITIES}");
        let error = Error::new(jsonrpc::INVALID_PARAMS, rule);
        return Err(error.with_status(StatusCode::BAD_REQUEST));
    }
    Ok(Era::Modern)
}

fn unsupported_version(requested: &str) -> Error {
    let message = "unsupported protocol version";
    Error {
        data: Some(json!({"supported": VERSIONS, "requested": requested})),
        ..Error::new(jsonrpc::UNSUPPORTED_VERSION, message)
    }
}

/// The header of a modern request that repeats which tool or prompt is meant.
fn check_name(
    headers: &HeaderMap,
    call: &Call,
) -> Result<(), Error> {
    if !matches!(call.method.as_str(), "tools/call" | "prompts/get") {
        return Ok(());
    }
    let in_header = headers::value(headers, "Mcp-Name").map(headers::decode_name);
    let in_body = call.params.get("name").and_then(Value::as_str);
    headers::agree("Mcp-Name", in_header.as_deref(), in_body)
}
