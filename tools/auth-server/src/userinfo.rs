//! Userinfo (OpenID Connect Core section 5.3): who is the user, asked with an access token.
//!
//! Refusals follow RFC 6750 section 3. The token has to carry the scope `openid`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::access;
use crate::audit;
use crate::bearer;
use crate::bearer::Challenge;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::mint::Claims;
use crate::scopes;
use crate::state::AppState;

const EVENT: &str = "userinfo";

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
    let token = bearer::token(headers).map_err(refused)?;
    let claims = verify(state, token).await?;
    let scopes = scopes::known(&claims.scope);
    if !scopes.contains("openid") {
        return Err(refused(Challenge {
            status: StatusCode::FORBIDDEN,
            code: Some("insufficient_scope"),
            description: "The token lacks the scope openid.",
            scope: Some("openid"),
        }));
    }
    let gone = || refused(Challenge::invalid_token("The user no longer exists."));
    let user = state.users.get(&claims.sub).ok_or_else(gone)?;
    audit::allowed(audit::Entry {
        event: EVENT,
        user: &claims.sub,
        client: &claims.client_id,
        detail: &claims.scope,
    });
    let mut body = json!({"sub": user.username});
    if scopes.contains("profile") {
        body["name"] = json!(user.display_name());
        body["preferred_username"] = json!(user.login());
    }
    Ok(uncached(StatusCode::OK, body))
}

async fn verify(
    state: &AppState,
    token: &str,
) -> Result<Claims, Response> {
    let found = access::verify(state, token).await;
    let claims = found.map_err(|error| OAuthError::from(error).into_response())?;
    claims.ok_or_else(|| {
        refused(Challenge::invalid_token(
            "The access token is malformed, expired or revoked.",
        ))
    })
}

/// The answer, and its line in the audit log.
fn refused(challenge: Challenge) -> Response {
    audit::denied(audit::Entry {
        event: EVENT,
        detail: challenge.description,
        ..Default::default()
    });
    challenge.into_response()
}
