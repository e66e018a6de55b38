//! A client reads or deletes its own registration (RFC 7592).
//!
//! With the token that came with the registration, and nothing else. Left out: changing it. A
//! client whose redirect URI or name is another one registers anew, and users are asked anew.

use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::audit;
use crate::bearer;
use crate::bearer::Challenge;
use crate::config::Issuer;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::store::clients::Managed;

const EVENT: &str = "client.manage";

/// Adds where and with which token the registration can be managed (section 3).
pub(crate) fn add_access(
    mut description: Value,
    issuer: &Issuer,
    client_id: &str,
    token: &str,
) -> Value {
    let uri = issuer.url(&format!("/oauth/register/{client_id}"));
    description["registration_client_uri"] = json!(uri);
    description["registration_access_token"] = json!(token);
    description
}

/// `GET /oauth/register/{client_id}` (section 2.1): what was registered. The client secret is not
/// in it, because only its hash is kept.
pub(crate) async fn read(
    State(state): State<AppState>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let (managed, token) = authorize(&state, &client_id, &headers).await?;
    let description = serde_json::from_str(&managed.answer)
        .map_err(|error| OAuthError::server(&error).into_response())?;
    let body = add_access(description, &state.config.issuer, &client_id, token);
    Ok(uncached(StatusCode::OK, body))
}

/// `DELETE /oauth/register/{client_id}` (section 2.3): the client is unknown from now on, and
/// whatever users granted to it has ended.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    authorize(&state, &client_id, &headers).await?;
    let (id, now) = (client_id.clone(), state.now());
    let withdrawn = state
        .store
        .run(move |tx| store::withdrawal::of_client(tx, &id, now))
        .await
        .map_err(|error| OAuthError::from(error).into_response())?;
    audit::allowed(audit::Entry {
        event: EVENT,
        client: &client_id,
        detail: &format!("deleted, with {} grants", withdrawn.grants),
        ..Default::default()
    });
    Ok(uncached_empty())
}

fn uncached_empty() -> Response {
    let no_store = [(axum::http::header::CACHE_CONTROL, "no-store")];
    (StatusCode::NO_CONTENT, no_store).into_response()
}

/// The registration, once the token is its own. A client that does not exist gets the answer of a
/// wrong token (section 2.1), so nobody learns which ones there are.
async fn authorize<'a>(
    state: &AppState,
    client_id: &str,
    headers: &'a HeaderMap,
) -> Result<(Managed, &'a str), Response> {
    let token = bearer::token(headers).map_err(IntoResponse::into_response)?;
    let id = client_id.to_owned();
    let stored = state
        .store
        .run(move |tx| store::clients::find(tx, &id))
        .await
        .map_err(|error| OAuthError::from(error).into_response())?;
    let managed = stored.and_then(|stored| stored.managed);
    let own = managed.filter(|managed| secret::same(&managed.access_hash, &secret::sha256(token)));
    let Some(managed) = own else {
        let text = "The registration access token is not that of this client.";
        audit::denied(audit::Entry {
            event: EVENT,
            client: client_id,
            detail: text,
            ..Default::default()
        });
        return Err(Challenge::invalid_token(text).into_response());
    };
    Ok((managed, token))
}
