//! The tool: the caller's own profile at GitHub.
//!
//! Spec: MCP 2026-07-28, server/tools. Left out: pages, since one tool fits on one.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::access;
use crate::call::Call;
use crate::jsonrpc;
use crate::jsonrpc::Error;
use crate::jsonrpc::Outcome;
use crate::profile;

/// `tools/list`: the definitions, always in the same order, so that clients can cache them.
pub(crate) async fn list(call: &Call) -> Outcome {
    call.first_page()?;
    let mut tools = definitions();
    tools.retain(|tool| access::could_call(&call.user, tool["name"].as_str()));
    let result = json!({"tools": tools});
    Ok(call.cacheable(result, "private"))
}

#[derive(Deserialize)]
struct CallParams {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// `tools/call`. An unknown name is an error of the protocol; whatever else goes wrong is a result that
/// the model reads.
pub(crate) async fn call(call: &Call) -> Outcome {
    let CallParams {
        name,
        arguments,
    } = call.params()?;
    match name.as_str() {
        "get_user_profile" if arguments.is_empty() => Ok(get_user_profile(call).await),
        "get_user_profile" => Ok(failed("this tool takes no arguments")),
        _ => {
            let message = format!("unknown tool {name:?}; tools/list names them");
            Err(Error::new(jsonrpc::INVALID_PARAMS, message))
        }
    }
}

/// There is nothing to choose: the profile is that of whoever the token speaks for.
async fn get_user_profile(call: &Call) -> Value {
    match profile::of(&call.user.sub).await {
        Ok(profile) => {
            let profile = json!(profile);
            let mut result = text_result(&profile.to_string());
            result["structuredContent"] = profile;
            result
        }
        Err(reason) => failed(&reason),
    }
}

fn text_result(text: &str) -> Value {
    json!({
        "content": [{"type": "text", "text": text}],
        "isError": false,
    })
}

fn failed(reason: &str) -> Value {
    let mut result = text_result(reason);
    result["isError"] = json!(true);
    result
}

/// Every tool there is.
pub(crate) fn definitions() -> Vec<Value> {
    vec![json!({
        "name": "get_user_profile",
        "title": "Your GitHub profile",
        "description": "Returns the GitHub profile of the user it is called for: what everybody can see there.",
        "inputSchema": {
            "type": "object",
            "additionalProperties": false,
        },
        "outputSchema": profile::schema(),
        "annotations": {"readOnlyHint": true, "openWorldHint": true},
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    #[test]
    fn every_tool_has_a_row() {
        for tool in definitions() {
            let name = tool["name"].as_str().unwrap();
            let mut rows = RULES.iter().filter(|rule| rule.method == "tools/call");
            assert!(
                rows.any(|rule| rule.name == name),
                "the tool {name} is refused to everybody: add a row for it to RULES in rules.rs"
            );
        }
    }
}
