//! Userinfo (OpenID Connect Core section 5.3): who is the user, asked with an access token.
//!
//! Refusals follow RFC 6750 section 3. The token has to carry the scope `openid`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::access;
use crate::audit;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::mint::Claims;
use crate::scopes;
use crate::state::AppState;

/// A refusal with its challenge. Without credentials there is no error code (section 3.1).
struct Challenge {
    status: StatusCode,
    code: Option<&'static str>,
    description: &'static str,
}

const EVENT: &str = "userinfo";

impl IntoResponse for Challenge {
    fn into_response(self) -> Response {
        audit::denied(audit::Entry {
            event: EVENT,
            detail: self.description,
            ..Default::default()
        });
        let mut challenge = r#"Bearer realm="auth-server""#.to_owned();
        if let Some(code) = self.code {
            challenge += &format!(
                r#", error="{code}", error_description="{}""#,
                self.description
            );
        }
        if self.code == Some("insufficient_scope") {
            challenge += r#", scope="openid""#;
        }
        let challenge = HeaderValue::try_from(challenge).expect("fixed ASCII texts");
        let headers = [
            (header::WWW_AUTHENTICATE, challenge),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let error = self.code.unwrap_or("invalid_token");
        let body = json!({"error": error, "error_description": self.description});
        (self.status, headers, Json(body)).into_response()
    }
}

fn invalid_token(description: &'static str) -> Challenge {
    Challenge {
        status: StatusCode::UNAUTHORIZED,
        code: Some("invalid_token"),
        description,
    }
}

/// `GET` and `POST /oauth/userinfo`.
pub(crate) async fn serve(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Response {
    match answer(&state, &headers).await {
        Ok(response) => response,
        Err(refusal) => refusal,
    }
}

async fn answer(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<Response, Response> {
    let token = bearer(headers).map_err(IntoResponse::into_response)?;
    let claims = verify(state, token).await?;
    let scopes = scopes::known(&claims.scope);
    if !scopes.contains("openid") {
        let refusal = Challenge {
            status: StatusCode::FORBIDDEN,
            code: Some("insufficient_scope"),
            description: "The token lacks the scope openid.",
        };
        return Err(refusal.into_response());
    }
    audit::allowed(audit::Entry {
        event: EVENT,
        user: &claims.sub,
        client: &claims.client_id,
        detail: &claims.scope,
    });
    let gone = || invalid_token("The user no longer exists.").into_response();
    let user = state.users.get(&claims.sub).ok_or_else(gone)?;
    let mut body = json!({"sub": user.username});
    if scopes.contains("profile") {
        body["name"] = json!(user.display_name());
        body["preferred_username"] = json!(user.username);
    }
    Ok(uncached(StatusCode::OK, body))
}

/// Exactly one header with the scheme `Bearer`; a token anywhere else counts for nothing.
fn bearer(headers: &HeaderMap) -> Result<&str, Challenge> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() {
        return Err(Challenge {
            status: StatusCode::BAD_REQUEST,
            code: Some("invalid_request"),
            description: "Send one Authorization header only.",
        });
    }
    first
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Challenge {
            status: StatusCode::UNAUTHORIZED,
            code: None,
            description: "Send an access token in the Authorization header.",
        })
}

async fn verify(
    state: &AppState,
    token: &str,
) -> Result<Claims, Response> {
    let found = access::verify(state, token).await;
    let claims = found.map_err(|error| OAuthError::from(error).into_response())?;
    claims.ok_or_else(|| {
        invalid_token("The access token is malformed, expired or revoked.").into_response()
    })
}
