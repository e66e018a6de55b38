//! Token revocation (RFC 7009): a client gives a token back.
//!
//! A refresh token takes the whole grant with it, an access token only itself. Note what this
//! cannot do: a resource server that verifies tokens by their signature does not ask anybody, and
//! takes a revoked access token until it expires.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use rusqlite::Transaction;

use crate::audit;
use crate::client_auth;
use crate::error::OAuthError;
use crate::mint;
use crate::params::Form;
use crate::refresh_token::RefreshToken;
use crate::state::AppState;
use crate::store;

/// What became of the token.
enum Outcome {
    Revoked(&'static str),
    Unknown,
    Foreign,
}

/// `POST /oauth/revoke`. An unknown token is a success: it is certainly not valid.
pub(crate) async fn post(
    State(state): State<AppState>,
    form: Form,
) -> Result<Response, OAuthError> {
    let token = form.required("token")?.to_owned();
    let client = client_auth::authenticate(&state, &form).await?;
    let entry = audit::Entry {
        event: "revoke",
        client: &client.id,
        ..Default::default()
    };
    match revoke(&state, &client.id, &token).await? {
        Outcome::Revoked(detail) => audit::allowed(audit::Entry {
            detail,
            ..entry
        }),
        Outcome::Unknown => {}
        Outcome::Foreign => {
            audit::denied(audit::Entry {
                detail: "another client's token",
                ..entry
            });
            return Err(OAuthError::invalid_grant(
                "The token was issued to another client.",
            ));
        }
    }
    Ok(StatusCode::OK.into_response())
}

/// The hint about the kind of token is not needed: the two kinds cannot be confused.
async fn revoke(
    state: &AppState,
    client_id: &str,
    token: &str,
) -> Result<Outcome, OAuthError> {
    let (id, now) = (client_id.to_owned(), state.now());
    let handle = RefreshToken::parse(token).map(|token| token.handle_hash());
    let ring = state.keys.ring();
    let jti = mint::read_access(token, &ring, &state.config.issuer.text, now).map(|c| c.jti);
    let outcome = state
        .store
        .run(move |tx| {
            if let Some(handle) = handle {
                return revoke_chain(tx, &handle, &id, now);
            }
            let Some(jti) = jti else {
                return Ok(Outcome::Unknown);
            };
            revoke_access(tx, &jti, &id, now)
        })
        .await?;
    Ok(outcome)
}

fn revoke_chain(
    tx: &Transaction<'_>,
    handle: &str,
    client_id: &str,
    now: i64,
) -> rusqlite::Result<Outcome> {
    let Some(chain) = store::grants::find_chain(tx, handle)? else {
        return Ok(Outcome::Unknown);
    };
    if chain.grant.client_id != client_id {
        return Ok(Outcome::Foreign);
    }
    store::grants::revoke(tx, &chain.grant.id, now)?;
    Ok(Outcome::Revoked("refresh token, with its grant"))
}

fn revoke_access(
    tx: &Transaction<'_>,
    jti: &str,
    client_id: &str,
    now: i64,
) -> rusqlite::Result<Outcome> {
    let Some(access) = store::grants::find_access(tx, jti)? else {
        return Ok(Outcome::Unknown);
    };
    if access.client_id != client_id {
        return Ok(Outcome::Foreign);
    }
    store::grants::revoke_access(tx, jti, now)?;
    Ok(Outcome::Revoked("access token"))
}
