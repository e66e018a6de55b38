//! The prompts: texts that a user picks by name, for example as slash commands.
//!
//! Spec: MCP 2026-07-28, server/prompts. Left out: pages, since two prompts fit on one.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::jsonrpc;
use crate::jsonrpc::Error;
use crate::jsonrpc::Outcome;

/// `prompts/list`: the definitions, always in the same order.
pub(crate) async fn list(call: &Call) -> Outcome {
    call.first_page()?;
    let prompts = definitions();
    let result = json!({"prompts": prompts});
    Ok(call.cacheable(result, "public"))
}

#[derive(Deserialize)]
struct GetParams {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// `prompts/get`: a text for the model, written in the user's name.
pub(crate) async fn get(call: &Call) -> Outcome {
    let GetParams {
        name,
        arguments,
    } = call.params()?;
    let text = match name.as_str() {
        "greeting" => greeting(call, parse(arguments)?),
        "help" => help(parse(arguments)?),
        _ => {
            let message = format!("unknown prompt {name:?}; prompts/list names them");
            return Err(Error::new(jsonrpc::INVALID_PARAMS, message));
        }
    };
    Ok(json!({
        "messages": [
            {
                "role": "user",
                "content": {"type": "text", "text": text},
            },
        ],
    }))
}

/// The arguments as the struct that mirrors a prompt's definition.
fn parse<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, Error> {
    serde_path_to_error::deserialize(Value::Object(arguments))
        .map_err(|error| Error::new(jsonrpc::INVALID_PARAMS, format!("arguments: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GreetingArguments {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

fn greeting(
    call: &Call,
    arguments: GreetingArguments,
) -> String {
    let name = if arguments.name.is_empty() {
        call.user.preferred_username.as_ref().unwrap_or(&call.user.sub)
    } else {
        &arguments.name
    };
    format!("Please greet {name} warmly, in one sentence.")
}

fn help(NoArguments {}: NoArguments) -> String {
    "Please explain in a few sentences what the tools and prompts of this MCP server do, and \
     give an example of when to use each."
        .to_owned()
}

/// Every prompt there is.
pub(crate) fn definitions() -> Vec<Value> {
    vec![
        // The order in which clients show them.
        define_greeting(),
        define_help(),
    ]
}

fn define_greeting() -> Value {
    json!({
        "name": "greeting",
        "title": "Greeting",
        "description": "Asks the model to greet somebody.",
        "arguments": [
            {
                "name": "name",
                "title": "Name",
                "description": "Whom to greet",
                "required": false,
            },
        ],
    })
}

fn define_help() -> Value {
    json!({
        "name": "help",
        "title": "Help",
        "description": "Asks the model to explain what this server offers.",
    })
}
