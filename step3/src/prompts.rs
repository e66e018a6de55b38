//! The prompts: texts that a user picks by name, for example as slash commands.
//!
//! Spec: MCP 2026-07-28, server/prompts. Left out: pages, since two prompts fit on one.

use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::jsonrpc::Outcome;

/// `prompts/list`: the definitions, always in the same order.
pub(crate) async fn list(call: &Call) -> Outcome {
    call.first_page()?;
    let prompts = definitions();
    let result = json!({"prompts": prompts});
    Ok(call.cacheable(result, "public"))
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
