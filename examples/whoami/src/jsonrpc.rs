//! JSON-RPC 2.0 as MCP narrows it: one message per body, ids that are strings or integers,
//! params that are objects.
//!
//! Spec: [JSON-RPC 2.0](https://www.jsonrpc.org/specification) and MCP 2026-07-28, basic/index,
//! "Messages" and "Error Codes". Left out on purpose: batches, which only MCP 2025-03-26 had.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

pub(crate) const PARSE_ERROR: i64 = -32700;
pub(crate) const INVALID_REQUEST: i64 = -32600;
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
pub(crate) const INVALID_PARAMS: i64 = -32602;
pub(crate) const HEADER_MISMATCH: i64 = -32020;
pub(crate) const UNSUPPORTED_VERSION: i64 = -32022;

/// What every method returns: the `result`, an object, or the error that takes its place.
pub(crate) type Outcome = Result<Value, Error>;

/// The `error` member of an answer, and the HTTP status that the answer travels with.
#[derive(Debug, Serialize)]
pub(crate) struct Error {
    #[serde(skip)]
    pub(crate) status: StatusCode,
    pub(crate) code: i64,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

impl Error {
    /// An error of the protocol. Its status is 400, but 200 for invalid params: there, a 400 would
    /// make clients believe that this server needs the handshake.
    pub(crate) fn new(
        code: i64,
        message: impl Into<String>,
    ) -> Self {
        let status = match code {
            INVALID_PARAMS => StatusCode::OK,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            code,
            message: message.into(),
            data: None,
        }
    }

    /// An error of HTTP alone. Its code is the status itself, because the protocol asks for new
    /// codes outside of -32768..=-32000.
    pub(crate) fn http(
        status: StatusCode,
        message: impl Into<String>,
    ) -> Self {
        Self::new(i64::from(status.as_u16()), message).with_status(status)
    }

    /// The same error, answered with another status.
    pub(crate) fn with_status(
        mut self,
        status: StatusCode,
    ) -> Self {
        self.status = status;
        self
    }
}

/// An error before any id could be read.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        answer(None, Err(self))
    }
}

/// A message from a client. Without an id it is a notification, which nobody answers.
#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
}

/// Parses a body. The parser stops at 128 levels of nesting, so none can exhaust the stack.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::new(PARSE_ERROR, format!("the body is not JSON: {error}")))
}

/// The id of a message, if it has a usable one: it is echoed with its type, in errors too.
pub(crate) fn id(message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    // A number beyond 64 bits was rounded by the parser and is a float here, like a fraction.
    (id.is_string() || id.is_i64() || id.is_u64()).then(|| id.clone())
}

/// Checks the shape of a message; the refusal says which rule it broke.
pub(crate) fn message(value: Value) -> Result<Message, Error> {
    let refuse = |rule: &str| Err(Error::new(INVALID_REQUEST, rule));
    if !value.is_object() {
        return refuse("send one JSON object per request; batches are not supported");
    }
    if value.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return refuse("the member jsonrpc must be the string 2.0");
    }
    if value.get("id").is_some() && id(&value).is_none() {
        return refuse("the id must be a string or a whole number of at most 64 bits");
    }
    serde_json::from_value(value).or_else(|error| refuse(&format!("malformed member: {error}")))
}

/// The answer to the request with this id, or to one whose id could not be read.
pub(crate) fn answer(
    id: Option<Value>,
    outcome: Outcome,
) -> Response {
    let mut body = json!({"jsonrpc": "2.0"});
    if let Some(id) = id {
        body["id"] = id;
    }
    let (member, content, status) = match outcome {
        Ok(result) => ("result", result, StatusCode::OK),
        Err(error) => ("error", json!(error), error.status),
    };
    body[member] = content;
    (status, Json(body)).into_response()
}
