//! Token introspection (RFC 7662): a resource server asks what a token is worth right now.
//!
//! For clients with a secret only: the answer says who the user is. Tokens that gen-token made
//! with the same key are active too, as every server of this workspace takes them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::audit;
use crate::client_auth;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::mint;
use crate::params::Form;
use crate::secret;
use crate::state::AppState;
use crate::store;

/// `POST /oauth/introspect`. Whatever is wrong with a token, the answer is `active: false` and
/// nothing else (section 2.2).
pub(crate) async fn post(
    State(state): State<AppState>,
    form: Form,
) -> Result<Response, OAuthError> {
    let token = form.required("token")?;
    let client = client_auth::authenticate(&state, &form).await?;
    if client.secret.is_none() {
        return Err(OAuthError::invalid_client(
            "Only a client with a secret may introspect tokens.",
        ));
    }
    let found = match access(&state, token).await? {
        Some(body) => Some(body),
        None => refresh(&state, token).await?,
    };
    let active = found.is_some();
    audit::allowed(audit::Entry {
        event: "introspect",
        client: &client.id,
        detail: if active { "active" } else { "inactive" },
        ..Default::default()
    });
    let body = found.unwrap_or_else(|| json!({"active": false}));
    Ok(uncached(StatusCode::OK, body))
}

async fn access(
    state: &AppState,
    token: &str,
) -> Result<Option<Value>, OAuthError> {
    let ring = state.keys.ring();
    let issuer = &state.config.issuer.text;
    let Some(claims) = mint::read_access(token, &ring, issuer, state.now()) else {
        return Ok(None);
    };
    if is_revoked(state, &claims.jti).await? {
        return Ok(None);
    }
    Ok(Some(json!({
        "active": true,
        "token_type": "Bearer",
        "iss": claims.iss,
        "sub": claims.sub,
        "username": claims.sub,
        "aud": claims.aud,
        "exp": claims.exp,
        "iat": claims.iat,
        "jti": claims.jti,
        "client_id": claims.client_id,
        "scope": claims.scope,
    })))
}

/// Whether an access token was taken back. One without a row was made by gen-token.
pub(crate) async fn is_revoked(
    state: &AppState,
    jti: &str,
) -> Result<bool, OAuthError> {
    let jti = jti.to_owned();
    let access = state.store.run(move |tx| store::grants::find_access(tx, &jti)).await?;
    Ok(access.is_some_and(|access| access.revoked))
}

/// Active while it could be redeemed; a rotated one is not, its grace aside.
async fn refresh(
    state: &AppState,
    token: &str,
) -> Result<Option<Value>, OAuthError> {
    let (hash, now) = (secret::sha256(token), state.now());
    let found = state.store.run(move |tx| store::grants::find_refresh(tx, &hash)).await?;
    let alive = found.filter(|found| {
        !found.grant.revoked && found.expires_at > now && found.rotated_at.is_none()
    });
    Ok(alive.map(|found| {
        json!({
            "active": true,
            "iss": state.config.issuer.text,
            "sub": found.grant.username,
            "username": found.grant.username,
            "exp": found.expires_at,
            "client_id": found.grant.client_id,
            "scope": found.grant.scope,
        })
    }))
}
