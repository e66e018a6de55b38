//! Speaking MCP over Streamable HTTP, in both eras.
//!
//! A modern server (2026-07-28) is asked directly, with the version in every request. An older one
//! is greeted with `initialize` first. Spec: MCP 2026-07-28, basic/transports/streamable-http and
//! basic/versioning. Left out: requests of the server to the client, and resuming streams.

use anyhow::Result;
use anyhow::bail;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::Value;
use serde_json::json;

use crate::gate::pass::Pass;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::urls::split;
use crate::visible;

/// The version of the modern era.
pub(crate) const MODERN: &str = "2026-07-28";

/// The newest version of the handshake era.
pub(crate) const HANDSHAKE: &str = "2025-11-25";

/// The extension that lets clients come without a user.
const CLIENT_CREDENTIALS: &str = "io.modelcontextprotocol/oauth-client-credentials";

/// How to talk to a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Era {
    Modern,
    /// With the version that was agreed on, and the session where the server keeps one.
    Handshake {
        version: String,
        session: Option<String>,
    },
}

/// One MCP endpoint and what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    url: String,
    /// The token, and the one server that it may go to.
    pub(crate) pass: Option<Pass>,
    pub(crate) era: Era,
    /// What the client says that it can do (MCP basic/lifecycle, "Capability Negotiation").
    capabilities: Value,
    next_id: u64,
}

impl Endpoint {
    pub(crate) fn new(
        url: &str,
        pass: Option<Pass>,
    ) -> Self {
        Self {
            url: url.to_owned(),
            pass,
            era: Era::Modern,
            capabilities: json!({}),
            next_id: 1,
        }
    }

    /// The same for a client that may come without a user, which is an extension of the protocol.
    pub(crate) fn with_machine(
        mut self,
        is_machine: bool,
    ) -> Self {
        if is_machine {
            self.capabilities = json!({"extensions": {CLIENT_CREDENTIALS: {}}});
        }
        self
    }

    /// A request with everything that the era asks for, and the token in its header.
    pub(crate) fn request(
        &mut self,
        method: &str,
        params: Value,
    ) -> Outgoing {
        let id = self.next_id;
        self.next_id += 1;
        let mut params = params;
        if self.era == Era::Modern {
            params["_meta"] = meta(&self.capabilities);
        }
        // Written out, so that the members stand in the order in which people read them.
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        self.outgoing(method, params["name"].as_str(), body)
    }

    /// A notification: no id, no answer.
    pub(crate) fn notification(
        &self,
        method: &str,
    ) -> Outgoing {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
        self.outgoing(method, None, body)
    }

    fn outgoing(
        &self,
        method: &str,
        name: Option<&str>,
        body: String,
    ) -> Outgoing {
        let request = match &self.pass {
            Some(pass) => pass.request(Method::POST).into(),
            None => Outgoing::new(Method::POST, &self.url),
        };
        let mut request = request
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .body(body);
        match &self.era {
            Era::Modern => {
                request =
                    request.header("MCP-Protocol-Version", MODERN).header("Mcp-Method", method);
                if let Some(name) = name {
                    request = request.header("Mcp-Name", encode_name(name));
                }
            }
            Era::Handshake {
                version,
                session,
            } => {
                if method != "initialize" {
                    request = request.header("MCP-Protocol-Version", version);
                }
                if let Some(session) = session {
                    request = request.header("Mcp-Session-Id", session);
                }
            }
        }
        request
    }

    /// The greeting of the handshake era.
    pub(crate) fn initialize(&mut self) -> Outgoing {
        self.era = Era::Handshake {
            version: HANDSHAKE.to_owned(),
            session: None,
        };
        let params = json!({
            "protocolVersion": HANDSHAKE,
            "capabilities": self.capabilities,
            "clientInfo": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
        });
        self.request("initialize", params)
    }

    /// Takes version and session from the answer to `initialize`.
    pub(crate) fn agree(
        &mut self,
        reply: &Reply,
    ) {
        let version = reply.json()["result"]["protocolVersion"].as_str().map(str::to_owned);
        let session = reply.header("Mcp-Session-Id");
        self.era = Era::Handshake {
            version: version.unwrap_or_else(|| HANDSHAKE.to_owned()),
            session: (!session.is_empty()).then_some(session),
        };
    }
}

fn meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {
            "name": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
        },
    })
}

/// A name that a header cannot carry as it is goes in Base64 (Streamable HTTP, "Value Encoding").
fn encode_name(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_plain && name.trim() == name && !name.starts_with("=?base64?") {
        name.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(name))
    }
}

/// Whether the answer to a modern request comes from a server that knows the modern era.
pub(crate) fn is_modern(reply: &Reply) -> bool {
    let json = reply.json();
    match json["error"]["code"].as_i64() {
        Some(code) => matches!(code, -32022..=-32020),
        None => json["result"]["supportedVersions"].is_array(),
    }
}

/// A 404 that is no answer of an MCP server is a question of the path.
pub(crate) fn ask_about_path(
    url: &str,
    reply: &Reply,
) -> Result<()> {
    if reply.status != 404 || reply.json()["jsonrpc"] == "2.0" {
        return Ok(());
    }
    let (origin, path) = split(url);
    let hint = if path.trim_end_matches('/').is_empty() {
        format!("did you mean {origin}/mcp ?")
    } else {
        "MCP endpoints mostly end in /mcp; the server's page or its log says where it is".to_owned()
    };
    bail!("{url} answers 404 Not Found: is the path right? {hint}")
}

/// What is told of an error of the other side, in characters.
const LONGEST: usize = 400;

/// What went wrong, in one line: the JSON-RPC error, an OAuth error, or the status.
pub(crate) fn problem(reply: &Reply) -> Option<String> {
    let json = reply.json();
    let shortened = |text: &str| visible::cut(text, LONGEST).into_owned();
    if let Some(message) = json["error"]["message"].as_str() {
        let code = json["error"]["code"].to_string();
        return Some(format!("{} ({})", shortened(message), shortened(&code)));
    }
    if let Some(message) = json["error_description"].as_str() {
        return Some(shortened(message));
    }
    (reply.status >= 300).then(|| reply.status_text())
}
