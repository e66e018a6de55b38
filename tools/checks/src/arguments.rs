//! The published schemas against what really happens: a server must accept exactly those arguments
//! that its schema accepts, or a model that obeys the schema is refused and one that does not gets
//! through.
//!
//! The servers check arguments with their own types, so nothing but these tests holds the two
//! together. Spec: JSON Schema 2020-12; MCP 2026-07-28, server/tools and server/prompts.

use jsonschema::Validator;
use jsonschema::draft202012;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::server::ADMIN;
use crate::server::Era;
use crate::server::Server;

/// The first step that calls tools.
const FIRST: u8 = 4;
const LAST: u8 = 8;

/// A running step, and a caller who may do everything as often as it likes.
struct Caller {
    server: Server,
    token: Option<String>,
}

impl Caller {
    fn start(step: u8) -> Self {
        let flags: &[&str] = match step < LAST {
            true => &[],
            false => &["--calls-per-minute", "0"],
        };
        let server = Server::start_with(step, flags);
        let token = server.token_if_needed(&ADMIN);
        Self {
            server,
            token,
        }
    }

    /// The answer to a call that must at least reach its method.
    async fn call(
        &self,
        method: &str,
        params: Value,
    ) -> Value {
        let token = self.token.as_deref();
        let call = self.server.call(Era::Handshake, token, method, params);
        let answer = call.await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn list(
        &self,
        kind: &str,
    ) -> Vec<Value> {
        let answer = self.call(&format!("{kind}/list"), json!({})).await;
        let list = answer["result"][kind].as_array().unwrap().clone();
        assert!(!list.is_empty());
        list
    }
}

/// A member's value: every JSON type, and numbers and texts at the edges where readers differ.
fn values() -> Vec<Value> {
    let texts = r#"[
        null, true, false, [], {}, ["x"], {"x": 1},
        "", "x", "2", " ", "\u0000", "\ud83e\udd80", "null",
        0, 1, 2, 10, 11, -1, -0.0, 0.5, 1.0, 2.0, 1e1, 10.0, 10.5, 1e300, 11.0,
        9007199254740993, 18446744073709551616
    ]"#;
    serde_json::from_str(texts).unwrap()
}

/// Objects with these members: every value of each one, or none of it, in every combination; and
/// some with a member that no schema names.
fn objects(members: &[String]) -> Vec<Value> {
    let mut objects = vec![Map::new()];
    for member in members {
        let with = |object: &Map<String, Value>, value| {
            let mut object = object.clone();
            object.insert(member.clone(), value);
            object
        };
        let more: Vec<_> = objects
            .iter()
            .flat_map(|object| values().into_iter().map(|value| with(object, value)))
            .collect();
        objects.extend(more);
    }
    let plain: Vec<_> = objects.iter().step_by(7).cloned().collect();
    for (at, mut object) in plain.into_iter().enumerate() {
        let name = ["unexpected", "", "Message", "__proto__", "_meta"][at % 5];
        object.insert(name.to_owned(), json!(1));
        objects.push(object);
    }
    objects.into_iter().map(Value::Object).collect()
}

/// The names in the `properties` of a schema.
fn members(schema: &Value) -> Vec<String> {
    let properties = schema["properties"].as_object();
    properties.map_or_else(Vec::new, |map| map.keys().cloned().collect())
}

fn validator(schema: &Value) -> Validator {
    draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
    assert_eq!(schema["type"], json!("object"));
    draft202012::new(schema).unwrap()
}

#[tokio::test]
async fn tools_accept_what_their_schema_accepts_and_nothing_else() {
    for step in FIRST..=LAST {
        let caller = Caller::start(step);
        for tool in caller.list("tools").await {
            compare_tool(&caller, &tool).await;
        }
    }
}

async fn compare_tool(
    caller: &Caller,
    tool: &Value,
) {
    let schema = &tool["inputSchema"];
    let validator = validator(schema);
    let mut seen = [0, 0];
    for arguments in objects(&members(schema)) {
        let expected = validator.is_valid(&arguments);
        let params = json!({"name": tool["name"], "arguments": arguments});
        let answer = caller.call("tools/call", params).await;
        let result = &answer["result"];
        let step = caller.server.step;
        let context = format!("step {step}: {arguments} -> {answer}");
        assert_eq!(result["isError"], json!(!expected), "{context}");
        assert!(result["content"][0]["text"].is_string(), "{context}");
        if expected {
            check_output(tool, result, &context);
        }
        seen[usize::from(expected)] += 1;
    }
    // A comparison that has met only one kind proves nothing.
    assert!(seen[0] > 0 && seen[1] > 0, "{tool}: {seen:?}");
}

/// Structured content is there exactly where a schema announces it, and obeys it. Clients that do
/// not know it find the same in the text.
fn check_output(
    tool: &Value,
    result: &Value,
    context: &str,
) {
    let content = result.get("structuredContent");
    assert_eq!(
        content.is_some(),
        tool.get("outputSchema").is_some(),
        "{context}"
    );
    if let Some(content) = content {
        assert!(
            validator(&tool["outputSchema"]).is_valid(content),
            "{context}"
        );
        assert_eq!(result["content"][0]["text"], content["text"], "{context}");
    }
}

#[tokio::test]
async fn arguments_left_out_are_no_arguments() {
    for step in FIRST..=LAST {
        let caller = Caller::start(step);
        for tool in caller.list("tools").await {
            let expected = validator(&tool["inputSchema"]).is_valid(&json!({}));
            let params = json!({"name": tool["name"]});
            let answer = caller.call("tools/call", params).await;
            assert_eq!(answer["result"]["isError"], json!(!expected), "{tool}");
        }
    }
}

#[tokio::test]
async fn arguments_that_are_no_object_are_malformed_params() {
    for step in FIRST..=LAST {
        let caller = Caller::start(step);
        for (method, name) in [("tools/call", "get_time"), ("prompts/get", "help")] {
            let wrong = values().into_iter().filter(|value| !value.is_object());
            for arguments in wrong {
                let params = json!({"name": name, "arguments": arguments});
                let answer = caller.call(method, params.clone()).await;
                assert_eq!(answer["error"]["code"], json!(-32602), "{step}: {params}");
            }
        }
    }
}

#[tokio::test]
async fn a_default_is_a_value_that_the_schema_accepts() {
    let caller = Caller::start(LAST);
    let mut seen = 0;
    for tool in caller.list("tools").await {
        for member in members(&tool["inputSchema"]) {
            let schema = &tool["inputSchema"]["properties"][&member];
            assert!(schema["description"].is_string(), "{member}");
            if let Some(default) = schema.get("default") {
                assert!(draft202012::is_valid(schema, default), "{member}");
                seen += 1;
            }
        }
    }
    assert!(seen > 0);
}

#[tokio::test]
async fn prompts_accept_the_arguments_they_list_and_nothing_else() {
    for step in FIRST..=LAST {
        let caller = Caller::start(step);
        for prompt in caller.list("prompts").await {
            compare_prompt(&caller, &prompt).await;
        }
    }
}

async fn compare_prompt(
    caller: &Caller,
    prompt: &Value,
) {
    let schema = as_schema(prompt);
    let validator = validator(&schema);
    let mut seen = [0, 0];
    for arguments in objects(&members(&schema)) {
        let expected = validator.is_valid(&arguments);
        let params = json!({"name": prompt["name"], "arguments": arguments});
        let answer = caller.call("prompts/get", params).await;
        let step = caller.server.step;
        let context = format!("step {step}: {arguments} -> {answer}");
        let messages = answer["result"]["messages"].as_array();
        let accepted = messages.is_some_and(|messages| !messages.is_empty());
        assert_eq!(accepted, expected, "{context}");
        let refused = answer["error"]["code"] == json!(-32602);
        assert_eq!(refused, !expected, "{context}");
        seen[usize::from(expected)] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{prompt}: {seen:?}");
}

/// A prompt lists its arguments in a form of its own: all of them are strings.
fn as_schema(prompt: &Value) -> Value {
    let none = Vec::new();
    let listed = prompt["arguments"].as_array().unwrap_or(&none);
    let named = |argument: &Value| argument["name"].as_str().unwrap().to_owned();
    let properties: Map<_, _> = listed
        .iter()
        .map(|argument| (named(argument), json!({"type": "string"})))
        .collect();
    let required: Vec<_> = listed
        .iter()
        .filter(|argument| argument["required"] == json!(true))
        .map(named)
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
