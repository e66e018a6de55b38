//! An OpenID provider's metadata and keys, asked for when they are needed and kept for a while.
//!
//! Clauses: OpenID Connect Discovery 1.0 section 4, RFC 7517. One request at a time for each
//! document: who comes meanwhile waits for the same answer. After a failure nobody asks again for a
//! few seconds, so a provider that hangs is not waited for by one user after the other.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::upstream::failure::Failure;
use crate::upstream::http::Http;
use crate::upstream::key::Key;
use crate::upstream::settings;

/// How long a document is used.
const FRESH: Duration = Duration::from_secs(300);

/// How long the keys stay as they are, whatever `kid` is asked for.
const KEYS_PAUSE: Duration = Duration::from_secs(10);

/// How long a failure is remembered.
const FAILURE_PAUSE: Duration = Duration::from_secs(3);

/// What is known of one provider.
#[derive(Default)]
pub(crate) struct Discovery {
    metadata: Mutex<Kept<Metadata>>,
    keys: Mutex<Kept<Vec<Key>>>,
}

/// The members of the metadata that count here.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    jwks_uri: Url,
    /// Whether `iss` comes with every answer (RFC 9207 section 3).
    pub(crate) sends_issuer: bool,
    /// `client_secret_basic`, the default of the specification, beside `client_secret_post`.
    pub(crate) takes_basic: bool,
}

/// The last attempt at a document, and the last one that succeeded.
struct Kept<T> {
    value: Option<(Arc<T>, Instant)>,
    failed: Option<(Failure, Instant)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            value: None,
            failed: None,
        }
    }
}

impl<T> Kept<T> {
    fn younger_than(
        &self,
        age: Duration,
    ) -> Option<Arc<T>> {
        let (value, since) = self.value.as_ref()?;
        (since.elapsed() < age).then(|| value.clone())
    }

    fn recent_failure(&self) -> Result<(), Failure> {
        match &self.failed {
            Some((failure, since)) if since.elapsed() < FAILURE_PAUSE => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    fn keep(
        &mut self,
        outcome: Result<T, Failure>,
    ) -> Result<Arc<T>, Failure> {
        match outcome {
            Ok(value) => {
                let value = Arc::new(value);
                self.value = Some((value.clone(), Instant::now()));
                self.failed = None;
                Ok(value)
            }
            Err(failure) => {
                self.failed = Some((failure.clone(), Instant::now()));
                Err(failure)
            }
        }
    }
}

impl Discovery {
    /// The provider's metadata.
    pub(crate) async fn metadata(
        &self,
        http: &Http,
        issuer: &str,
    ) -> Result<Arc<Metadata>, Failure> {
        let mut kept = self.metadata.lock().await;
        if let Some(metadata) = kept.younger_than(FRESH) {
            return Ok(metadata);
        }
        kept.recent_failure()?;
        let outcome = fetch_metadata(http, issuer).await;
        kept.keep(outcome)
    }

    /// The provider's key of that name; its only key where no name is given. An unknown name is a
    /// reason to read the keys anew, but not at every request.
    pub(crate) async fn key(
        &self,
        http: &Http,
        metadata: &Metadata,
        kid: Option<&str>,
    ) -> Result<Key, Failure> {
        let mut kept = self.keys.lock().await;
        let known = kept.younger_than(FRESH).and_then(|keys| find(&keys, kid));
        if let Some(key) = known {
            return Ok(key);
        }
        let unknown = Failure::Refused("The ID token is signed with a key that is not known.");
        if kept.younger_than(KEYS_PAUSE).is_some() {
            return Err(unknown);
        }
        kept.recent_failure()?;
        let outcome = fetch_keys(http, metadata).await;
        let keys = kept.keep(outcome)?;
        find(&keys, kid).ok_or(unknown)
    }
}

fn find(
    keys: &[Key],
    kid: Option<&str>,
) -> Option<Key> {
    match (kid, keys) {
        (Some(kid), _) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)).cloned(),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}

async fn fetch_metadata(
    http: &Http,
    issuer: &str,
) -> Result<Metadata, Failure> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let place = format!("{base}/.well-known/openid-configuration");
    let url = Url::parse(&place).map_err(|_| Failure::unavailable("the issuer is no URL"))?;
    let document = http.send(http.get(url)).await?.document()?;
    // OpenID Connect Discovery section 4.3: or one provider could speak for another.
    if document["issuer"] != *issuer {
        return Err(Failure::unavailable(format!(
            "its metadata is of {}, the setting says {issuer:?}",
            document["issuer"]
        )));
    }
    let plain = issuer.starts_with("http://");
    let endpoint = |member| endpoint(&document, member, plain);
    Ok(Metadata {
        authorization_endpoint: endpoint("authorization_endpoint")?,
        token_endpoint: endpoint("token_endpoint")?,
        jwks_uri: endpoint("jwks_uri")?,
        sends_issuer: document["authorization_response_iss_parameter_supported"] == true,
        takes_basic: takes_basic(&document["token_endpoint_auth_methods_supported"]),
    })
}

/// A provider that is reached over https names no place that is not, this machine's included.
fn endpoint(
    document: &Value,
    member: &str,
    plain: bool,
) -> Result<Url, Failure> {
    let url = document[member].as_str().and_then(|text| Url::parse(text).ok());
    url.filter(|url| settings::is_trusted(url) && (plain || url.scheme() == "https"))
        .ok_or_else(|| Failure::unavailable(format!("its metadata has no usable {member}")))
}

fn takes_basic(methods: &Value) -> bool {
    match methods.as_array() {
        Some(methods) => methods.iter().any(|method| method == "client_secret_basic"),
        None => true,
    }
}

async fn fetch_keys(
    http: &Http,
    metadata: &Metadata,
) -> Result<Vec<Key>, Failure> {
    let document = http.send(http.get(metadata.jwks_uri.clone())).await?.document()?;
    let listed = document["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    // One by one: a key of a kind that is not known here must not hide the others.
    let keys: Vec<_> = listed.iter().filter_map(Key::read).collect();
    if keys.is_empty() {
        return Err(Failure::unavailable("its key set has no usable key"));
    }
    Ok(keys)
}
