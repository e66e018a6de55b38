//! The tools: what a model may call, described so that it knows how.
//!
//! Every definition has a JSON Schema (2020-12, the protocol's default dialect) for its arguments.
//!
//! Spec: MCP 2026-07-28, server/tools. Left out: pages, since four tools fit on one.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::jsonrpc;
use crate::jsonrpc::Error;
use crate::jsonrpc::Outcome;

/// `tools/list`: the definitions, always in the same order, so that clients can cache them.
pub(crate) async fn list(call: &Call) -> Outcome {
    call.first_page()?;
    let tools = definitions();
    let result = json!({"tools": tools});
    Ok(call.cacheable(result, "public"))
}

/// The largest answer that `echo` makes, in bytes: a small request must not cost a huge answer.
const MAX_ANSWER: usize = 1024 * 1024;

#[derive(Deserialize)]
struct CallParams {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// `tools/call`. An unknown name is an error of the protocol; wrong arguments are a result that the
/// model reads, so that it can correct itself and call again.
pub(crate) async fn call(call: &Call) -> Outcome {
    let CallParams {
        name,
        arguments,
    } = call.params()?;
    let outcome = match name.as_str() {
        "echo" => parse(arguments).and_then(echo),
        "get_time" => parse(arguments).map(get_time),
        "whoami" => parse(arguments).map(|none| whoami(call, none)),
        _ => {
            let message = format!("unknown tool {name:?}; tools/list names them");
            return Err(Error::new(jsonrpc::INVALID_PARAMS, message));
        }
    };
    Ok(outcome.unwrap_or_else(|reason| failed(&name, &reason)))
}

/// The arguments as the struct that mirrors a tool's input schema.
fn parse<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoArguments {
    message: String,
    #[serde(default = "once")]
    repeat_count: f64,
}

fn once() -> f64 {
    1.0
}

/// The count is a float because JSON Schema counts 2.0 among the integers.
fn echo(arguments: EchoArguments) -> Result<Value, String> {
    let count = arguments.repeat_count;
    if !(1.0..=10.0).contains(&count) || count.fract() != 0.0 {
        return Err("repeat_count must be a whole number from 1 to 10".to_owned());
    }
    // The text is sent twice, and one byte of it may become six: a control character is escaped.
    let message = json!(arguments.message).to_string();
    if 2 * message.len() * count as usize > MAX_ANSWER {
        return Err("the answer would be over 1 MiB: shorten message or repeat it less".to_owned());
    }
    let text = vec![arguments.message; count as usize].join(" ");
    let mut result = text_result(&text);
    result["structuredContent"] = json!({"text": text});
    Ok(result)
}

fn get_time(NoArguments {}: NoArguments) -> Value {
    let now = Timestamp::now();
    text_result(&now.strftime("%FT%TZ").to_string())
}

fn whoami(
    call: &Call,
    NoArguments {}: NoArguments,
) -> Value {
    let user = json!(*call.user);
    text_result(&user.to_string())
}

fn text_result(text: &str) -> Value {
    json!({
        "content": [{"type": "text", "text": text}],
        "isError": false,
    })
}

fn failed(
    name: &str,
    reason: &str,
) -> Value {
    let mut result = text_result(&format!("Invalid arguments for {name}: {reason}"));
    result["isError"] = json!(true);
    result
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
