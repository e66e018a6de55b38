//! Redirect URIs: which may be registered, and which one a request may name.
//!
//! The code goes wherever this module says it may, so this is where open redirectors and code
//! theft are prevented. RFC 6749 section 3.1.2, RFC 8252 section 7 (native apps), RFC 9700
//! section 2.1 (exact string matching).

use url::Url;
use url::form_urlencoded;

use crate::net;

/// Schemes that run code, read files or leave the network's rules: never a way back to a client.
const REFUSED_SCHEMES: &[&str] = &[
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "javascript",
    "mailto",
    "resource",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// Longer than any honest one; keeps `Location` headers within what every proxy takes.
const MAX_LENGTH: usize = 2048;

/// Says in one sentence why a redirect URI cannot be registered; `Ok` when it can.
pub(crate) fn check(uri: &str) -> Result<(), &'static str> {
    if uri.len() > MAX_LENGTH {
        return Err("A redirect URI is longer than 2048 characters.");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) || uri.contains('\\') {
        return Err("A redirect URI holds a space, a backslash or a character outside ASCII.");
    }
    if uri.contains('*') {
        return Err("A redirect URI holds a wildcard; register each URI in full.");
    }
    let url = Url::parse(uri).map_err(|_| "A redirect URI is not an absolute URI.")?;
    if url.fragment().is_some() {
        return Err("A redirect URI has a fragment.");
    }
    // `http://localhost:80@evil.example/` looks local and is not.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("A redirect URI holds a user name.");
    }
    check_scheme(&url)
}

fn check_scheme(url: &Url) -> Result<(), &'static str> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if net::has_loopback_host(url) => Ok(()),
        "http" => Err("A redirect URI uses plain http for a host that is not loopback."),
        scheme if REFUSED_SCHEMES.contains(&scheme) => {
            Err("A redirect URI uses a scheme that is not allowed.")
        }
        // RFC 8252 section 7.1 wants a reversed domain name here; real clients use `cursor://`
        // and `vscode://`, so any scheme is taken that is not known to be dangerous.
        _ => Ok(()),
    }
}

/// Whether the requested URI is the registered one, byte for byte; a loopback `http` URI may
/// differ in its port, which a native app learns only when it starts (RFC 8252 section 7.3).
pub(crate) fn matches(
    registered: &str,
    requested: &str,
) -> bool {
    registered == requested
        || match (without_port(registered), without_port(requested)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
}

/// Cuts a loopback `http` URI into what stands before and after its port. On text, not on a
/// parsed URL, because parsing would also make `/a/../b` and `/b` equal.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let after = uri.strip_prefix("http://")?;
    let end = after.find(['/', '?']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]").then_some((host, rest))
}

/// One to 65535; zero would send the browser nowhere.
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|n| n > 0)
}

/// Whether only programs on the user's own computer can receive what is sent there.
pub(crate) fn is_loopback(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| url.scheme() == "http" && net::has_loopback_host(&url))
}

/// What the consent page shows as the place the user is sent to: the host, or for a private-use
/// scheme the scheme itself.
pub(crate) fn shown_host(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            let host = url.host_str().unwrap_or_default().to_owned();
            url.port().map_or(host.clone(), |port| format!("{host}:{port}"))
        }
        Ok(url) => format!("{}: (an app on this device)", url.scheme()),
        Err(_) => "an unreadable address".to_owned(),
    }
}

/// Adds parameters to the query of a redirect URI, keeping what it already has (RFC 6749 3.1.2).
pub(crate) fn with_params(
    uri: &str,
    params: &[(&str, &str)],
) -> String {
    let added = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{added}")
}
