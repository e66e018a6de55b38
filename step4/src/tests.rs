//! The server's promises, checked on [`app`](crate::app::app) itself, mostly without a socket.

use std::cell::RefCell;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::Once;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::routing;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Parser;
use http_body_util::BodyExt;
use http_body_util::channel;
use http_body_util::channel::Channel;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tracing::Level;

use crate::app::app;
use crate::config::Config;
use crate::run;
use crate::serve;
use crate::server::Server;

/// What this thread logs, at all levels. Tests run in parallel, each in a thread of its own.
struct Log;

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Log {
    /// One subscriber for the whole process: whether a log statement is on is cached for all threads.
    fn start() {
        static START: Once = Once::new();
        let builder = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Self);
        START.call_once(|| builder.init());
    }

    fn clear() {
        LOG.take();
    }

    fn lines() -> Vec<String> {
        let text = String::from_utf8(LOG.take()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(
        &mut self,
        bytes: &[u8],
    ) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The defaults, whatever the environment of the test run says.
fn config() -> Config {
    Log::start();
    Config::parse_from([
        // The name of the program, which clap skips.
        "server",
        "--bind=127.0.0.1:9000",
    ])
}

fn router() -> Router {
    app(Server::new(config()))
}

/// An answer, taken apart for assertions. It never holds a `null`: absent is absent.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(
        &self,
        name: &str,
    ) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of the JSON-RPC error; 0 where there is none.
    fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_default()
    }

    /// The body as JSON; `null` where it is none.
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

async fn send_to(
    router: Router,
    request: Request,
) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let answer = Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    };
    let json = answer.json();
    assert!(json.is_null() || !has_null(&json), "a null member: {json}");
    answer
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

async fn send(request: Request) -> Answer {
    send_to(router(), request).await
}

fn get(path: &str) -> Request {
    Request::get(path).body(Body::empty()).unwrap()
}

/// A request to the MCP endpoint as every client sends it; a test changes one thing about it.
fn to_mcp(
    method: Method,
    body: impl Into<Body>,
) -> Request {
    Request::builder()
        .method(method)
        .uri("/mcp")
        .header("Host", "localhost:9000")
        .header("Content-Type", "application/json")
        .body(body.into())
        .unwrap()
}

fn post(body: impl Into<Body>) -> Request {
    to_mcp(Method::POST, body)
}

/// A JSON-RPC request with id 1.
fn message(
    method: &str,
    params: &Value,
) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// A request of the handshake era, in its shortest form: without a header of MCP.
fn handshake(
    method: &str,
    params: Value,
) -> Request {
    post(message(method, &params).to_string())
}

/// A request of the modern era, with all that it needs.
fn modern(
    method: &str,
    mut params: Value,
) -> Request {
    params["_meta"] = meta(MODERN);
    modern_post(message(method, &params)).with_name(&params)
}

/// The headers of a modern request around any body.
fn modern_post(body: Value) -> Request {
    post(body.to_string())
        .with("MCP-Protocol-Version", MODERN)
        .with("Mcp-Method", body["method"].as_str().unwrap_or_default())
}

fn meta(version: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

const MODERN: &str = "2026-07-28";

/// One change to the headers of a good request.
trait Headers: Sized {
    fn all(&mut self) -> &mut HeaderMap;

    fn with(
        mut self,
        name: &'static str,
        value: &str,
    ) -> Self {
        self.all().insert(name, value.parse().unwrap());
        self
    }

    fn without(
        mut self,
        name: &'static str,
    ) -> Self {
        self.all().remove(name);
        self
    }

    /// The header that repeats the name of a tool or prompt, if there is one.
    fn with_name(
        self,
        params: &Value,
    ) -> Self {
        match params["name"].as_str() {
            Some(name) => self.with("Mcp-Name", name),
            None => self,
        }
    }

    /// One more header of this name.
    fn also(
        mut self,
        name: &'static str,
        value: &str,
    ) -> Self {
        self.all().append(name, value.parse().unwrap());
        self
    }
}

impl Headers for Request {
    fn all(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

/// Sends a request and compares status and code of the JSON-RPC error (0: there is a result).
async fn expect(
    case: impl Display,
    request: Request,
    status: u16,
    code: i64,
) {
    let answer = send(request).await;
    let answered = (answer.status.as_u16(), answer.code());
    assert_eq!(answered, (status, code), "{case}");
    let has_result = answer.json().get("result").is_some();
    assert_eq!(has_result, answered == (200, 0), "{case}");
}

#[tokio::test]
async fn health_names_the_service_and_its_version() {
    let answer = send(get("/health")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["service"], env!("CARGO_PKG_NAME"));
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn an_unknown_path_is_a_404_in_json() {
    let answer = send(get("/nowhere?token=secret")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["error"], "not_found");
    assert_eq!(body["error_description"], "nothing is served at /nowhere");
}

#[tokio::test]
async fn health_is_read_only() {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/health")
        .body(Body::empty())
        .unwrap();
    let answer = send(request).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn each_request_is_one_log_line_without_its_query() {
    Log::clear();
    send(get("/nowhere?token=secret")).await;
    let lines = Log::lines();
    let at_info: Vec<_> = lines.iter().filter(|line| line.contains(" INFO ")).collect();
    assert_eq!(at_info.len(), 1, "{lines:?}");
    assert!(at_info[0].contains("/nowhere"), "{lines:?}");
    assert!(at_info[0].contains("404"), "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("secret")),
        "{lines:?}"
    );
}

#[test]
fn an_address_that_is_none_is_refused() {
    for bind in ["localhost", "127.0.0.1", "127.0.0.1:65536", ""] {
        let arguments = ["server", "--bind", bind];
        let error = Config::try_parse_from(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{bind}");
    }
}

#[tokio::test]
async fn a_taken_port_is_refused_in_a_sentence_that_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    config.bind = listener.local_addr().unwrap();
    let taken = format!("cannot listen on {}: ", config.bind);
    let reason = run(config).await.unwrap_err();
    assert!(reason.starts_with(&taken), "{reason}");
    assert!(reason.contains("--bind"), "{reason}");
}

/// Fails where the test would wait for ever.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(20);
    let ended = tokio::time::timeout(patience, future).await;
    ended.expect("what was waited for has happened")
}

/// Serves `routes` on a free port; the sender stops it, the handle yields what `serve` returned.
async fn start(
    routes: Router,
    limit: Duration,
) -> (
    TcpStream,
    oneshot::Sender<()>,
    JoinHandle<Result<(), String>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(serve(listener, routes, limit, async {
        let _ = stopped.await;
    }));
    (client.await.unwrap(), stop, serving)
}

/// A route whose handler says that it has begun, and answers when it is let go.
fn slow_route() -> (Router, Arc<Notify>, Arc<Notify>) {
    let begun = Arc::new(Notify::new());
    let go_on = Arc::new(Notify::new());
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let handler = || async move {
        tell.notify_one();
        wait.notified().await;
        "done"
    };
    (
        Router::new().route("/slow", routing::get(handler)),
        begun,
        go_on,
    )
}

const SLOW_REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_request_in_flight_is_finished_before_the_server_stops() {
    let (routes, begun, go_on) = slow_route();
    let (mut client, stop, serving) = start(routes, Duration::from_secs(60)).await;
    client.write_all(SLOW_REQUEST).await.unwrap();
    begun.notified().await;
    stop.send(()).unwrap();
    go_on.notify_one();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer.lines().next(), Some("HTTP/1.1 200 OK"));
    assert_eq!(soon(serving).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_server_from_stopping() {
    let (routes, begun, _never) = slow_route();
    let (mut client, stop, serving) = start(routes, Duration::from_millis(1)).await;
    client.write_all(SLOW_REQUEST).await.unwrap();
    begun.notified().await;
    stop.send(()).unwrap();
    assert_eq!(soon(serving).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn discover_tells_versions_capabilities_and_name() {
    let answer = send(modern("server/discover", json!({}))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["jsonrpc"], "2.0");
    assert_eq!(body["id"], 1);
    let result = &body["result"];
    let versions = json!([MODERN, "2025-11-25", "2025-06-18", "2025-03-26"]);
    assert_eq!(result["supportedVersions"], versions);
    assert!(result["capabilities"].is_object());
    assert!(result["ttlMs"].is_u64());
    assert_eq!(result["cacheScope"], "public");
    assert_eq!(result["resultType"], "complete");
    let server = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(server["name"], env!("CARGO_PKG_NAME"));
    assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));
}

fn initialize(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    })
}

#[tokio::test]
async fn initialize_agrees_on_a_version_of_its_era() {
    for (asked, agreed) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        ("", "2025-11-25"),
    ] {
        let answer = send(handshake("initialize", initialize(asked))).await;
        assert_eq!(answer.status, StatusCode::OK, "{asked}");
        let result = &answer.json()["result"];
        assert_eq!(result["protocolVersion"], agreed, "{asked}");
        assert!(result["capabilities"].is_object(), "{asked}");
        assert_eq!(result["serverInfo"]["name"], env!("CARGO_PKG_NAME"));
    }
}

#[tokio::test]
async fn initialize_without_a_version_is_refused() {
    for (case, params) in [
        ("absent", json!({"capabilities": {}})),
        ("a number", json!({"protocolVersion": 2025})),
    ] {
        expect(case, handshake("initialize", params), 200, -32602).await;
    }
}

#[tokio::test]
async fn a_result_of_the_handshake_era_has_no_member_of_the_modern_one() {
    let initialize = handshake("initialize", initialize("2025-11-25"));
    for request in [initialize, handshake("ping", json!({}))] {
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::OK);
        let result = &answer.json()["result"];
        for member in ["resultType", "_meta", "ttlMs", "cacheScope"] {
            assert!(result.get(member).is_none(), "{member}");
        }
    }
}

#[tokio::test]
async fn there_are_no_sessions() {
    let request = handshake("initialize", initialize("2025-11-25"));
    let answer = send(request.with("Mcp-Session-Id", "abc")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers.get("mcp-session-id"), None);
}

/// Header against `_meta`: what a request is taken for when the two name these versions.
#[tokio::test]
async fn the_version_is_read_from_header_and_meta_together() {
    const OLD: &str = "2025-06-18";
    const NEW: &str = "2099-01-01";
    let none = "";
    for (header, meta_version, status, code) in [
        (none, none, 200, 0),
        (OLD, none, 200, 0),
        ("2025-03-26", none, 200, 0),
        ("2025-11-25", none, 200, 0),
        (OLD, OLD, 200, 0),
        // `ping` is no method of the modern era, so -32601 says that the request was taken for one.
        (MODERN, MODERN, 404, -32601),
        (none, MODERN, 400, -32020),
        (OLD, MODERN, 400, -32020),
        (MODERN, OLD, 400, -32020),
        (NEW, MODERN, 400, -32020),
        (MODERN, NEW, 400, -32020),
        (none, NEW, 400, -32020),
        (NEW, NEW, 400, -32022),
        (NEW, none, 400, -32022),
        (MODERN, none, 400, -32602),
        ("2024-11-05", none, 400, -32022),
    ] {
        let mut params = json!({});
        if meta_version != none {
            params["_meta"] = meta(meta_version);
        }
        let mut request = modern_post(message("ping", &params)).without("MCP-Protocol-Version");
        if header != none {
            request = request.with("MCP-Protocol-Version", header);
        }
        let case = format!("{header:?}, {meta_version:?}");
        expect(case, request, status, code).await;
    }
}

#[tokio::test]
async fn initialize_is_modern_only_if_its_meta_says_so() {
    let with_meta = |version| {
        let mut params = initialize("2025-11-25");
        params["_meta"] = meta(version);
        modern_post(message("initialize", &params))
    };
    let without_meta = || modern_post(message("initialize", &initialize("2025-11-25")));
    let header = "MCP-Protocol-Version";
    let (old, new) = ("2025-06-18", "2099-01-01");
    for (case, request) in [
        ("no header", without_meta().without(header)),
        ("handshake header", without_meta().with(header, old)),
        ("modern header", without_meta()),
        ("unknown header", without_meta().with(header, new)),
        ("handshake meta", with_meta(old).without(header)),
    ] {
        expect(case, request, 200, 0).await;
    }
    for (case, request, status, code) in [
        ("both modern", with_meta(MODERN), 404, -32601),
        ("no header", with_meta(MODERN).without(header), 400, -32020),
        ("another", with_meta(MODERN).with(header, old), 400, -32020),
        (
            "both unknown",
            with_meta(new).with(header, new),
            400,
            -32022,
        ),
    ] {
        expect(case, request, status, code).await;
    }
}

#[tokio::test]
async fn an_unsupported_version_is_answered_with_those_supported() {
    let body = message("server/discover", &json!({"_meta": meta("2099-01-01")}));
    let request = modern_post(body).with("MCP-Protocol-Version", "2099-01-01");
    let answer = send(request).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let body = answer.json();
    assert_eq!(body["id"], 1);
    assert_eq!(body["error"]["code"], -32022);
    let supported = json!([MODERN, "2025-11-25", "2025-06-18", "2025-03-26"]);
    assert_eq!(body["error"]["data"]["supported"], supported);
    assert_eq!(body["error"]["data"]["requested"], "2099-01-01");
}

#[tokio::test]
async fn a_modern_request_repeats_its_version_and_method_in_headers() {
    const METHOD: &str = "server/discover";
    const ENCODED: &str = "=?base64?c2VydmVyL2Rpc2NvdmVy?=";
    let good = || modern(METHOD, json!({}));
    let version = "MCP-Protocol-Version";
    expect("good", good(), 200, 0).await;
    for (case, request) in [
        ("no version", good().without(version)),
        ("another version", good().with(version, "2025-11-25")),
        ("two versions", good().also(version, "2025-11-25")),
        ("the version twice", good().also(version, MODERN)),
        ("no method", good().without("Mcp-Method")),
        ("an empty method", good().with("Mcp-Method", "")),
        ("another method", good().with("Mcp-Method", "ping")),
        ("another case", good().with("Mcp-Method", "Server/Discover")),
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
    let with = |meta| modern_post(message("server/discover", &json!({"_meta": meta})));
    for (case, request) in [
        ("both", with(meta(MODERN))),
        (
            "others",
            with(json!({VERSION: MODERN, CAPABILITIES: {}, "x/y": 1})),
        ),
    ] {
        expect(case, request, 200, 0).await;
    }
    let without_params = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"});
    for (case, request) in [
        ("no version", with(json!({CAPABILITIES: {}}))),
        ("no capabilities", with(json!({VERSION: MODERN}))),
        (
            "a number",
            with(json!({VERSION: 20260728, CAPABILITIES: {}})),
        ),
        ("a list", with(json!({VERSION: MODERN, CAPABILITIES: []}))),
        ("empty", with(json!({}))),
        ("no object", with(json!("meta"))),
        (
            "no meta",
            modern_post(message("server/discover", &json!({}))),
        ),
        ("no params", modern_post(without_params)),
    ] {
        expect(case, request, 400, -32602).await;
    }
}

#[tokio::test]
async fn methods_belong_to_their_era() {
    let plain = |method| modern(method, initialize("2025-11-25"));
    let old = |method| handshake(method, json!({}));
    for (case, request) in [
        ("modern initialize", plain("initialize")),
        ("modern ping", plain("ping")),
        ("modern logging/setLevel", plain("logging/setLevel")),
        ("modern unknown", plain("no/such")),
        ("modern empty", plain("")),
        ("modern in another case", plain("SERVER/DISCOVER")),
    ] {
        expect(case, request, 404, -32601).await;
    }
    for (case, request) in [
        ("server/discover", old("server/discover")),
        ("logging/setLevel", old("logging/setLevel")),
        ("unknown", old("no/such")),
    ] {
        expect(case, request, 200, -32601).await;
    }
    expect("ping", old("ping"), 200, 0).await;
}

/// Of two flaws, the one that is checked first is named.
#[tokio::test]
async fn the_checks_keep_their_order() {
    const NEW: &str = "2099-01-01";
    let new_header = |request: Request| request.with("MCP-Protocol-Version", NEW);
    let body = |meta: Value| message("no/such", &json!({"_meta": meta}));
    let bare_meta = json!({"io.modelcontextprotocol/protocolVersion": NEW});
    let no_method = |request: Request| request.without("Mcp-Method");
    for (case, request, code) in [
        ("JSON, version", new_header(post("{")), -32700),
        (
            "batch, header",
            modern_post(json!([body(meta(NEW))])),
            -32600,
        ),
        ("header, version", modern_post(body(meta(NEW))), -32020),
        (
            "version, meta",
            new_header(modern_post(body(bare_meta))),
            -32022,
        ),
        (
            "meta, method",
            no_method(modern_post(body(json!({})))),
            -32602,
        ),
        (
            "method, its name",
            no_method(modern("no/such", json!({}))),
            -32020,
        ),
    ] {
        expect(case, request, 400, code).await;
    }
}

#[tokio::test]
async fn an_id_is_echoed_with_its_type() {
    for id in [
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!("1"),
        json!(""),
        json!("18446744073709551616"),
        json!("\u{0}\"\\\u{1f512}"),
    ] {
        let mut body = message("ping", &json!({}));
        body["id"] = id.clone();
        let answer = send(post(body.to_string())).await;
        assert_eq!(answer.status, StatusCode::OK, "{id}");
        assert_eq!(answer.json()["id"], id);
        body["method"] = json!("no/such");
        let answer = send(post(body.to_string())).await;
        assert_eq!(answer.code(), -32601, "{id}");
        assert_eq!(answer.json()["id"], id);
    }
}

#[tokio::test]
async fn an_id_that_no_client_could_match_is_refused() {
    for id in [
        "null",
        "1.5",
        "1.0",
        "1e3",
        "true",
        "{}",
        "[1]",
        "18446744073709551616",
        "-9223372036854775809",
        "1000000000000000000000000000000",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let answer = send(post(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{id}");
        assert_eq!(answer.code(), -32600, "{id}");
        assert_eq!(answer.json().get("id"), None, "{id}");
    }
}

#[tokio::test]
async fn a_malformed_message_is_refused_with_the_id_it_has() {
    let with = |member: &str, value: Value| {
        let mut body = message("ping", &json!({}));
        body[member] = value;
        body
    };
    for (case, body) in [
        ("no jsonrpc", json!({"id": 1, "method": "ping"})),
        ("jsonrpc 1.0", with("jsonrpc", json!("1.0"))),
        ("jsonrpc as a number", with("jsonrpc", json!(2.0))),
        ("no method", json!({"jsonrpc": "2.0", "id": 1})),
        ("method null", with("method", json!(null))),
        ("method as a number", with("method", json!(1))),
        ("params null", with("params", json!(null))),
        ("params as a list", with("params", json!([]))),
        ("params as a string", with("params", json!("x"))),
        (
            "a response",
            json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        ),
        ("an error", json!({"jsonrpc": "2.0", "id": 1, "error": {}})),
    ] {
        let answer = send(post(body.to_string())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{case}");
        assert_eq!(answer.code(), -32600, "{case}");
        assert_eq!(answer.json()["id"], 1, "{case}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_one_message_is_refused() {
    let ping = message("ping", &json!({})).to_string();
    for (case, body) in [
        ("an empty batch", "[]".to_owned()),
        ("a batch", format!("[{ping}]")),
        ("a batch of two", format!("[{ping},{ping}]")),
        ("a string", r#""ping""#.to_owned()),
        ("a number", "1".to_owned()),
        ("null", "null".to_owned()),
    ] {
        let answer = send(post(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{case}");
        assert_eq!(answer.code(), -32600, "{case}");
        assert_eq!(answer.json().get("id"), None, "{case}");
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
    let good = ping_with("1").into_bytes();
    let with = |json: &str| ping_with(json).into_bytes();
    let mut not_utf8 = with("\"?\"");
    let mark = not_utf8.iter().position(|byte| *byte == b'?').unwrap();
    not_utf8[mark] = 0xff;
    for (case, body) in [
        ("empty", Vec::new()),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("two in one", good.repeat(2)),
        ("a byte order mark", [b"\xef\xbb\xbf", &good[..]].concat()),
        ("not UTF-8", not_utf8),
        ("half a surrogate pair", with(r#""\ud800""#)),
        ("a line break in a string", with("\"\n\"")),
        ("NaN", with("NaN")),
        ("a comma too many", with("[1,]")),
        ("deep params", with(&nested(10_000))),
        ("deep", nested(10_000).into_bytes()),
        ("deep, never closed", b"[".repeat(10_000)),
        ("deep objects", br#"{"a":"#.repeat(10_000)),
    ] {
        let answer = send(post(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{case}");
        assert_eq!(answer.code(), -32700, "{case}");
        assert_eq!(answer.json().get("id"), None, "{case}");
    }
}

#[tokio::test]
async fn params_may_hold_anything_that_is_json() {
    let escaped = r#""\ud83d\udd12""#;
    for json in [
        "null",
        "1e308",
        "\"\u{1f512}\"",
        escaped,
        "[[[]]]",
        &nested(100),
    ] {
        expect(json, post(ping_with(json)), 200, 0).await;
    }
}

#[tokio::test]
async fn a_notification_is_accepted_without_a_word() {
    let notify = |method: &str| post(json!({"jsonrpc": "2.0", "method": method}).to_string());
    let good = || notify("notifications/initialized");
    let version = "MCP-Protocol-Version";
    for (case, request) in [
        ("initialized", good()),
        ("cancelled", notify("notifications/cancelled")),
        ("unknown", notify("no/such")),
        ("a method without an id", notify("ping")),
        ("of the handshake era", good().with(version, "2025-06-18")),
        ("of the modern era", good().with(version, MODERN)),
        ("of an unknown version", good().with(version, "2099-01-01")),
        ("another Mcp-Method", good().with("Mcp-Method", "ping")),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{case}");
        assert!(answer.body.is_empty(), "{case}");
    }
}

#[tokio::test]
async fn a_malformed_notification_is_refused() {
    for (case, body) in [
        ("jsonrpc", json!({"jsonrpc": "1.0", "method": "x"})),
        ("method", json!({"jsonrpc": "2.0", "method": 7})),
        (
            "params",
            json!({"jsonrpc": "2.0", "method": "x", "params": []}),
        ),
        ("nothing", json!({"jsonrpc": "2.0"})),
        ("a response", json!({"jsonrpc": "2.0", "result": {}})),
    ] {
        expect(case, post(body.to_string()), 400, -32600).await;
    }
}

#[tokio::test]
async fn every_other_method_is_refused_with_allow() {
    let others = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    for method in others {
        let answer = send(to_mcp(method.clone(), Body::empty())).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.header("allow"), "POST", "{method}");
        let code = if method == Method::HEAD { 0 } else { 405 };
        assert_eq!(answer.code(), code, "{method}");
    }
}

#[tokio::test]
async fn only_json_is_read() {
    let ping = |content_type| handshake("ping", json!({})).with("Content-Type", content_type);
    let json = "application/json";
    for (case, request) in [
        ("plain", ping(json)),
        ("charset", ping("application/json; charset=utf-8")),
        ("charset, no space", ping("application/json;charset=UTF-8")),
        ("capitals", ping("Application/JSON")),
    ] {
        expect(case, request, 200, 0).await;
    }
    for (case, request) in [
        ("none", ping(json).without("Content-Type")),
        ("empty", ping("")),
        ("text", ping("text/plain")),
        ("form", ping("application/x-www-form-urlencoded")),
        ("multipart", ping("multipart/form-data; boundary=x")),
        ("prefix", ping("application/jsonp")),
        ("suffix", ping("application/problem+json")),
        ("in a parameter", ping("text/plain; a=application/json")),
        ("list", ping("application/json, text/plain")),
        ("two", ping(json).also("Content-Type", "text/plain")),
    ] {
        expect(case, request, 415, 415).await;
    }
}

#[tokio::test]
async fn a_wrong_content_type_is_told_the_right_one() {
    let request = handshake("ping", json!({})).with("Content-Type", "text/plain");
    let error = &send(request).await.json()["error"];
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("Content-Type: application/json"),
        "{message}"
    );
}

#[tokio::test]
async fn accept_is_not_enforced() {
    const BOTH: &str = "application/json, text/event-stream";
    let ping = || handshake("ping", json!({}));
    for (case, request) in [
        ("both", ping().with("Accept", BOTH)),
        ("html", ping().with("Accept", "text/html")),
        ("nothing", ping().with("Accept", "")),
    ] {
        expect(case, request, 200, 0).await;
    }
}

const MIB: usize = 1024 * 1024;

/// A ping that is this long, in bytes.
fn ping_of(length: usize) -> String {
    let ping = message("ping", &json!({})).to_string();
    format!("{ping}{}", " ".repeat(length - ping.len()))
}

#[tokio::test]
async fn a_body_may_be_one_mebibyte_long() {
    expect("1 MiB", post(ping_of(MIB)), 200, 0).await;
    for (case, request) in [
        ("a byte more", post(ping_of(MIB + 1))),
        ("2 MiB", post(ping_of(2 * MIB))),
    ] {
        expect(case, request, 413, 413).await;
    }
}

/// A body of unknown length that comes in these parts. It ends only when the sender is dropped.
async fn stream(parts: &[String]) -> (channel::Sender<Bytes>, Body) {
    let (mut sender, channel) = Channel::new(parts.len().max(1));
    for part in parts {
        let part = Bytes::copy_from_slice(part.as_bytes());
        sender.send_data(part).await.unwrap();
    }
    (sender, Body::new(channel))
}

#[tokio::test]
async fn a_body_of_unknown_length_obeys_the_same_limit() {
    let ping = message("ping", &json!({})).to_string();
    let (sender, body) = stream(&[ping]).await;
    drop(sender);
    expect("small", post(body), 200, 0).await;
    // It never ends, so an answer shows that no more was waited for.
    let (_sender, body) = stream(&[ping_of(MIB), " ".to_owned()]).await;
    expect("a byte more", post(body), 413, 413).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_cut_off() {
    let ping = message("ping", &json!({})).to_string();
    for parts in [vec![], vec![ping]] {
        let (_sender, body) = stream(&parts).await;
        let answer = send(post(body)).await;
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    }
}

#[tokio::test]
async fn a_page_of_this_machine_may_call() {
    for origin in [
        "http://localhost",
        "http://localhost:3000",
        "https://localhost:3000",
        "http://localhost:6274",
        "http://localhost:1",
        "http://localhost:65535",
        "http://127.0.0.1",
        "http://127.0.0.1:8080",
        "https://127.0.0.1:8443",
        "http://127.8.9.10:8080",
        "http://[::1]",
        "http://[::1]:8080",
    ] {
        let request = handshake("ping", json!({})).with("Origin", origin);
        expect(origin, request, 200, 0).await;
    }
}

/// Origins that no page of this machine has, and values that are no origin at all.
const BAD_ORIGINS: [&str; 36] = [
    "http://localhost.evil.com",
    "http://localhost.evil.com:9000",
    "http://evil.com",
    "https://evil.com",
    "http://evil.com/localhost",
    "http://evil.com#localhost",
    "http://notlocalhost",
    "http://localhost-evil.com",
    "http://127.0.0.1.evil.com",
    "http://127.0.0.1.nip.io",
    "http://128.0.0.1",
    "http://192.168.0.1",
    "http://0.0.0.0:9000",
    "http://[::]",
    "http://[::2]",
    "http://[::ffff:127.0.0.1]",
    "http://2130706433",
    "http://localhost@evil.com",
    "http://localhost:3000@evil.com",
    "http://user@localhost",
    "http://user:password@localhost",
    "http://localhost/",
    "http://localhost:3000/path",
    "http://localhost?x",
    "http://localhost#x",
    "http://localhost:65536",
    "http://localhost, http://evil.com",
    "http://localhost http://localhost",
    "ftp://localhost",
    "ws://localhost",
    "file://",
    "chrome-extension://localhost",
    "HTTP://LOCALHOST:3000",
    "localhost",
    "null",
    "",
];

#[tokio::test]
async fn a_page_of_any_other_site_may_not_call() {
    for origin in BAD_ORIGINS {
        let request = handshake("ping", json!({})).with("Origin", origin);
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin:?}");
        assert_eq!(answer.code(), 403, "{origin:?}");
        assert_eq!(answer.json()["jsonrpc"], "2.0", "{origin:?}");
        assert_eq!(answer.json().get("id"), None, "{origin:?}");
    }
}

#[tokio::test]
async fn one_good_origin_does_not_cover_for_another() {
    const GOOD: &str = "http://localhost:3000";
    let good = || handshake("ping", json!({})).with("Origin", GOOD);
    expect("good", good(), 200, 0).await;
    for (case, request) in [
        ("a bad second", good().also("Origin", "http://evil.com")),
        ("twice the same", good().also("Origin", GOOD)),
    ] {
        expect(case, request, 403, 403).await;
    }
}

#[tokio::test]
async fn the_origin_is_checked_before_anything_else() {
    let (_sender, endless) = stream(&[]).await;
    let from_evil = |request: Request| request.with("Origin", "http://evil.com");
    let text = post("x").with("Content-Type", "text/plain");
    for (case, request) in [
        ("method", from_evil(to_mcp(Method::GET, ""))),
        ("content type", from_evil(text)),
        ("JSON", from_evil(post("{"))),
        ("size", from_evil(post(ping_of(2 * MIB)))),
        ("an endless body", from_evil(post(endless))),
    ] {
        expect(case, request, 403, 403).await;
    }
}

#[tokio::test]
async fn the_origin_is_checked_where_mcp_is_spoken_and_nowhere_else() {
    let answer = send(get("/health").with("Origin", "http://evil.com")).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// The result of a request, which must have one.
async fn result_of(request: Request) -> Value {
    let answer = send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()["result"].take()
}

/// The same request in both eras.
fn both_eras(
    method: &str,
    params: Value,
) -> [Request; 2] {
    [handshake(method, params.clone()), modern(method, params)]
}

#[tokio::test]
async fn only_what_is_served_is_declared() {
    let served = json!({"tools": {}, "prompts": {}});
    let discover = modern("server/discover", json!({}));
    for request in [discover, handshake("initialize", initialize("2025-11-25"))] {
        assert_eq!(result_of(request).await["capabilities"], served);
    }
    for method in [
        "resources/list",
        "resources/templates/list",
        "completion/complete",
    ] {
        expect(method, handshake(method, json!({})), 200, -32601).await;
    }
}

fn names(definitions: &Value) -> Vec<&str> {
    let definitions = definitions.as_array().unwrap().iter();
    definitions.map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn tools_are_listed_in_both_eras() {
    for request in both_eras("tools/list", json!({})) {
        let result = result_of(request).await;
        assert_eq!(names(&result["tools"]), ["echo", "get_time", "whoami"]);
        assert_eq!(result.get("nextCursor"), None);
    }
}

#[tokio::test]
async fn prompts_are_listed_in_both_eras() {
    for request in both_eras("prompts/list", json!({})) {
        let result = result_of(request).await;
        assert_eq!(names(&result["prompts"]), ["greeting", "help"]);
        assert_eq!(result.get("nextCursor"), None);
    }
}

#[tokio::test]
async fn a_list_says_how_long_it_holds_in_the_modern_era_only() {
    for method in ["tools/list", "prompts/list"] {
        let result = result_of(modern(method, json!({}))).await;
        assert!(result["ttlMs"].is_u64(), "{method}");
        let scope = result["cacheScope"].as_str().unwrap_or_default();
        assert!(
            ["public", "private"].contains(&scope),
            "{method}: {scope:?}"
        );
        assert_eq!(result["resultType"], "complete", "{method}");
        let result = result_of(handshake(method, json!({}))).await;
        for member in ["ttlMs", "cacheScope", "resultType", "_meta"] {
            assert_eq!(result.get(member), None, "{method}: {member}");
        }
    }
}

#[tokio::test]
async fn a_list_needs_no_params() {
    for method in ["tools/list", "prompts/list"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        expect(method, post(body.to_string()), 200, 0).await;
    }
}

#[tokio::test]
async fn a_cursor_that_was_never_given_out_is_refused() {
    for method in ["tools/list", "prompts/list"] {
        for cursor in [json!("2"), json!(""), json!(2)] {
            for request in both_eras(method, json!({"cursor": cursor})) {
                expect(format!("{method}, {cursor}"), request, 200, -32602).await;
            }
        }
    }
}

/// A text for people: there, and not empty.
fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
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
    let properties = schema.get("properties").unwrap_or(&none).as_object().unwrap();
    for (name, property) in properties {
        assert!(property["type"].is_string(), "{name}");
        assert!(is_text(&property["description"]), "{name}");
    }
    let none = json!([]);
    let required = schema.get("required").unwrap_or(&none).as_array().unwrap();
    for name in required {
        assert!(properties.contains_key(name.as_str().unwrap()), "{name}");
    }
}

#[tokio::test]
async fn the_schema_of_echo_states_its_limits() {
    let result = result_of(modern("tools/list", json!({}))).await;
    let schema = &result["tools"][0]["inputSchema"];
    assert_eq!(schema["required"], json!(["message"]));
    assert_eq!(schema["properties"]["message"]["type"], "string");
    let count = &schema["properties"]["repeat_count"];
    assert_eq!(count["type"], "integer");
    assert_eq!(count["minimum"], 1);
    assert_eq!(count["maximum"], 10);
    assert_eq!(count["default"], 1);
    assert!(result["tools"][0]["outputSchema"].is_object());
}

#[tokio::test]
async fn every_prompt_and_each_of_its_arguments_is_described() {
    let result = result_of(modern("prompts/list", json!({}))).await;
    for prompt in result["prompts"].as_array().unwrap() {
        assert_described(prompt);
        let none = json!([]);
        let arguments = prompt.get("arguments").unwrap_or(&none);
        for argument in arguments.as_array().unwrap() {
            assert_described(argument);
            assert!(argument["required"].is_boolean(), "{argument}");
        }
    }
    let greeting = &result["prompts"][0]["arguments"];
    assert_eq!(names(greeting), ["name"]);
    assert_eq!(greeting[0]["required"], false);
}

fn call(
    tool: &str,
    arguments: Value,
) -> Value {
    json!({"name": tool, "arguments": arguments})
}

/// The one text of a tool's result.
fn text_of(result: &Value) -> &str {
    let content = result["content"].as_array().unwrap();
    assert_eq!(content.len(), 1);
    assert_eq!(content[0]["type"], "text");
    content[0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn echo_repeats_its_message() {
    for (arguments, text) in [
        (json!({"message": "hello"}), "hello"),
        (json!({"message": "hello", "repeat_count": 1}), "hello"),
        (json!({"message": "a b", "repeat_count": 3}), "a b a b a b"),
        (
            json!({"message": "x", "repeat_count": 10}),
            "x x x x x x x x x x",
        ),
        (json!({"message": "x", "repeat_count": 2.0}), "x x"),
        (json!({"message": ""}), ""),
        (
            json!({"message": "\u{1f512} \"\n\u{0}"}),
            "\u{1f512} \"\n\u{0}",
        ),
    ] {
        for request in both_eras("tools/call", call("echo", arguments)) {
            let result = result_of(request).await;
            assert_eq!(text_of(&result), text);
            assert_eq!(result["structuredContent"], json!({"text": text}));
            assert_eq!(result["isError"], false);
        }
    }
}

#[tokio::test]
async fn echo_answers_with_one_mebibyte_at_most() {
    let arguments = |length: usize| json!({"message": "x".repeat(length), "repeat_count": 8});
    for (length, is_error) in [(MIB / 8, false), (MIB / 8 + 1, true)] {
        let request = modern("tools/call", call("echo", arguments(length)));
        let result = result_of(request).await;
        assert_eq!(result["isError"], is_error, "{length}");
        assert_eq!(
            text_of(&result).contains("repeat_count"),
            is_error,
            "{length}"
        );
    }
}

#[tokio::test]
async fn get_time_tells_the_time_in_utc() {
    let before = Timestamp::now().as_second();
    for request in both_eras("tools/call", call("get_time", json!({}))) {
        let result = result_of(request).await;
        let text = text_of(&result);
        let time: Timestamp = text.parse().unwrap();
        // The one form that RFC 3339 has for UTC, and not another that the parser takes, too.
        assert_eq!(text, time.to_string());
        assert!((before..=Timestamp::now().as_second()).contains(&time.as_second()));
        assert_eq!(result["isError"], false);
    }
}

/// What `whoami` says, which is JSON in a text.
async fn whoami(request: Request) -> Value {
    let result = result_of(request).await;
    assert_eq!(result["isError"], false);
    serde_json::from_str(text_of(&result)).unwrap()
}

#[tokio::test]
async fn whoami_knows_nobody() {
    for request in both_eras("tools/call", call("whoami", json!({}))) {
        assert_eq!(whoami(request).await, json!({"error": "Not authenticated"}));
    }
}

#[tokio::test]
async fn a_tool_without_arguments_is_called_without_them() {
    for tool in ["get_time", "whoami"] {
        for request in both_eras("tools/call", json!({"name": tool})) {
            assert_eq!(result_of(request).await["isError"], false, "{tool}");
        }
    }
}

#[tokio::test]
async fn wrong_arguments_are_a_result_that_names_them() {
    let count = |count: Value| json!({"message": "x", "repeat_count": count});
    for (tool, arguments, named) in [
        ("echo", json!({}), "message"),
        ("echo", json!({"repeat_count": 2}), "message"),
        ("echo", json!({"message": 5}), "message"),
        ("echo", json!({"message": null}), "message"),
        ("echo", json!({"message": ["x"]}), "message"),
        ("echo", count(json!(0)), "repeat_count"),
        ("echo", count(json!(11)), "repeat_count"),
        ("echo", count(json!(-1)), "repeat_count"),
        ("echo", count(json!(1.5)), "repeat_count"),
        ("echo", count(json!(1e300)), "repeat_count"),
        ("echo", count(json!(u64::MAX)), "repeat_count"),
        ("echo", count(json!("2")), "repeat_count"),
        ("echo", count(json!(true)), "repeat_count"),
        ("echo", count(json!(null)), "repeat_count"),
        ("echo", json!({"message": "x", "volume": 11}), "volume"),
        ("echo", json!({"message": "x", "Message": "y"}), "Message"),
        ("get_time", json!({"zone": "UTC"}), "zone"),
        ("whoami", json!({"name": "alice"}), "name"),
    ] {
        for request in both_eras("tools/call", call(tool, arguments.clone())) {
            let result = result_of(request).await;
            assert_eq!(result["isError"], true, "{tool} {arguments}");
            assert_eq!(result.get("structuredContent"), None, "{tool} {arguments}");
            let text = text_of(&result);
            assert!(text.contains(named), "{tool} {arguments}: {text}");
        }
    }
}

#[tokio::test]
async fn an_unknown_name_is_an_error_of_the_protocol_but_not_of_http() {
    for method in ["tools/call", "prompts/get"] {
        for name in ["no_such", "Echo", "HELP", "echo ", "", "tools/echo"] {
            for request in both_eras(method, call(name, json!({}))) {
                expect(format!("{method} {name:?}"), request, 200, -32602).await;
            }
        }
    }
    for (case, request) in [
        ("prompt", modern("tools/call", json!({"name": "help"}))),
        ("tool", modern("prompts/get", json!({"name": "get_time"}))),
    ] {
        expect(case, request, 200, -32602).await;
    }
}

#[tokio::test]
async fn malformed_params_are_an_error_of_the_protocol_but_not_of_http() {
    for (method, name) in [("tools/call", "get_time"), ("prompts/get", "help")] {
        for arguments in [json!([]), json!("{}"), json!(1), json!(null)] {
            for request in both_eras(method, call(name, arguments.clone())) {
                expect(format!("{method} {arguments}"), request, 200, -32602).await;
            }
        }
        for params in [
            json!({}),
            json!({"name": 1}),
            json!({"name": null}),
            json!({"name": [name]}),
        ] {
            expect(
                format!("{method} {params}"),
                handshake(method, params),
                200,
                -32602,
            )
            .await;
        }
    }
}

/// The form in which a name travels that is not plain ASCII.
fn sentinel(name: &str) -> String {
    format!("=?base64?{}?=", BASE64_STANDARD.encode(name))
}

#[tokio::test]
async fn a_modern_call_repeats_the_name_in_a_header() {
    for (method, name) in [("tools/call", "get_time"), ("prompts/get", "help")] {
        let good = || modern(method, call(name, json!({})));
        let named = |value: &str| good().with("Mcp-Name", value);
        let encoded = sentinel(name);
        for (case, request) in [("plain", good()), ("encoded", named(&encoded))] {
            expect(case, request, 200, 0).await;
        }
        for (case, request) in [
            ("missing", good().without("Mcp-Name")),
            ("empty", named("")),
            ("another", named("echo")),
            ("another, encoded", named(&sentinel("echo"))),
            ("another case", named(&name.to_uppercase())),
            ("quoted", named(&format!("{name:?}"))),
            ("twice", good().also("Mcp-Name", name)),
            ("two", good().also("Mcp-Name", "echo")),
            ("not Base64", named("=?base64?%%%?=")),
            ("encoded nothing", named("=?base64??=")),
            ("encoded bytes that are not UTF-8", named("=?base64?/w==?=")),
            ("no end", named(encoded.strip_suffix("?=").unwrap())),
            ("no mark", named(&BASE64_STANDARD.encode(name))),
            (
                "mark in capitals",
                named(&encoded.replace("base64", "BASE64")),
            ),
        ] {
            expect(case, request, 400, -32020).await;
        }
    }
}

#[tokio::test]
async fn a_name_that_is_not_ascii_is_decoded_before_it_is_compared() {
    for name in ["\u{e9}cho", " echo", "=?base64?ZWNobw==?="] {
        let body = json!({"name": name, "_meta": meta(MODERN)});
        let request = || modern_post(message("tools/call", &body));
        expect(
            name,
            request().with("Mcp-Name", &sentinel(name)),
            200,
            -32602,
        )
        .await;
        expect(
            name,
            request().with("Mcp-Name", &sentinel("echo")),
            400,
            -32020,
        )
        .await;
    }
}

#[tokio::test]
async fn the_name_is_compared_before_it_is_looked_up() {
    let nobody = |method| modern(method, call("no_such", json!({})));
    let nameless = |method| modern(method, json!({"arguments": {}}));
    for method in ["tools/call", "prompts/get"] {
        expect("unknown", nobody(method), 200, -32602).await;
        for (case, request) in [
            (
                "unknown, another in the header",
                nobody(method).with("Mcp-Name", "x"),
            ),
            ("no name at all", nameless(method)),
            (
                "no name in the body",
                nameless(method).with("Mcp-Name", "x"),
            ),
            ("the method first", nobody(method).with("Mcp-Method", "x")),
        ] {
            expect(case, request, 400, -32020).await;
        }
    }
}

#[tokio::test]
async fn the_name_counts_only_where_the_protocol_asks_for_it() {
    let list = modern("tools/list", json!({})).with("Mcp-Name", "x");
    let old = handshake("tools/call", call("get_time", json!({}))).with("Mcp-Name", "x");
    for (case, request) in [("another method", list), ("the handshake era", old)] {
        expect(case, request, 200, 0).await;
    }
}

/// The one text of a prompt, which speaks in the user's name.
fn prompt_of(result: &Value) -> &str {
    let messages = result["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["role"], "user");
    assert_eq!(messages[0]["content"]["type"], "text");
    messages[0]["content"]["text"].as_str().unwrap()
}

#[tokio::test]
async fn greeting_greets_whom_it_is_told_to() {
    for name in ["Ada", "\u{c6}gir \"the\" Sea"] {
        for request in both_eras("prompts/get", call("greeting", json!({"name": name}))) {
            let result = result_of(request).await;
            assert!(prompt_of(&result).contains(name), "{result}");
        }
    }
}

#[tokio::test]
async fn prompts_need_no_arguments() {
    for prompt in ["greeting", "help"] {
        for params in [json!({"name": prompt}), call(prompt, json!({}))] {
            for request in both_eras("prompts/get", params) {
                assert!(!prompt_of(&result_of(request).await).is_empty(), "{prompt}");
            }
        }
    }
}

#[tokio::test]
async fn wrong_arguments_of_a_prompt_are_an_error_that_names_them() {
    for (prompt, arguments, named) in [
        ("greeting", json!({"name": 5}), "name"),
        ("greeting", json!({"name": ["Ada"]}), "name"),
        ("greeting", json!({"mood": "merry"}), "mood"),
        ("help", json!({"topic": "echo"}), "topic"),
    ] {
        for request in both_eras("prompts/get", call(prompt, arguments.clone())) {
            let answer = send(request).await;
            assert_eq!(answer.status, StatusCode::OK, "{prompt} {arguments}");
            assert_eq!(answer.code(), -32602, "{prompt} {arguments}");
            let error = &answer.json()["error"];
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(named), "{prompt} {arguments}: {message}");
        }
    }
}
