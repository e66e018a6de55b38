//! The public keys that tokens are signed with, read from a PEM file and published as a JWK Set.
//!
//! The file may appear, or be replaced, while the server runs: it is looked at again at most once a
//! second, and only when somebody needs a key.
//!
//! Spec: RFC 7517 (JWK Set), RFC 7518, section 6.3 (RSA keys), RFC 7638 (thumbprint). Left out:
//! other algorithms than RS256.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::jwk::PublicKeyUse;
use jsonwebtoken::jwk::ThumbprintHash;
use tracing::info;

use crate::app::Server;
use crate::cache::Cached;
use crate::cache::Unavailable;
use crate::config::Config;

/// How often the key file is looked at: at most once in this time.
const FILE_INTERVAL: Duration = Duration::from_secs(1);

/// Said where there is no key yet, also to clients: in a workshop they are the same people.
const NO_KEY: &str =
    "there is no signing key yet; make one with: cargo run -p gen-token -- --generate-keys";

const NOT_A_KEY: &str = "the file holds no RSA public key in PEM form";

/// The keys, as fresh as they need to be.
pub(crate) struct Keys {
    file: PathBuf,
    cache: Cached<Arc<JwkSet>>,
}

impl Keys {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            file: config.public_key.clone(),
            cache: Cached::new(FILE_INTERVAL, FILE_INTERVAL),
        }
    }

    /// The keys, looked up again if those at hand are old or not `good`.
    pub(crate) async fn get(
        &self,
        good: impl Fn(&JwkSet) -> bool,
    ) -> Result<Arc<JwkSet>, Unavailable> {
        let load = load(self.file.clone());
        self.cache.get(|set| good(set), load).await
    }

    /// Says in the log where the keys come from. A file that is not there may come later; one that
    /// is there and wrong is an error, best met at the start.
    pub(crate) async fn start(&self) -> Result<(), String> {
        let file = std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone());
        match self.get(|_| true).await {
            Ok(_) => info!("the key is in {}", file.display()),
            Err(_) if !file.exists() => info!("waiting for a key in {}", file.display()),
            Err(error) => return Err(format!("{}: {}", file.display(), error.reason)),
        }
        Ok(())
    }
}

/// Reads the public key. The error is shown to clients, so it names no path.
async fn load(file: PathBuf) -> Result<Arc<JwkSet>, String> {
    let pem = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => NO_KEY.to_owned(),
        _ => format!("the key cannot be read: {error}"),
    })?;
    let key = to_jwk(&pem).map_err(|_| NOT_A_KEY.to_owned())?;
    Ok(Arc::new(JwkSet {
        keys: vec![key],
    }))
}

fn to_jwk(pem: &str) -> jsonwebtoken::errors::Result<Jwk> {
    let key = DecodingKey::from_rsa_pem(pem.as_bytes())?;
    let mut jwk = Jwk::from_decoding_key(&key, Some(Algorithm::RS256))?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

/// `GET /.well-known/jwks.json`: whoever gets a token can check its signature with these.
pub(crate) async fn publish(
    State(server): State<Arc<Server>>
) -> Result<Json<JwkSet>, Unavailable> {
    let set = server.keys.get(|_| true).await?;
    Ok(Json(JwkSet::clone(&set)))
}
