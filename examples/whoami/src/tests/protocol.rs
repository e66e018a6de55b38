//! JSON-RPC as MCP asks, in both eras: which version a request is of, what is a message and what is
//! not, how long a body may be and take, and which pages may call.

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;

use super::*;

const VERSION: &str = "MCP-Protocol-Version";
const OLD: &str = "2025-06-18";
const NEW: &str = "2099-01-01";

fn ping() -> Request {
    handshake("ping", json!({}))
}

#[tokio::test]
async fn discover_tells_versions_capabilities_and_name() {
    let answer = send(modern("server/discover", json!({}))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["id"], 1);
    let result = &body["result"];
    let versions = json!([MODERN, "2025-11-25", OLD, "2025-03-26"]);
    assert_eq!(result["supportedVersions"], versions);
    assert!(result["capabilities"].is_object());
    assert!(result["ttlMs"].is_u64());
    assert_eq!(result["cacheScope"], "public");
    assert_eq!(result["resultType"], "complete");
    let server = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(server["name"], env!("CARGO_PKG_NAME"));
    assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));
}

/// The params of `initialize`.
fn asking_for(version: Value) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    })
}

#[tokio::test]
async fn initialize_agrees_on_a_version_of_its_era_without_a_session() {
    for (asked, agreed) in [(OLD, OLD), ("2024-11-05", "2025-11-25"), ("", "2025-11-25")] {
        let request = handshake("initialize", asking_for(json!(asked)));
        let answer = send(request.with("Mcp-Session-Id", "abc")).await;
        assert_eq!(answer.headers.get("mcp-session-id"), None, "{asked}");
        let result = &answer.json()["result"];
        assert_eq!(result["protocolVersion"], agreed, "{asked}");
        assert_eq!(result["serverInfo"]["name"], env!("CARGO_PKG_NAME"));
        for of_the_other_era in ["resultType", "ttlMs", "cacheScope"] {
            assert_eq!(result.get(of_the_other_era), None);
        }
    }
    let number = handshake("initialize", asking_for(json!(2025)));
    expect("a number", number, 200, -32602).await;
}

/// A request whose header and `_meta` name these versions; an empty one names none.
fn of_versions(
    method: &str,
    header: &str,
    meta_version: &str,
) -> Request {
    let mut params = asking_for(json!("2025-11-25"));
    if !meta_version.is_empty() {
        params["_meta"] = meta(meta_version);
    }
    let request = modern_post(&message(method, &params));
    if header.is_empty() {
        return request.without(VERSION);
    }
    request.with(VERSION, header)
}

/// Neither `ping` nor `initialize` is a method of the modern era, so -32601 says that the request
/// was taken for a modern one. `initialize` is one only if its `_meta` says so.
#[tokio::test]
async fn the_version_is_read_from_header_and_meta_together() {
    let fine = (200, 0);
    let taken_for_modern = (404, -32601);
    let mismatch = (400, -32020);
    let unsupported = (400, -32022);
    let no_meta = (400, -32602);
    for (header, meta, ping, initialize) in [
        ("", "", fine, fine),
        (OLD, "", fine, fine),
        ("2025-11-25", "", fine, fine),
        ("", OLD, fine, fine),
        (OLD, OLD, fine, fine),
        (MODERN, "", no_meta, fine),
        ("2024-11-05", "", unsupported, fine),
        (NEW, "", unsupported, fine),
        (MODERN, MODERN, taken_for_modern, taken_for_modern),
        ("", MODERN, mismatch, mismatch),
        (OLD, MODERN, mismatch, mismatch),
        (NEW, MODERN, mismatch, mismatch),
        (MODERN, NEW, mismatch, mismatch),
        ("", NEW, mismatch, mismatch),
        (NEW, NEW, unsupported, unsupported),
    ] {
        for (method, (status, code)) in [("ping", ping), ("initialize", initialize)] {
            let case = format!("{method}, {header:?}, {meta:?}");
            let request = of_versions(method, header, meta);
            expect(case, request, status, code).await;
        }
    }
    let request = of_versions("ping", MODERN, OLD);
    expect("handshake meta", request, 400, -32020).await;
}

#[tokio::test]
async fn a_modern_request_repeats_its_version_and_method_in_headers() {
    const METHOD: &str = "server/discover";
    const ENCODED: &str = "=?base64?c2VydmVyL2Rpc2NvdmVy?=";
    let good = || modern(METHOD, json!({}));
    for (case, request) in [
        ("no version", good().without(VERSION)),
        ("two versions", good().also(VERSION, OLD)),
        ("the version twice", good().also(VERSION, MODERN)),
        ("no method", good().without("Mcp-Method")),
        ("an empty method", good().with("Mcp-Method", "")),
        ("another method", good().with("Mcp-Method", "ping")),
        ("two methods", good().also("Mcp-Method", "ping")),
        ("the method twice", good().also("Mcp-Method", METHOD)),
        ("an encoded method", good().with("Mcp-Method", ENCODED)),
    ] {
        expect(case, request, 400, -32020).await;
    }
}

#[tokio::test]
async fn a_modern_request_has_version_and_capabilities_in_its_meta() {
    const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    for (meta, status, code) in [
        (json!({VERSION: MODERN, CAPABILITIES: {}, "x/y": 1}), 200, 0),
        (json!({CAPABILITIES: {}}), 400, -32602),
        (json!({VERSION: MODERN}), 400, -32602),
        (json!({VERSION: 20260728, CAPABILITIES: {}}), 400, -32602),
        (json!({VERSION: MODERN, CAPABILITIES: []}), 400, -32602),
        (json!("meta"), 400, -32602),
    ] {
        let body = message("server/discover", &json!({"_meta": meta}));
        expect(meta, modern_post(&body), status, code).await;
    }
    let bare = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"});
    expect("no params", modern_post(&bare), 400, -32602).await;
}

/// Of two flaws, the one that is checked first is named.
#[tokio::test]
async fn the_checks_keep_their_order() {
    let with_meta = |meta: Value| message("no/such", &json!({"_meta": meta}));
    let bare_meta = json!({"io.modelcontextprotocol/protocolVersion": NEW});
    let of_new = modern_post(&with_meta(bare_meta)).with(VERSION, NEW);
    let no_meta = modern_post(&with_meta(json!({})));
    let good = modern("no/such", json!({}));
    let batch = json!([with_meta(meta(NEW))]);
    for (case, request, code) in [
        ("JSON, version", post("{").with(VERSION, NEW), -32700),
        ("batch, header", modern_post(&batch), -32600),
        ("header, version", of_versions("ping", MODERN, NEW), -32020),
        ("version, meta", of_new, -32022),
        ("meta, method", no_meta.without("Mcp-Method"), -32602),
        ("method, its name", good.without("Mcp-Method"), -32020),
    ] {
        expect(case, request, 400, code).await;
    }
}

#[tokio::test]
async fn an_id_is_echoed_with_its_type() {
    for id in [
        json!(0),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("\0\"1"),
    ] {
        for (method, code) in [("ping", 0), ("no/such", -32601)] {
            let body = json!({"jsonrpc": "2.0", "id": id, "method": method});
            let answer = send(post(body.to_string())).await;
            assert_eq!(answer.code(), code, "{id}");
            assert_eq!(answer.json()["id"], id);
        }
    }
}

/// A body is refused with this code, and with the id 1 or none.
async fn expect_refused(
    body: &str,
    code: i64,
    has_id: bool,
) {
    let answer = send(post(body.to_owned())).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    assert_eq!(answer.code(), code, "{body}");
    let id = has_id.then(|| json!(1));
    assert_eq!(answer.json().get("id"), id.as_ref(), "{body}");
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_the_id_it_has() {
    for members in [
        r#""method":"ping""#,
        r#""jsonrpc":2.0,"method":"ping""#,
        r#""jsonrpc":"2.0","method":null"#,
        r#""jsonrpc":"2.0","method":"ping","params":null"#,
        r#""jsonrpc":"2.0","method":"ping","params":[]"#,
        r#""jsonrpc":"2.0","result":{}"#,
        r#""jsonrpc":"2.0","error":{}"#,
    ] {
        expect_refused(&format!(r#"{{"id":1,{members}}}"#), -32600, true).await;
        expect_refused(&format!("{{{members}}}"), -32600, false).await;
    }
    for body in [
        "[]",
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        "null",
    ] {
        expect_refused(body, -32600, false).await;
    }
    // No client could match these ids.
    for id in ["null", "1.0", "1e3", "true", "[1]", "-9223372036854775809"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        expect_refused(&body, -32600, false).await;
    }
}

/// A ping whose params hold this.
fn ping_with(json: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{json}}}}}"#)
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let good = ping_with("1");
    for body in [
        "",
        &good[..good.len() - 1],
        &good.repeat(2),
        &format!("\u{feff}{good}"),
        &ping_with(r#""\ud800""#),
        &ping_with("NaN"),
        &ping_with(&nested(10_000)),
        &r#"{"a":"#.repeat(10_000),
    ] {
        expect_refused(body, -32700, false).await;
    }
    expect("not UTF-8", post(vec![b'"', 0xff, b'"']), 400, -32700).await;
    expect("deep", post(ping_with(&nested(100))), 200, 0).await;
}

#[tokio::test]
async fn a_notification_is_accepted_without_a_word() {
    let notify = |method: &str| post(json!({"jsonrpc": "2.0", "method": method}).to_string());
    let good = || notify("notifications/initialized");
    for (case, request) in [
        ("a method without an id", notify("ping")),
        ("of the modern era", good().with(VERSION, MODERN)),
        ("of an unknown version", good().with(VERSION, NEW)),
        ("another Mcp-Method", good().with("Mcp-Method", "ping")),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{case}");
        assert!(answer.body.is_empty(), "{case}");
    }
}

#[tokio::test]
async fn only_json_is_read_whatever_the_client_accepts() {
    const JSON: &str = "application/json";
    let of_type = |content_type| ping().with("Content-Type", content_type);
    for (case, request) in [
        ("charset", of_type("Application/JSON;charset=utf-8")),
        ("accepts pages", ping().with("Accept", "text/html")),
        ("accepts nothing", ping().with("Accept", "")),
    ] {
        expect(case, request, 200, 0).await;
    }
    for (case, request) in [
        ("none", ping().without("Content-Type")),
        ("suffix", of_type("application/problem+json")),
        ("in a parameter", of_type("text/plain; a=application/json")),
        ("list", of_type("application/json, text/plain")),
        ("two", of_type(JSON).also("Content-Type", "text/plain")),
    ] {
        expect(case, request, 415, 415).await;
    }
    let answer = send(of_type("text/plain")).await.json();
    let advice = answer["error"]["message"].to_string();
    assert!(
        advice.contains("Content-Type: application/json"),
        "{advice}"
    );
}

#[tokio::test]
async fn a_body_of_unknown_length_may_be_so_long_and_no_longer() {
    let (sender, body) = stream(&[&ping_of(MAX_BODY)]).await;
    drop(sender);
    expect("the limit", post(body), 200, 0).await;
    // It never ends, so an answer shows that no more was waited for.
    let (_sender, body) = stream(&[&ping_of(MAX_BODY), " "]).await;
    expect("a byte more", post(body), 413, 413).await;
}

/// The head of a request, as it travels.
fn head_of(request: &Request) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head + "\r\n"
}

/// A client may announce more than it ever sends. Nobody waits for that.
#[tokio::test]
async fn a_body_that_only_says_to_be_too_long_is_not_waited_for() {
    for length in [MAX_BODY + 1, 10_000_000_000] {
        let patience = Duration::from_secs(60);
        let (mut client, _stop, _serving) = start(router(), patience).await;
        let request = post("").with("Content-Length", &length.to_string());
        client.write_all(head_of(&request).as_bytes()).await.unwrap();
        let mut lines = BufReader::new(client).lines();
        let status = soon(lines.next_line()).await.unwrap();
        let expected = "HTTP/1.1 413 Payload Too Large";
        assert_eq!(status.as_deref(), Some(expected), "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_cut_off() {
    for parts in [&[][..], &[ping_with("1").as_str()]] {
        let (_sender, body) = stream(parts).await;
        let answer = send(post(body)).await;
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    }
}

#[tokio::test]
async fn pages_of_this_machine_may_call_and_no_others() {
    let good = "http://localhost https://localhost:3000 http://127.0.0.1 http://127.8.9.10:1 \
                http://[::1] http://[::1]:65535";
    for origin in good.split(' ') {
        expect(origin, ping().with("Origin", origin), 200, 0).await;
        // One good origin does not cover for another.
        for second in [origin, "http://evil.com"] {
            let two = ping().with("Origin", origin).also("Origin", second);
            expect(second, two, 403, 403).await;
        }
    }
    for origin in BAD_ORIGINS.split(' ').chain([""]) {
        expect(origin, ping().with("Origin", origin), 403, 403).await;
    }
    // Before anything else is looked at.
    let (_sender, endless) = stream(&[]).await;
    for request in [to_mcp(Method::GET, ""), post("{"), post(endless)] {
        let request = request.with("Origin", "http://evil.com");
        expect("another flaw", request, 403, 403).await;
    }
}
