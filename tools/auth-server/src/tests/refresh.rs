//! Refresh tokens: rotation, parallel use, reuse, narrowing.

use axum::http::StatusCode;
use std::collections::HashSet;
use std::sync::Arc;

use super::harness::*;

async fn logged_in(
    server: &Server,
    extra: &[(&str, &str)],
) -> (String, String) {
    let client = server.register().await;
    let body = server.login("alice", &client, extra).await;
    let token = body["refresh_token"].as_str().unwrap().to_owned();
    (client, token)
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_and_rotates() {
    let server = Server::new();
    let (client, first) = logged_in(&server, &[]).await;
    let answer = server.refresh(&client, &first, &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json()["expires_in"], 900);
    assert_eq!(answer.text("scope"), "mcp:read mcp:tools mcp:prompts");
    let second = answer.text("refresh_token");
    assert_ne!(second, first);
    assert_eq!(claims(&answer.text("access_token"))["aud"], RESOURCE);
    let third = server.refresh(&client, &second, &[]).await;
    assert_eq!(third.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_refreshes_all_succeed_with_one_successor() {
    let server = Arc::new(Server::new());
    let (client, token) = logged_in(&server, &[]).await;
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let (server, client, token) = (server.clone(), client.clone(), token.clone());
        tasks.push(tokio::spawn(async move {
            server.refresh(&client, &token, &[]).await
        }));
    }
    let mut successors = HashSet::new();
    for task in tasks {
        let answer = task.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
        successors.insert(answer.text("refresh_token"));
    }
    assert_eq!(successors.len(), 1);
    for successor in successors {
        assert_eq!(
            server.refresh(&client, &successor, &[]).await.status,
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn the_grace_ends_after_its_time_and_reuse_revokes_the_family() {
    let server = Server::new();
    let (client, first) = logged_in(&server, &[]).await;
    let second = server.refresh(&client, &first, &[]).await.text("refresh_token");
    server.advance(59);
    assert_eq!(
        server.refresh(&client, &first, &[]).await.status,
        StatusCode::OK
    );
    server.advance(1);
    server.refresh(&client, &first, &[]).await.assert_error(400, "invalid_grant");
    server.refresh(&client, &second, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn the_grace_ends_early_once_the_successor_is_used() {
    let server = Server::new();
    let (client, first) = logged_in(&server, &[]).await;
    let second = server.refresh(&client, &first, &[]).await.text("refresh_token");
    let third = server.refresh(&client, &second, &[]).await.text("refresh_token");
    server.refresh(&client, &first, &[]).await.assert_error(400, "invalid_grant");
    server.refresh(&client, &third, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn the_grace_is_a_setting() {
    let server = Server::with(&["--refresh-grace", "0"]);
    let (client, first) = logged_in(&server, &[]).await;
    assert_eq!(
        server.refresh(&client, &first, &[]).await.status,
        StatusCode::OK
    );
    server.refresh(&client, &first, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn reuse_also_ends_the_access_tokens_of_the_family() {
    let server = Server::new();
    let (id, secret) = server.register_confidential().await;
    let (client, first) = logged_in(&server, &[]).await;
    let answer = server.refresh(&client, &first, &[]).await;
    let access = answer.text("access_token");
    server.advance(61);
    server.refresh(&client, &first, &[]).await.assert_error(400, "invalid_grant");
    let form = [("token", access.as_str())];
    let answer = server.post_form_as("/oauth/introspect", &form, &id, &secret).await;
    assert_eq!(answer.json(), serde_json::json!({"active": false}));
}

#[tokio::test]
async fn the_scope_may_shrink_but_not_grow() {
    let server = Server::new();
    let (client, token) = logged_in(&server, &[("scope", "mcp:read mcp:tools")]).await;
    let wider = server.refresh(&client, &token, &[("scope", "mcp:read mcp:prompts")]).await;
    wider.assert_error(400, "invalid_scope");
    let narrow = server.refresh(&client, &token, &[("scope", "mcp:read unheard-of")]).await;
    assert_eq!(narrow.text("scope"), "mcp:read");
    // The grant itself has not shrunk.
    let next = narrow.text("refresh_token");
    let full = server.refresh(&client, &next, &[]).await;
    assert_eq!(full.text("scope"), "mcp:read mcp:tools");
}

#[tokio::test]
async fn a_refused_refresh_changes_nothing() {
    let server = Server::with(&["--refresh-grace", "0"]);
    let (client, token) = logged_in(&server, &[]).await;
    let other = server.register().await;
    let resource = [("resource", "http://localhost:9000/other")];
    server
        .refresh(&client, &token, &resource)
        .await
        .assert_error(400, "invalid_target");
    let scope = [("scope", "mcp:audit")];
    server.refresh(&client, &token, &scope).await.assert_error(400, "invalid_scope");
    server.refresh(&other, &token, &[]).await.assert_error(400, "invalid_grant");
    let unknown = server.refresh("nobody", &token, &[]).await;
    unknown.assert_error(401, "invalid_client");
    let twice = [("refresh_token", token.as_str())];
    server
        .refresh(&client, &token, &twice)
        .await
        .assert_error(400, "invalid_request");
    // With a grace of zero, a token that any of these had rotated would now be refused.
    assert_eq!(
        server.refresh(&client, &token, &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_resource_may_be_named_again() {
    let server = Server::new();
    let (client, token) = logged_in(&server, &[]).await;
    let answer = server.refresh(&client, &token, &[("resource", RESOURCE)]).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn an_unused_refresh_token_expires() {
    let server = Server::with(&["--refresh-ttl", "100"]);
    let (client, token) = logged_in(&server, &[]).await;
    server.advance(99);
    let next = server.refresh(&client, &token, &[]).await.text("refresh_token");
    server.advance(99);
    let next = server.refresh(&client, &next, &[]).await.text("refresh_token");
    server.advance(100);
    server.refresh(&client, &next, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn what_was_never_issued_is_invalid_grant() {
    let server = Server::new();
    let client = server.register().await;
    server.refresh(&client, "made-up", &[]).await.assert_error(400, "invalid_grant");
    server.refresh(&client, "", &[]).await.assert_error(400, "invalid_request");
}
