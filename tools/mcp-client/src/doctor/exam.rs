//! What the checks ask with, and what they learn on the way.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use serde_json::json;

use crate::challenge::Challenge;
use crate::doctor::report::Report;
use crate::gate::discovery::Issuer;
use crate::gate::pass::GivenToken;
use crate::gate::pass::Pass;
use crate::gate::pass::ServerUrl;
use crate::gate::secret::Secret;
use crate::http::Http;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::login::How;
use crate::mcp::Endpoint;
use crate::register::Registration;
use crate::urls::split;

/// The page that the MCP Inspector runs on: what browser clients look like to a server.
pub(crate) const PAGE: &str = "http://localhost:6274";

/// One examination.
pub(crate) struct Exam {
    pub(crate) http: Http,
    pub(crate) server: ServerUrl,
    pub(crate) how: How,
    pub(crate) given: Tokens,
    pub(crate) report: Report,
    /// The clients that were registered on the way.
    pub(crate) registered: Vec<(String, Registration)>,
}

/// Tokens that the user gave.
#[derive(Default)]
pub(crate) struct Tokens {
    /// For this server.
    pub(crate) own: Option<GivenToken>,
    /// Of the same issuer for another server.
    pub(crate) foreign: Option<Secret>,
}

/// What was learned on the way, for the later checks.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) challenge: Challenge,
    /// Whether a stranger is turned away.
    pub(crate) protected: bool,
    /// The resource metadata as served, whatever it says.
    pub(crate) metadata: Option<Value>,
    /// The authorization server, where it passed the client's own checks.
    pub(crate) issuer: Option<Issuer>,
}

impl Exam {
    /// Sends a request; an error of the network becomes an answer with status 0.
    pub(crate) async fn ask(
        &mut self,
        request: impl Into<Outgoing>,
    ) -> Reply {
        match self.http.quiet(&request.into()).await {
            Ok(reply) => reply,
            Err(error) => Reply {
                status: 0,
                headers: HeaderMap::default(),
                body: error.to_string(),
            },
        }
    }

    pub(crate) async fn get(
        &mut self,
        url: &str,
    ) -> Reply {
        self.ask(Outgoing::get_json(url)).await
    }

    /// A modern `server/discover`, with a token or without.
    pub(crate) fn discover(
        &self,
        pass: Option<&Pass>,
    ) -> Outgoing {
        self.endpoint(pass).request("server/discover", json!({}))
    }

    pub(crate) fn endpoint(
        &self,
        pass: Option<&Pass>,
    ) -> Endpoint {
        Endpoint::new(self.url(), pass.cloned())
    }

    pub(crate) fn url(&self) -> &str {
        self.server.as_str()
    }

    pub(crate) fn origin(&self) -> String {
        split(self.url()).0.to_owned()
    }
}

/// The preflight that a browser sends from the Inspector's page.
pub(crate) fn preflight(url: &str) -> Outgoing {
    let headers = "authorization,content-type,mcp-method,mcp-protocol-version";
    Outgoing::new(Method::OPTIONS, url)
        .header("Origin", PAGE)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", headers)
}

/// Whether the answer may be read by the Inspector's page.
pub(crate) fn is_readable(reply: &Reply) -> bool {
    let origin = reply.header("Access-Control-Allow-Origin");
    origin == "*" || origin == PAGE
}

/// Whether a comma-separated header has the value, or a star.
pub(crate) fn has(
    list: &str,
    value: &str,
) -> bool {
    let mut items = list.split(',').map(str::trim);
    items.any(|item| item == "*" || item.eq_ignore_ascii_case(value))
}

/// Where in a document a `null` is, if anywhere.
pub(crate) fn null_in(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Array(items) => items.iter().find_map(null_in),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| null_in(value).map(|rest| format!("/{name}{rest}"))),
        _ => None,
    }
}
