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
    /// Digest of what the user had signed in with: the grant ends when that changes.
    pub(crate) credential: String,
    pub(crate) scope: String,
    pub(crate) resources: Vec<String>,
    pub(crate) created_at: i64,
    pub(crate) revoked: bool,
}

/// A chain of refresh tokens with its grant.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) grant: Grant,
    /// Hash of the newest token.
    pub(crate) token_hash: String,
    /// Hash of the token before, once there is one.
    pub(crate) replaced_hash: Option<String>,
    pub(crate) rotated_at: Option<i64>,
    pub(crate) expires_at: i64,
}

/// An access token with its grant.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) credential: String,
    pub(crate) revoked: bool,
}

const GRANT: &str = "g.id, g.client_id, g.username, g.credential, g.scope, g.resources, \
                     g.created_at, g.revoked_at IS NOT NULL";

fn read_grant(row: &Row<'_>) -> Result<Grant> {
    Ok(Grant {
        id: row.get(0)?,
        client_id: row.get(1)?,
        username: row.get(2)?,
        credential: row.get(3)?,
        scope: row.get(4)?,
        resources: from_json(&row.get::<_, String>(5)?),
        created_at: row.get(6)?,
        revoked: row.get(7)?,
    })
}

/// Remembers a new grant.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    grant: &Grant,
) -> Result<()> {
    tx.execute(
        "INSERT INTO grants (id, client_id, username, credential, scope, resources, created_at, \
         expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        params![
            grant.id,
            grant.client_id,
            grant.username,
            grant.credential,
            grant.scope,
            to_json(&grant.resources),
            grant.created_at,
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

/// Begins a chain of refresh tokens.
pub(crate) fn insert_chain(
    tx: &Transaction<'_>,
    grant_id: &str,
    handle_hash: &str,
    token_hash: &str,
    expires_at: i64,
) -> Result<()> {
    extend(tx, grant_id, expires_at)?;
    tx.execute(
        "INSERT INTO refresh_tokens (grant_id, handle_hash, token_hash, expires_at) \
         VALUES (?1, ?2, ?3, ?4)",
        params![grant_id, handle_hash, token_hash, expires_at],
    )
    .map(drop)
}

/// Puts a successor in the place of the newest token; the one before that is forgotten.
pub(crate) fn rotate(
    tx: &Transaction<'_>,
    grant_id: &str,
    successor_hash: &str,
    now: i64,
    expires_at: i64,
) -> Result<()> {
    extend(tx, grant_id, expires_at)?;
    tx.execute(
        "UPDATE refresh_tokens SET replaced_hash = token_hash, token_hash = ?2, rotated_at = ?3, \
         expires_at = ?4 WHERE grant_id = ?1",
        params![grant_id, successor_hash, now, expires_at],
    )
    .map(drop)
}

/// The chain of that handle with its grant, whatever state they are in.
pub(crate) fn find_chain(
    tx: &Transaction<'_>,
    handle_hash: &str,
) -> Result<Option<Chain>> {
    let sql = format!(
        "SELECT {GRANT}, r.token_hash, r.replaced_hash, r.rotated_at, r.expires_at \
         FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.handle_hash = ?1"
    );
    tx.query_row(&sql, [handle_hash], |row| {
        Ok(Chain {
            grant: read_grant(row)?,
            token_hash: row.get(8)?,
            replaced_hash: row.get(9)?,
            rotated_at: row.get(10)?,
            expires_at: row.get(11)?,
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
        "SELECT g.client_id, g.username, g.credential, \
         a.revoked_at IS NOT NULL OR g.revoked_at IS NOT NULL \
         FROM access_tokens a JOIN grants g ON g.id = a.grant_id WHERE a.jti = ?1",
        [jti],
        |row| {
            Ok(Access {
                client_id: row.get(0)?,
                username: row.get(1)?,
                credential: row.get(2)?,
                revoked: row.get(3)?,
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
