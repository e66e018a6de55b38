//! Browsers that are signed in.

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Transaction;
use rusqlite::params;

/// A session as stored.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) username: String,
    pub(crate) signed_in_at: i64,
}

/// Remembers a new session.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    id_hash: &str,
    username: &str,
    now: i64,
    expires_at: i64,
) -> Result<()> {
    tx.execute(
        "INSERT INTO sessions (id_hash, username, signed_in_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![id_hash, username, now, expires_at],
    )
    .map(drop)
}

/// The session, unless it has expired.
pub(crate) fn find(
    tx: &Transaction<'_>,
    id_hash: &str,
    now: i64,
) -> Result<Option<Row>> {
    tx.query_row(
        "SELECT username, signed_in_at FROM sessions WHERE id_hash = ?1 AND expires_at > ?2",
        params![id_hash, now],
        |row| {
            Ok(Row {
                username: row.get(0)?,
                signed_in_at: row.get(1)?,
            })
        },
    )
    .optional()
}

/// Forgets a session: the user signed out.
pub(crate) fn delete(
    tx: &Transaction<'_>,
    id_hash: &str,
) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE id_hash = ?1", [id_hash]).map(drop)
}

/// Deletes the expired ones.
pub(crate) fn clean_up(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now]).map(drop)
}
