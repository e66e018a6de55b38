//! Stored clients: those that registered, and copies of metadata documents.

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Row;
use rusqlite::Transaction;
use rusqlite::params;

use crate::clients::Client;
use crate::clients::SecretHash;
use crate::clients::Source;

/// A stored client, and for a document the time until which the copy may be used.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) client: Client,
    pub(crate) fresh_until: Option<i64>,
}

/// The stored client of that id.
pub(crate) fn find(
    tx: &Transaction<'_>,
    id: &str,
) -> Result<Option<Stored>> {
    tx.query_row(
        "SELECT id, source, metadata, secret_hash, fresh_until FROM clients WHERE id = ?1",
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
            secret: row.get::<_, Option<String>>(3)?.map(SecretHash::Sha256),
        },
        fresh_until: row.get(4)?,
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
    let secret_hash = match &client.secret {
        Some(SecretHash::Sha256(hash)) => Some(hash),
        Some(SecretHash::Argon2(_)) | None => None,
    };
    tx.execute(
        "INSERT INTO clients (id, source, metadata, secret_hash, created_at, fresh_until) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (id) DO UPDATE SET metadata = ?3, fresh_until = ?6",
        params![
            client.id,
            client.source.name(),
            serde_json::json!(client.metadata).to_string(),
            secret_hash,
            now,
            stored.fresh_until,
        ],
    )?;
    Ok(true)
}

/// Evicts until one more fits: never-used clients first, oldest first; then the least recently
/// used one; never one that a code or a grant still depends on.
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
    let evicted = tx.execute(
        "DELETE FROM clients WHERE id IN (SELECT id FROM clients c WHERE id <> ?1 \
         AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.client_id = c.id \
             AND g.revoked_at IS NULL AND g.expires_at > ?2) \
         AND NOT EXISTS (SELECT 1 FROM codes k WHERE k.client_id = c.id \
             AND k.grant_id IS NULL AND k.expires_at > ?2) \
         ORDER BY used_at IS NOT NULL, used_at, created_at, rowid LIMIT ?3)",
        params![id, now, surplus],
    )?;
    Ok(i64::try_from(evicted).is_ok_and(|evicted| evicted >= surplus))
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
