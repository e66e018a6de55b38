//! The signing key, the keys published beside it, and rotation.
//!
//! `keys/` always holds the key that signs: what gen-token writes there is followed, and what
//! this server rotates to is written there, so both tools sign with the same key. The database
//! keeps the next key (published before it signs, so that every cache knows it in time) and the
//! old ones (published until the last token they signed has expired).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::SystemTime;

use anyhow::Context;
use anyhow::Result;
use gen_token::keys::KeyPair;
use gen_token::keys::PRIVATE_FILE;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use rusqlite::Transaction;

use crate::store;
use crate::store::Store;
use crate::store::keys::Next;

/// The keys in force. Readers get a consistent pair of signer and published set.
pub(crate) struct Keyring {
    dir: PathBuf,
    /// How long a replaced key stays published, in seconds.
    retention: i64,
    ring: RwLock<Arc<Ring>>,
}

/// One state of the keyring.
pub(crate) struct Ring {
    pub(crate) signer: KeyPair,
    /// Current, next and old public keys.
    pub(crate) published: Vec<Jwk>,
    /// Modification time of the private key file, to notice that somebody else replaced it.
    seen: Option<SystemTime>,
}

impl Ring {
    /// The published key of that name.
    pub(crate) fn decoding_key(
        &self,
        kid: &str,
    ) -> Option<DecodingKey> {
        self.published
            .iter()
            .find(|jwk| jwk.common.key_id.as_deref() == Some(kid))
            .and_then(|jwk| DecodingKey::from_jwk(jwk).ok())
    }
}

impl Keyring {
    /// Loads the pair in `dir`, or makes one; the `bool` says that it was made.
    pub(crate) fn open(
        dir: PathBuf,
        retention: i64,
        store: &Store,
        now: i64,
    ) -> Result<(Self, bool)> {
        let (signer, made) = KeyPair::load_or_create(&dir)?;
        let ring = Ring {
            seen: modified(&dir),
            published: vec![signer.public_jwk().clone()],
            signer,
        };
        let keyring = Self {
            dir,
            retention,
            ring: RwLock::new(Arc::new(ring)),
        };
        keyring.refresh(store, now)?;
        Ok((keyring, made))
    }

    /// The state to sign and verify with.
    pub(crate) fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings memory, database and directory into agreement: called at start and every second.
    ///
    /// The order survives a crash anywhere: the next key is written to the directory first, and
    /// only then does the database say so; a start in between sees a new key in the directory
    /// and completes the step.
    pub(crate) fn refresh(
        &self,
        store: &Store,
        now: i64,
    ) -> Result<()> {
        let next = store.run_now(store::keys::next).map_err(to_anyhow)?;
        if let Some(next) = next.filter(|next| next.due_at <= now) {
            KeyPair::from_private_pem(&next.private_pem)?.store(&self.dir, true)?;
        }
        let before = self.ring();
        let seen = modified(&self.dir);
        let signer = if seen == before.seen {
            before.signer.clone()
        } else {
            KeyPair::load(&self.dir)?.context("the signing key has vanished")?
        };
        self.publish(store, signer, seen, now)
    }

    fn publish(
        &self,
        store: &Store,
        signer: KeyPair,
        seen: Option<SystemTime>,
        now: i64,
    ) -> Result<()> {
        let old_until = now + self.retention;
        let published =
            store.run_now(|tx| settle(tx, &signer, old_until, now)).map_err(to_anyhow)?;
        let ring = Ring {
            published: published.iter().filter_map(|jwk| serde_json::from_str(jwk).ok()).collect(),
            signer,
            seen,
        };
        if ring.signer.kid() != self.ring().signer.kid() {
            tracing::info!(kid = ring.signer.kid(), "a new key signs from now on");
        }
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(())
    }
}

fn settle(
    tx: &Transaction<'_>,
    signer: &KeyPair,
    old_until: i64,
    now: i64,
) -> rusqlite::Result<Vec<String>> {
    store::keys::set_current(tx, signer.kid(), &jwk_text(signer), old_until)?;
    store::keys::published(tx, now)
}

/// Makes the next key and puts it in line; the running server publishes it within a second.
/// Returns its `kid`, or `None` when one is waiting already.
pub(crate) fn put_next(
    store: &Store,
    due_at: i64,
) -> Result<Option<String>> {
    let pair = KeyPair::generate()?;
    let next = Next {
        private_pem: pair.private_pem().to_owned(),
        due_at,
    };
    let inserted = store
        .run_now(|tx| store::keys::insert_next(tx, pair.kid(), &jwk_text(&pair), &next))
        .map_err(to_anyhow)?;
    Ok(inserted.then(|| pair.kid().to_owned()))
}

fn jwk_text(pair: &KeyPair) -> String {
    serde_json::json!(pair.public_jwk()).to_string()
}

fn modified(dir: &std::path::Path) -> Option<SystemTime> {
    fs::metadata(dir.join(PRIVATE_FILE))
        .and_then(|metadata| metadata.modified())
        .ok()
}

fn to_anyhow(error: store::StoreError) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}
