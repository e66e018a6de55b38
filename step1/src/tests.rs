//! The harness of the tests: a server in this process, mostly without a socket, requests as clients
//! send them, answers taken apart.
//!
//! The tests are by topic, in the modules below. They reach the server through this file alone.

mod lifecycle;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use clap::Parser;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
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
