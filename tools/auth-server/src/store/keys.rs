//! What is published beside the current key, and when the next one takes over.

use rusqlite::OptionalExtension;
use rusqlite::Result;
use rusqlite::Transaction;
use rusqlite::params;

/// A key that waits for its turn.
#[derive(Clone)]
pub(crate) struct Next {
    pub(crate) private_pem: String,
    pub(crate) due_at: i64,
}

/// Puts a key in line. `false` when one is already waiting.
pub(crate) fn insert_next(
    tx: &Transaction<'_>,
    kid: &str,
    public_jwk: &str,
    next: &Next,
) -> Result<bool> {
    tx.execute(
        "INSERT INTO signing_keys (kid, role, public_jwk, private_pem, due_at) \
         SELECT ?1, 'next', ?2, ?3, ?4 \
         WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE role = 'next')",
        params![kid, public_jwk, next.private_pem, next.due_at],
    )
    .map(|rows| rows == 1)
}

/// The key that waits, if any.
pub(crate) fn next(tx: &Transaction<'_>) -> Result<Option<Next>> {
    tx.query_row(
        "SELECT private_pem, due_at FROM signing_keys WHERE role = 'next'",
        [],
        |row| {
            Ok(Next {
                private_pem: row.get(0)?,
                due_at: row.get(1)?,
            })
        },
    )
    .optional()
}

/// How a key came to be the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    /// It was already, or there was none before.
    Same,
    /// It stood in line and was published in time.
    InTurn,
    /// Somebody put it into the keys directory: the keys before it are not to be trusted.
    ByHand,
}

/// Makes `kid` the current key (it is the one that lies in the keys directory).
///
/// The key that it replaces in turn stays published until `old_until`. Where somebody replaced it
/// by hand, all others are withdrawn at once, the next one included: that is how an operator
/// stops a stolen key. Repeating this changes nothing.
pub(crate) fn set_current(
    tx: &Transaction<'_>,
    kid: &str,
    public_jwk: &str,
    old_until: i64,
) -> Result<Succession> {
    let succession = succession(tx, kid)?;
    match succession {
        Succession::Same => {}
        Succession::InTurn => {
            tx.execute(
                "UPDATE signing_keys SET role = 'old', due_at = ?2 \
                 WHERE role = 'current' AND kid <> ?1",
                params![kid, old_until],
            )?;
        }
        Succession::ByHand => {
            tx.execute("DELETE FROM signing_keys WHERE kid <> ?1", [kid])?;
        }
    }
    tx.execute(
        "INSERT INTO signing_keys (kid, role, public_jwk) VALUES (?1, 'current', ?2) \
         ON CONFLICT (kid) DO UPDATE SET role = 'current', private_pem = NULL, due_at = NULL",
        params![kid, public_jwk],
    )?;
    Ok(succession)
}

fn succession(
    tx: &Transaction<'_>,
    kid: &str,
) -> Result<Succession> {
    let role: Option<String> = tx
        .query_row(
            "SELECT role FROM signing_keys WHERE kid = ?1",
            [kid],
            |row| row.get(0),
        )
        .optional()?;
    let others: i64 = tx.query_row(
        "SELECT count(*) FROM signing_keys WHERE role <> 'next'",
        [],
        |row| row.get(0),
    )?;
    Ok(match role.as_deref() {
        Some("current") => Succession::Same,
        Some("next") => Succession::InTurn,
        _ if others == 0 => Succession::Same,
        _ => Succession::ByHand,
    })
}

/// Deletes old keys past their time and returns the public half of all that are left.
pub(crate) fn published(
    tx: &Transaction<'_>,
    now: i64,
) -> Result<Vec<String>> {
    tx.execute(
        "DELETE FROM signing_keys WHERE role = 'old' AND due_at <= ?1",
        [now],
    )?;
    tx.prepare(
        "SELECT public_jwk FROM signing_keys \
         ORDER BY CASE role WHEN 'current' THEN 0 WHEN 'next' THEN 1 ELSE 2 END, kid",
    )?
    .query_map([], |row| row.get(0))?
    .collect()
}
