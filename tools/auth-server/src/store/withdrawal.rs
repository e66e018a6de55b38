//! Taking back everything that one user or one client was given, at once.

use rusqlite::Result;
use rusqlite::Transaction;
use rusqlite::params;

/// How much of each was in force until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Withdrawn {
    pub(crate) sessions: usize,
    pub(crate) codes: usize,
    pub(crate) grants: usize,
}

/// Everything of a user: browsers are signed out, no client can go on in that name, and what was
/// kept to ask an upstream provider on the user's behalf is gone.
pub(crate) fn of_user(
    tx: &Transaction<'_>,
    username: &str,
    now: i64,
) -> Result<Withdrawn> {
    tx.execute("DELETE FROM upstream_tokens WHERE sub = ?1", [username])?;
    Ok(Withdrawn {
        sessions: tx.execute("DELETE FROM sessions WHERE username = ?1", [username])?,
        codes: tx.execute(
            "DELETE FROM codes WHERE username = ?1 AND grant_id IS NULL",
            [username],
        )?,
        grants: tx.execute(
            "UPDATE grants SET revoked_at = ?2 WHERE username = ?1 AND revoked_at IS NULL",
            params![username, now],
        )?,
    })
}

/// Everything that users granted to a client, and its registration if it has one here: its secret
/// is worth nothing any more. Browsers stay signed in.
pub(crate) fn of_client(
    tx: &Transaction<'_>,
    client_id: &str,
    now: i64,
) -> Result<Withdrawn> {
    tx.execute("DELETE FROM clients WHERE id = ?1", [client_id])?;
    Ok(Withdrawn {
        sessions: 0,
        codes: tx.execute(
            "DELETE FROM codes WHERE client_id = ?1 AND grant_id IS NULL",
            [client_id],
        )?,
        grants: tx.execute(
            "UPDATE grants SET revoked_at = ?2 WHERE client_id = ?1 AND revoked_at IS NULL",
            params![client_id, now],
        )?,
    })
}
