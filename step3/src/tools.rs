//! The tools: what a model may call, described so that it knows how.
//!
//! Every definition has a JSON Schema (2020-12, the protocol's default dialect) for its arguments.
//!
//! Spec: MCP 2026-07-28, server/tools. Left out: pages, since four tools fit on one.

use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::jsonrpc::Outcome;

/// `tools/list`: the definitions, always in the same order, so that clients can cache them.
pub(crate) async fn list(call: &Call) -> Outcome {
    call.first_page()?;
    let tools = definitions();
    let result = json!({"tools": tools});
    Ok(call.cacheable(result, "public"))
}

/// Every tool there is.
pub(crate) fn definitions() -> Vec<Value> {
    vec![
        // The order in which clients show them.
        define_echo(),
        define_get_time(),
        define_whoami(),
    ]
}

fn define_echo() -> Value {
    json!({
        "name": "echo",
        "title": "Echo",
        "description": "Returns a message, repeated as often as asked for.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "message": {
                    "type": "string",
                    "description": "The text to return",
                },
                "repeat_count": {
                    "type": "integer",
                    "description": "How many times to repeat it",
                    "minimum": 1,
                    "maximum": 10,
                    "default": 1,
                },
            },
            "required": ["message"],
            "additionalProperties": false,
        },
        "outputSchema": {
            "type": "object",
            "properties": {
                "text": {
                    "type": "string",
                    "description": "The repetitions, separated by spaces",
                },
            },
            "required": ["text"],
            "additionalProperties": false,
        },
        "annotations": {"readOnlyHint": true},
    })
}

fn define_get_time() -> Value {
    json!({
        "name": "get_time",
        "title": "Current time",
        "description": "Returns the current time in UTC, as in RFC 3339.",
        "inputSchema": no_arguments(),
        "annotations": {"readOnlyHint": true},
    })
}

fn define_whoami() -> Value {
    json!({
        "name": "whoami",
        "title": "Who am I?",
        "description": "Returns what this server knows about the user it is called for.",
        "inputSchema": no_arguments(),
        "annotations": {"readOnlyHint": true},
    })
}

/// The schema that the specification recommends for a tool without arguments.
fn no_arguments() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
    })
}
