//! Browsers that are signed in.

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Transaction;
use rusqlite::params;

/// A session as stored.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name in ID tokens.
    pub(crate) sid: String,
    pub(crate) username: String,
    /// As in [`Grant`](crate::store::grants::Grant).
    pub(crate) credential: String,
    pub(crate) signed_in_at: i64,
}

/// Remembers a new session.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    id_hash: &str,
    session: &Row,
    expires_at: i64,
) -> Result<()> {
    tx.execute(
        "INSERT INTO sessions (id_hash, sid, username, credential, signed_in_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            id_hash,
            session.sid,
            session.username,
            session.credential,
            session.signed_in_at,
            expires_at,
        ],
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
        "SELECT sid, username, credential, signed_in_at FROM sessions \
         WHERE id_hash = ?1 AND expires_at > ?2",
        params![id_hash, now],
        read,
    )
    .optional()
}

/// The session of that name, unless it has expired.
pub(crate) fn find_by_sid(
    tx: &Transaction<'_>,
    sid: &str,
    now: i64,
) -> Result<Option<Row>> {
    tx.query_row(
        "SELECT sid, username, credential, signed_in_at FROM sessions \
         WHERE sid = ?1 AND expires_at > ?2",
        params![sid, now],
        read,
    )
    .optional()
}

fn read(row: &rusqlite::Row<'_>) -> Result<Row> {
    Ok(Row {
        sid: row.get(0)?,
        username: row.get(1)?,
        credential: row.get(2)?,
        signed_in_at: row.get(3)?,
    })
}

/// Forgets a session: the user signed out.
pub(crate) fn delete_by_sid(
    tx: &Transaction<'_>,
    sid: &str,
) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE sid = ?1", [sid]).map(drop)
}

/// Forgets the session of a browser that gets another one.
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
