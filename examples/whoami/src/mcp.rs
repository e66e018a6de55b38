//! The MCP methods, in both eras of the protocol, without any session: no request leaves a trace.
//!
//! Spec: MCP 2026-07-28, basic/versioning and server/discover; MCP 2025-11-25, basic/lifecycle.

use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::call::Era;
use crate::call::TTL_MS;
use crate::call::VERSIONS;
use crate::call::is_modern;
use crate::jsonrpc;
use crate::jsonrpc::Error;
use crate::jsonrpc::Outcome;
use crate::prompts;
use crate::provider::without_nulls;
use crate::tools;

/// Answers one request. It is async because real methods wait: for a database, for a network.
pub(crate) async fn dispatch(call: &Call) -> Outcome {
    let result = match (call.method.as_str(), call.era) {
        ("server/discover", Era::Modern) => discover(call),
        ("initialize", Era::Handshake) => initialize(call)?,
        ("ping", Era::Handshake) => json!({}),
        ("tools/list", _) => tools::list(call).await?,
        ("prompts/list", _) => prompts::list(call).await?,
        ("tools/call", _) => tools::call(call).await?,
        ("prompts/get", _) => prompts::get(call).await?,
        _ => return Err(call.method_not_found()),
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
fn discover(call: &Call) -> Value {
    json!({
        "supportedVersions": VERSIONS,
        "capabilities": capabilities(),
        "ttlMs": TTL_MS,
        "cacheScope": "public",
        "_meta": authorization(call),
    })
}

/// `initialize`: we speak the version that was asked for if we can, otherwise our newest of this
/// era, and the client decides whether to stay.
fn initialize(call: &Call) -> Outcome {
    let Some(requested) = call.params.get("protocolVersion").and_then(Value::as_str) else {
        let rule = "params.protocolVersion must be a string";
        return Err(Error::new(jsonrpc::INVALID_PARAMS, rule));
    };
    let known = !is_modern(requested);
    let version = if known { requested } else { VERSIONS[1] };
    Ok(json!({
        "protocolVersion": version,
        "capabilities": capabilities(),
        "serverInfo": server_info(),
        "_meta": authorization(call),
    }))
}

/// Where the metadata of this resource is, for a client that has a token and wants to know more.
fn authorization(call: &Call) -> Value {
    let url = call.config.resource_metadata_url();
    json!({"io.github.mcp-auth-steps/authorization": {"resource_metadata": url}})
}

/// Adds what every modern result carries.
fn complete(
    call: &Call,
    mut result: Value,
) -> Value {
    // Not to lists and the like: these are the same for everyone, and a cache may share them.
    if matches!(call.method.as_str(), "tools/call" | "prompts/get") {
        let user =
            json!({"sub": call.user.sub, "preferred_username": call.user.preferred_username});
        result["_meta"]["io.github.mcp-auth-steps/user"] = without_nulls(&user);
    }
    if call.era == Era::Modern {
        result["resultType"] = json!("complete");
        result["_meta"]["io.modelcontextprotocol/serverInfo"] = server_info();
    }
    result
}
