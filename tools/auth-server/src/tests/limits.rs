//! Limits: attempts, rates, sizes, numbers, time.

use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use http_body_util::channel::Channel;
use serde_json::json;

use super::harness::*;

#[tokio::test]
async fn five_wrong_passwords_make_a_name_wait_half_a_minute() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[]);
    let browser = Browser::default();
    for _ in 0..5 {
        let answer = browser.sign_in(&server, &query, "alice", "wrong").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    // Even the right password waits, from any browser; other names do not.
    let answer = Browser::default().sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let bob = Browser::default().sign_in(&server, &query, "bob", "bob").await;
    assert_eq!(bob.status, StatusCode::SEE_OTHER);
    server.advance(30);
    let answer = browser.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn unknown_names_are_throttled_in_the_same_way() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[]);
    for _ in 0..5 {
        Browser::default().sign_in(&server, &query, "nobody", "x").await;
    }
    let answer = Browser::default().sign_in(&server, &query, "nobody", "x").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_right_password_forgets_the_wrong_ones() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[]);
    for _ in 0..3 {
        for _ in 0..4 {
            Browser::default().sign_in(&server, &query, "alice", "wrong").await;
        }
        let answer = Browser::default().sign_in(&server, &query, "alice", "alice").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_get_no_more_than_five_either() {
    let server = std::sync::Arc::new(Server::new());
    let client = server.register().await;
    let query = request(&client, &[]);
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let (server, query) = (server.clone(), query.clone());
        tasks.push(tokio::spawn(async move {
            Browser::default().sign_in(&server, &query, "alice", "wrong").await.status
        }));
    }
    let mut looked_at = 0;
    for task in tasks {
        looked_at += usize::from(task.await.unwrap() == StatusCode::FORBIDDEN);
    }
    assert_eq!(looked_at, 5);
}

#[tokio::test]
async fn registrations_per_address_are_limited() {
    let server = Server::with(&["--registrations-per-minute", "3"]);
    for _ in 0..3 {
        server.register().await;
    }
    let body = json!({"redirect_uris": [CALLBACK]});
    let answer = server.post_json("/oauth/register", &body).await;
    answer.assert_error(429, "temporarily_unavailable");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn logins_per_address_are_limited() {
    let server = Server::with(&["--logins-per-minute", "2"]);
    let client = server.register().await;
    let query = request(&client, &[]);
    for user in ["alice", "bob"] {
        Browser::default().sign_in(&server, &query, user, user).await;
    }
    let answer = Browser::default().sign_in(&server, &query, "admin", "admin").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn at_the_cap_never_used_clients_make_room_first() {
    let server = Server::with(&["--max-clients", "3"]);
    let used = server.register().await;
    let body = server.login("alice", &used, &[]).await;
    let idle = server.register().await;
    server.advance(1);
    let newer = server.register().await;
    let newest = server.register().await;
    let status = async |client: &str| server.refresh(client, "x", &[]).await.status;
    assert_eq!(status(&idle).await, StatusCode::UNAUTHORIZED);
    for client in [&used, &newer, &newest] {
        assert_eq!(status(client).await, StatusCode::BAD_REQUEST);
    }
    let token = body["refresh_token"].as_str().unwrap();
    assert_eq!(
        server.refresh(&used, token, &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_client_that_was_used_once_outlives_a_newer_one_that_never_was() {
    let server = Server::with(&["--max-clients", "2"]);
    let used = server.register().await;
    let body = server.login("alice", &used, &[]).await;
    let token = body["refresh_token"].as_str().unwrap();
    let form = [("client_id", used.as_str()), ("token", token)];
    server.post_form("/oauth/revoke", &form).await;
    server.advance(1);
    let never = server.register().await;
    server.register().await;
    let status = async |client: &str| server.refresh(client, "x", &[]).await.status;
    assert_eq!(status(&never).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&used).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_client_that_is_in_use_is_never_evicted() {
    let server = Server::with(&["--max-clients", "2"]);
    let first = server.register().await;
    server.login("alice", &first, &[]).await;
    let second = server.register().await;
    // A code that waits to be redeemed counts as well.
    let code = server.code("alice", &second, &[]).await;
    let body = json!({"redirect_uris": [CALLBACK]});
    let answer = server.post_json("/oauth/register", &body).await;
    answer.assert_error(503, "temporarily_unavailable");
    assert_eq!(server.redeem(&second, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_is_too_long_is_a_page() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[("state", &"x".repeat(7000))]);
    server.get(&format!("/oauth/authorize?{query}")).await.assert_page(400);
}

#[tokio::test]
async fn the_longest_request_fits_through_the_forms() {
    let server = Server::new();
    let client = server.register().await;
    let state = "/".repeat(1800);
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let query = request(&client, &[("state", &state)]);
    let answer = browser.decide(&server, &query, "approve").await;
    assert_eq!(param(&answer.location(), "state").unwrap(), state);
}

#[tokio::test]
async fn a_body_that_never_ends_times_out_in_json() {
    let server = Server::with(&["--request-timeout", "1"]);
    let (_open, body) = Channel::<Bytes>::new(1);
    let request = Request::post("/oauth/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::new(body))
        .unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), server.send(request)).await;
    let answer = answer.expect("there is no limit at all");
    answer.assert_error(408, "invalid_request");
}
