//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): the client's
//! identifier is the https URL of a document that describes it, and nobody has to register.
//!
//! A stranger chooses that URL, so fetching it is a risk (server-side request forgery): only for
//! a signed-in user, https only, no redirects, no proxy, one resolution whose addresses are all
//! checked and then pinned (a second lookup could answer differently), five seconds, 5 KB. A
//! development flag lets documents lie on this machine.
//!
//! Left out: `private_key_jwt`, and showing logos (an image would be one more thing to fetch).

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::StatusCode;
use reqwest::Client as Http;
use reqwest::Response;
use reqwest::header;
use reqwest::redirect::Policy;
use serde_json::Map;
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Host;
use url::Url;

use crate::clients::Client;
use crate::clients::MAX_REDIRECT_URIS;
use crate::clients::Metadata;
use crate::clients::Proof;
use crate::clients::Source;
use crate::net;
use crate::redirect;

/// Resolution, connection and body together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The draft recommends this limit.
const MAX_BYTES: usize = 5 * 1024;

/// Fetches in flight at once, whoever asks. One user has far fewer: see `documents`.
const PARALLEL: usize = 32;

/// How long a copy is used, in seconds: what the document's server says within these bounds.
const MIN_FRESH: i64 = 60;
const DEFAULT_FRESH: i64 = 300;
const MAX_FRESH: i64 = 86_400;

/// The rules of fetching.
pub(crate) struct Documents {
    allow_loopback: bool,
    timeout: Duration,
    gate: Semaphore,
}

impl Documents {
    pub(crate) fn new(allow_loopback: bool) -> Self {
        Self {
            allow_loopback,
            timeout: TIMEOUT,
            gate: Semaphore::new(PARALLEL),
        }
    }

    /// Whether the development flag is set.
    pub(crate) fn allows_loopback(&self) -> bool {
        self.allow_loopback
    }
}

/// Why a document was not taken, in one sentence for the user and the client's maker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejected(pub(crate) &'static str);

impl fmt::Display for Rejected {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether a client identifier is meant as the URL of a document. Registered clients never have
/// such an identifier.
pub(crate) fn is_document_url(client_id: &str) -> bool {
    client_id.contains("://")
}

/// The host of a client identifier, for people to read.
pub(crate) fn shown_host(client_id: &str) -> String {
    let url = Url::parse(client_id).ok();
    let host = url.as_ref().and_then(Url::host_str);
    host.unwrap_or("an unknown place").to_owned()
}

/// Section 3 of the draft: https, a path, and nothing that could make two spellings one URL.
pub(crate) fn check_url(
    client_id: &str,
    allow_loopback: bool,
) -> Result<Url, &'static str> {
    let url = Url::parse(client_id).map_err(|_| "Its client_id is not a valid URL.")?;
    let http_here = allow_loopback && url.scheme() == "http" && net::has_loopback_host(&url);
    if url.scheme() != "https" && !http_here {
        return Err("Its client_id is a URL, but not an https one.");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("Its client_id has a user name or a fragment.");
    }
    if url.path().len() < 2 {
        return Err("Its client_id has no path; a metadata document needs one.");
    }
    if url.as_str() != client_id {
        return Err("Its client_id is not written in the normal form of a URL.");
    }
    Ok(url)
}

/// Fetches and reads the document; the number is for how many seconds the copy may be used.
pub(crate) async fn fetch(
    documents: &Documents,
    client_id: &str,
) -> Result<(Client, i64), Rejected> {
    let url = check_url(client_id, documents.allow_loopback).map_err(Rejected)?;
    // Waiting for a turn counts as well: nobody is kept longer than the limit.
    let fetch = async {
        let _permit = documents.gate.acquire().await;
        download(&url, documents.allow_loopback).await
    };
    let (body, fresh) = timeout(documents.timeout, fetch)
        .await
        .map_err(|_| Rejected("Its metadata document did not arrive within 5 seconds."))??;
    let document = serde_json::from_slice(&body)
        .map_err(|_| Rejected("Its metadata document is not a JSON object."))?;
    Ok((describe(client_id, &document)?, fresh))
}

async fn download(
    url: &Url,
    allow_loopback: bool,
) -> Result<(Vec<u8>, i64), Rejected> {
    let addresses = resolve(url, allow_loopback).await?;
    let response = http(url, &addresses).and_then(|http| {
        http.get(url.clone())
            .header(header::ACCEPT, "application/json")
            .build()
            .map(|request| (http, request))
    });
    let (http, request) = response.map_err(|error| unreachable(&error))?;
    let response = http.execute(request).await.map_err(|error| unreachable(&error))?;
    check_head(&response)?;
    let fresh = freshness(&response);
    Ok((body(response).await?, fresh))
}

fn unreachable(error: &reqwest::Error) -> Rejected {
    tracing::info!(?error, "a client metadata document cannot be fetched");
    Rejected("Its metadata document cannot be fetched.")
}

/// Resolves the host once. Every address has to be acceptable: one private address among public
/// ones is an attack, not an accident.
async fn resolve(
    url: &Url,
    allow_loopback: bool,
) -> Result<Vec<SocketAddr>, Rejected> {
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses: Vec<_> = match url.host() {
        Some(Host::Ipv4(address)) => vec![SocketAddr::from((address, port))],
        Some(Host::Ipv6(address)) => vec![SocketAddr::from((address, port))],
        Some(Host::Domain(name)) => lookup_host((name, port))
            .await
            .map_err(|_| Rejected("The host of its client_id cannot be resolved."))?
            .collect(),
        None => Vec::new(),
    };
    let acceptable = |address: &SocketAddr| {
        let ip = address.ip();
        net::is_public(ip) || (allow_loopback && net::is_loopback(ip))
    };
    if addresses.is_empty() || !addresses.iter().all(acceptable) {
        return Err(Rejected(
            "Its client_id lies on a private or special-use address, which is never fetched.",
        ));
    }
    Ok(addresses)
}

/// A client that can connect to these addresses only, for this one request.
fn http(
    url: &Url,
    addresses: &[SocketAddr],
) -> reqwest::Result<Http> {
    Http::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .resolve_to_addrs(url.host_str().unwrap_or_default(), addresses)
        .user_agent(concat!("auth-server/", env!("CARGO_PKG_VERSION")))
        .build()
}

fn check_head(response: &Response) -> Result<(), Rejected> {
    if response.status() != StatusCode::OK {
        return Err(Rejected("Its metadata document was not answered with 200."));
    }
    let media_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    json.then_some(())
        .ok_or(Rejected("Its metadata document is not served as JSON."))
}

async fn body(mut response: Response) -> Result<Vec<u8>, Rejected> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(Rejected("Its metadata document is larger than 5 KB."));
        }
    }
    Ok(body)
}

/// `max-age`, within our bounds: the floor keeps a document that forbids caching from being
/// fetched for every page.
fn freshness(response: &Response) -> i64 {
    let values = response.headers().get_all(header::CACHE_CONTROL);
    let text: Vec<_> = values.iter().filter_map(|value| value.to_str().ok()).collect();
    let directives = text.join(",").to_ascii_lowercase();
    let mut directives = directives.split(',').map(str::trim);
    let uncached = directives.clone().any(|directive| matches!(directive, "no-store" | "no-cache"));
    let max_age = directives.find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok());
    match (uncached, max_age) {
        (true, _) => MIN_FRESH,
        (false, age) => age.unwrap_or(DEFAULT_FRESH).clamp(MIN_FRESH, MAX_FRESH),
    }
}

/// Reads the document, with the quirks seen in the wild: the auth method may be in either member,
/// grants we lack are listed, one redirect URI of several may be unusable.
fn describe(
    client_id: &str,
    document: &Map<String, Value>,
) -> Result<Client, Rejected> {
    check_claims(client_id, document)?;
    let name = document.get("client_name").and_then(Value::as_str);
    let grants = document.get("grant_types").filter(|grants| grants.is_array());
    let after_logout = usable_uris(document.get("post_logout_redirect_uris"));
    Ok(Client {
        id: client_id.to_owned(),
        source: Source::Document,
        metadata: Metadata {
            redirect_uris: redirect_uris(document)?,
            post_logout_redirect_uris: after_logout.take(MAX_REDIRECT_URIS).collect(),
            client_name: name.map(str::to_owned),
            grant_types: grants.map(|grants| strings(Some(grants)).map(str::to_owned).collect()),
        },
        proof: Proof::Nothing,
        machine: None,
    })
}

/// What would make the document somebody else's, or a client that this server cannot serve.
fn check_claims(
    client_id: &str,
    document: &Map<String, Value>,
) -> Result<(), Rejected> {
    // Or anybody could publish a document that speaks for somebody else.
    if document.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return Err(Rejected(
            "The client_id in its metadata document is not the document's URL.",
        ));
    }
    if document.contains_key("client_secret") || document.contains_key("client_secret_expires_at") {
        return Err(Rejected(
            "Its metadata document holds a client secret, for all to read.",
        ));
    }
    if !is_public_client(document) {
        return Err(Rejected(
            "It wants to authenticate in a way that this server does not have.",
        ));
    }
    Ok(())
}

fn redirect_uris(document: &Map<String, Value>) -> Result<Vec<String>, Rejected> {
    let uris: Vec<_> = usable_uris(document.get("redirect_uris")).collect();
    if uris.is_empty() {
        return Err(Rejected(
            "Its metadata document names no redirect URI that can be used.",
        ));
    }
    if uris.len() > MAX_REDIRECT_URIS {
        return Err(Rejected(
            "Its metadata document names more than 10 redirect URIs.",
        ));
    }
    Ok(uris)
}

fn usable_uris(listed: Option<&Value>) -> impl Iterator<Item = String> {
    strings(listed).filter(|uri| redirect::check(uri).is_ok()).map(str::to_owned)
}

/// A document can hold no secret, so the client is public; unless it asks for nothing but other
/// methods. Some clients name their method, some list all they could use, some do neither.
fn is_public_client(document: &Map<String, Value>) -> bool {
    let one = document.get("token_endpoint_auth_method").and_then(Value::as_str);
    let several = document.get("token_endpoint_auth_methods_supported");
    let listed = strings(several).any(|method| method == "none");
    match (one, several) {
        (Some("none"), _) | (None, None) => true,
        _ => listed,
    }
}

/// The strings in an array; anything else counts as absent.
fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
