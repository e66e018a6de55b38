//! Stored clients: those that registered, and copies of metadata documents.

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Row;
use rusqlite::Transaction;
use rusqlite::params;

use crate::clients::Client;
use crate::clients::Proof;
use crate::clients::SecretHash;
use crate::clients::Source;

/// Seconds for which a client is left alone after a user came from it: time enough to sign in.
const SIGNING_IN: i64 = 15 * 60;

/// Seconds after which a registration goes that no user ever approved.
const UNUSED_FOR: i64 = 86_400;

/// Seconds after which a client goes that was approved once and has nothing alive.
const IDLE_FOR: i64 = 90 * 86_400;

/// A stored client, and what belongs to its kind.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) client: Client,
    /// Of a document: until when the copy may be used.
    pub(crate) fresh_until: Option<i64>,
    /// Of a registration that its client can manage.
    pub(crate) managed: Option<Managed>,
}

/// What a client needs to read or delete its own registration (RFC 7592).
#[derive(Clone, Debug)]
pub(crate) struct Managed {
    /// Hash of the registration access token.
    pub(crate) access_hash: String,
    /// What it was told of itself, as JSON, without secrets.
    pub(crate) answer: String,
}

/// The stored client of that id.
pub(crate) fn find(
    tx: &Transaction<'_>,
    id: &str,
) -> Result<Option<Stored>> {
    tx.query_row(
        "SELECT id, source, metadata, secret_hash, fresh_until, access_hash, answer \
         FROM clients WHERE id = ?1",
        [id],
        read,
    )
    .optional()
}

fn read(row: &Row<'_>) -> Result<Stored> {
    let document = row.get::<_, String>(1)? == Source::Document.name();
    let source = if document {
        Source::Document
    } else {
        Source::Registration
    };
    Ok(Stored {
        client: Client {
            id: row.get(0)?,
            source,
            // Written by this program; if it were unreadable, a client without redirect URIs
            // could do nothing.
            metadata: serde_json::from_str(&row.get::<_, String>(2)?).unwrap_or_default(),
            proof: proof(row.get(3)?),
            machine: None,
        },
        fresh_until: row.get(4)?,
        managed: managed(row.get(5)?, row.get(6)?),
    })
}

fn proof(secret_hash: Option<String>) -> Proof {
    match secret_hash {
        Some(hash) => Proof::Secret(SecretHash::Sha256(hash)),
        None => Proof::Nothing,
    }
}

fn managed(
    access_hash: Option<String>,
    answer: Option<String>,
) -> Option<Managed> {
    Some(Managed {
        access_hash: access_hash?,
        answer: answer?,
    })
}

/// Stores a client, or the newer copy of a known document. `false` when there is no room: every
/// stored client has something alive.
pub(crate) fn put(
    tx: &Transaction<'_>,
    stored: &Stored,
    now: i64,
    max_clients: i64,
) -> Result<bool> {
    let client = &stored.client;
    if !make_room(tx, &client.id, now, max_clients)? {
        return Ok(false);
    }
    let secret_hash = match &client.proof {
        Proof::Secret(SecretHash::Sha256(hash)) => Some(hash),
        // Pre-registered clients are not stored.
        Proof::Secret(SecretHash::Argon2(_)) | Proof::Keys(_) | Proof::Nothing => None,
    };
    tx.execute(
        "INSERT INTO clients (id, source, metadata, secret_hash, created_at, fresh_until, \
         access_hash, answer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
         ON CONFLICT (id) DO UPDATE SET metadata = ?3, fresh_until = ?6",
        params![
            client.id,
            client.source.name(),
            serde_json::json!(client.metadata).to_string(),
            secret_hash,
            now,
            stored.fresh_until,
            stored.managed.as_ref().map(|managed| &managed.access_hash),
            stored.managed.as_ref().map(|managed| &managed.answer),
        ],
    )?;
    Ok(true)
}

/// Without a grant in force and without a code that waits to be redeemed. `?1` is the time.
const NOTHING_ALIVE: &str = "NOT EXISTS (SELECT 1 FROM grants g WHERE g.client_id = c.id \
     AND g.revoked_at IS NULL AND g.expires_at > ?1) \
     AND NOT EXISTS (SELECT 1 FROM codes k WHERE k.client_id = c.id \
     AND k.grant_id IS NULL AND k.expires_at > ?1)";

/// Evicts until one more fits: never-used clients first, oldest first; then the least recently
/// used one. Never one that a code or a grant still depends on, and never one whose user may be
/// signing in right now.
fn make_room(
    tx: &Transaction<'_>,
    id: &str,
    now: i64,
    max_clients: i64,
) -> Result<bool> {
    let others: i64 = tx.query_row("SELECT count(*) FROM clients WHERE id <> ?1", [id], |row| {
        row.get(0)
    })?;
    let surplus = others + 1 - max_clients;
    if surplus <= 0 {
        return Ok(true);
    }
    let sql = format!(
        "DELETE FROM clients WHERE id IN (SELECT id FROM clients c WHERE id <> ?2 \
         AND {NOTHING_ALIVE} AND coalesce(seen_at, 0) <= ?3 \
         ORDER BY used_at IS NOT NULL, used_at, created_at, rowid LIMIT ?4)"
    );
    let evicted = tx.execute(&sql, params![now, id, now - SIGNING_IN, surplus])?;
    Ok(i64::try_from(evicted).is_ok_and(|evicted| evicted >= surplus))
}

/// Deletes clients that nobody has used for long: they register again when they need to.
pub(crate) fn clean_up(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<()> {
    let sql = format!(
        "DELETE FROM clients WHERE id IN (SELECT id FROM clients c WHERE {NOTHING_ALIVE} \
         AND max(created_at, coalesce(used_at, 0), coalesce(seen_at, 0)) \
             <= CASE WHEN used_at IS NULL THEN ?2 ELSE ?3 END)"
    );
    tx.execute(&sql, params![now, now - UNUSED_FOR, now - IDLE_FOR]).map(drop)
}

/// Notes that a user came from the client, once a minute at most: this is called for every page.
pub(crate) fn seen(
    tx: &Transaction<'_>,
    id: &str,
    now: i64,
) -> Result<()> {
    tx.execute(
        "UPDATE clients SET seen_at = ?2 WHERE id = ?1 AND coalesce(seen_at, 0) <= ?2 - 60",
        params![id, now],
    )
    .map(drop)
}

/// Notes that a user approved the client.
pub(crate) fn touch(
    tx: &Transaction<'_>,
    id: &str,
    now: i64,
) -> Result<()> {
    tx.execute(
        "UPDATE clients SET used_at = ?2 WHERE id = ?1",
        params![id, now],
    )
    .map(drop)
}
