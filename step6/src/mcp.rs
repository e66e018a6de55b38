//! The MCP methods, in both eras of the protocol, without any session.
//!
//! A *modern* request (2026-07-28) carries its version and the client's capabilities with it; a
//! *handshake* client (2025-11-25 and before) says `initialize` first. Neither leaves a trace here.
//!
//! Spec: MCP 2026-07-28, basic/versioning and server/discover; MCP 2025-11-25, basic/lifecycle.

use serde_json::Value;
use serde_json::json;

use crate::app::Server;
use crate::jsonrpc;
use crate::jsonrpc::Call;
use crate::jsonrpc::Error;
use crate::jsonrpc::Outcome;
use crate::prompts;
use crate::tools;

/// Every version this server speaks, newest first.
pub(crate) const VERSIONS: [&str; 4] = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"];

/// The version of the modern era; all others are of the handshake era.
pub(crate) const MODERN: &str = "2026-07-28";

/// How long a client may keep what it was told about this server, in milliseconds.
const TTL_MS: u64 = 300_000;

/// The two ways of speaking MCP over HTTP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Era {
    Handshake,
    Modern,
}

/// Whether a version is not of the handshake era. That holds for one we do not know, too: only the
/// modern era has an answer for it.
pub(crate) fn is_modern(version: &str) -> bool {
    !VERSIONS[1..].contains(&version)
}

/// Answers one request. It is async because real methods wait: for a database, for a network.
pub(crate) async fn dispatch(
    server: &Server,
    call: &Call,
) -> Outcome {
    let result = match (call.method.as_str(), call.era) {
        ("server/discover", Era::Modern) => discover(),
        ("initialize", Era::Handshake) => initialize(call)?,
        ("ping", Era::Handshake) => json!({}),
        ("tools/list", _) => tools::list(call).await?,
        ("prompts/list", _) => prompts::list(call).await?,
        ("tools/call", _) => tools::call(server, call).await?,
        ("prompts/get", _) => prompts::get(call).await?,
        _ => return Err(Error::method_not_found(call)),
    };
    Ok(complete(call, result))
}

/// What this server can do. A capability is declared only where it is served.
fn capabilities() -> Value {
    json!({
        "tools": {},
        "prompts": {},
    })
}

fn server_info() -> Value {
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// `server/discover`: versions, capabilities and name, in one answer, the same for everyone.
fn discover() -> Value {
    json!({
        "supportedVersions": VERSIONS,
        "capabilities": capabilities(),
        "ttlMs": TTL_MS,
        "cacheScope": "public",
    })
}

/// `initialize`: we speak the version that was asked for if we can, otherwise our newest of this
/// era, and the client decides whether to stay.
fn initialize(call: &Call) -> Outcome {
    let Some(requested) = call.params.get("protocolVersion").and_then(Value::as_str) else {
        let rule = "params.protocolVersion must be a string";
        return Err(Error::new(jsonrpc::INVALID_PARAMS, rule));
    };
    let version = if is_modern(requested) {
        VERSIONS[1]
    } else {
        requested
    };
    Ok(json!({
        "protocolVersion": version,
        "capabilities": capabilities(),
        "serverInfo": server_info(),
    }))
}

/// Adds what every modern result carries.
fn complete(
    call: &Call,
    mut result: Value,
) -> Value {
    if call.era == Era::Modern {
        result["resultType"] = json!("complete");
        result["_meta"] = json!({"io.modelcontextprotocol/serverInfo": server_info()});
    }
    result
}

/// Adds how long, and by whom, a modern result may be kept (server/utilities/caching). `scope` is
/// "public" for what is the same for everyone, "private" for what depends on the caller.
pub(crate) fn cacheable(
    call: &Call,
    mut result: Value,
    scope: &str,
) -> Value {
    if call.era == Era::Modern {
        result["ttlMs"] = json!(TTL_MS);
        result["cacheScope"] = json!(scope);
    }
    result
}

/// Refuses a page other than the first: there is one, so a cursor cannot be one of ours.
pub(crate) fn first_page(call: &Call) -> Result<(), Error> {
    match call.params.contains_key("cursor") {
        false => Ok(()),
        true => Err(Error::new(
            jsonrpc::INVALID_PARAMS,
            "this cursor is not ours",
        )),
    }
}
