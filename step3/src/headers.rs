//! What the headers of a request must say before its body counts for anything: where it comes from,
//! and that they agree with the body.
//!
//! The headers repeat parts of the body so that gateways can decide without reading it. Where the
//! two differ, the gateway and this server would act on different requests, so that is refused.
//!
//! Spec: MCP 2026-07-28, basic/transports/streamable-http, "Security Warning" and "Request Headers".

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use url::Url;

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
