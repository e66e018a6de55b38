//! Clients that describe themselves in a document: the stored copy, or a fresh one.
//!
//! Only for a signed-in user, and only so many for each of them, a minute and at once.

use axum::http::StatusCode;

use crate::audit;
use crate::cimd;
use crate::cimd::Rejected;
use crate::clients::Client;
use crate::refusal::Refusal;
use crate::state::AppState;
use crate::store;
use crate::store::clients::Stored;

/// The client that the document describes: from the stored copy while that is fresh, otherwise
/// fetched. A failure is never stored, and never hidden behind an old copy.
pub(crate) async fn client(
    state: &AppState,
    client_id: &str,
    username: &str,
) -> Result<Client, Refusal> {
    let (id, now) = (client_id.to_owned(), state.now());
    let stored = state.store.run(move |tx| store::clients::find(tx, &id)).await?;
    if let Some(stored) = stored.filter(|stored| stored.fresh_until > Some(now)) {
        return Ok(stored.client);
    }
    let allowed = state.fetches.check(&username.to_owned());
    allowed.map_err(|_seconds| too_many())?;
    // Before anything is waited for: slow documents of one user are no reason for others to wait.
    let _turn = state.fetching.begin(username).ok_or_else(too_many)?;
    match cimd::fetch(&state.documents, client_id).await {
        Ok((client, fresh)) => keep(state, client, now + fresh).await,
        Err(Rejected(why)) => {
            record(client_id, username, why);
            Err(Refusal::page("This client cannot be used", why))
        }
    }
}

fn too_many() -> Refusal {
    Refusal::Page {
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many clients at once",
        text: "Their descriptions would have to be fetched. Wait a minute and try again."
            .to_owned(),
        hints: &[],
    }
}

async fn keep(
    state: &AppState,
    client: Client,
    fresh_until: i64,
) -> Result<Client, Refusal> {
    let stored = Stored {
        client: client.clone(),
        fresh_until: Some(fresh_until),
        managed: None,
    };
    let (now, max) = (state.now(), state.config.settings.max_clients);
    let kept = state.store.run(move |tx| store::clients::put(tx, &stored, now, max)).await?;
    kept.then_some(client)
        .ok_or_else(|| Refusal::page("This server is full", "It cannot remember more clients."))
}

fn record(
    client_id: &str,
    username: &str,
    why: &str,
) {
    audit::denied(audit::Entry {
        event: "client.document",
        user: username,
        client: client_id,
        detail: why,
    });
}
