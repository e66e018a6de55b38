//! Authorization codes (RFC 6749 section 4.1.2).

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Row;
use rusqlite::Transaction;
use rusqlite::params;

use crate::store::grants::from_json;
use crate::store::grants::to_json;

/// Everything a code is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) code_hash: String,
    pub(crate) client_id: String,
    pub(crate) username: String,
    /// As in [`Grant`](crate::store::grants::Grant).
    pub(crate) credential: String,
    /// The session in which it was approved.
    pub(crate) sid: String,
    pub(crate) redirect_uri: String,
    pub(crate) redirect_given: bool,
    pub(crate) challenge: String,
    pub(crate) scope: String,
    pub(crate) resources: Vec<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) signed_in_at: i64,
    pub(crate) expires_at: i64,
    /// Set once redeemed.
    pub(crate) grant_id: Option<String>,
}

/// Remembers a new code.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    code: &Code,
) -> Result<()> {
    tx.execute(
        "INSERT INTO codes (code_hash, client_id, username, credential, sid, redirect_uri, \
         redirect_given, challenge, scope, resources, nonce, signed_in_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            code.code_hash,
            code.client_id,
            code.username,
            code.credential,
            code.sid,
            code.redirect_uri,
            code.redirect_given,
            code.challenge,
            code.scope,
            to_json(&code.resources),
            code.nonce,
            code.signed_in_at,
            code.expires_at,
        ],
    )
    .map(drop)
}

/// The code, redeemed or not, expired or not.
pub(crate) fn find(
    tx: &Transaction<'_>,
    code_hash: &str,
) -> Result<Option<Code>> {
    tx.query_row(
        "SELECT code_hash, client_id, username, credential, sid, redirect_uri, \
         redirect_given, challenge, scope, resources, nonce, signed_in_at, expires_at, grant_id \
         FROM codes WHERE code_hash = ?1",
        [code_hash],
        read,
    )
    .optional()
}

fn read(row: &Row<'_>) -> Result<Code> {
    Ok(Code {
        code_hash: row.get(0)?,
        client_id: row.get(1)?,
        username: row.get(2)?,
        credential: row.get(3)?,
        sid: row.get(4)?,
        redirect_uri: row.get(5)?,
        redirect_given: row.get(6)?,
        challenge: row.get(7)?,
        scope: row.get(8)?,
        resources: from_json(&row.get::<_, String>(9)?),
        nonce: row.get(10)?,
        signed_in_at: row.get(11)?,
        expires_at: row.get(12)?,
        grant_id: row.get(13)?,
    })
}

/// Marks the code as redeemed, in one statement that only one caller can win.
pub(crate) fn redeem(
    tx: &Transaction<'_>,
    code_hash: &str,
    grant_id: &str,
    now: i64,
) -> Result<bool> {
    tx.execute(
        "UPDATE codes SET grant_id = ?2 \
         WHERE code_hash = ?1 AND grant_id IS NULL AND expires_at > ?3",
        params![code_hash, grant_id, now],
    )
    .map(|rows| rows == 1)
}

/// Deletes codes that nobody redeemed in time. Redeemed ones go with their grant.
pub(crate) fn clean_up(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<()> {
    tx.execute(
        "DELETE FROM codes WHERE grant_id IS NULL AND expires_at <= ?1",
        [now],
    )
    .map(drop)
}
