//! Assertions that were used, so that each counts once (RFC 7523 section 3, item 7).

use rusqlite::Result;
use rusqlite::Transaction;
use rusqlite::params;

use crate::secret;

/// How many one client may have that are still good. No other client can fill its place.
pub(crate) const MAX_PER_CLIENT: i64 = 10_000;

/// What is known about a `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    First,
    Again,
    /// It cannot be remembered, so it must not be used.
    Full,
}

/// Remembers the `jti` until the assertion counts for nothing any more.
pub(crate) fn remember(
    tx: &Transaction<'_>,
    client_id: &str,
    jti: &str,
    forget_at: i64,
    now: i64,
) -> Result<Memory> {
    let good = tx.query_row(
        "SELECT count(*) FROM assertions WHERE client_id = ?1 AND forget_at > ?2",
        params![client_id, now],
        |row| row.get::<_, i64>(0),
    )?;
    if good >= MAX_PER_CLIENT {
        return Ok(Memory::Full);
    }
    let rows = tx.execute(
        "INSERT OR IGNORE INTO assertions (client_id, jti_hash, forget_at) VALUES (?1, ?2, ?3)",
        params![client_id, secret::sha256(jti), forget_at],
    )?;
    Ok(if rows == 1 {
        Memory::First
    } else {
        Memory::Again
    })
}

/// Deletes those that count for nothing any more.
pub(crate) fn clean_up(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<()> {
    tx.execute("DELETE FROM assertions WHERE forget_at <= ?1", [now]).map(drop)
}
