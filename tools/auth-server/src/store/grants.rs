//! Grants, and the refresh and access tokens that hang from them.

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Row;
use rusqlite::Transaction;
use rusqlite::params;

/// What one user approved for one client.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) scope: String,
    pub(crate) resources: Vec<String>,
    pub(crate) revoked: bool,
}

/// A refresh token with its grant.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub(crate) grant: Grant,
    pub(crate) expires_at: i64,
    pub(crate) rotated_at: Option<i64>,
    /// Whether the token that replaced it has been used in its turn.
    pub(crate) successor_used: bool,
}

/// An access token with its grant.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) client_id: String,
    pub(crate) revoked: bool,
}

const GRANT: &str = "g.id, g.client_id, g.username, g.scope, g.resources, g.revoked_at IS NOT NULL";

fn read_grant(row: &Row<'_>) -> Result<Grant> {
    Ok(Grant {
        id: row.get(0)?,
        client_id: row.get(1)?,
        username: row.get(2)?,
        scope: row.get(3)?,
        resources: from_json(&row.get::<_, String>(4)?),
        revoked: row.get(5)?,
    })
}

/// Remembers a new grant.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    grant: &Grant,
    now: i64,
) -> Result<()> {
    tx.execute(
        "INSERT INTO grants (id, client_id, username, scope, resources, created_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        params![
            grant.id,
            grant.client_id,
            grant.username,
            grant.scope,
            to_json(&grant.resources),
            now,
        ],
    )
    .map(drop)
}

/// Takes back everything that was issued under a grant. `true` when it was still in force.
pub(crate) fn revoke(
    tx: &Transaction<'_>,
    grant_id: &str,
    now: i64,
) -> Result<bool> {
    tx.execute(
        "UPDATE grants SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
        params![grant_id, now],
    )
    .map(|rows| rows == 1)
}

/// Lets the grant live at least as long as what is being issued under it.
fn extend(
    tx: &Transaction<'_>,
    grant_id: &str,
    expires_at: i64,
) -> Result<()> {
    tx.execute(
        "UPDATE grants SET expires_at = max(expires_at, ?2) WHERE id = ?1",
        params![grant_id, expires_at],
    )
    .map(drop)
}

/// Remembers an access token by its `jti`.
pub(crate) fn insert_access(
    tx: &Transaction<'_>,
    jti: &str,
    grant_id: &str,
    expires_at: i64,
) -> Result<()> {
    extend(tx, grant_id, expires_at)?;
    tx.execute(
        "INSERT INTO access_tokens (jti, grant_id, expires_at) VALUES (?1, ?2, ?3)",
        params![jti, grant_id, expires_at],
    )
    .map(drop)
}

/// Remembers a refresh token. Parallel refreshes derive the same successor, so it may be known.
pub(crate) fn insert_refresh(
    tx: &Transaction<'_>,
    token_hash: &str,
    grant_id: &str,
    expires_at: i64,
) -> Result<()> {
    extend(tx, grant_id, expires_at)?;
    tx.execute(
        "INSERT OR IGNORE INTO refresh_tokens (token_hash, grant_id, expires_at) \
         VALUES (?1, ?2, ?3)",
        params![token_hash, grant_id, expires_at],
    )
    .map(drop)
}

/// Notes that a refresh token was replaced. Only the first time counts: the grace runs from there.
pub(crate) fn rotate(
    tx: &Transaction<'_>,
    token_hash: &str,
    successor_hash: &str,
    now: i64,
) -> Result<()> {
    tx.execute(
        "UPDATE refresh_tokens SET rotated_at = ?3, successor_hash = ?2 \
         WHERE token_hash = ?1 AND rotated_at IS NULL",
        params![token_hash, successor_hash, now],
    )
    .map(drop)
}

/// The refresh token with its grant, whatever state they are in.
pub(crate) fn find_refresh(
    tx: &Transaction<'_>,
    token_hash: &str,
) -> Result<Option<Refresh>> {
    let sql = format!(
        "SELECT {GRANT}, r.expires_at, r.rotated_at, s.rotated_at IS NOT NULL \
         FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id \
         LEFT JOIN refresh_tokens s ON s.token_hash = r.successor_hash \
         WHERE r.token_hash = ?1"
    );
    tx.query_row(&sql, [token_hash], |row| {
        Ok(Refresh {
            grant: read_grant(row)?,
            expires_at: row.get(6)?,
            rotated_at: row.get(7)?,
            successor_used: row.get(8)?,
        })
    })
    .optional()
}

/// The access token; `None` for one that this server has no row of.
pub(crate) fn find_access(
    tx: &Transaction<'_>,
    jti: &str,
) -> Result<Option<Access>> {
    tx.query_row(
        "SELECT g.client_id, a.revoked_at IS NOT NULL OR g.revoked_at IS NOT NULL \
         FROM access_tokens a JOIN grants g ON g.id = a.grant_id WHERE a.jti = ?1",
        [jti],
        |row| {
            Ok(Access {
                client_id: row.get(0)?,
                revoked: row.get(1)?,
            })
        },
    )
    .optional()
}

/// Takes back one access token.
pub(crate) fn revoke_access(
    tx: &Transaction<'_>,
    jti: &str,
    now: i64,
) -> Result<()> {
    tx.execute(
        "UPDATE access_tokens SET revoked_at = ?2 WHERE jti = ?1 AND revoked_at IS NULL",
        params![jti, now],
    )
    .map(drop)
}

/// Deletes access tokens past their time, and grants with nothing alive under them (their codes
/// and refresh tokens go along). An access token's row outlives the token by the leeway that
/// verifiers allow, so that a revoked one never counts as merely unknown.
pub(crate) fn clean_up(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<()> {
    let gone = now - LEEWAY;
    tx.execute("DELETE FROM access_tokens WHERE expires_at <= ?1", [gone])?;
    tx.execute("DELETE FROM grants WHERE expires_at <= ?1", [gone])?;
    Ok(())
}

/// Seconds by which the clocks of two machines may differ.
const LEEWAY: i64 = 60;

pub(crate) fn to_json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

/// An unreadable list is an empty one, under which nothing is issued.
pub(crate) fn from_json(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}
