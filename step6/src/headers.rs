//! What the headers of a request must say before its body counts for anything: where it comes from,
//! and that they agree with the body.
//!
//! The headers repeat parts of the body so that gateways can decide without reading it. Where the
//! two differ, the gateway and this server would act on different requests, so that is refused.
//!
//! Spec: MCP 2026-07-28, basic/transports/streamable-http, "Security Warning" and "Request Headers".

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use url::Url;

use crate::config::Config;
use crate::config::is_loopback;
use crate::jsonrpc;
use crate::jsonrpc::Error;

/// What a browser puts into `Origin` is the page that speaks. A page of another site may be an
/// attacker's whose name was rebound to 127.0.0.1, so only pages from this machine may call.
pub(crate) async fn check_origin(
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if let Some(origin) = value(request.headers(), "Origin")
        && !is_loopback_origin(&origin)
    {
        let rule = "only web pages of this machine may call, not pages of this Origin";
        return Err(Error::http(StatusCode::FORBIDDEN, rule));
    }
    Ok(next.run(request).await)
}

/// Whether this is `http(s)://` and a loopback host, on any port. Parsed and printed again: a
/// prefix test would let `http://localhost.evil.com` in, and anything that an origin must not have
/// (a path, a user, a second value) does not survive the round trip.
pub(crate) fn is_loopback_origin(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.origin().ascii_serialization() == origin
            && url.host().is_some_and(|host| is_loopback(&host))
    })
}

/// A browser that was lured to a name, which then was rebound to this machine, still sends that name
/// in `Host`. So only our own names are answered; ports differ behind a proxy and do not count.
pub(crate) async fn check_host(
    State(config): State<Arc<Config>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let host = value(request.headers(), "Host").unwrap_or_default();
    if !is_own(&host, &config.resource()) {
        let rule = "unknown Host; to serve it, set --resource (MCP_RESOURCE) to its URL";
        return Err(Error::http(StatusCode::FORBIDDEN, rule));
    }
    Ok(next.run(request).await)
}

/// Whether a `Host` names this machine, or the host of the resource, with a port or without.
fn is_own(
    host: &str,
    resource: &str,
) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let port = authority.port().map(|port| format!(":{port}"));
    // A user before the name is a part of URLs, not of a host (RFC 9110, section 7.2).
    if host.strip_prefix(name) != Some(port.as_deref().unwrap_or_default()) {
        return false;
    }
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback())
        || Url::parse(resource)
            .is_ok_and(|own| own.host_str().is_some_and(|own| own.eq_ignore_ascii_case(name)))
}

/// Requires a header to be there and to say the same as the body.
pub(crate) fn agree(
    name: &str,
    in_header: Option<&str>,
    in_body: Option<&str>,
) -> Result<(), Error> {
    let message = match in_header {
        Some(value) if Some(value) == in_body => return Ok(()),
        Some(_) => format!("the header {name} differs from the body"),
        None => format!("the header {name} is missing"),
    };
    Err(Error::new(jsonrpc::HEADER_MISMATCH, message))
}

/// The value of a header. Several are joined as RFC 9110, section 5.3 reads them, so that a second
/// one can never hide behind the first.
pub(crate) fn value<'h>(
    headers: &'h HeaderMap,
    name: &str,
) -> Option<Cow<'h, str>> {
    headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .reduce(|first, second| Cow::Owned(format!("{first}, {second}")))
}

/// The value of an `Mcp-Name` header: a name that is not plain ASCII comes in Base64, marked as such
/// (Streamable HTTP, "Value Encoding"). A malformed one stays as it is, and is no name of ours.
pub(crate) fn decode_name(value: Cow<'_, str>) -> Cow<'_, str> {
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let name = encoded
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    name.map_or(value, Cow::Owned)
}
