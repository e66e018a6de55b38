//! Signing in at an upstream provider: what is under way, who has come from there, and the sealed
//! tokens that they left.

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Transaction;
use rusqlite::params;

/// Sign-ins that may be under way at once; a limit of disk, far above what a class room needs.
const MAX_FLOWS: i64 = 10_000;

/// A user from whom nothing is in force any more is forgotten after so many seconds.
const IDLE: i64 = 86_400;

/// A browser that was sent to the provider.
pub(crate) struct Flow {
    pub(crate) state_hash: String,
    /// Of the cookie of the browser that began it.
    pub(crate) browser_hash: String,
    /// The client's authorization request, as a query.
    pub(crate) request: String,
    pub(crate) expires_at: i64,
}

/// Somebody who signed in there.
pub(crate) struct Row {
    /// Name of the provider, colon, the provider's subject.
    pub(crate) sub: String,
    /// As in [`Grant`](crate::store::grants::Grant).
    pub(crate) credential: String,
    pub(crate) login: String,
    pub(crate) name: Option<String>,
    pub(crate) signed_in_at: i64,
}

/// Remembers a sign-in that begins. `false` where there are too many.
pub(crate) fn insert_flow(
    tx: &Transaction<'_>,
    flow: &Flow,
    now: i64,
) -> Result<bool> {
    delete_expired(tx, now)?;
    tx.execute(
        "INSERT INTO upstream_flows (state_hash, browser_hash, request, expires_at) \
         SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM upstream_flows) < ?5",
        params![
            flow.state_hash,
            flow.browser_hash,
            flow.request,
            flow.expires_at,
            MAX_FLOWS,
        ],
    )
    .map(|rows| rows == 1)
}

/// The request of a sign-in that this browser began, once. For everybody else it stays.
pub(crate) fn take_flow(
    tx: &Transaction<'_>,
    state_hash: &str,
    browser_hash: &str,
    now: i64,
) -> Result<Option<String>> {
    tx.query_row(
        "DELETE FROM upstream_flows WHERE state_hash = ?1 AND browser_hash = ?2 \
         AND expires_at > ?3 RETURNING request",
        params![state_hash, browser_hash, now],
        |row| row.get(0),
    )
    .optional()
}

/// Remembers a user, or what they are called now.
pub(crate) fn put_user(
    tx: &Transaction<'_>,
    user: &Row,
) -> Result<()> {
    tx.execute(
        "INSERT INTO upstream_users (sub, credential, login, name, signed_in_at) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (sub) DO UPDATE SET \
         credential = ?2, login = ?3, name = ?4, signed_in_at = ?5",
        params![
            user.sub,
            user.credential,
            user.login,
            user.name,
            user.signed_in_at,
        ],
    )
    .map(drop)
}

/// All users for whom this provider vouched.
pub(crate) fn users(
    tx: &Transaction<'_>,
    credential: &str,
) -> Result<Vec<Row>> {
    let mut statement = tx.prepare(
        "SELECT sub, credential, login, name, signed_in_at FROM upstream_users \
         WHERE credential = ?1",
    )?;
    let rows = statement.query_map([credential], |row| {
        Ok(Row {
            sub: row.get(0)?,
            credential: row.get(1)?,
            login: row.get(2)?,
            name: row.get(3)?,
            signed_in_at: row.get(4)?,
        })
    })?;
    rows.collect()
}

/// Puts a user's sealed token in place of the one before. The user has to be there.
pub(crate) fn put_token(
    tx: &Transaction<'_>,
    sub: &str,
    sealed: &[u8],
) -> Result<()> {
    tx.execute(
        "INSERT INTO upstream_tokens (sub, sealed) VALUES (?1, ?2) \
         ON CONFLICT (sub) DO UPDATE SET sealed = ?2",
        params![sub, sealed],
    )
    .map(drop)
}

/// A user's sealed token.
pub(crate) fn token(
    tx: &Transaction<'_>,
    sub: &str,
) -> Result<Option<Vec<u8>>> {
    tx.query_row(
        "SELECT sealed FROM upstream_tokens WHERE sub = ?1",
        [sub],
        |row| row.get(0),
    )
    .optional()
}

/// The same token renewed. Nothing happens where another has taken its place.
pub(crate) fn replace_token(
    tx: &Transaction<'_>,
    sub: &str,
    old: &[u8],
    new: &[u8],
) -> Result<()> {
    tx.execute(
        "UPDATE upstream_tokens SET sealed = ?3 WHERE sub = ?1 AND sealed = ?2",
        params![sub, old, new],
    )
    .map(drop)
}

/// Forgets this very token. `false` where another has taken its place.
pub(crate) fn delete_token(
    tx: &Transaction<'_>,
    sub: &str,
    sealed: &[u8],
) -> Result<bool> {
    tx.execute(
        "DELETE FROM upstream_tokens WHERE sub = ?1 AND sealed = ?2",
        params![sub, sealed],
    )
    .map(|rows| rows == 1)
}

/// Forgets sign-ins that were not finished in time, and users from whom nothing is in force; their
/// tokens go along.
pub(crate) fn clean_up(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<()> {
    delete_expired(tx, now)?;
    tx.execute(
        "DELETE FROM upstream_users WHERE signed_in_at <= ?1 \
         AND NOT EXISTS (SELECT 1 FROM sessions WHERE username = sub) \
         AND NOT EXISTS (SELECT 1 FROM grants WHERE username = sub)",
        [now - IDLE],
    )
    .map(drop)
}

fn delete_expired(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<()> {
    tx.execute("DELETE FROM upstream_flows WHERE expires_at <= ?1", [now]).map(drop)
}
