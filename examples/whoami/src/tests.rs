//! The harness of the tests: a server in this process, mostly without a socket, requests as clients
//! send them, answers taken apart.
//!
//! The tests are by topic, in the modules below. They reach the server through this file alone.

mod bearer;
mod calls;
mod discovery;
mod issuer;
mod lifecycle;
mod lists;
mod lookup;
mod protocol;
mod provider;
mod providers;
mod settings;
mod signing;
mod tokens;

use std::cell::RefCell;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Parser;
use http_body_util::BodyExt;
use http_body_util::channel;
use http_body_util::channel::Channel;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tracing::Level;

use self::issuer::*;
use self::tokens::*;
use crate::app::app;
use crate::config::Config;
use crate::provider::Provider;
use crate::provider::Verify;
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
    let mut config = Config::parse_from([
        // The name of the program, which clap skips.
        "server",
        "--bind=127.0.0.1:9000",
        &format!("--public-key={}", key_file().display()),
        &format!("--issuer={ISSUER}"),
        &format!("--resource={RESOURCE}"),
    ]);
    config.accept_untyped = false;
    config.provider = plain();
    config
}

/// A provider that needs none of the settings for it.
fn plain() -> Provider {
    Provider {
        verify: Verify::Jwt,
        introspection_client_id: None,
        introspection_client_secret: String::new().into(),
        userinfo: None,
        issuer_metadata: None,
        allow_http_issuer: None,
        set_metadata: Vec::new(),
        subject_claim: "sub".to_owned(),
        scopes: BASIC_SCOPES.to_owned(),
    }
}

/// What the start of the server says about the issuer.
async fn start_lookup(config: Config) -> Result<(), String> {
    let started = Server::new(config).lookup.start().await;
    started.map_err(|reason| reason.to_string())
}

/// Settings of a server that is known by this URL.
fn with_resource(resource: &str) -> Config {
    let mut config = config();
    config.resource = Some(resource.to_owned());
    config
}

/// The resource that follows from the port where none is set.
fn resource_at(port: u16) -> String {
    let mut config = config();
    config.resource = None;
    config.bind.set_port(port);
    config.resource()
}

/// The settings with this argument; none where it is refused with exit status 2.
fn config_with(argument: &str) -> Option<Config> {
    match Config::try_parse_from(["server", argument]) {
        Ok(config) => Some(config),
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{argument}");
            None
        }
    }
}

/// Settings with another file for the public key.
fn with_key_file(file: PathBuf) -> Config {
    let mut config = config();
    config.public_key = Some(file);
    config
}

/// What the start of the server says about its keys.
async fn start_keys(config: Config) -> Result<(), String> {
    let started = Server::new(config).keys.start().await;
    started.map_err(|reason| reason.to_string())
}

/// Settings that trust this issuer and take the keys from there.
fn with_issuer(issuer: &str) -> Config {
    let mut config = config();
    config.issuer = issuer.to_owned();
    config.public_key = None;
    config
}

/// The same settings, for issuers whose tokens have no `typ`.
fn accepting_untyped(mut config: Config) -> Config {
    config.accept_untyped = true;
    config
}

/// The key file that the settings name with these arguments; none where the issuer has the keys.
fn key_file_of(arguments: &[&str]) -> Option<PathBuf> {
    let arguments = [&["server"], arguments].concat();
    Config::try_parse_from(arguments).unwrap().public_key
}

/// A server with these settings.
fn serving(config: Config) -> Router {
    app(Server::new(config))
}

fn router() -> Router {
    serving(config())
}

/// Runs the whole program at an address that it cannot have; the reason why it ends.
async fn run_at(bind: SocketAddr) -> String {
    let mut config = config();
    config.bind = bind;
    run(config).await.unwrap_err().to_string()
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
    let serving = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        let served = serve(listener, routes, limit, stopped).await;
        served.map_err(|reason| reason.to_string())
    });
    (client.await.unwrap(), stop, serving)
}

/// Fails where the test would wait for ever.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(20);
    let ended = tokio::time::timeout(patience, future).await;
    ended.expect("what was waited for has happened")
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
    modern_post(&message(method, &params))
}

/// The headers of a modern request around any body.
fn modern_post(body: &Value) -> Request {
    post(body.to_string())
        .with("MCP-Protocol-Version", MODERN)
        .with("Mcp-Method", body["method"].as_str().unwrap_or_default())
        .with_name(&body["params"])
}

fn meta(version: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

const MODERN: &str = "2026-07-28";

/// The same request in both eras.
fn both_eras(
    method: &str,
    params: &Value,
) -> [Request; 2] {
    [
        handshake(method, params.clone()),
        modern(method, params.clone()),
    ]
}

/// The params of a call of a tool, or of a prompt.
fn call(
    name: &str,
    arguments: Value,
) -> Value {
    json!({"name": name, "arguments": arguments})
}

/// The form in which a name travels that is not plain ASCII.
fn sentinel(name: &str) -> String {
    format!("=?base64?{}?=", BASE64_STANDARD.encode(name))
}

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

    /// One more header of this name.
    fn also(
        mut self,
        name: &'static str,
        value: &str,
    ) -> Self {
        self.all().append(name, value.parse().unwrap());
        self
    }

    /// The header that repeats the name of a tool or prompt, if there is one.
    fn with_name(
        self,
        params: &Value,
    ) -> Self {
        match params["name"].as_str() {
            Some(name) if name.is_ascii() => self.with("Mcp-Name", name),
            Some(name) => self.with("Mcp-Name", &sentinel(name)),
            None => self,
        }
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

/// The result of a request, which must have one.
async fn result_of(request: Request) -> Value {
    let answer = send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()["result"].take()
}

/// The one text of a tool's result.
fn text_of(result: &Value) -> &str {
    let content = result["content"].as_array().unwrap();
    assert_eq!(content.len(), 1);
    assert_eq!(content[0]["type"], "text");
    content[0]["text"].as_str().unwrap()
}

/// The one text of a prompt, which speaks in the user's name.
fn prompt_of(result: &Value) -> &str {
    let messages = result["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["role"], "user");
    assert_eq!(messages[0]["content"]["type"], "text");
    messages[0]["content"]["text"].as_str().unwrap()
}

/// The names of tools, prompts or arguments, in their order.
fn names(definitions: &Value) -> Vec<&str> {
    let definitions = definitions.as_array().unwrap().iter();
    definitions.map(|one| one["name"].as_str().unwrap()).collect()
}

/// A text for people: there, and not empty.
fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// A ping that is this long, in bytes.
fn ping_of(length: usize) -> String {
    let ping = message("ping", &json!({})).to_string();
    format!("{ping}{}", " ".repeat(length - ping.len()))
}

/// A body of unknown length that begins like this. It ends only when the sender is dropped.
async fn stream(parts: &[&str]) -> (channel::Sender<Bytes>, Body) {
    let (mut sender, channel) = Channel::new(parts.len().max(1));
    for part in parts {
        let part = Bytes::copy_from_slice(part.as_bytes());
        sender.send_data(part).await.unwrap();
    }
    (sender, Body::new(channel))
}

/// Origins that no page of this machine has, and values that are no origin at all.
/// Each is a word.
const BAD_ORIGINS: &str = "null localhost http://localhost.evil.com http://evil.com/localhost \
    http://evil.com#localhost http://notlocalhost http://127.0.0.1.nip.io http://128.0.0.1 \
    http://192.168.0.1 http://0.0.0.0:9000 http://[::] http://[::2] http://[::ffff:127.0.0.1] \
    http://2130706433 http://localhost:3000@evil.com http://user@localhost http://localhost/ \
    http://localhost?x http://localhost#x http://localhost:65536 http://localhost,http://evil.com \
    ws://localhost file:// chrome-extension://localhost HTTP://LOCALHOST:3000";
