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

use reqwest::Client;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::cache::Cached;
use crate::cache::Load;
use crate::cache::Rules;
use crate::config::is_loopback;
use crate::config::split;
use crate::provider::Provider;

/// How long what the issuer says is kept, and how often it is asked, whatever clients send us.
pub(crate) const RULES: Rules = Rules {
    fresh_for: Duration::from_secs(300),
    usable_for: Duration::from_secs(3600),
    pause: Duration::from_secs(10),
};

/// How long one request to the issuer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest document we read, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 64 * 1024;

/// One authorization server. What is cached of it is its metadata (RFC 8414, section 2).
pub(crate) struct Issuer {
    /// The exact string in the `iss` of its tokens.
    pub(crate) name: String,
    /// What the operator knows better than its metadata.
    pub(crate) provider: Provider,
}

/// Why a document of the issuer cannot be had, for the operator: the text names URLs.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct IssuerError(String);

impl Cached<Issuer> {
    /// The keys that it signs with, as they came (RFC 7517, section 5).
    pub(crate) async fn keys(&self) -> Result<Vec<Value>, Arc<IssuerError>> {
        let metadata = self.get(|_| true).await.map_err(|missing| missing.error)?;
        let url = metadata["jwks_uri"].as_str().unwrap_or_default();
        let document = fetch(&self.source.provider, url).await;
        let problem = match document.map(|mut document| document.get_mut("keys").map(Value::take)) {
            Ok(Some(Value::Array(keys))) => return Ok(keys),
            Ok(_) => "it is no key set".to_owned(),
            Err(problem) => problem,
        };
        Err(Arc::new(IssuerError(format!("{url:?}: {problem}"))))
    }
}

impl Load for Issuer {
    type Value = Value;
    type Error = IssuerError;

    /// Tries the well-known places in turn.
    async fn load(&self) -> Result<Value, IssuerError> {
        let mut problems = Vec::new();
        let by_hand = self.provider.issuer_metadata.clone().map(|place| vec![place]);
        for url in by_hand.unwrap_or_else(|| well_known(&self.name)) {
            let problem = match self.document(&url).await {
                // RFC 8414, section 3.3: the very issuer that we asked for, byte for byte.
                Ok(document) if document["issuer"] == *self.name => return Ok(document),
                Ok(other) => format!("it is of {}, we want {:?}", other["issuer"], self.name),
                Err(problem) => problem,
            };
            problems.push(format!("{url}: {problem}"));
        }
        let reason = format!("no metadata of the issuer: {}", problems.join("; "));
        Err(IssuerError(reason))
    }
}

impl Issuer {
    /// The metadata at one of its places, put right. Only the operator names a file, never a document.
    async fn document(
        &self,
        place: &str,
    ) -> Result<Value, String> {
        let document = if place.contains("://") {
            fetch(&self.provider, place).await?
        } else {
            let text = std::fs::read(place).map_err(|error| error.to_string())?;
            serde_json::from_slice(&text).map_err(|error| format!("not JSON: {error}"))?
        };
        Ok(self.provider.repair(document))
    }
}

/// Where the metadata may be. An issuer with a path has it inserted before the path, or after it.
fn well_known(issuer: &str) -> Vec<String> {
    let (origin, path) = split(issuer.trim_end_matches('/'));
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
    ];
    urls.dedup();
    urls
}

/// A URL of the issuer, if what is sent there and comes back is safe on the way.
pub(crate) fn trusted(
    provider: &Provider,
    url: &str,
) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    if provider.allows_http(&url) {
        return Ok(url);
    }
    if url.scheme() != "https" && !url.host().is_some_and(|host| is_loopback(&host)) {
        return Err("only https is trusted beyond this machine".to_owned());
    }
    Ok(url)
}

/// Gets a JSON document, within limits. A redirect is an answer like any other that is not 200.
async fn fetch(
    provider: &Provider,
    url: &str,
) -> Result<Value, String> {
    let url = trusted(provider, url)?;
    let answer = download(url).await;
    // The debug form has the cause in it: refused, timed out, an unknown certificate.
    let (status, body) = answer.map_err(|error| format!("{:?}", error.without_url()))?;
    if status != StatusCode::OK || body.len() > MAX_DOCUMENT {
        return Err(format!("status {status}, {} bytes", body.len()));
    }
    serde_json::from_slice(&body).map_err(|error| format!("not a JSON document: {error}"))
}

/// Whoever asks the issuer asks with these limits.
pub(crate) fn client() -> reqwest::Result<Client> {
    Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy().build()
}

async fn download(url: Url) -> reqwest::Result<(StatusCode, Vec<u8>)> {
    let mut response = client()?.get(url).send().await?;
    let body = body(&mut response).await?;
    Ok((response.status(), body))
}

/// The answer as it came, but not more of it than is needed to see that it is too much.
pub(crate) async fn body(response: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() <= MAX_DOCUMENT
        && let Some(chunk) = response.chunk().await?
    {
        body.extend(chunk);
    }
    Ok(body)
}
