//! Token introspection (RFC 7662): a resource server asks what a token is worth right now.
//!
//! For clients that prove themselves only: the answer says who the user is. Tokens that gen-token made
//! with the same key are active too, as every server of this workspace takes them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::access;
use crate::audit;
use crate::client_auth;
use crate::clients::Client;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::params::Form;
use crate::refresh_token::RefreshToken;
use crate::state::AppState;
use crate::store;
use crate::store::grants::Chain;

const EVENT: &str = "introspect";

/// `POST /oauth/introspect`. Whatever is wrong with a token, the answer is `active: false` and
/// nothing else (section 2.2).
pub(crate) async fn post(
    State(state): State<AppState>,
    form: Form,
) -> Result<Response, OAuthError> {
    let token = form.required("token")?;
    let client = client_auth::authenticate(&state, &form).await?;
    if client.is_public() {
        return Err(OAuthError::invalid_client(
            "Only a client with a secret or a key may introspect tokens.",
        ));
    }
    let found = match access(&state, token).await? {
        Some(body) => Some(body),
        None => refresh(&state, &client, token).await?,
    };
    let active = found.is_some();
    audit::allowed(audit::Entry {
        event: EVENT,
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
    let claims = access::verify(state, token).await?;
    Ok(claims.map(|claims| {
        json!({
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
        })
    }))
}

/// Active while it is the newest of its chain. Only its own client may know: to anybody else the
/// answer would tell when it is used, and so when a stolen copy still works.
async fn refresh(
    state: &AppState,
    client: &Client,
    token: &str,
) -> Result<Option<Value>, OAuthError> {
    let Some(token) = RefreshToken::parse(token) else {
        return Ok(None);
    };
    let handle = token.handle_hash();
    let found = state.store.run(move |tx| store::grants::find_chain(tx, &handle)).await?;
    let Some(chain) = found else {
        return Ok(None);
    };
    if chain.grant.client_id != client.id {
        audit::denied(audit::Entry {
            event: EVENT,
            user: &chain.grant.username,
            client: &client.id,
            detail: "another client's refresh token",
        });
        return Ok(None);
    }
    let alive = is_alive(state, &chain, &token);
    Ok(alive.then(|| description(state, &chain)))
}

fn is_alive(
    state: &AppState,
    chain: &Chain,
    token: &RefreshToken,
) -> bool {
    let user = state.users.get(&chain.grant.username);
    let same_user = user.is_some_and(|user| user.credential == chain.grant.credential);
    let newest = chain.token_hash == token.hash();
    newest && same_user && !chain.grant.revoked && chain.expires_at > state.now()
}

fn description(
    state: &AppState,
    chain: &Chain,
) -> Value {
    json!({
        "active": true,
        "iss": state.config.issuer.text,
        "sub": chain.grant.username,
        "username": chain.grant.username,
        "exp": chain.expires_at,
        "client_id": chain.grant.client_id,
        "scope": chain.grant.scope,
    })
}
