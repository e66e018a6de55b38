//! Streamable HTTP: from a POST to a JSON-RPC message, and back.
//!
//! The headers repeat parts of the body so that gateways can decide without reading it. Where the
//! two differ, the gateway and this server would act on different requests, so that is refused.
//!
//! Spec: MCP 2026-07-28, basic/transports/streamable-http. Left out: SSE (every answer is one JSON
//! object, which all clients take) and sessions (there is no state that could need one).

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;
use url::Host;
use url::Url;

use crate::app::Server;
use crate::auth::User;
use crate::jsonrpc;
use crate::jsonrpc::Call;
use crate::jsonrpc::Error;
use crate::jsonrpc::Message;
use crate::mcp;
use crate::mcp::Era;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// What a browser puts into `Origin` is the page that speaks. A page of another site may be an
/// attacker's whose name was rebound to 127.0.0.1, so only pages from this machine may call.
pub(crate) async fn check_origin(
    request: Request,
    next: Next,
) -> Response {
    match header(request.headers(), "Origin") {
        Some(origin) if !is_loopback_origin(&origin) => {
            let rule = "only web pages of this machine may call, not pages of this Origin";
            jsonrpc::answer(None, Err(Error::http(StatusCode::FORBIDDEN, rule)))
        }
        _ => next.run(request).await,
    }
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
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let host = header(request.headers(), "Host").unwrap_or_default();
    let own = Url::parse(&server.config.resource());
    let is_own = |host: &Host<&str>| own.is_ok_and(|own| own.host().as_ref() == Some(host));
    let url = Url::parse(&format!("http://{host}"));
    if url.is_ok_and(|url| {
        url.host()
            .is_some_and(|host| is_loopback(&host) || is_own(&host))
    }) {
        return next.run(request).await;
    }
    let rule = "unknown Host; to serve it, set --resource (MCP_RESOURCE) to its URL";
    jsonrpc::answer(None, Err(Error::http(StatusCode::FORBIDDEN, rule)))
}

/// Whether a host can only be this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// `POST /mcp`: one message in, one answer out.
pub(crate) async fn receive(
    State(server): State<Arc<Server>>,
    Extension(user): Extension<User>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let value = match read(&headers, body) {
        Ok(value) => value,
        Err(error) => return jsonrpc::answer(None, Err(error)),
    };
    let id = jsonrpc::id(&value);
    match handle(&server, &headers, value, user).await.transpose() {
        Some(outcome) => jsonrpc::answer(id, outcome),
        None => StatusCode::ACCEPTED.into_response(),
    }
}

/// Any other method on `/mcp`: there is no stream to GET and no session to DELETE. The router adds
/// the `Allow` header.
pub(crate) async fn method_not_allowed() -> Response {
    let rule = "send one JSON-RPC message per POST";
    jsonrpc::answer(None, Err(Error::http(StatusCode::METHOD_NOT_ALLOWED, rule)))
}

/// The body as JSON. The content type is checked because a page of another site may send a form
/// or plain text without asking first, but `application/json` only after a CORS preflight.
fn read(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Value, Error> {
    let content_type = header(headers, "Content-Type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let rule = "send the header Content-Type: application/json (curl --json does)";
        return Err(Error::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, rule));
    }
    let body = body.map_err(|rejection| Error::http(rejection.status(), rejection.body_text()))?;
    jsonrpc::parse(&body)
}

/// Checks the message against its headers and has it answered; a notification has no answer.
async fn handle(
    server: &Server,
    headers: &HeaderMap,
    value: Value,
    user: User,
) -> Result<Option<Value>, Error> {
    let is_notification = value.get("id").is_none();
    let message = jsonrpc::message(value)?;
    if is_notification {
        return Ok(None);
    }
    let call = Call {
        era: era(headers, &message)?,
        method: message.method,
        params: message.params,
        user,
    };
    if call.era == Era::Modern {
        let in_header = header(headers, "Mcp-Method");
        agree("Mcp-Method", in_header, Some(&call.method))?;
        if matches!(call.method.as_str(), "tools/call" | "prompts/get") {
            let in_header = header(headers, "Mcp-Name").map(decode_name);
            let in_body = call.params.get("name").and_then(Value::as_str);
            agree("Mcp-Name", in_header, in_body)?;
        }
    }
    mcp::dispatch(server, &call).await.map(Some)
}

/// Which era a request belongs to: what its `_meta` or its header names decides. A modern request
/// comes back only if its version and capabilities are all in place.
fn era(
    headers: &HeaderMap,
    message: &Message,
) -> Result<Era, Error> {
    let meta = |key| message.params.get("_meta").and_then(|meta| meta.get(key));
    let in_meta = meta(META_VERSION).and_then(Value::as_str);
    let in_header = header(headers, "MCP-Protocol-Version");
    let modern_meta = in_meta.is_some_and(mcp::is_modern);
    let modern_header = in_header.as_deref().is_some_and(mcp::is_modern);
    if !modern_meta && (!modern_header || message.method == "initialize") {
        return Ok(Era::Handshake);
    }
    let version = in_meta.or(in_header.as_deref()).unwrap_or_default();
    agree("MCP-Protocol-Version", in_header.clone(), Some(version))?;
    if version != mcp::MODERN {
        return Err(unsupported_version(version));
    }
    if in_meta.is_none() || !meta(META_CAPABILITIES).is_some_and(Value::is_object) {
        let rule = format!("params._meta needs {META_VERSION} and {META_CAPABILITIES}");
        let mut error = Error::new(jsonrpc::INVALID_PARAMS, rule);
        error.status = StatusCode::BAD_REQUEST;
        return Err(error);
    }
    Ok(Era::Modern)
}

fn unsupported_version(requested: &str) -> Error {
    let message = "unsupported protocol version";
    let mut error = Error::new(jsonrpc::UNSUPPORTED_PROTOCOL_VERSION, message);
    error.data = Some(json!({
        "supported": mcp::VERSIONS,
        "requested": requested,
    }));
    error
}

/// Requires a header to be there and to say the same as the body.
fn agree(
    name: &str,
    in_header: Option<String>,
    in_body: Option<&str>,
) -> Result<(), Error> {
    let message = match in_header {
        Some(value) if Some(value.as_str()) == in_body => return Ok(()),
        Some(_) => format!("the header {name} differs from the body"),
        None => format!("the header {name} is missing"),
    };
    Err(Error::new(jsonrpc::HEADER_MISMATCH, message))
}

/// The value of an `Mcp-Name` header: a name that is not plain ASCII comes in Base64, marked as such
/// (Streamable HTTP, "Value Encoding"). A malformed one stays as it is, and is no name of ours.
fn decode_name(value: String) -> String {
    let encoded = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    encoded
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or(value)
}

/// The value of a header. Several are joined as RFC 9110, section 5.3 reads them, so that a second
/// one can never hide behind the first.
fn header(
    headers: &HeaderMap,
    name: &str,
) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}
