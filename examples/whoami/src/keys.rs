//! The public keys that tokens are signed with, read from a PEM file or fetched from the issuer, and
//! published as a JWK Set.
//!
//! The file may appear, be replaced or go away while the server runs: it is read again at most once
//! a second, and only when somebody needs a key. What was read is obeyed at once: that is how an
//! operator stops a stolen key.
//!
//! Spec: RFC 7517 (JWK Set), RFC 7518, section 6.3 (RSA keys), RFC 7638 (thumbprint), RFC 8037 and
//! RFC 9864 (Ed25519). Left out: other algorithms for the key in a file than RS256.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::KeyAlgorithm;
use jsonwebtoken::jwk::PublicKeyUse;
use jsonwebtoken::jwk::ThumbprintHash;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use thiserror::Error;
use tokio::time::Instant;
use tokio::time::timeout;
use tracing::error;
use tracing::info;

use crate::cache::Cached;
use crate::cache::Load;
use crate::cache::Missing;
use crate::cache::Rules;
use crate::config::Config;
use crate::error::Unavailable;
use crate::issuer;
use crate::issuer::Issuer;
use crate::issuer::IssuerError;

/// A key file is read at most once a second.
const FILE_RULES: Rules = Rules {
    fresh_for: Duration::from_secs(1),
    usable_for: Duration::from_secs(1),
    pause: Duration::from_secs(1),
};

/// How long `/health` waits for the keys.
const HEALTH_PATIENCE: Duration = Duration::from_millis(500);

/// How many made-up names are remembered.
const MAX_NAMES: usize = 1000;

/// Said where there is no key yet, also to clients: in a workshop they are the same people.
const NO_KEY: &str =
    "there is no signing key yet; make one with: cargo run -p gen-token -- --generate-keys";

/// The keys, as fresh as they need to be.
pub(crate) struct Keys {
    cache: Cached<Source>,
    /// The names that were published (`None`), and those that were asked for, with when they first were.
    names: Mutex<HashMap<String, Option<Instant>>>,
}

/// Where keys come from.
enum Source {
    /// A file with one RSA public key, in PEM form.
    File(PathBuf),
    /// The key set of an issuer, with keys of any kind.
    Issuer(Arc<Cached<Issuer>>),
}

/// The keys that one load has brought.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// One public key, as it is published, and made ready to check signatures.
pub(crate) struct Key {
    jwk: Jwk,
    pub(crate) decoding: DecodingKey,
    pub(crate) algorithm: Algorithm,
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
    #[error("{0}")]
    Issuer(#[from] Arc<IssuerError>),
}

impl Keys {
    pub(crate) fn new(
        config: &Config,
        issuer: Arc<Cached<Issuer>>,
    ) -> Self {
        let cache = match &config.public_key {
            Some(file) => Cached::new(Source::File(file.clone()), FILE_RULES),
            None => Cached::new(Source::Issuer(issuer), issuer::RULES),
        };
        Self {
            cache,
            names: Mutex::default(),
        }
    }

    /// The keys for a token that names this `kid`: loaded again if it is not among those at hand.
    ///
    /// A key set cannot be fetched at every unknown name, which anybody may make up. Where it was
    /// not, a name may be that of a new key only if it was never published, and first asked for after
    /// the fetch that brought the keys at hand had begun.
    pub(crate) async fn for_kid(
        &self,
        kid: &str,
    ) -> Result<Arc<KeySet>, Unavailable> {
        let now = Instant::now();
        let set = self.cache.get(|set| set.find(kid).is_some()).await?;
        let mut names = self.names.lock().expect("no holder panics");
        if names.len() > MAX_NAMES {
            names.retain(|_, first| first.is_none());
        }
        names.extend(set.keys.iter().map(|key| (key.kid().to_owned(), None)));
        let asked = *names.entry(kid.to_owned()).or_insert(Some(now));
        let is_file = matches!(*self.cache.source, Source::File(_));
        let may_be_new = asked.is_some_and(|asked| asked.elapsed() < self.cache.age());
        if set.keys.is_empty() || may_be_new && !is_file {
            return Err(Unavailable {
                description: "the key of this token is not known yet",
                retry_in: self.cache.retry_in(),
            });
        }
        Ok(set)
    }

    /// How old the keys are, if there are any.
    pub(crate) async fn age(&self) -> Option<Duration> {
        // A source that hangs must not make this server look dead.
        let set = timeout(HEALTH_PATIENCE, self.cache.get(|_| true)).await.ok()?.ok()?;
        (!set.keys.is_empty()).then(|| self.cache.age())
    }

    /// Says in the log where the keys come from. A file that is not there may come later; one that
    /// is there and wrong is an error, best met at the start.
    pub(crate) async fn start(&self) -> Result<(), Arc<KeyError>> {
        match &*self.cache.source {
            Source::File(file) => {
                let path = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                info!("the key is read from {}", path.display());
            }
            Source::Issuer(issuer) => {
                info!("the keys are those of the issuer {}", issuer.source.name);
                // Not fetched yet: an issuer that hangs must not keep this server from starting.
                return Ok(());
            }
        }
        match self.cache.get(|_| true).await {
            Err(missing) if !matches!(*missing.error, KeyError::NoFile(_)) => Err(missing.error),
            _ => Ok(()),
        }
    }
}

impl KeySet {
    pub(crate) fn find(
        &self,
        kid: &str,
    ) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid() == kid)
    }
}

impl Load for Source {
    type Value = KeySet;
    type Error = KeyError;

    async fn load(&self) -> Result<KeySet, KeyError> {
        let keys = match self {
            Self::File(file) => vec![read(file)?],
            Self::Issuer(issuer) => issuer.keys().await?.iter().filter_map(Key::from_jwk).collect(),
        };
        if keys.is_empty() {
            error!("no token can be checked: the issuer publishes no key for that");
        }
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
    fn kid(&self) -> &str {
        self.jwk.common.key_id.as_deref().unwrap_or_default()
    }

    fn from_pem(pem: &[u8]) -> jsonwebtoken::errors::Result<Self> {
        let decoding = DecodingKey::from_rsa_pem(pem)?;
        let mut jwk = Jwk::from_decoding_key(&decoding, Some(Algorithm::RS256))?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self {
            jwk,
            decoding,
            algorithm: Algorithm::RS256,
        })
    }

    /// A key as an issuer publishes it, if it is one for signatures that says which one it is.
    fn from_jwk(key: &Value) -> Option<Self> {
        let algorithm = algorithm(key)?;
        let mut jwk = Jwk::deserialize(key).ok()?;
        jwk.common.key_id.as_ref()?;
        if jwk.common.key_algorithm == Some(KeyAlgorithm::UNKNOWN_ALGORITHM) {
            // The newer name of EdDSA, which the library would not write again.
            jwk.common.key_algorithm = Some(KeyAlgorithm::EdDSA);
        }
        Some(Self {
            decoding: DecodingKey::from_jwk(&jwk).ok()?,
            jwk,
            algorithm,
        })
    }
}

/// The algorithm of a key for signatures: the one that it names, if that fits its kind, or the usual
/// one for its kind.
fn algorithm(key: &Value) -> Option<Algorithm> {
    let kind = (key["kty"].as_str()?, key["crv"].as_str());
    let named = key.get("alg").map(|alg| alg.as_str().unwrap_or_default());
    if key.get("use").is_some_and(|own| own != "sig") {
        return None;
    }
    match (kind, named) {
        (("RSA", None), None | Some("RS256")) => Some(Algorithm::RS256),
        (("RSA", None), Some("PS256")) => Some(Algorithm::PS256),
        (("EC", Some("P-256")), None | Some("ES256")) => Some(Algorithm::ES256),
        (("EC", Some("P-384")), None | Some("ES384")) => Some(Algorithm::ES384),
        (("OKP", Some("Ed25519")), None | Some("EdDSA" | "Ed25519")) => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// What clients are told: a fixed sentence, without a path of ours.
impl From<Missing<KeyError>> for Unavailable {
    fn from(missing: Missing<KeyError>) -> Self {
        Self {
            description: match *missing.error {
                KeyError::NoFile(_) => NO_KEY,
                KeyError::Issuer(_) => "the keys of the issuer cannot be had",
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
