//! The server's promises, checked on [`app`](crate::app::app) itself, mostly without a socket.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::Once;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::routing;
use clap::Parser;
use http_body_util::BodyExt;
use serde_json::Value;
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
