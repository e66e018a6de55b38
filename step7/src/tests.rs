//! The server's promises, checked on [`app`](crate::app::app) itself, mostly without a socket.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::Once;
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RSA_PKCS1_SHA384;
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use aws_lc_rs::signature::RsaEncoding;
use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Parser;
use http_body_util::BodyExt;
use http_body_util::channel;
use http_body_util::channel::Channel;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::sync::watch;
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
        &format!("--public-key={}", key_file().display()),
        &format!("--issuer={ISSUER}"),
        &format!("--resource={RESOURCE}"),
    ])
}

fn router() -> Router {
    app(Server::new(config()))
}

/// The key that tokens are signed with, made for this run of the tests.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// A key that nobody trusts.
static OTHER_KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

thread_local! {
    /// The folder of this test's key file. Both go away with the thread.
    static FOLDER: TempDir = tempfile::tempdir().unwrap();
}

/// A file with the public key.
fn key_file() -> PathBuf {
    let file = FOLDER.with(|folder| folder.path().join("public.pem"));
    std::fs::write(&file, public_pem(&KEY)).unwrap();
    file
}

fn pem(
    label: &str,
    der: &[u8],
) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<_> =
        base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn public_pem(key: &KeyPair) -> String {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    pem("PUBLIC KEY", der.as_ref())
}

/// The members of a public key in a JWK (RFC 7518, section 6.3).
fn modulus_and_exponent(key: &KeyPair) -> [String; 2] {
    let public = key.public_key();
    [public.modulus(), public.exponent()]
        .map(|number| BASE64_URL_SAFE_NO_PAD.encode(number.big_endian_without_leading_zero()))
}

/// The thumbprint of RFC 7638: the hash of the required members in alphabetical order.
fn key_id(key: &KeyPair) -> String {
    let [n, e] = modulus_and_exponent(key);
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let hash = digest::digest(&digest::SHA256, members.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(hash)
}

const ISSUER: &str = "http://localhost:9001";
const RESOURCE: &str = "http://localhost:9000/mcp";

/// The header of a good token.
fn jose() -> Value {
    json!({"typ": "at+jwt", "alg": "RS256", "kid": key_id(&KEY)})
}

/// The claims of a good token.
fn claims() -> Value {
    let now = now();
    json!({
        "iss": ISSUER,
        "sub": "alice",
        "aud": RESOURCE,
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "jti": "token-1",
        "client_id": "test",
        "scope": "mcp:read mcp:tools mcp:prompts",
        "roles": ["user"],
        "preferred_username": "Alice",
    })
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A good token.
fn token() -> String {
    sign(&jose(), &claims())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A token with this header and these claims, well signed.
fn sign(
    jose: &Value,
    claims: &Value,
) -> String {
    sign_with(&KEY, &RSA_PKCS1_SHA256, jose, claims.to_string().as_bytes())
}

fn sign_with(
    key: &KeyPair,
    padding: &'static dyn RsaEncoding,
    jose: &Value,
    payload: &[u8],
) -> String {
    let input = signing_input(jose, payload);
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(padding, &random, input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", base64url(&signature))
}

fn signing_input(
    jose: &Value,
    payload: &[u8],
) -> String {
    format!(
        "{}.{}",
        base64url(jose.to_string().as_bytes()),
        base64url(payload)
    )
}

fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// An object with one member set to another value.
fn with(
    mut object: Value,
    member: &str,
    value: Value,
) -> Value {
    object[member] = value;
    object
}

/// An object with one member less.
fn without(
    mut object: Value,
    member: &str,
) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
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
        .header("Authorization", bearer(&token()))
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

/// A server that takes its key from this file.
fn server_with_key_file(file: PathBuf) -> Server {
    let mut config = config();
    config.public_key = Some(file);
    Server::new(config)
}

/// The same, for more than one request.
fn with_key_file(file: PathBuf) -> Router {
    app(Arc::new(server_with_key_file(file)))
}

/// A path where nothing is yet.
fn absent_file() -> PathBuf {
    FOLDER.with(|folder| folder.path().join("absent.pem"))
}

async fn key_set(router: &Router) -> Answer {
    send_to(router.clone(), get("/.well-known/jwks.json")).await
}

#[tokio::test]
async fn the_public_key_is_published_as_a_set_of_one() {
    let answer = send(get("/.well-known/jwks.json")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let [n, e] = modulus_and_exponent(&KEY);
    // The whole document: nothing of the private key, and nothing else, is in it.
    let key = json!({
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": key_id(&KEY),
        "n": n,
        "e": e,
    });
    assert_eq!(answer.json(), json!({"keys": [key]}));
}

#[tokio::test]
async fn the_key_may_be_in_its_older_pem_form() {
    let file = absent_file();
    std::fs::write(&file, pem("RSA PUBLIC KEY", KEY.public_key().as_ref())).unwrap();
    let answer = key_set(&with_key_file(file)).await;
    assert_eq!(answer.json()["keys"][0]["kid"], key_id(&KEY));
}

/// Without a key, an answer says what to do, and when to come back.
fn assert_no_key(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.headers.get("www-authenticate"), None);
    let body = answer.json();
    assert!(is_text(&body["error"]), "{body}");
    assert!(is_text(&body["error_description"]), "{body}");
}

#[tokio::test]
async fn a_server_without_a_key_names_the_command_that_makes_one() {
    let router = with_key_file(absent_file());
    let answer = key_set(&router).await;
    assert_no_key(&answer);
    let body = answer.json();
    let description = body["error_description"].as_str().unwrap();
    assert!(
        description.contains("cargo run -p gen-token"),
        "{description}"
    );
    let health = send_to(router, get("/health")).await;
    assert_eq!(health.status, StatusCode::OK);
}

/// What may lie at the path of the public key by mistake.
fn not_public_keys() -> Vec<(&'static str, String)> {
    let private: Pkcs8V1Der<'_> = KEY.as_der().unwrap();
    let private = private.as_ref();
    // PKCS #8 wraps the older form with a header of this length.
    let older = &private[26..];
    let public = public_pem(&KEY);
    let both = [pem("PRIVATE KEY", private), public.clone()].concat();
    let older_both = [pem("RSA PRIVATE KEY", older), public.clone()].concat();
    vec![
        ("empty", String::new()),
        ("a word", "secret".to_owned()),
        ("cut off", public[..public.len() / 2].to_owned()),
        ("no Base64", public.replace('M', "%")),
        ("no key in it", pem("PUBLIC KEY", b"secret")),
        ("no PEM", public.replace("PUBLIC KEY", "PUBLIC")),
        ("a private key", pem("PRIVATE KEY", private)),
        ("an older private key", pem("RSA PRIVATE KEY", older)),
        ("a private key called public", pem("PUBLIC KEY", private)),
        ("an older one", pem("RSA PUBLIC KEY", older)),
        ("a private key first", both),
        ("an older private key first", older_both),
        ("an elliptic one", pem("PUBLIC KEY", &ELLIPTIC_KEY)),
    ]
}

/// A public key for ES256, in DER form.
static ELLIPTIC_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    der.as_ref().to_vec()
});

#[tokio::test]
async fn a_file_that_holds_no_public_key_is_not_published() {
    for (case, content) in not_public_keys() {
        let file = absent_file();
        std::fs::write(&file, content).unwrap();
        let answer = key_set(&with_key_file(file)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{case}");
        assert_no_key(&answer);
        assert_eq!(answer.json().get("keys"), None, "{case}");
    }
    let folder = FOLDER.with(|folder| folder.path().to_owned());
    assert_no_key(&key_set(&with_key_file(folder)).await);
}

#[tokio::test]
async fn a_wrong_key_file_is_refused_at_the_start_and_a_missing_one_is_not() {
    for file in [key_file(), absent_file()] {
        assert_eq!(server_with_key_file(file).keys.start().await, Ok(()));
    }
    for (case, content) in not_public_keys() {
        let file = absent_file();
        std::fs::write(&file, content).unwrap();
        let path = file.display().to_string();
        let server = server_with_key_file(file);
        let reason = server.keys.start().await.unwrap_err();
        assert!(reason.starts_with(&path), "{case}: {reason}");
    }
}

/// The key ids that are published.
async fn published(router: &Router) -> Vec<String> {
    let answer = key_set(router).await;
    let keys = answer.json()["keys"].take();
    let keys = keys.as_array().into_iter().flatten();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_made_later_is_picked_up_within_a_second() {
    let file = absent_file();
    let router = with_key_file(file.clone());
    assert_no_key(&key_set(&router).await);
    std::fs::write(&file, public_pem(&KEY)).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(published(&router).await, [key_id(&KEY)]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_replaced_is_picked_up_within_a_second() {
    let file = key_file();
    let router = with_key_file(file.clone());
    assert_eq!(published(&router).await, [key_id(&KEY)]);
    std::fs::write(&file, public_pem(&OTHER_KEY)).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(published(&router).await, [key_id(&OTHER_KEY)]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_reads_the_file_once_a_second() {
    let file = key_file();
    let router = with_key_file(file.clone());
    assert_eq!(published(&router).await, [key_id(&KEY)]);
    std::fs::write(&file, public_pem(&OTHER_KEY)).unwrap();
    tokio::time::advance(Duration::from_millis(999)).await;
    // The file has changed, so whoever reads it would know.
    for _ in 0..100 {
        assert_eq!(published(&router).await, [key_id(&KEY)]);
    }
    let file = absent_file();
    let router = with_key_file(file.clone());
    assert_no_key(&key_set(&router).await);
    std::fs::write(&file, public_pem(&KEY)).unwrap();
    for _ in 0..100 {
        assert_no_key(&key_set(&router).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_good_stays_when_its_file_does_not() {
    let file = key_file();
    let router = with_key_file(file.clone());
    assert_eq!(published(&router).await, [key_id(&KEY)]);
    std::fs::write(&file, "half a ke").unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(published(&router).await, [key_id(&KEY)]);
    std::fs::remove_file(&file).unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(published(&router).await, [key_id(&KEY)]);
}

/// A ping with this token.
fn ping(token: &str) -> Request {
    handshake("ping", json!({})).with("Authorization", &bearer(token))
}

/// The parameters of a Bearer challenge.
fn challenge(answer: &Answer) -> BTreeMap<String, String> {
    let header = answer.header("www-authenticate");
    let parameters = header.strip_prefix("Bearer ").unwrap_or_default();
    let pairs = parameters.strip_suffix('"').unwrap_or_default().split("\", ");
    let split =
        |pair: &str| pair.split_once("=\"").map(|(name, value)| (name.into(), value.into()));
    pairs.map(|pair| split(pair).unwrap_or_default()).collect()
}

/// Checks everything about a refusal: status, body and challenge, and that they say the same.
/// `error` is empty where there were no credentials. Returns the description.
fn assert_refused(
    case: impl Display,
    answer: &Answer,
    status: u16,
    error: &str,
) -> String {
    assert_eq!(answer.status.as_u16(), status, "{case}");
    assert_eq!(
        answer.headers.get_all("www-authenticate").iter().count(),
        1,
        "{case}"
    );
    let mut expected = BTreeMap::from([("realm".to_owned(), "mcp".to_owned())]);
    let body = answer.json();
    let description = body["error_description"].as_str().unwrap_or_default().to_owned();
    if !error.is_empty() {
        assert_eq!(body["error"], error, "{case}");
        expected.insert("error".to_owned(), error.to_owned());
        expected.insert("error_description".to_owned(), description.clone());
    }
    if status == 401 {
        expected.insert("resource_metadata".to_owned(), METADATA_URL.to_owned());
        expected.insert("scope".to_owned(), BASIC_SCOPES.to_owned());
    }
    assert_eq!(challenge(answer), expected, "{case}");
    assert_eq!(
        body.as_object().map(|members| members.len()),
        Some(2),
        "{case}"
    );
    assert!(!description.is_empty(), "{case}");
    description
}

/// Sends a bad token. The refusal must name the failed check, and neither the answer nor the log
/// may hold a part of the token.
async fn expect_bad_token(
    case: impl Display,
    token: &str,
    named: &str,
) {
    Log::clear();
    let answer = send(ping(token)).await;
    let description = assert_refused(&case, &answer, 401, "invalid_token");
    assert!(description.contains(named), "{case}: {description}");
    let log = Log::lines().concat();
    let told = format!("{:?} {} {log}", answer.headers, answer.json());
    for part in token.split('.').filter(|part| part.len() > 9) {
        assert!(!told.contains(part), "{case}: {told}");
    }
}

async fn expect_good_token(
    case: impl Display,
    token: &str,
) {
    expect(case, ping(token), 200, 0).await;
}

#[tokio::test]
async fn nobody_gets_in_without_credentials() {
    let ping = || ping(&token());
    for (case, request) in [
        ("no header", ping().without("Authorization")),
        ("an empty header", ping().with("Authorization", "")),
        ("Basic", ping().with("Authorization", "Basic YTpi")),
        (
            "DPoP",
            ping().with("Authorization", &format!("DPoP {}", token())),
        ),
        (
            "a token without a scheme",
            ping().with("Authorization", &token()),
        ),
        (
            "a scheme that begins alike",
            ping().with("Authorization", "Bearers x"),
        ),
        (
            "another header",
            ping().without("Authorization").with("Token", &token()),
        ),
    ] {
        assert_refused(case, &send(request).await, 401, "");
    }
}

#[tokio::test]
async fn a_malformed_header_is_a_bad_request() {
    let good = bearer(&token());
    let ping = || ping(&token());
    for (case, request) in [
        ("Bearer alone", ping().with("Authorization", "Bearer")),
        (
            "Bearer and a space",
            ping().with("Authorization", "Bearer "),
        ),
        (
            "two headers",
            ping().also("Authorization", &bearer("x.y.z")),
        ),
        ("the same twice", ping().also("Authorization", &good)),
        ("Basic second", ping().also("Authorization", "Basic YTpi")),
        (
            "Basic first",
            ping().with("Authorization", "Basic YTpi").also("Authorization", &good),
        ),
    ] {
        assert_refused(case, &send(request).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn the_scheme_may_be_in_any_case() {
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        let request = ping("").with("Authorization", &format!("{scheme} {}", token()));
        expect(scheme, request, 200, 0).await;
    }
}

#[tokio::test]
async fn a_token_elsewhere_than_in_its_header_counts_for_nothing() {
    let token = token();
    let elsewhere = |path: String, content_type: &str, body: String| {
        let mut request = post(body).without("Authorization").with("Content-Type", content_type);
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let json = message("ping", &json!({"access_token": &token})).to_string();
    let form = format!("access_token={token}");
    let query = format!("/mcp?{form}");
    for (case, request) in [
        (
            "in the query",
            elsewhere(query.clone(), "application/json", json.clone()),
        ),
        (
            "in a form",
            elsewhere("/mcp".into(), "application/x-www-form-urlencoded", form),
        ),
        (
            "in the body",
            elsewhere("/mcp".into(), "application/json", json),
        ),
    ] {
        Log::clear();
        assert_refused(case, &send(request).await, 401, "");
        assert!(!Log::lines().concat().contains(&token), "{case}");
    }
    let mut request = ping(&token);
    *request.uri_mut() = query.parse().unwrap();
    Log::clear();
    expect("in the header too", request, 200, 0).await;
    assert!(!Log::lines().concat().contains(&token));
}

#[tokio::test]
async fn a_good_token_is_let_in() {
    expect_good_token("good", &token()).await;
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
        "JWT",
        "jwt",
    ] {
        expect_good_token(typ, &sign(&with(jose(), "typ", json!(typ)), &claims())).await;
    }
    let now = now();
    let exact = json!(now as f64 + 3600.5);
    for (case, claims) in [
        (
            "a list of one audience",
            with(claims(), "aud", json!([RESOURCE])),
        ),
        (
            "a list with ours",
            with(claims(), "aud", json!(["https://a.example", RESOURCE])),
        ),
        ("just expired", with(claims(), "exp", json!(now - 10))),
        ("almost valid", with(claims(), "nbf", json!(now + 10))),
        ("no nbf", without(claims(), "nbf")),
        ("no iat", without(claims(), "iat")),
        ("no jti", without(claims(), "jti")),
        ("no client", without(claims(), "client_id")),
        ("no scope", without(claims(), "scope")),
        ("no roles", without(claims(), "roles")),
        ("no name", without(claims(), "preferred_username")),
        ("half a second", with(claims(), "exp", exact)),
        ("Keycloak's typ", with(claims(), "typ", json!("Bearer"))),
        (
            "other claims",
            with(claims(), "acr", json!({"any": [1, null]})),
        ),
    ] {
        expect_good_token(case, &sign(&jose(), &claims)).await;
    }
}

#[tokio::test]
async fn only_rs256_is_accepted_whatever_the_token_says() {
    let claims = claims().to_string();
    let payload = claims.as_bytes();
    let signature = token().rsplit_once('.').unwrap().1.to_owned();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let input = signing_input(&with(jose(), "alg", json!(alg)), payload);
        expect_bad_token(alg, &format!("{input}."), "").await;
        expect_bad_token(alg, &format!("{input}.{signature}"), "").await;
    }
    for alg in [json!(null), json!(256), json!(["RS256"]), json!("rs256")] {
        let jose = with(jose(), "alg", alg);
        expect_bad_token(
            &jose,
            &sign_with(&KEY, &RSA_PKCS1_SHA256, &jose, payload),
            "",
        )
        .await;
    }
    let absent = without(jose(), "alg");
    expect_bad_token(
        &absent,
        &sign_with(&KEY, &RSA_PKCS1_SHA256, &absent, payload),
        "",
    )
    .await;
    let paddings: [(&str, &'static dyn RsaEncoding); 3] = [
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
    ];
    for (alg, padding) in paddings {
        let named = with(jose(), "alg", json!(alg));
        expect_bad_token(alg, &sign_with(&KEY, padding, &named, payload), "RS256").await;
        expect_bad_token(
            alg,
            &sign_with(&KEY, padding, &jose(), payload),
            "signature",
        )
        .await;
    }
}

/// The oldest trick against JWT: the public key, which everybody has, as the secret of an HMAC.
#[tokio::test]
async fn the_public_key_is_no_secret() {
    let pem = public_pem(&KEY);
    let der: PublicKeyX509Der<'_> = KEY.public_key().as_der().unwrap();
    for (case, secret) in [
        ("PEM", pem.as_bytes()),
        ("PEM without its last line break", pem.trim_end().as_bytes()),
        ("DER", der.as_ref()),
        ("PKCS #1", KEY.public_key().as_ref()),
        ("nothing", b""),
    ] {
        let input = signing_input(
            &with(jose(), "alg", json!("HS256")),
            claims().to_string().as_bytes(),
        );
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&secret, input.as_bytes());
        let token = format!("{input}.{}", base64url(tag.as_ref()));
        expect_bad_token(case, &token, "RS256").await;
    }
}

#[tokio::test]
async fn a_token_of_another_key_is_refused() {
    let claims = claims().to_string();
    let payload = claims.as_bytes();
    let other = |jose: &Value| sign_with(&OTHER_KEY, &RSA_PKCS1_SHA256, jose, payload);
    expect_bad_token("our kid", &other(&jose()), "signature").await;
    let own = with(jose(), "kid", json!(key_id(&OTHER_KEY)));
    expect_bad_token("its own kid", &other(&own), "key").await;
    let input = signing_input(&with(jose(), "alg", json!("ES256")), payload);
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    let elliptic = format!("{input}.{}", base64url(signature.as_ref()));
    expect_bad_token("ES256", &elliptic, "RS256").await;
}

#[tokio::test]
async fn the_key_id_must_be_one_that_we_know() {
    let kid = key_id(&KEY);
    for odd in [
        json!("unknown"),
        json!(""),
        json!(" "),
        json!(null),
        json!(0),
        json!([kid]),
        json!({"kid": kid}),
        json!(format!("{kid} ")),
        json!(format!("{kid}\u{0}")),
        json!(kid[1..]),
        json!(kid.to_lowercase()),
        json!("../../public.pem"),
        json!("' OR '1'='1"),
        json!("\r\nkid: x"),
        json!("k".repeat(4000)),
    ] {
        let token = sign(&with(jose(), "kid", odd.clone()), &claims());
        expect_bad_token(odd, &token, "").await;
    }
    let token = sign(&without(jose(), "kid"), &claims());
    expect_bad_token("missing", &token, "kid").await;
}

/// A key in a token is the sender's word for itself.
#[tokio::test]
async fn a_key_that_the_token_brings_along_is_never_looked_at() {
    let [n, e] = modulus_and_exponent(&OTHER_KEY);
    let kid = key_id(&OTHER_KEY);
    let jwk = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": &kid, "n": n, "e": e});
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let claims = claims().to_string();
    for (member, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        (
            "x5c",
            json!([BASE64_STANDARD.encode(OTHER_KEY.public_key().as_ref())]),
        ),
    ] {
        for kid in [key_id(&KEY), kid.clone()] {
            let jose = with(with(jose(), member, value.clone()), "kid", json!(kid));
            let token = sign_with(&OTHER_KEY, &RSA_PKCS1_SHA256, &jose, claims.as_bytes());
            expect_bad_token(format!("{member}, {kid}"), &token, "").await;
        }
        let ours = sign(&with(jose(), member, value), &self::claims());
        expect_good_token(format!("{member} beside our own signature"), &ours).await;
    }
    let visit = tokio::time::timeout(Duration::from_millis(1), listener.accept());
    assert!(visit.await.is_err(), "the URL was fetched");
}

#[tokio::test]
async fn a_critical_header_that_we_do_not_know_is_refused() {
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!(["x"]),
        json!([]),
        json!("exp"),
        json!(true),
    ] {
        let mut jose = with(jose(), "crit", crit.clone());
        jose["x"] = json!(1);
        expect_bad_token(&crit, &sign(&jose, &claims()), "").await;
    }
    let named = with(jose(), "crit", json!(["x"]));
    expect_bad_token("named", &sign(&named, &claims()), "crit").await;
}

#[tokio::test]
async fn a_token_of_another_type_is_refused() {
    for typ in [
        "",
        "at",
        "JOSE",
        "ID",
        "id_token+jwt",
        "dpop+jwt",
        "application/jwt",
        "at+jwt x",
    ] {
        let token = sign(&with(jose(), "typ", json!(typ)), &claims());
        expect_bad_token(format!("{typ:?}"), &token, "typ").await;
    }
    for typ in [json!(null), json!(1), json!(["at+jwt"])] {
        let token = sign(&with(jose(), "typ", typ.clone()), &claims());
        expect_bad_token(typ, &token, "").await;
    }
    let token = sign(&without(jose(), "typ"), &claims());
    expect_bad_token("missing", &token, "typ").await;
}

/// An ID token says who logged in. It is for the client, and opens nothing.
#[tokio::test]
async fn an_id_token_is_refused() {
    let jose = with(jose(), "typ", json!("JWT"));
    let mut id_token = with(claims(), "nonce", json!("n"));
    id_token["aud"] = json!("test");
    expect_bad_token("for the client", &sign(&jose, &id_token), "aud").await;
    let keycloak = with(claims(), "typ", json!("ID"));
    expect_bad_token("Keycloak's", &sign(&jose, &keycloak), "ID token").await;
}

/// A text with one letter replaced by another of the alphabet.
fn altered(
    text: &str,
    at: usize,
) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn an_altered_token_is_refused() {
    let token = token();
    let parts: Vec<_> = token.split('.').collect();
    let [head, payload, signature] = parts[..] else {
        panic!("a JWT has three parts");
    };
    let admin = base64url(with(claims(), "roles", json!(["admin"])).to_string().as_bytes());
    let typ = base64url(with(jose(), "typ", json!("JWT")).to_string().as_bytes());
    let last = signature.len() - 1;
    let other = sign(&jose(), &with(claims(), "jti", json!("token-2")));
    let other = other.rsplit_once('.').unwrap().1;
    for (case, signature) in [
        ("begins otherwise", altered(signature, 0)),
        ("ends otherwise", altered(signature, last - 1)),
        ("of another token", other.to_owned()),
        ("too short", signature[..last - 1].to_owned()),
        ("too long", format!("{signature}AAAA")),
        ("twice", signature.repeat(2)),
        ("empty", String::new()),
        ("zeros", "A".repeat(signature.len())),
    ] {
        let token = format!("{head}.{payload}.{signature}");
        expect_bad_token(case, &token, "signature").await;
    }
    let altered_payload = format!("{head}.{admin}.{signature}");
    expect_bad_token("payload", &altered_payload, "signature").await;
    let altered_header = format!("{typ}.{payload}.{signature}");
    expect_bad_token("header", &altered_header, "signature").await;
}

#[tokio::test]
async fn a_text_that_is_no_jwt_is_refused() {
    let token = token();
    let parts: Vec<_> = token.split('.').collect();
    let [head, payload, signature] = parts[..] else {
        panic!("a JWT has three parts");
    };
    let nul = base64url(b"\0\0\0");
    let last = signature.len() - 1;
    // The last letter of 256 bytes carries two bits of them, and four that mean nothing.
    let loose = char::from(signature.as_bytes()[last] + 1);
    for (case, token) in [
        ("one part", head.to_owned()),
        ("two parts", format!("{head}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("five parts", format!("{token}.{head}.{payload}")),
        ("a dot at the end", format!("{token}.")),
        ("a dot at the beginning", format!(".{token}")),
        ("dots", "..".to_owned()),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{head}..{signature}")),
        ("a word", "secret".to_owned()),
        ("padding", format!("{token}==")),
        (
            "padding in the middle",
            format!("{head}=.{payload}.{signature}"),
        ),
        (
            "the other alphabet",
            format!("{head}.{payload}.+/{}", &signature[2..]),
        ),
        (
            "a percent sign",
            format!("{head}.{payload}.{}%41", &signature[..last]),
        ),
        ("a space at the end", format!("{token} ")),
        (
            "a space in the middle",
            format!("{head}.{payload} .{signature}"),
        ),
        ("a tab", format!("{head}.{payload}.\t{signature}")),
        ("a second word", format!("{token} x")),
        ("a list", format!("{token}, {token}")),
        ("in quotes", format!("\"{token}\"")),
        ("NUL bytes", format!("{head}.{nul}.{signature}")),
        (
            "a header of NUL bytes",
            format!("{nul}.{payload}.{signature}"),
        ),
        (
            "loose bits",
            format!("{head}.{payload}.{}{loose}", &signature[..last]),
        ),
    ] {
        expect_bad_token(case, &token, "").await;
    }
    for payload in ["", "x", "[]", "1", "null", "\"alice\"", "{}", "{\"iss\":"] {
        let token = sign_with(&KEY, &RSA_PKCS1_SHA256, &jose(), payload.as_bytes());
        expect_bad_token(format!("payload {payload:?}"), &token, "").await;
    }
    for jose in [json!([]), json!("RS256"), json!(1), json!({})] {
        expect_bad_token(&jose, &sign(&jose, &claims()), "").await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let good = bearer(&token());
    for bytes in [&b"\xff"[..], &b"\xc3\xa9"[..]] {
        let value = HeaderValue::from_bytes(&[good.as_bytes(), bytes].concat()).unwrap();
        let mut request = ping("");
        request.headers_mut().insert("Authorization", value);
        let case = format!("{bytes:?}");
        assert_refused(case, &send(request).await, 400, "invalid_request");
    }
}

/// A good token that is this long, or a little shorter: four letters carry three bytes.
fn token_of(length: usize) -> String {
    let padded = |size| sign(&jose(), &with(claims(), "padding", json!("x".repeat(size))));
    let empty = padded(0).len();
    let token = padded((length - empty) * 3 / 4);
    assert!(
        (length - 3..=length).contains(&token.len()),
        "{}",
        token.len()
    );
    token
}

#[tokio::test]
async fn a_token_may_be_eight_kibibytes_long() {
    expect_good_token("8 KiB", &token_of(8 * 1024)).await;
    expect_bad_token("a little more", &token_of(8 * 1024 + 4), "long").await;
    expect_bad_token("100 KB", &token_of(100_000), "long").await;
    expect_bad_token("100 KB of nothing", &"x".repeat(100_000), "long").await;
}

#[tokio::test]
async fn a_token_has_an_end_and_a_beginning() {
    let now = now();
    for (claim, value, named) in [
        ("exp", json!(now - 45), "expired"),
        ("exp", json!(now as f64 - 45.5), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!(-1), "exp"),
        ("exp", json!(i64::MIN), "exp"),
        ("exp", json!(u64::MAX), "exp"),
        ("exp", json!(1e19), "exp"),
        ("exp", json!(1e30), "exp"),
        ("exp", json!(f64::MAX), "exp"),
        ("exp", json!(i64::MAX), "exp"),
        ("exp", json!((now + 3600).to_string()), "exp"),
        ("exp", json!(null), "exp"),
        ("exp", json!(true), "exp"),
        ("exp", json!([now + 3600]), ""),
        ("nbf", json!(now + 45), "nbf"),
        ("nbf", json!(now as f64 + 45.5), "nbf"),
        ("nbf", json!(u64::MAX), "nbf"),
        ("nbf", json!("0"), ""),
        ("nbf", json!(-1), ""),
    ] {
        let token = sign(&jose(), &with(claims(), claim, value.clone()));
        expect_bad_token(format!("{claim} {value}"), &token, named).await;
    }
    let token = sign(&jose(), &without(claims(), "exp"));
    expect_bad_token("no exp", &token, "exp").await;
}

#[tokio::test]
async fn the_issuer_is_compared_byte_for_byte() {
    for iss in [
        json!("http://localhost:9002"),
        json!("http://localhost:9001/"),
        json!("http://localhost:900"),
        json!("http://localhost:90011"),
        json!("https://localhost:9001"),
        json!("HTTP://localhost:9001"),
        json!("http://127.0.0.1:9001"),
        json!("localhost:9001"),
        json!(" http://localhost:9001"),
        json!(""),
        json!(null),
        json!(1),
        json!([ISSUER]),
        json!([ISSUER, "https://evil.example"]),
        json!({"iss": ISSUER}),
    ] {
        let token = sign(&jose(), &with(claims(), "iss", iss.clone()));
        let named = if iss.is_string() { "iss" } else { "" };
        expect_bad_token(iss, &token, named).await;
    }
    let token = sign(&jose(), &without(claims(), "iss"));
    expect_bad_token("missing", &token, "iss").await;
}

#[tokio::test]
async fn the_audience_contains_exactly_this_server() {
    for aud in [
        json!("http://localhost:9000/other"),
        json!("http://localhost:9000/mcp/"),
        json!("http://localhost:9000/mcp2"),
        json!("http://localhost:9000/mc"),
        json!("http://localhost:9000/MCP"),
        json!("http://localhost:9000"),
        json!("http://localhost:9001/mcp"),
        json!("https://localhost:9000/mcp"),
        json!("http://127.0.0.1:9000/mcp"),
        json!("http://localhost:9000/mcp http://localhost:9000/mcp"),
        json!("account"),
        json!("*"),
        json!(""),
        json!(null),
        json!(1),
        json!([]),
        json!([""]),
        json!(["http://localhost:9000", "http://localhost:9000/mcp/"]),
        json!([[RESOURCE]]),
        json!({"aud": RESOURCE}),
    ] {
        let token = sign(&jose(), &with(claims(), "aud", aud.clone()));
        let named = if aud.is_string() { "aud" } else { "" };
        expect_bad_token(aud, &token, named).await;
    }
    let token = sign(&jose(), &without(claims(), "aud"));
    expect_bad_token("missing", &token, "aud").await;
}

#[tokio::test]
async fn a_token_has_a_subject() {
    for sub in [json!(""), json!(null), json!(7), json!(["alice"])] {
        let token = sign(&jose(), &with(claims(), "sub", sub.clone()));
        expect_bad_token(sub, &token, "").await;
    }
    let token = sign(&jose(), &without(claims(), "sub"));
    expect_bad_token("missing", &token, "sub").await;
}

#[tokio::test]
async fn every_method_is_guarded_and_only_options_is_open() {
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND",
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = send(to_mcp(method.clone(), "").without("Authorization")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method}");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer "),
            "{method}"
        );
    }
    let answer = send(to_mcp(Method::OPTIONS, "").without("Authorization")).await;
    assert_ne!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn other_paths_are_open() {
    for (path, status) in [
        ("/health", 200),
        ("/.well-known/jwks.json", 200),
        ("/nowhere", 404),
    ] {
        assert_eq!(send(get(path)).await.status.as_u16(), status, "{path}");
    }
}

/// Whoever is not let in has nothing to say: whatever the rest of the request is, it is a 401.
#[tokio::test(start_paused = true)]
async fn the_body_of_a_stranger_is_not_read() {
    let stranger = |body| post(body).without("Authorization");
    let (_sender, endless) = stream(&[]).await;
    let (sender, broken) = Channel::<Bytes, io::Error>::new(1);
    sender.abort(io::ErrorKind::ConnectionReset.into());
    for (case, request) in [
        ("endless", stranger(endless)),
        ("broken", stranger(Body::new(broken))),
        ("2 MiB", stranger(ping_of(2 * MIB).into())),
        ("not JSON", stranger("{".into())),
        ("a batch", stranger("[]".into())),
        (
            "another content type",
            stranger("x".into()).with("Content-Type", "text/plain"),
        ),
        (
            "a version",
            stranger("{}".into()).with("MCP-Protocol-Version", "2099-01-01"),
        ),
    ] {
        assert_refused(case, &send(request).await, 401, "");
    }
    let (_sender, endless) = stream(&[]).await;
    let bad_token = post(endless).with("Authorization", &bearer("x.y.z"));
    assert_refused("a bad token", &send(bad_token).await, 401, "invalid_token");
}

#[tokio::test]
async fn a_stranger_is_answered_before_the_body_arrives() {
    let (mut client, _stop, _serving) = start(router(), Duration::from_secs(60)).await;
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

#[tokio::test]
async fn a_nul_byte_in_the_header_is_refused() {
    let (mut client, _stop, _serving) = start(router(), Duration::from_secs(60)).await;
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \0\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn a_page_or_name_of_another_site_is_refused_before_its_token_is_looked_at() {
    for token in [token(), "x.y.z".to_owned()] {
        expect(
            "Origin",
            ping(&token).with("Origin", "http://evil.com"),
            403,
            403,
        )
        .await;
        expect("Host", ping(&token).with("Host", "evil.com"), 403, 403).await;
    }
}

#[tokio::test]
async fn only_our_own_names_are_answered() {
    let to = |host: &str| ping(&token()).with("Host", host);
    for host in [
        "localhost",
        "localhost:9000",
        "localhost:80",
        "LOCALHOST:9000",
        "127.0.0.1",
        "127.0.0.1:9000",
        "127.1.2.3",
        "[::1]",
        "[::1]:9000",
    ] {
        expect(host, to(host), 200, 0).await;
    }
    for host in [
        "evil.com",
        "evil.com:9000",
        "localhost.evil.com",
        "localhost.evil.com:9000",
        "localhost@evil.com",
        "localhost:9000@evil.com",
        "notlocalhost",
        "evil.com#localhost",
        "evil.com/localhost",
        "127.0.0.1.nip.io",
        "192.168.0.1:9000",
        "0.0.0.0:9000",
        "[::]:9000",
        "[::2]",
        "localhost:x",
        "localhost, evil.com",
        "",
    ] {
        expect(host, to(host), 403, 403).await;
    }
    expect("none", to("x").without("Host"), 403, 403).await;
    expect("two", to("localhost").also("Host", "evil.com"), 403, 403).await;
    let answer = send(get("/health").with("Host", "evil.com")).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refused_host_is_told_the_setting_to_change() {
    let answer = send(ping(&token()).with("Host", "evil.com")).await;
    assert_eq!(answer.json().get("id"), None);
    assert_eq!(answer.headers.get("www-authenticate"), None);
    let body = answer.json();
    let rule = body["error"]["message"].as_str().unwrap();
    assert!(
        rule.contains("--resource") && rule.contains("MCP_RESOURCE"),
        "{rule}"
    );
}

/// A server that is known by this URL.
fn with_resource(resource: &str) -> Router {
    let mut config = config();
    config.resource = Some(resource.to_owned());
    app(Arc::new(Server::new(config)))
}

#[tokio::test]
async fn the_host_of_the_resource_is_ours_too() {
    const URL: &str = "https://mcp.example.com/mcp";
    let router = with_resource(URL);
    let token = sign(&jose(), &with(claims(), "aud", json!(URL)));
    for (host, status) in [
        ("mcp.example.com", 200),
        ("mcp.example.com:8443", 200),
        ("MCP.example.com", 200),
        ("localhost:9000", 200),
        ("example.com", 403),
        ("evil.mcp.example.com", 403),
        ("mcp.example.com.evil.com", 403),
    ] {
        let answer = send_to(router.clone(), ping(&token).with("Host", host)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn a_token_counts_at_the_resource_it_was_made_for() {
    let router = with_resource("https://mcp.example.com/mcp");
    let answer = send_to(router, ping(&token())).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(challenge(&answer)["error"], "invalid_token");
}

#[test]
fn a_url_in_the_settings_is_kept_as_it_is_written() {
    let parse =
        |flag: &str, url: &str| Config::try_parse_from(["server", &format!("{flag}={url}")]);
    for url in [
        "http://localhost",
        "http://localhost:80/mcp",
        "https://MCP.example.com:443/a/../b",
        "https://[::1]:9000/mcp",
    ] {
        let config = parse("--resource", url).unwrap();
        assert_eq!(config.resource(), url);
        let config = parse("--issuer", url).unwrap();
        assert_eq!(config.issuer(), url);
    }
    assert_eq!(
        parse("--issuer", "https://a.example/").unwrap().issuer(),
        "https://a.example/"
    );
    for url in [
        "",
        "localhost",
        "localhost:9000/mcp",
        "/mcp",
        "ftp://localhost/mcp",
        "file:///mcp",
        "http:localhost/mcp",
        "http:/localhost/mcp",
        "http://",
        "http:///mcp",
        "http://localhost:x/mcp",
        "http://localhost:65536/mcp",
        "http://user@localhost/mcp",
        "http://localhost/mcp?x",
        "http://localhost/mcp#x",
        "http://localhost/a b",
        " http://localhost/mcp",
        "http://localhost/\"",
        "http://localhost\\mcp",
        "http://localhost/\u{e9}",
        "http://localhost/\r\nx",
    ] {
        for flag in ["--resource", "--issuer"] {
            let refused = parse(flag, url).map_err(|error| error.exit_code());
            assert_eq!(refused.err(), Some(2), "{flag} {url:?}");
        }
    }
}

#[test]
fn the_resource_follows_the_port() {
    let mut config = config();
    config.resource = None;
    config.bind = "127.0.0.1:1234".parse().unwrap();
    assert_eq!(config.resource(), "http://localhost:1234/mcp");
}

/// What `whoami` says to the bearer of a token with these claims.
async fn whoami_with(claims: &Value) -> Value {
    let request = modern("tools/call", call("whoami", json!({})));
    let token = sign(&jose(), claims);
    whoami(request.with("Authorization", &bearer(&token))).await
}

#[tokio::test]
async fn whoami_knows_the_user() {
    let claims = claims();
    let user = json!({
        "sub": "alice",
        "preferred_username": "Alice",
        "client_id": "test",
        "scope": "mcp:read mcp:tools mcp:prompts",
        "roles": ["user"],
        "iss": ISSUER,
        "aud": RESOURCE,
        "exp": claims["exp"],
    });
    assert_eq!(whoami_with(&claims).await, user);
    let token = sign(&jose(), &claims);
    let request = handshake("tools/call", call("whoami", json!({})));
    assert_eq!(
        whoami(request.with("Authorization", &bearer(&token))).await,
        user
    );
}

#[tokio::test]
async fn whoami_leaves_out_what_a_token_does_not_say() {
    let mut claims = claims();
    for absent in ["preferred_username", "client_id", "jti", "nbf", "iat"] {
        claims = without(claims, absent);
    }
    let user = whoami_with(&claims).await;
    assert_eq!(user.get("preferred_username"), None);
    assert_eq!(user.get("client_id"), None);
    assert!(!has_null(&user), "{user}");
}

#[tokio::test]
async fn scopes_are_read_as_issuers_really_send_them() {
    const SCOPES: &str = "mcp:tools mcp:read";
    for (claim, value) in [
        ("scope", json!(SCOPES)),
        ("scope", json!("  mcp:tools   mcp:read ")),
        ("scope", json!(["mcp:tools", "mcp:read"])),
        ("scp", json!(SCOPES)),
        ("scp", json!(["mcp:tools", "mcp:read"])),
        ("scopes", json!(SCOPES)),
        ("scopes", json!(["mcp:tools", "mcp:read"])),
    ] {
        let claims = with(without(claims(), "scope"), claim, value.clone());
        assert_eq!(
            whoami_with(&claims).await["scope"],
            SCOPES,
            "{claim} {value}"
        );
    }
    let both = with(
        with(claims(), "scope", json!(SCOPES)),
        "scp",
        json!(["other"]),
    );
    assert_eq!(whoami_with(&both).await["scope"], SCOPES);
}

#[tokio::test]
async fn the_claims_of_keycloak_are_understood() {
    let now = now();
    let claims = json!({
        "exp": now + 300,
        "iat": now,
        "jti": "onrtac:6d7c1e3e",
        "iss": ISSUER,
        "aud": [RESOURCE, "account"],
        "sub": "f8a0b3a5-5a6e-4f57",
        "typ": "Bearer",
        "azp": "mcp-client",
        "sid": "s",
        "acr": "1",
        "allowed-origins": ["http://localhost"],
        "realm_access": {"roles": ["user", "offline_access"]},
        "resource_access": {"account": {"roles": ["manage-account"]}},
        "scope": "openid mcp:tools profile",
        "email_verified": false,
        "preferred_username": "alice",
    });
    let jose = with(jose(), "typ", json!("JWT"));
    let request = modern("tools/call", call("whoami", json!({})));
    let user = whoami(request.with("Authorization", &bearer(&sign(&jose, &claims)))).await;
    assert_eq!(user["sub"], "f8a0b3a5-5a6e-4f57");
    assert_eq!(user["preferred_username"], "alice");
    assert_eq!(user["client_id"], "mcp-client");
    assert_eq!(user["scope"], "openid mcp:tools profile");
    assert_eq!(user["roles"], json!(["user", "offline_access"]));
    assert_eq!(user["aud"], json!([RESOURCE, "account"]));
}

#[tokio::test]
async fn greeting_falls_back_to_the_user() {
    let named = json!({"name": "Ada"});
    let nameless = without(claims(), "preferred_username");
    for (claims, arguments, greeted) in [
        (claims(), named.clone(), "Ada"),
        (claims(), json!({}), "Alice"),
        (nameless.clone(), named, "Ada"),
        (nameless, json!({}), "alice"),
    ] {
        let request = modern("prompts/get", call("greeting", arguments));
        let token = sign(&jose(), &claims);
        let result = result_of(request.with("Authorization", &bearer(&token))).await;
        assert!(prompt_of(&result).contains(greeted), "{result}");
    }
}

#[tokio::test]
async fn health_tells_whom_the_server_trusts_and_whether_it_can_check() {
    let answer = send(get("/health")).await;
    let auth = &answer.json()["auth"];
    assert_eq!(auth["required"], true);
    assert_eq!(auth["issuer"], ISSUER);
    assert_eq!(auth["keys"], true);
    let answer = send_to(with_key_file(absent_file()), get("/health")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["auth"]["keys"], false);
}

#[tokio::test]
async fn without_a_key_nobody_gets_in_and_it_is_nobodys_fault() {
    let router = with_key_file(absent_file());
    let answer = send_to(router.clone(), ping(&token())).await;
    assert_no_key(&answer);
    let body = answer.json();
    let description = body["error_description"].as_str().unwrap();
    assert!(
        description.contains("cargo run -p gen-token"),
        "{description}"
    );
    let stranger = ping("").without("Authorization");
    assert_refused("none", &send_to(router.clone(), stranger).await, 401, "");
    let answer = send_to(router, ping("").with("Authorization", "Bearer")).await;
    assert_refused("malformed", &answer, 400, "invalid_request");
}

#[tokio::test(start_paused = true)]
async fn tokens_pass_as_soon_as_there_is_a_key() {
    let file = absent_file();
    let router = with_key_file(file.clone());
    assert_no_key(&send_to(router.clone(), ping(&token())).await);
    std::fs::write(&file, public_pem(&KEY)).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(send_to(router, ping(&token())).await.status, StatusCode::OK);
}

/// A good token, but for the key that signed it.
fn other_token() -> String {
    let jose = with(jose(), "kid", json!(key_id(&OTHER_KEY)));
    sign_with(
        &OTHER_KEY,
        &RSA_PKCS1_SHA256,
        &jose,
        claims().to_string().as_bytes(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_new_key_takes_the_place_of_the_old_one() {
    let file = key_file();
    let router = with_key_file(file.clone());
    assert_eq!(
        send_to(router.clone(), ping(&token())).await.status,
        StatusCode::OK
    );
    let answer = send_to(router.clone(), ping(&other_token())).await;
    assert_refused("not yet", &answer, 401, "invalid_token");
    std::fs::write(&file, public_pem(&OTHER_KEY)).unwrap();
    // Within the second nothing is read again, however many ask.
    for _ in 0..100 {
        let answer = send_to(router.clone(), ping(&other_token())).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(
        send_to(router.clone(), ping(&other_token())).await.status,
        StatusCode::OK
    );
    let answer = send_to(router, ping(&token())).await;
    assert_refused("no longer", &answer, 401, "invalid_token");
}

#[tokio::test(start_paused = true)]
async fn a_known_key_counts_while_its_file_is_gone_and_an_unknown_one_has_to_wait() {
    let file = key_file();
    let router = with_key_file(file.clone());
    assert_eq!(
        send_to(router.clone(), ping(&token())).await.status,
        StatusCode::OK
    );
    std::fs::remove_file(&file).unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(
        send_to(router.clone(), ping(&token())).await.status,
        StatusCode::OK
    );
    assert_no_key(&send_to(router, ping(&other_token())).await);
}

#[tokio::test]
async fn the_log_names_token_and_user_but_does_not_quote_them() {
    let sub = "alice\nINFO forged";
    let claims = with(with(claims(), "sub", json!(sub)), "jti", json!("token-7"));
    let token = sign(&jose(), &claims);
    Log::clear();
    expect_good_token("good", &token).await;
    let lines = Log::lines();
    let accepted = |line: &&String| line.contains("token-7") && line.contains("alice\\nINFO");
    assert_eq!(lines.iter().filter(accepted).count(), 1, "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.starts_with("INFO forged")),
        "{lines:?}"
    );
    for part in token.split('.') {
        assert!(!lines.concat().contains(part), "{lines:?}");
    }
}

const METADATA: &str = "/.well-known/oauth-protected-resource";
const METADATA_URL: &str = "http://localhost:9000/.well-known/oauth-protected-resource/mcp";
const BASIC_SCOPES: &str = "mcp:read mcp:tools mcp:prompts";

#[tokio::test]
async fn the_metadata_of_the_resource_is_at_both_places_that_clients_try() {
    for path in [METADATA.to_owned(), format!("{METADATA}/mcp")] {
        let answer = send(get(&path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        let document = json!({
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "scopes_supported": ["mcp:read", "mcp:tools", "mcp:prompts"],
            "bearer_methods_supported": ["header"],
            "resource_name": env!("CARGO_PKG_NAME"),
        });
        assert_eq!(answer.json(), document, "{path}");
    }
}

#[tokio::test]
async fn nothing_else_is_at_well_known_places() {
    for path in [
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/oauth-protected-resource/mcp/mcp",
        "/.well-known/oauth-protected-resource/MCP",
        "/.well-known/oauth-protected-resourcemcp",
        "/.well-known/openid-configuration",
        "/.well-known/",
        "/mcp/.well-known/oauth-protected-resource",
    ] {
        let answer = send(get(path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json()["error"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn metadata_is_read_only() {
    for path in [METADATA, "/.well-known/oauth-protected-resource/mcp"] {
        let request = Request::post(path).body(Body::empty()).unwrap();
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.header("allow"), "GET,HEAD", "{path}");
    }
}

#[tokio::test]
async fn the_place_of_the_metadata_follows_from_the_resource() {
    for (resource, place) in [
        (
            "http://localhost:9000",
            "http://localhost:9000/.well-known/oauth-protected-resource",
        ),
        (
            "https://a.example",
            "https://a.example/.well-known/oauth-protected-resource",
        ),
        (
            "https://a.example/mcp",
            "https://a.example/.well-known/oauth-protected-resource/mcp",
        ),
        (
            "https://A.example:443/mcp",
            "https://A.example:443/.well-known/oauth-protected-resource/mcp",
        ),
        (
            "https://a.example/x/y",
            "https://a.example/.well-known/oauth-protected-resource/x/y",
        ),
        (
            "https://a.example/%7Ex;y=1",
            "https://a.example/.well-known/oauth-protected-resource/%7Ex;y=1",
        ),
        (
            "https://[::1]:9000/mcp",
            "https://[::1]:9000/.well-known/oauth-protected-resource/mcp",
        ),
    ] {
        let router = with_resource(resource);
        let answer = send_to(router.clone(), ping("x.y.z")).await;
        assert_eq!(challenge(&answer)["resource_metadata"], place);
        let uri: Uri = place.parse().unwrap();
        let answer = send_to(router, get(uri.path())).await;
        assert_eq!(answer.json()["resource"], resource);
    }
}

#[test]
fn a_resource_that_clients_would_spell_otherwise_is_refused_at_the_start() {
    for resource in [
        "http://localhost:9000/",
        "http://localhost:9000/mcp/",
        "http://localhost:9000/mcp//",
        "http://localhost:9000/mcp?x=1",
        "http://localhost:9000/mcp?",
        "http://localhost:9000/mcp#x",
        "http://localhost:9000/mcp#",
    ] {
        let parsed = Config::try_parse_from(["server", "--resource", resource]);
        let refused = parsed.map_err(|error| error.exit_code());
        assert_eq!(refused.err(), Some(2), "{resource}");
    }
}

/// An attacker who can choose a header must not choose where clients go to log in.
#[tokio::test]
async fn no_header_of_a_request_gets_into_our_urls() {
    let forged = |request: Request| {
        request
            .with("X-Forwarded-Host", "evil.com")
            .with("X-Forwarded-Proto", "https")
            .with("Forwarded", "host=evil.com;proto=https")
    };
    let answer = send(forged(ping("x.y.z"))).await;
    assert_refused("challenge", &answer, 401, "invalid_token");
    let document = send(get(METADATA)).await.json();
    let answer = send(forged(get(METADATA)).with("Host", "evil.com")).await;
    assert_eq!(answer.json(), document);
    let health = send(get("/health")).await.json();
    let answer = send(forged(get("/health")).with("Host", "evil.com")).await;
    assert_eq!(answer.json(), health);
}

#[tokio::test]
async fn health_names_the_metadata() {
    let answer = send(get("/health")).await;
    assert_eq!(answer.json()["auth"]["resource_metadata"], METADATA_URL);
}

#[test]
fn the_keys_come_from_the_issuer_if_one_is_named_and_no_file() {
    let parse = |arguments: &[&str]| {
        let arguments = [&["server"], arguments].concat();
        Config::try_parse_from(arguments).unwrap().public_key
    };
    assert_eq!(parse(&[]), Some("keys/public.pem".into()));
    assert_eq!(parse(&["--issuer=http://localhost:9001"]), None);
    let both = ["--issuer=http://localhost:9001", "--public-key=x.pem"];
    assert_eq!(parse(&both), Some("x.pem".into()));
    assert_eq!(parse(&["--public-key=x.pem"]), Some("x.pem".into()));
}

const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";

/// An authorization server on a socket of its own. It shows what it is told to show, counts its
/// visitors, and keeps them waiting if told so.
struct Issuer {
    url: String,
    pages: Mutex<BTreeMap<String, Page>>,
    visits: watch::Sender<Vec<String>>,
    held: watch::Sender<bool>,
}

type Page = (StatusCode, [(&'static str, String); 1], String);

impl Issuer {
    /// One that publishes [`KEY`].
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Arc::new(Self {
            url,
            pages: Mutex::default(),
            visits: watch::Sender::default(),
            held: watch::Sender::default(),
        });
        issuer.show(SERVER_METADATA, &issuer.metadata());
        issuer.rotate(&[&KEY]);
        let routes = Router::new().fallback(Self::answer).with_state(issuer.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        issuer
    }

    async fn answer(
        State(issuer): State<Arc<Self>>,
        uri: Uri,
    ) -> Response {
        issuer.visits.send_modify(|visits| visits.push(uri.path().to_owned()));
        issuer.held.subscribe().wait_for(|held| !held).await.unwrap();
        let page = issuer.pages.lock().unwrap().get(uri.path()).cloned();
        page.map_or_else(
            || StatusCode::NOT_FOUND.into_response(),
            Page::into_response,
        )
    }

    fn metadata(&self) -> Value {
        json!({"issuer": self.url, "jwks_uri": self.url_of("/keys")})
    }

    fn url_of(
        &self,
        path: &str,
    ) -> String {
        format!("{}{path}", self.url)
    }

    fn show(
        &self,
        path: &str,
        document: &Value,
    ) {
        self.show_page(path, 200, document.to_string());
    }

    fn show_page(
        &self,
        path: &str,
        status: u16,
        body: String,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let location = ("location", self.url_of("/elsewhere"));
        let page = (status, [location], body);
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// Publishes these keys and no others.
    fn rotate(
        &self,
        keys: &[&KeyPair],
    ) {
        let keys: Vec<_> = keys.iter().map(|key| jwk(key)).collect();
        self.show("/keys", &json!({"keys": keys}));
    }

    /// From now on nothing is found there.
    fn go_down(&self) {
        self.pages.lock().unwrap().clear();
    }

    fn visits(
        &self,
        path: &str,
    ) -> usize {
        count(&self.visits.borrow(), path)
    }

    /// Waits until this path has been asked for so often.
    async fn visited(
        &self,
        path: &str,
        times: usize,
    ) {
        let mut visits = self.visits.subscribe();
        let often = visits.wait_for(|visits| count(visits, path) >= times);
        soon(often).await.unwrap();
    }

    /// A server that trusts this issuer and takes its keys from there.
    fn server(&self) -> Router {
        trusting(&self.url)
    }

    /// A good token of this issuer.
    fn token(&self) -> String {
        sign(&jose(), &self.claims())
    }

    /// A token of this issuer, signed with [`OTHER_KEY`].
    fn other_token(&self) -> String {
        let jose = with(jose(), "kid", json!(key_id(&OTHER_KEY)));
        sign_with(
            &OTHER_KEY,
            &RSA_PKCS1_SHA256,
            &jose,
            self.claims().to_string().as_bytes(),
        )
    }

    fn claims(&self) -> Value {
        with(claims(), "iss", json!(self.url))
    }
}

fn count(
    visits: &[String],
    path: &str,
) -> usize {
    visits.iter().filter(|visit| *visit == path).count()
}

fn jwk(key: &KeyPair) -> Value {
    let [n, e] = modulus_and_exponent(key);
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id(key), "n": n, "e": e})
}

fn trusting(issuer: &str) -> Router {
    let mut config = config();
    config.issuer = Some(issuer.to_owned());
    config.public_key = None;
    app(Arc::new(Server::new(config)))
}

/// Lets so much time go by without waiting for it. The clock stands still only meanwhile: where it
/// always does, waiting for a socket makes it jump to the next timeout.
async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// The status that a token gets.
async fn status_of(
    router: &Router,
    token: &str,
) -> u16 {
    send_to(router.clone(), ping(token)).await.status.as_u16()
}

/// The issuer cannot be asked: that is nobody's fault, and no reason to log in again.
fn assert_unavailable(
    case: impl Display,
    answer: &Answer,
) -> String {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{case}");
    assert_eq!(answer.header("retry-after"), "10", "{case}");
    assert_eq!(answer.headers.get("www-authenticate"), None, "{case}");
    let body = answer.json();
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(!description.is_empty(), "{case}");
    description.to_owned()
}

#[tokio::test]
async fn the_keys_of_an_issuer_are_fetched_once() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    for _ in 0..10 {
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
    }
    assert_eq!(*issuer.visits.borrow(), [SERVER_METADATA, "/keys"]);
    assert_eq!(published(&router).await, [key_id(&KEY)]);
    later(290).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits("/keys"), 1);
    later(10).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits("/keys"), 2);
}

#[tokio::test]
async fn an_issuer_that_is_trusted_for_its_keys_is_still_compared() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &token()).await, 401);
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
}

#[tokio::test]
async fn the_metadata_of_an_issuer_is_looked_for_as_clients_do() {
    const OIDC: &str = "/.well-known/openid-configuration";
    let all_for_path = [
        "/.well-known/oauth-authorization-server/realms/x",
        "/.well-known/openid-configuration/realms/x",
        "/realms/x/.well-known/openid-configuration",
    ];
    for (path, places) in [
        ("", &[SERVER_METADATA, OIDC][..]),
        ("/", &[SERVER_METADATA, OIDC]),
        ("/realms/x", &all_for_path),
        ("/realms/x/", &all_for_path),
    ] {
        for found in 0..=places.len() {
            let stub = Issuer::start().await;
            stub.pages.lock().unwrap().remove(SERVER_METADATA);
            let url = stub.url_of(path);
            let metadata = with(stub.metadata(), "issuer", json!(url));
            if let Some(place) = places.get(found) {
                stub.show(place, &metadata);
            }
            let token = sign(&jose(), &with(claims(), "iss", json!(url)));
            let status = status_of(&trusting(&url), &token).await;
            let (expected, tried) = if found < places.len() {
                (200, &places[..=found])
            } else {
                (503, places)
            };
            assert_eq!(status, expected, "{path:?}, {found}");
            let visits = stub.visits.borrow().clone();
            let visits: Vec<_> = visits.iter().filter(|visit| *visit != "/keys").collect();
            assert_eq!(visits, tried, "{path:?}, {found}");
        }
    }
}

#[tokio::test]
async fn a_document_that_names_another_issuer_is_refused() {
    let issuer = Issuer::start().await;
    for own in [
        json!(format!("{}/", issuer.url)),
        json!(issuer.url.replace("127.0.0.1", "localhost")),
        json!(issuer.url.to_uppercase()),
        json!("https://evil.com"),
        json!(""),
        json!([issuer.url]),
        json!(null),
    ] {
        issuer.show(
            SERVER_METADATA,
            &with(issuer.metadata(), "issuer", own.clone()),
        );
        Log::clear();
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable(&own, &answer);
        assert_eq!(issuer.visits("/keys"), 0, "{own}");
        // Who set this up has to see the two strings side by side.
        let log = Log::lines();
        let both = |line: &&String| line.contains(&format!("{:?}", issuer.url));
        let line = log.iter().filter(|line| line.contains(" WARN ")).find(both);
        let own = own.as_str().unwrap_or_default();
        assert!(
            line.is_some_and(|line| line.contains(own)),
            "{own:?}: {log:?}"
        );
    }
    issuer.show(SERVER_METADATA, &without(issuer.metadata(), "issuer"));
    let answer = send_to(issuer.server(), ping(&issuer.token())).await;
    assert_unavailable("missing", &answer);
}

/// A document with a member that makes it so many bytes long.
fn padded(
    document: &Value,
    length: usize,
) -> String {
    let empty = with(document.clone(), "padding", json!("")).to_string();
    let padding = "x".repeat(length - empty.len());
    with(document.clone(), "padding", json!(padding)).to_string()
}

#[tokio::test]
async fn a_document_may_be_64_kib_long() {
    const LIMIT: usize = 64 * 1024;
    let issuer = Issuer::start().await;
    let keys = json!({"keys": [jwk(&KEY)]});
    issuer.show_page(SERVER_METADATA, 200, padded(&issuer.metadata(), LIMIT));
    issuer.show_page("/keys", 200, padded(&keys, LIMIT));
    assert_eq!(status_of(&issuer.server(), &issuer.token()).await, 200);
    for length in [LIMIT + 1, 10 * LIMIT] {
        issuer.show_page("/keys", 200, padded(&keys, length));
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable(length, &answer);
        issuer.rotate(&[&KEY]);
        issuer.show_page(SERVER_METADATA, 200, padded(&issuer.metadata(), length));
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable(length, &answer);
        issuer.show(SERVER_METADATA, &issuer.metadata());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let issuer = Issuer::start().await;
    let keys = json!({"keys": [jwk(&KEY)]});
    for status in [301, 302, 303, 307, 308] {
        issuer.show("/elsewhere", &keys);
        issuer.show_page("/keys", status, keys.to_string());
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable(status, &answer);
        issuer.rotate(&[&KEY]);
        issuer.show("/elsewhere", &issuer.metadata());
        issuer.show_page(SERVER_METADATA, status, issuer.metadata().to_string());
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable(status, &answer);
        issuer.show(SERVER_METADATA, &issuer.metadata());
    }
    assert_eq!(issuer.visits("/elsewhere"), 0);
}

#[tokio::test]
async fn an_answer_that_is_no_document_is_refused() {
    let issuer = Issuer::start().await;
    let keys = json!({"keys": [jwk(&KEY)]}).to_string();
    for (case, status, body) in [
        ("an error", 500, keys.clone()),
        ("accepted", 202, keys.clone()),
        ("half a document", 200, keys[..keys.len() / 2].to_owned()),
        ("a page", 200, "<html></html>".to_owned()),
        ("nothing", 200, String::new()),
        ("a list", 200, "[]".to_owned()),
        ("no keys", 200, "{}".to_owned()),
        (
            "keys that are no list",
            200,
            json!({"keys": {}}).to_string(),
        ),
    ] {
        issuer.show_page("/keys", status, body);
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable(case, &answer);
    }
}

#[tokio::test]
async fn keys_are_fetched_from_https_or_this_machine_only() {
    let issuer = Issuer::start().await;
    for uri in [
        json!("http://192.0.2.1/keys"),
        json!("http://keys.example/keys"),
        json!("http://localhost.evil.com/keys"),
        json!("ftp://localhost/keys"),
        json!("file:///etc/passwd"),
        json!("data:application/json,{}"),
        json!("/keys"),
        json!(""),
        json!(["http://localhost/keys"]),
    ] {
        issuer.show(
            SERVER_METADATA,
            &with(issuer.metadata(), "jwks_uri", uri.clone()),
        );
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable(uri, &answer);
    }
    issuer.show(SERVER_METADATA, &without(issuer.metadata(), "jwks_uri"));
    let answer = send_to(issuer.server(), ping(&issuer.token())).await;
    assert_unavailable("no jwks_uri", &answer);
    for url in [
        "http://192.0.2.1",
        "http://issuer.example",
        "http://localhost.evil.com",
    ] {
        let token = sign(&jose(), &with(claims(), "iss", json!(url)));
        let answer = send_to(trusting(url), ping(&token)).await;
        let description = assert_unavailable(url, &answer);
        assert!(description.contains("https"), "{description}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_does_not_spoil_the_others() {
    let issuer = Issuer::start().await;
    let other = || jwk(&OTHER_KEY);
    for (case, odd) in [
        ("a string", json!("key")),
        ("null", json!(null)),
        ("nothing", json!({})),
        ("a list", json!([other()])),
        ("for encryption", with(other(), "use", json!("enc"))),
        ("for RS512", with(other(), "alg", json!("RS512"))),
        (
            "for an unknown algorithm",
            with(other(), "alg", json!("RS257")),
        ),
        ("of another kind", with(other(), "kty", json!("EC"))),
        ("of an unknown kind", with(other(), "kty", json!("AKP"))),
        ("a secret", with(other(), "kty", json!("oct"))),
        ("without a kind", without(other(), "kty")),
        ("without a modulus", without(other(), "n")),
        ("without an exponent", without(other(), "e")),
        ("with an odd modulus", with(other(), "n", json!("%%%"))),
        ("with a number for a modulus", with(other(), "n", json!(5))),
        ("without a name", without(other(), "kid")),
        ("with a number for a name", with(other(), "kid", json!(5))),
    ] {
        issuer.show("/keys", &json!({"keys": [odd, jwk(&KEY)]}));
        let router = issuer.server();
        assert_eq!(status_of(&router, &issuer.token()).await, 200, "{case}");
        assert_eq!(
            status_of(&router, &issuer.other_token()).await,
            401,
            "{case}"
        );
        assert_eq!(published(&router).await, [key_id(&KEY)], "{case}");
    }
    for usable in [
        without(other(), "use"),
        without(other(), "alg"),
        with(other(), "x", json!(1)),
    ] {
        issuer.show("/keys", &json!({"keys": [usable, jwk(&KEY)]}));
        let router = issuer.server();
        assert_eq!(
            status_of(&router, &issuer.other_token()).await,
            200,
            "{usable}"
        );
    }
}

#[tokio::test]
async fn a_rotated_key_is_picked_up() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    issuer.rotate(&[&KEY, &OTHER_KEY]);
    assert_eq!(status_of(&router, &issuer.other_token()).await, 401);
    later(10).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 200);
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits("/keys"), 2);
    issuer.rotate(&[&OTHER_KEY]);
    later(300).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 200);
    assert_eq!(status_of(&router, &issuer.token()).await, 401);
    assert_eq!(issuer.visits(SERVER_METADATA), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_fetch_in_ten_seconds() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    for fetches in 1..=3 {
        for number in 0..50 {
            let jose = with(jose(), "kid", json!(format!("unknown-{number}")));
            let token = sign(&jose, &issuer.claims());
            assert_eq!(status_of(&router, &token).await, 401);
        }
        assert_eq!(issuer.visits("/keys"), fetches);
        assert_eq!(issuer.visits(SERVER_METADATA), 1);
        later(5).await;
        assert_eq!(status_of(&router, &issuer.other_token()).await, 401);
        assert_eq!(issuer.visits("/keys"), fetches);
        later(5).await;
    }
}

#[tokio::test]
async fn known_keys_count_while_the_issuer_is_down_and_unknown_ones_have_to_wait() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    issuer.go_down();
    for _ in 0..3 {
        later(300).await;
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
        let answer = send_to(router.clone(), ping(&issuer.other_token())).await;
        assert_unavailable("unknown", &answer);
    }
    let visits = issuer.visits.borrow().len();
    for _ in 0..50 {
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
        assert_eq!(status_of(&router, &issuer.other_token()).await, 503);
    }
    assert_eq!(issuer.visits.borrow().len(), visits);
    issuer.show(SERVER_METADATA, &issuer.metadata());
    issuer.rotate(&[&OTHER_KEY]);
    later(10).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 200);
}

#[tokio::test]
async fn known_keys_count_while_the_issuer_publishes_none_that_we_can_use() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    let encrypting = with(jwk(&OTHER_KEY), "use", json!("enc"));
    for keys in [json!([]), json!([encrypting])] {
        issuer.show("/keys", &json!({"keys": keys}));
        later(300).await;
        assert_eq!(status_of(&router, &issuer.token()).await, 200, "{keys}");
        let answer = send_to(router.clone(), ping(&issuer.other_token())).await;
        assert_unavailable("unknown", &answer);
        let answer = send_to(issuer.server(), ping(&issuer.token())).await;
        assert_unavailable("from the start", &answer);
    }
}

#[tokio::test]
async fn the_server_starts_without_waiting_for_the_issuer() {
    let issuer = Issuer::start().await;
    let mut config = config();
    config.issuer = Some(issuer.url.clone());
    config.public_key = None;
    assert_eq!(Server::new(config).keys.start().await, Ok(()));
    assert!(issuer.visits.borrow().is_empty());
}

#[tokio::test]
async fn an_issuer_that_starts_later_is_found() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    issuer.go_down();
    let answer = send_to(router.clone(), ping(&issuer.token())).await;
    assert_unavailable("down", &answer);
    let stranger = ping("").without("Authorization");
    assert_refused(
        "a stranger",
        &send_to(router.clone(), stranger).await,
        401,
        "",
    );
    issuer.show(SERVER_METADATA, &issuer.metadata());
    issuer.rotate(&[&KEY]);
    assert_eq!(status_of(&router, &issuer.token()).await, 503);
    later(10).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
}

#[tokio::test]
async fn an_issuer_that_does_not_listen_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let token = sign(&jose(), &with(claims(), "iss", json!(url)));
    let answer = send_to(trusting(&url), ping(&token)).await;
    assert_unavailable("nobody there", &answer);
}

/// With the clock standing still, waiting for the issuer is all there is to do, and so it jumps.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_given_up() {
    let issuer = Issuer::start().await;
    issuer.held.send_replace(true);
    let answer = send_to(issuer.server(), ping(&issuer.token())).await;
    assert_unavailable("silent", &answer);
    // Whoever asks for our health does not want to wait for an issuer.
    let router = issuer.server();
    let health = send_to(router, get("/health"));
    let answer = tokio::time::timeout(Duration::from_secs(1), health).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["auth"]["keys"], false);
}

/// Twenty requests with this token, while the issuer keeps its visitors waiting.
async fn at_once(
    issuer: &Issuer,
    router: &Router,
    token: &str,
    awaited: &str,
) -> Vec<u16> {
    let visits = issuer.visits(awaited);
    issuer.held.send_replace(true);
    let ask = || {
        let (router, token) = (router.clone(), token.to_owned());
        tokio::spawn(async move { status_of(&router, &token).await })
    };
    let asking: Vec<_> = (0..20).map(|_| ask()).collect();
    issuer.visited(awaited, visits + 1).await;
    issuer.held.send_replace(false);
    let mut answers = Vec::new();
    for asked in asking {
        answers.push(asked.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn requests_that_need_the_same_keys_share_one_fetch() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    let token = issuer.token();
    let answers = at_once(&issuer, &router, &token, SERVER_METADATA).await;
    assert_eq!(answers, [200; 20]);
    assert_eq!(*issuer.visits.borrow(), [SERVER_METADATA, "/keys"]);
    issuer.rotate(&[&OTHER_KEY]);
    later(10).await;
    let token = issuer.other_token();
    assert_eq!(at_once(&issuer, &router, &token, "/keys").await, [200; 20]);
    assert_eq!(issuer.visits("/keys"), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cancel_the_fetch_that_others_wait_for() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    issuer.held.send_replace(true);
    let first = {
        let (router, token) = (router.clone(), issuer.token());
        tokio::spawn(async move { status_of(&router, &token).await })
    };
    issuer.visited(SERVER_METADATA, 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    issuer.held.send_replace(false);
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(*issuer.visits.borrow(), [SERVER_METADATA, "/keys"]);
}

#[tokio::test]
async fn known_keys_count_while_somebody_else_renews_them() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    later(300).await;
    issuer.held.send_replace(true);
    let first = {
        let (router, token) = (router.clone(), issuer.token());
        tokio::spawn(async move { status_of(&router, &token).await })
    };
    issuer.visited(SERVER_METADATA, 2).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    // Nobody has given up on that visit in the meantime.
    assert_eq!(issuer.visits.borrow().len(), 3);
    issuer.held.send_replace(false);
    assert_eq!(first.await.unwrap(), 200);
}

#[tokio::test]
async fn the_document_of_the_issuer_is_passed_on() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    let document = with(
        issuer.metadata(),
        "token_endpoint",
        json!("https://a.example/token"),
    );
    issuer.show(SERVER_METADATA, &document);
    for _ in 0..10 {
        let answer = send_to(router.clone(), get(SERVER_METADATA)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json(), document);
    }
    assert_eq!(issuer.visits(SERVER_METADATA), 1);
    later(300).await;
    send_to(router.clone(), get(SERVER_METADATA)).await;
    assert_eq!(issuer.visits(SERVER_METADATA), 2);
    issuer.go_down();
    later(300).await;
    let answer = send_to(router, get(SERVER_METADATA)).await;
    assert_eq!(answer.json(), document);
}

#[tokio::test]
async fn a_document_that_cannot_be_fetched_is_not_passed_on() {
    let issuer = Issuer::start().await;
    issuer.show(
        SERVER_METADATA,
        &with(issuer.metadata(), "issuer", json!("https://evil.com")),
    );
    let router = issuer.server();
    for _ in 0..10 {
        let answer = send_to(router.clone(), get(SERVER_METADATA)).await;
        assert_unavailable("another issuer", &answer);
        assert_eq!(answer.json().get("issuer"), None);
    }
    assert_eq!(issuer.visits(SERVER_METADATA), 1);
}

const PAGE: &str = "http://localhost:6274";

/// Whether a page of this Origin may read the answer, with the headers that explain a refusal.
fn assert_readable(
    case: impl Display,
    answer: &Answer,
    origin: &str,
) {
    let allowed = answer.header("access-control-allow-origin");
    assert!([origin, "*"].contains(&allowed), "{case}: {allowed:?}");
    let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
    for name in ["www-authenticate", "retry-after"] {
        assert!(
            exposed.split(',').any(|one| one.trim() == name),
            "{case}: {exposed}"
        );
    }
    assert_eq!(
        answer.headers.get("access-control-allow-credentials"),
        None,
        "{case}"
    );
}

#[tokio::test]
async fn a_page_of_this_machine_reads_every_kind_of_answer() {
    let notification = json!({"jsonrpc": "2.0", "method": "x"}).to_string();
    for (status, request) in [
        (200, ping(&token())),
        (202, post(notification)),
        (400, post("{")),
        (400, ping("")),
        (401, ping("x.y.z")),
        (401, ping("").without("Authorization")),
        (403, ping(&token()).with("Host", "evil.com")),
        (404, modern("no/such", json!({}))),
        (405, to_mcp(Method::GET, "")),
        (413, post(ping_of(2 * MIB))),
        (415, ping(&token()).with("Content-Type", "text/plain")),
        (200, get("/health")),
        (404, get("/nowhere")),
    ] {
        let answer = send(request.with("Origin", PAGE)).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_readable(status, &answer, PAGE);
    }
    let router = with_key_file(absent_file());
    let answer = send_to(router, ping(&token()).with("Origin", PAGE)).await;
    assert_no_key(&answer);
    assert_readable(503, &answer, PAGE);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_this_machine_reads_that_it_was_too_slow() {
    let (_sender, endless) = stream(&[]).await;
    let answer = send(post(endless).with("Origin", PAGE)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_readable(408, &answer, PAGE);
}

#[tokio::test]
async fn any_page_reads_the_metadata_and_no_other_page_reads_mcp() {
    for origin in [PAGE, "https://inspector.example", "null"] {
        for path in [
            METADATA,
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/jwks.json",
        ] {
            let answer = send(get(path).with("Origin", origin)).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_readable(path, &answer, origin);
        }
    }
    for origin in BAD_ORIGINS {
        let answer = send(ping(&token()).with("Origin", origin)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!(
            answer.headers.get("access-control-allow-origin"),
            None,
            "{origin}"
        );
    }
}

/// What a browser sends before a request that could do harm.
fn preflight(
    path: &str,
    origin: &str,
) -> Request {
    Request::options(path)
        .header("Host", "localhost:9000")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type,mcp-method,mcp-name,mcp-param-city,mcp-protocol-version",
        )
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token() {
    let answer = send(preflight("/mcp", PAGE)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    let methods = answer.header("access-control-allow-methods");
    assert!(
        methods.split(',').any(|method| method.trim() == "POST"),
        "{methods}"
    );
    let headers = answer.header("access-control-allow-headers").to_ascii_lowercase();
    for name in [
        "authorization",
        "content-type",
        "mcp-method",
        "mcp-param-city",
    ] {
        assert!(
            headers.split(',').any(|one| one.trim() == name),
            "{headers}"
        );
    }
    for origin in BAD_ORIGINS {
        let answer = send(preflight("/mcp", origin)).await;
        assert_eq!(
            answer.headers.get("access-control-allow-origin"),
            None,
            "{origin}"
        );
    }
    let answer = send(preflight(METADATA, "https://inspector.example")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.header("access-control-allow-origin").is_empty());
}
