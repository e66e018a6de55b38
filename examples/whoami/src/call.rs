//! One request on its way to the code that answers it: which era it belongs to, what it asks for,
//! and what every answer of that era needs.
//!
//! A *modern* request (2026-07-28) carries its version and the client's capabilities with it; a
//! *handshake* client (2025-11-25 and before) says `initialize` first.
//!
//! Spec: MCP 2026-07-28, basic/versioning and server/utilities/caching.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::auth::User;
use crate::config::Config;
use crate::jsonrpc::Error;
use crate::jsonrpc::INVALID_PARAMS;
use crate::jsonrpc::METHOD_NOT_FOUND;

/// Every version this server speaks, newest first.
pub(crate) const VERSIONS: [&str; 4] = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"];

/// The version of the modern era; all others are of the handshake era.
pub(crate) const MODERN: &str = "2026-07-28";

/// How long a client may keep what it was told about this server, in milliseconds.
pub(crate) const TTL_MS: u64 = 300_000;

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

/// A request whose form and headers are in order.
pub(crate) struct Call {
    pub(crate) era: Era,
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
    pub(crate) user: Arc<User>,
    pub(crate) config: Arc<Config>,
}

impl Call {
    /// The params as the type that a method expects; members unknown to it are ignored.
    pub(crate) fn params<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.params)
            .map_err(|error| Error::new(INVALID_PARAMS, format!("malformed params: {error}")))
    }

    /// The modern era wants status 404 with it; the handshake era has no status for it.
    pub(crate) fn method_not_found(&self) -> Error {
        let status = match self.era {
            Era::Modern => StatusCode::NOT_FOUND,
            Era::Handshake => StatusCode::OK,
        };
        let message = format!("method not found: {}", self.method);
        Error::new(METHOD_NOT_FOUND, message).with_status(status)
    }
    /// Refuses a page other than the first: there is one, so a cursor cannot be one of ours.
    pub(crate) fn first_page(&self) -> Result<(), Error> {
        if self.params.contains_key("cursor") {
            return Err(Error::new(INVALID_PARAMS, "this cursor is not ours"));
        }
        Ok(())
    }

    /// Adds how long, and by whom, a modern result may be kept. `scope` is "public" for what is the
    /// same for everyone, "private" for what depends on the caller.
    pub(crate) fn cacheable(
        &self,
        mut result: Value,
        scope: &str,
    ) -> Value {
        if self.era == Era::Modern {
            result["ttlMs"] = json!(TTL_MS);
            result["cacheScope"] = json!(scope);
        }
        result
    }
}
