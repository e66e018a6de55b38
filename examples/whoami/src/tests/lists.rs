//! What the server offers is declared, listed and described, in both eras.

use super::*;

#[tokio::test]
async fn only_what_is_served_is_declared() {
    let served = json!({"tools": {}, "prompts": {}});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    let discover = modern("server/discover", json!({}));
    for request in [discover, handshake("initialize", params)] {
        assert_eq!(result_of(request).await["capabilities"], served);
    }
    for method in ["resources/list", "completion/complete"] {
        expect(method, handshake(method, json!({})), 200, -32601).await;
    }
}

#[tokio::test]
async fn tools_and_prompts_are_listed_and_only_the_modern_era_hears_for_how_long() {
    for (kind, listed) in [
        ("tools", &["echo", "get_time", "whoami"][..]),
        ("prompts", &["greeting", "help"]),
    ] {
        let method = format!("{kind}/list");
        let [old, new] = both_eras(&method, &json!({}));
        let [old, new] = [result_of(old).await, result_of(new).await];
        for result in [&old, &new] {
            assert_eq!(names(&result[kind]), listed);
            assert_eq!(result.get("nextCursor"), None, "{kind}");
        }
        assert!(new["ttlMs"].is_u64(), "{kind}");
        assert!(["public", "private"].contains(&new["cacheScope"].as_str().unwrap()));
        assert_eq!(new["resultType"], "complete", "{kind}");
        for member in ["ttlMs", "cacheScope", "resultType", "_meta"] {
            assert_eq!(old.get(member), None, "{kind}: {member}");
        }
        // A cursor that was never given out.
        for cursor in [json!("2"), json!(""), json!(2)] {
            let request = modern(&method, json!({"cursor": cursor}));
            expect(cursor, request, 200, -32602).await;
        }
    }
}

/// Whether a definition has what a client shows and what a model chooses by.
fn assert_described(definition: &Value) {
    let name = definition["name"].as_str().unwrap();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    assert!(name.len() <= 128 && name.chars().all(is_plain), "{name}");
    assert!(is_text(&definition["title"]), "{name}: title");
    assert!(is_text(&definition["description"]), "{name}: description");
}

#[tokio::test]
async fn every_tool_is_described_and_has_a_closed_schema() {
    let result = result_of(modern("tools/list", json!({}))).await;
    for tool in result["tools"].as_array().unwrap() {
        assert_described(tool);
        assert_object_schema(&tool["inputSchema"]);
        if let Some(schema) = tool.get("outputSchema") {
            assert_object_schema(schema);
        }
    }
}

/// A JSON Schema of an object whose members are all described. Without `$schema` it is of the
/// dialect 2020-12 (basic/index, "JSON Schema Usage").
fn assert_object_schema(schema: &Value) {
    assert_eq!(schema.get("$schema"), None, "{schema}");
    assert_eq!(schema["type"], "object", "{schema}");
    assert_eq!(schema["additionalProperties"], false, "{schema}");
    let none = json!({});
    let properties = schema.get("properties").unwrap_or(&none);
    for (name, property) in properties.as_object().unwrap() {
        assert!(property["type"].is_string(), "{name}");
        assert!(is_text(&property["description"]), "{name}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(properties.get(name.as_str().unwrap()).is_some(), "{name}");
    }
}

#[tokio::test]
async fn every_prompt_and_each_of_its_arguments_is_described() {
    let result = result_of(modern("prompts/list", json!({}))).await;
    for prompt in result["prompts"].as_array().unwrap() {
        assert_described(prompt);
        for argument in prompt["arguments"].as_array().into_iter().flatten() {
            assert_described(argument);
            assert!(argument["required"].is_boolean(), "{argument}");
        }
    }
}
