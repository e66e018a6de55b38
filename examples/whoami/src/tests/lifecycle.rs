//! The server runs, logs and stops cleanly.

use std::sync::Arc;

use axum::routing;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::*;

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
async fn each_request_is_one_log_line_without_its_query() {
    Log::clear();
    send(get("/nowhere?token=secret")).await;
    let lines = Log::lines();
    let at_info: Vec<_> = lines.iter().filter(|line| line.contains(" INFO ")).collect();
    assert_eq!(at_info.len(), 1, "{lines:?}");
    assert!(at_info[0].contains("/nowhere"), "{lines:?}");
    assert!(at_info[0].contains("404"), "{lines:?}");
    assert!(!lines.concat().contains("secret"), "{lines:?}");
}

#[tokio::test]
async fn a_taken_port_is_refused_in_a_sentence_that_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bind = listener.local_addr().unwrap();
    let reason = run_at(bind).await;
    let taken = format!("cannot listen on {bind}: ");
    assert!(reason.starts_with(&taken), "{reason}");
    assert!(reason.contains("--bind"), "{reason}");
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
    let routes = Router::new().route("/slow", routing::get(handler));
    (routes, begun, go_on)
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

/// A connection that is closed with unread bytes in it is reset, and the answer may be lost with it.
#[tokio::test]
async fn a_body_that_nobody_needs_is_read_to_its_end() {
    let (mut client, _stop, _serving) = start(router(), Duration::from_secs(60)).await;
    let head = b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with('}') {
        let mut part = [0; 1024];
        let length = soon(client.read(&mut part)).await.unwrap();
        assert_ne!(length, 0, "{answer}");
        answer.push_str(str::from_utf8(&part[..length]).unwrap());
    }
    assert_eq!(answer.lines().next(), Some("HTTP/1.1 404 Not Found"));
    soon(client.write_all(&[b'x'; 1_000_000])).await.unwrap();
    let next = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    client.write_all(next).await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer.lines().next(), Some("HTTP/1.1 200 OK"));
}
