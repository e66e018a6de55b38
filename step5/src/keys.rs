//! The public keys that tokens are signed with, read from a PEM file and published as a JWK Set.
//!
//! The file may appear, be replaced or go away while the server runs: it is read again at most once
//! a second, and only when somebody needs a key. What was read is obeyed at once: that is how an
//! operator stops a stolen key.
//!
//! Spec: RFC 7517 (JWK Set), RFC 7518, section 6.3 (RSA keys), RFC 7638 (thumbprint). Left out:
//! other algorithms than RS256.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::PublicKeyUse;
use jsonwebtoken::jwk::ThumbprintHash;
use serde_json::Value;
use serde_json::json;
use thiserror::Error;
use tracing::info;

use crate::cache::Cached;
use crate::cache::Load;
use crate::cache::Missing;
use crate::cache::Rules;
use crate::config::Config;
use crate::error::Unavailable;

/// A key file is read at most once a second, and a copy of that age does not count any more.
const FILE_RULES: Rules = Rules {
    fresh_for: Duration::from_secs(1),
    usable_for: Duration::from_secs(1),
    pause: Duration::from_secs(1),
};

/// Said where there is no key yet, also to clients: in a workshop they are the same people.
const NO_KEY: &str =
    "there is no signing key yet; make one with: cargo run -p gen-token -- --generate-keys";

/// The keys, as fresh as they need to be.
pub(crate) struct Keys {
    cache: Cached<Source>,
}

/// Where keys come from.
enum Source {
    /// A file with one RSA public key, in PEM form.
    File(PathBuf),
}

/// The keys that one load has brought.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// One public key, as it is published.
pub(crate) struct Key {
    jwk: Jwk,
}

/// Why a load brought no keys. The text is for the operator: it names the file.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    #[error("{}: {NO_KEY}", .0.display())]
    NoFile(PathBuf),
    #[error("{}: the key cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
    #[error("{}: the file holds no RSA public key in PEM form", .0.display())]
    NotAKey(PathBuf),
}

impl Keys {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            cache: Cached::new(Source::File(config.public_key.clone()), FILE_RULES),
        }
    }

    /// Says in the log where the keys come from. A file that is not there may come later; one that
    /// is there and wrong is an error, best met at the start.
    pub(crate) async fn start(&self) -> Result<(), Arc<KeyError>> {
        match &*self.cache.source {
            Source::File(file) => {
                let path = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                info!("the key is read from {}", path.display());
            }
        }
        match self.cache.get(|_| true).await {
            Err(missing) if !matches!(*missing.error, KeyError::NoFile(_)) => Err(missing.error),
            _ => Ok(()),
        }
    }
}

impl Load for Source {
    type Value = KeySet;
    type Error = KeyError;

    async fn load(&self) -> Result<KeySet, KeyError> {
        let keys = match self {
            Self::File(file) => vec![read(file)?],
        };
        Ok(KeySet {
            keys,
        })
    }
}

fn read(file: &Path) -> Result<Key, KeyError> {
    let pem = std::fs::read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeyError::NoFile(file.to_owned()),
        _ => KeyError::Unreadable(file.to_owned(), error),
    })?;
    Key::from_pem(&pem).map_err(|_| KeyError::NotAKey(file.to_owned()))
}

impl Key {
    fn from_pem(pem: &[u8]) -> jsonwebtoken::errors::Result<Self> {
        let decoding = DecodingKey::from_rsa_pem(pem)?;
        let mut jwk = Jwk::from_decoding_key(&decoding, Some(Algorithm::RS256))?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self {
            jwk,
        })
    }
}

/// What clients are told: a fixed sentence, without a path of ours.
impl From<Missing<KeyError>> for Unavailable {
    fn from(missing: Missing<KeyError>) -> Self {
        Self {
            description: match *missing.error {
                KeyError::NoFile(_) => NO_KEY,
                _ => "the signing key cannot be read",
            },
            retry_in: missing.retry_in,
        }
    }
}

/// `GET /.well-known/jwks.json`: whoever gets a token can check its signature with these.
pub(crate) async fn publish(State(keys): State<Arc<Keys>>) -> Result<Json<Value>, Unavailable> {
    let set = keys.cache.get(|_| true).await?;
    let jwks: Vec<_> = set.keys.iter().map(|key| &key.jwk).collect();
    Ok(Json(json!({"keys": jwks})))
}
