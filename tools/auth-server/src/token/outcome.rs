//! Running a transaction at the token endpoint: it gives tokens or a refusal.

use rusqlite::Transaction;

use super::answer::Issued;
use super::context::Refused;
use crate::error::OAuthError;
use crate::state::AppState;

/// The outer error undoes the transaction, the inner one commits it: a refusal may have revoked.
pub(super) type Outcome = rusqlite::Result<Result<Issued, Refused>>;

pub(super) async fn run(
    state: &AppState,
    event: &'static str,
    client_id: String,
    work: impl FnOnce(&Transaction<'_>) -> Outcome + Send + 'static,
) -> Result<Issued, OAuthError> {
    match state.store.run(work).await? {
        Ok(issued) => {
            issued.record(event);
            Ok(issued)
        }
        Err(refused) => Err(refused.into_error(event, &client_id)),
    }
}
