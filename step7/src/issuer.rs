//! The authorization server, looked up as clients look it up: its metadata, and the keys it signs
//! with.
//!
//! The issuer is configured, but what it serves comes over a network: every answer has a limit in
//! time and size, nothing is followed elsewhere, and a document that names another issuer is refused
//! (it would let one authorization server speak for another).
//!
//! Spec: RFC 8414 and OpenID Connect Discovery 1.0 in the order of MCP 2026-07-28,
//! basic/authorization/authorization-server-discovery. Left out: proxies, `Cache-Control`.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::JwkSet;
use reqwest::Client;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::cache::Cached;
use crate::cache::Unavailable;
use crate::config::Config;
use crate::transport::is_loopback;

/// How long metadata and keys are kept, if nobody asks for a key that is not among them.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(300);

/// How long to wait before asking the issuer again, whatever clients send us.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long one request to the issuer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest document we read, in bytes.
const MAX_DOCUMENT: usize = 64 * 1024;

/// One authorization server.
pub(crate) struct Issuer {
    pub(crate) url: String,
    metadata: Cached<Arc<Value>>,
}

impl Issuer {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            url: config.issuer().to_owned(),
            metadata: Cached::new(FRESH_FOR, RETRY_AFTER),
        }
    }

    /// Its metadata document (RFC 8414, section 2).
    pub(crate) async fn metadata(&self) -> Result<Arc<Value>, Unavailable> {
        self.metadata
            .get(|_| true, discover(self.url.clone()))
            .await
    }

    /// The keys it signs with: those that we can use, the others are passed over one by one.
    pub(crate) async fn keys(self: Arc<Self>) -> Result<Arc<JwkSet>, String> {
        let metadata = self.metadata().await.map_err(|error| error.reason)?;
        let url = metadata["jwks_uri"].as_str().unwrap_or_default();
        let document = fetch(url)
            .await
            .map_err(|reason| format!("{url:?}: {reason}"))?;
        let keys = document["keys"]
            .as_array()
            .ok_or("its key set has no keys")?;
        let keys: Vec<_> = keys.iter().filter_map(usable).collect();
        // Better the keys of before than none: without any, every token would look forged.
        match keys.is_empty() {
            true => Err("its key set has no key for RS256".to_owned()),
            false => Ok(Arc::new(JwkSet {
                keys,
            })),
        }
    }
}

/// A key as it came, if it is one for RS256 signatures and says which one it is.
fn usable(key: &Value) -> Option<Jwk> {
    let rs256 = key["kty"] == "RSA"
        && key.get("use").is_none_or(|own| own == "sig")
        && key.get("alg").is_none_or(|own| own == "RS256")
        && key["kid"].is_string();
    let jwk = Jwk::deserialize(key).ok().filter(|_| rs256)?;
    DecodingKey::from_jwk(&jwk).ok().map(|_| jwk)
}

/// Tries the well-known places in turn.
async fn discover(issuer: String) -> Result<Arc<Value>, String> {
    let mut reasons = Vec::new();
    for url in well_known(&issuer) {
        match fetch(&url)
            .await
            .and_then(|document| check(document, &issuer))
        {
            Ok(document) => return Ok(Arc::new(document)),
            Err(reason) => reasons.push(format!("{url}: {reason}")),
        }
    }
    Err(format!("no metadata of the issuer: {}", reasons.join("; ")))
}

/// Where the metadata may be. An issuer with a path has it inserted before the path, or after it.
fn well_known(issuer: &str) -> Vec<String> {
    let (origin, path) = crate::metadata::split(issuer.trim_end_matches('/'));
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
    ];
    urls.dedup();
    urls
}

/// RFC 8414, section 3.3: the issuer in the document must be the one we asked for, byte for byte.
fn check(
    document: Value,
    issuer: &str,
) -> Result<Value, String> {
    match document["issuer"].as_str() {
        Some(own) if own == issuer => Ok(document),
        own => Err(format!(
            "it names the issuer {own:?}, but we are set to {issuer:?}"
        )),
    }
}

/// Gets a JSON document, within limits. A redirect is an answer like any other that is not 200.
async fn fetch(url: &str) -> Result<Value, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    if url.scheme() != "https" && !url.host().is_some_and(|host| is_loopback(&host)) {
        return Err("only https is trusted beyond this machine".to_owned());
    }
    let answer = download(url).await;
    // The debug form has the cause in it: refused, timed out, an unknown certificate.
    let (status, body) = answer.map_err(|error| format!("{:?}", error.without_url()))?;
    if status != StatusCode::OK || body.len() > MAX_DOCUMENT {
        return Err(format!("status {status}, {} bytes", body.len()));
    }
    serde_json::from_slice(&body).map_err(|error| format!("not a JSON document: {error}"))
}

/// The answer as it came, but not more of it than is needed to see that it is too much.
async fn download(url: Url) -> reqwest::Result<(StatusCode, Vec<u8>)> {
    let client = Client::builder()
        .timeout(TIMEOUT)
        .redirect(Policy::none())
        .no_proxy()
        .build()?;
    let mut response = client.get(url).send().await?;
    let mut body = Vec::new();
    while body.len() <= MAX_DOCUMENT
        && let Some(chunk) = response.chunk().await?
    {
        body.extend(chunk);
    }
    Ok((response.status(), body))
}
