//! The shape of every kind of answer, in both eras and on every step: which members it has, of
//! which types, and no others.
//!
//! A member too many is what nobody notices until a strict client refuses it. Spec: MCP 2026-07-28
//! and 2025-11-25, the results of each method; JSON-RPC 2.0, section 5. Left out: which input gives
//! which error, which the tests of each step have.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::server::ADMIN;
use crate::server::ALICE;
use crate::server::Answer;
use crate::server::ERAS;
use crate::server::Era;
use crate::server::Server;
use crate::server::name;

/// Where a result says how to get a token for this server, and from which step on.
const AUTHORIZATION: &str = "io.github.mcp-auth-steps/authorization";
const HAS_METADATA: u8 = 7;

/// A check of one value; the error says what is wrong with it.
type Check = fn(&Value) -> bool;

/// The members of an object: name, whether it must be there, and what it must be.
type Shape = &'static [(&'static str, bool, Check)];

const DISCOVER: Shape = &[
    ("supportedVersions", true, is_list_of_texts),
    ("capabilities", true, Value::is_object),
];
const INITIALIZE: Shape = &[
    ("protocolVersion", true, is_text),
    ("capabilities", true, Value::is_object),
    ("serverInfo", true, is_server_info),
    ("_meta", false, has_authorization),
];
const PING: Shape = &[];
const LIST_TOOLS: Shape = &[("tools", true, is_list_of_tools)];
const LIST_PROMPTS: Shape = &[("prompts", true, is_list_of_prompts)];
const CALL_TOOL: Shape = &[
    ("content", true, is_list_of_texts_for_the_model),
    ("isError", true, Value::is_boolean),
    ("structuredContent", false, Value::is_object),
];
const GET_PROMPT: Shape = &[("messages", true, is_list_of_messages)];

const TOOL: Shape = &[
    ("name", true, is_text),
    ("title", true, is_text),
    ("description", true, is_text),
    ("inputSchema", true, is_object_schema),
    ("outputSchema", false, is_object_schema),
    ("annotations", false, Value::is_object),
];
const PROMPT: Shape = &[
    ("name", true, is_text),
    ("title", true, is_text),
    ("description", true, is_text),
    ("arguments", false, is_list_of_arguments),
];
const ARGUMENT: Shape = &[
    ("name", true, is_text),
    ("title", false, is_text),
    ("description", true, is_text),
    ("required", false, Value::is_boolean),
];
const MESSAGE: Shape = &[("role", true, is_role), ("content", true, is_text_content)];
const CONTENT: Shape = &[
    ("type", true, is_type_text),
    ("text", true, Value::is_string),
];
const SERVER_INFO: Shape = &[("name", true, is_text), ("version", true, is_text)];
const ERROR: Shape = &[
    ("code", true, Value::is_i64),
    ("message", true, is_one_line),
    ("data", false, Value::is_object),
];

/// What comes with every modern result, and with those that may be kept.
const COMPLETE: Shape = &[
    ("resultType", true, is_complete),
    ("_meta", true, has_server_info),
];
const CACHEABLE: Shape = &[
    ("ttlMs", true, Value::is_u64),
    ("cacheScope", true, is_cache_scope),
];

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn is_one_line(value: &Value) -> bool {
    is_text(value) && !value.as_str().is_some_and(|text| text.contains('\n'))
}

fn is_type_text(value: &Value) -> bool {
    value == "text"
}

fn is_role(value: &Value) -> bool {
    value == "user"
}

fn is_complete(value: &Value) -> bool {
    value == "complete"
}

fn is_cache_scope(value: &Value) -> bool {
    value == "public" || value == "private"
}

fn is_object_schema(value: &Value) -> bool {
    value["type"] == "object"
}

fn is_server_info(value: &Value) -> bool {
    has_shape(value, &[SERVER_INFO])
}

fn has_server_info(value: &Value) -> bool {
    let own: Shape = &[
        ("io.modelcontextprotocol/serverInfo", true, is_server_info),
        (AUTHORIZATION, false, is_authorization),
    ];
    has_shape(value, &[own])
}

fn has_authorization(value: &Value) -> bool {
    has_shape(value, &[&[(AUTHORIZATION, true, is_authorization)]])
}

fn is_authorization(value: &Value) -> bool {
    has_shape(value, &[&[("resource_metadata", true, is_text)]])
}

fn is_text_content(value: &Value) -> bool {
    has_shape(value, &[CONTENT])
}

fn is_list_of_texts(value: &Value) -> bool {
    is_list_of(value, is_text)
}

fn is_list_of_texts_for_the_model(value: &Value) -> bool {
    is_list_of(value, is_text_content)
}

fn is_list_of_messages(value: &Value) -> bool {
    is_list_of(value, |value| has_shape(value, &[MESSAGE]))
}

fn is_list_of_tools(value: &Value) -> bool {
    is_list_of(value, |value| has_shape(value, &[TOOL]))
}

fn is_list_of_prompts(value: &Value) -> bool {
    is_list_of(value, |value| has_shape(value, &[PROMPT]))
}

fn is_list_of_arguments(value: &Value) -> bool {
    is_list_of(value, |value| has_shape(value, &[ARGUMENT]))
}

fn is_list_of(
    value: &Value,
    check: Check,
) -> bool {
    let list = value.as_array();
    list.is_some_and(|list| !list.is_empty() && list.iter().all(check))
}

/// Whether an object has the members of all these shapes, and no others.
fn has_shape(
    value: &Value,
    shapes: &[Shape],
) -> bool {
    let Some(object) = value.as_object() else {
        return false;
    };
    let members: Vec<_> = shapes.iter().copied().flatten().collect();
    let known = |name: &String| members.iter().any(|member| member.0 == name);
    object.keys().all(known)
        && members
            .iter()
            .all(|(name, required, check)| object.get(*name).map_or(!required, check))
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.iter().any(has_null),
        Value::Object(object) => object.values().any(has_null),
        _ => false,
    }
}

#[test]
fn a_shape_tells_right_from_wrong() {
    let right = json!({"code": 1, "message": "x"});
    assert!(has_shape(&right, &[ERROR]));
    for wrong in [
        json!({"code": 1}),
        json!({"code": "1", "message": "x"}),
        json!({"code": 1, "message": "x\ny"}),
        json!({"code": 1, "message": "x", "more": 1}),
        json!({"code": 1, "message": "x", "data": null}),
        json!([]),
    ] {
        assert!(!has_shape(&wrong, &[ERROR]), "{wrong}");
    }
    assert!(has_null(&json!({"a": [{"b": null}]})) && !has_null(&json!({"a": ["null"]})));
}

/// A request, the first step that answers it, in which eras, and the shape of its result, which
/// may be kept or not.
struct Row {
    first: u8,
    eras: &'static [Era],
    method: &'static str,
    params: Value,
    shape: Shape,
    cacheable: bool,
}

fn row(
    first: u8,
    eras: &'static [Era],
    method: &'static str,
    params: Value,
    shape: Shape,
) -> Row {
    Row {
        first,
        eras,
        method,
        params,
        shape,
        cacheable: method.ends_with("/list") || method == "server/discover",
    }
}

fn rows() -> Vec<Row> {
    let initialize = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "checks", "version": "1"},
    });
    let echo = json!({"name": "echo", "arguments": {"message": "x"}});
    let wrong_echo = json!({"name": "echo", "arguments": {"message": 1}});
    let greeting = json!({"name": "greeting", "arguments": {"name": "x"}});
    vec![
        row(2, &[Era::Modern], "server/discover", json!({}), DISCOVER),
        row(2, &[Era::Handshake], "initialize", initialize, INITIALIZE),
        row(2, &[Era::Handshake], "ping", json!({}), PING),
        row(3, &ERAS, "tools/list", json!({}), LIST_TOOLS),
        row(3, &ERAS, "prompts/list", json!({}), LIST_PROMPTS),
        row(4, &ERAS, "tools/call", echo, CALL_TOOL),
        row(4, &ERAS, "tools/call", wrong_echo, CALL_TOOL),
        row(
            4,
            &ERAS,
            "tools/call",
            json!({"name": "get_time"}),
            CALL_TOOL,
        ),
        row(4, &ERAS, "tools/call", json!({"name": "whoami"}), CALL_TOOL),
        row(
            8,
            &ERAS,
            "tools/call",
            json!({"name": "audit_log"}),
            CALL_TOOL,
        ),
        row(4, &ERAS, "prompts/get", greeting, GET_PROMPT),
        row(4, &ERAS, "prompts/get", json!({"name": "help"}), GET_PROMPT),
    ]
}

#[tokio::test]
async fn results_have_exactly_the_members_of_their_method() {
    for step in 2..=8 {
        let server = Server::start(step);
        let token = server.token_if_needed(&ADMIN);
        for row in rows().iter().filter(|row| row.first <= step) {
            for era in row.eras.iter().copied() {
                let params = row.params.clone();
                let call = server.call(era, token.as_deref(), row.method, params);
                check_result(step, era, row, &call.await);
            }
        }
    }
}

fn check_result(
    step: u8,
    era: Era,
    row: &Row,
    answer: &Answer,
) {
    let body = envelope(answer);
    let context = format!("step {step}, {era:?}, {}: {body}", row.method);
    assert_eq!(answer.status, 200, "{context}");
    let mut shapes = vec![row.shape];
    if era == Era::Modern {
        shapes.push(COMPLETE);
        shapes.extend(row.cacheable.then_some(CACHEABLE));
        let info = &body["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(info["name"], json!(name(step)), "{context}");
    }
    assert!(has_shape(&body["result"], &shapes), "{context}");
    let introduces = ["server/discover", "initialize"].contains(&row.method);
    let names_metadata = body["result"]["_meta"].get(AUTHORIZATION).is_some();
    assert_eq!(
        names_metadata,
        introduces && step >= HAS_METADATA,
        "{context}"
    );
}

/// The body of an answer to the request 1: a result or an error, in JSON without nulls.
fn envelope(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    let mut members: Map<_, _> = body.as_object().unwrap().clone();
    assert_eq!(members.remove("jsonrpc"), Some(json!("2.0")), "{body}");
    assert_eq!(members.remove("id"), Some(json!(1)), "{body}");
    let kinds: Vec<_> = members.keys().collect();
    assert!(kinds == ["result"] || kinds == ["error"], "{body}");
    assert!(!has_null(&body), "{body}");
    body
}

#[tokio::test]
async fn errors_have_exactly_the_members_of_an_error() {
    for step in 2..=8 {
        let server = Server::start(step);
        let token = server.token_if_needed(&ADMIN);
        for era in ERAS {
            for (first, method, params, code) in errors() {
                let call = server.call(era, token.as_deref(), method, params);
                let body = envelope(&call.await);
                let context = format!("step {step}, {era:?}, {method}: {body}");
                assert!(has_shape(&body["error"], &[ERROR]), "{context}");
                let expected = if step < first { -32601 } else { code };
                assert_eq!(body["error"]["code"], json!(expected), "{context}");
            }
        }
    }
}

/// The first step that knows the method, and the code of its error from there on.
fn errors() -> Vec<(u8, &'static str, Value, i64)> {
    vec![
        (2, "resources/list", json!({}), -32601),
        (2, "completion/complete", json!({}), -32601),
        (2, "logging/setLevel", json!({"level": "info"}), -32601),
        (3, "tools/list", json!({"cursor": "x"}), -32602),
        (3, "prompts/list", json!({"cursor": "x"}), -32602),
        (4, "tools/call", json!({"name": "none"}), -32602),
        (4, "prompts/get", json!({"name": "none"}), -32602),
        (
            4,
            "prompts/get",
            json!({"name": "help", "arguments": {"x": "y"}}),
            -32602,
        ),
    ]
}

#[tokio::test]
async fn refusals_of_a_user_are_errors_too() {
    let server = Server::start(8);
    let echo = json!({"name": "echo", "arguments": {"message": "x"}});
    for flags in [["--roles", "guest"], ["--scopes", "mcp:read"]] {
        let token = server.token(&[ALICE, flags].concat());
        for era in ERAS {
            let call = server.call(era, Some(&token), "tools/call", echo.clone());
            let answer = call.await;
            let body = envelope(&answer);
            assert_eq!(answer.status, 403, "{body}");
            assert!(has_shape(&body["error"], &[ERROR]), "{body}");
            // The protocol keeps -32768..=-32000 for itself.
            assert_eq!(body["error"]["code"], json!(403), "{body}");
        }
    }
}
