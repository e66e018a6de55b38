//! What ends, when, and for whom: a leaked key, password, client secret or refresh token.

use axum::http::StatusCode;
use gen_token::keys::KeyPair;
use serde_json::Value;
use serde_json::json;

use super::harness::*;
use crate::passwords;
use crate::store;
use crate::store::withdrawal::Withdrawn;

fn kids(server: &Value) -> Vec<String> {
    let keys = server["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn tick(server: &Server) {
    let state = &server.state;
    state.keys.refresh(&state.store, state.now()).unwrap();
}

/// Whether introspection calls the token active.
async fn is_active(
    server: &Server,
    service: &(String, String),
    token: &str,
) -> bool {
    let (id, secret) = service;
    let form = [("token", token)];
    let answer = server.post_form_as("/oauth/introspect", &form, id, secret).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
    answer.json()["active"].as_bool().unwrap()
}

async fn signed_in(
    browser: &Browser,
    server: &Server,
    client: &str,
) -> bool {
    let page = browser.open(server, &request(client, &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    page.body_text().contains("Allow access?")
}

#[tokio::test]
async fn a_key_that_was_replaced_by_hand_is_withdrawn_at_once() {
    let server = Server::new();
    let service = server.register_confidential().await;
    let client = server.register().await;
    let body = server.login("alice", &client, &[("scope", "openid")]).await;
    let old = body["access_token"].as_str().unwrap();
    assert!(is_active(&server, &service, old).await);
    // One more is in line: it may have been read together with the one that signs.
    crate::keys::put_next(&server.state.store, server.state.now() + 300).unwrap();
    tick(&server);
    let pair = KeyPair::generate().unwrap();
    pair.store(&server.dir.path().join("keys"), true).unwrap();
    tick(&server);
    let published = kids(&server.get("/.well-known/jwks.json").await.json());
    assert_eq!(published, [pair.kid()]);
    assert!(!is_active(&server, &service, old).await);
    let answer = server.get_with_token("/oauth/userinfo", old).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    // The line is empty too: nothing takes over later.
    server.advance(1000);
    tick(&server);
    let published = kids(&server.get("/.well-known/jwks.json").await.json());
    assert_eq!(published, [pair.kid()]);
}

#[tokio::test]
async fn a_key_that_was_replaced_while_the_server_was_stopped_is_withdrawn_too() {
    let server = Server::new();
    let pair = KeyPair::generate().unwrap();
    pair.store(&server.dir.path().join("keys"), true).unwrap();
    let server = server.restart();
    let published = kids(&server.get("/.well-known/jwks.json").await.json());
    assert_eq!(published, [pair.kid()]);
}

fn users(password: &str) -> String {
    let hash = passwords::hash(password).unwrap();
    format!(
        "[[users]]\nusername = \"carol\"\npassword_hash = \"{hash}\"\nroles = [\"user\"]\n\
         [[users]]\nusername = \"dave\"\npassword_hash = \"{}\"\n",
        DAVES.as_str()
    )
}

static DAVES: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| passwords::hash("dave").unwrap());

#[tokio::test]
async fn sessions_grants_and_codes_end_with_the_password() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "users.toml", &users("carol"));
    let server = Server::start(dir, &["--users", "{dir}/users.toml"]);
    let service = server.register_confidential().await;
    let client = server.register().await;
    let thief = Browser::signed_in(&server, "carol", &client).await;
    let dave = Browser::signed_in(&server, "dave", &client).await;
    let code = server.code("carol", &client, &[]).await;
    let body = server.login("carol", &client, &[("scope", "openid")]).await;
    let (access, refresh) = (
        body["access_token"].as_str().unwrap(),
        body["refresh_token"].as_str().unwrap(),
    );
    let server = server.restart();
    assert!(signed_in(&thief, &server, &client).await, "a restart alone");
    write(&server.dir, "users.toml", &users("another"));
    let server = server.restart();
    assert!(!signed_in(&thief, &server, &client).await);
    assert!(signed_in(&dave, &server, &client).await, "others stay");
    for answer in [
        server.refresh(&client, refresh, &[]).await,
        server.redeem(&client, &code).await,
    ] {
        answer.assert_error(400, "invalid_grant");
    }
    assert!(!is_active(&server, &service, access).await);
    assert!(!is_active(&server, &service, refresh).await);
    let answer = server.get_with_token("/oauth/userinfo", access).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_chain_of_refresh_tokens_does_not_go_on_for_ever() {
    let server = Server::with(&["--refresh-ttl", "100", "--grant-ttl", "250"]);
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let mut token = body["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        server.advance(80);
        let answer = server.refresh(&client, &token, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        token = answer.text("refresh_token");
    }
    server.advance(9);
    assert_eq!(
        server.refresh(&client, &token, &[]).await.status,
        StatusCode::OK
    );
    server.advance(1);
    server.refresh(&client, &token, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_shorter_limit_counts_for_grants_that_are_there() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let token = body["refresh_token"].as_str().unwrap();
    server.advance(1000);
    let server = server.restart_with(&["--grant-ttl", "1000"]);
    server.refresh(&client, token, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn everything_of_a_user_can_be_taken_back() {
    let server = Server::new();
    let service = server.register_confidential().await;
    let client = server.register().await;
    let alice = Browser::signed_in(&server, "alice", &client).await;
    let code = server.code("alice", &client, &[]).await;
    let body = server.login("alice", &client, &[]).await;
    let bobs = server.login("bob", &client, &[]).await;
    let (access, refresh) = (
        body["access_token"].as_str().unwrap(),
        body["refresh_token"].as_str().unwrap(),
    );
    let now = server.state.now();
    let withdrawn = server
        .state
        .store
        .run_now(|tx| store::withdrawal::of_user(tx, "alice", now))
        .unwrap();
    assert_eq!(
        withdrawn,
        Withdrawn {
            sessions: 3,
            codes: 1,
            grants: 1
        }
    );
    assert!(!signed_in(&alice, &server, &client).await);
    server.redeem(&client, &code).await.assert_error(400, "invalid_grant");
    server.refresh(&client, refresh, &[]).await.assert_error(400, "invalid_grant");
    assert!(!is_active(&server, &service, access).await);
    let bobs = bobs["refresh_token"].as_str().unwrap();
    assert_eq!(
        server.refresh(&client, bobs, &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn everything_of_a_client_can_be_taken_back() {
    let server = Server::new();
    let client = server.register().await;
    let other = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let others = server.login("alice", &other, &[]).await;
    let now = server.state.now();
    let id = client.clone();
    let withdrawn = server
        .state
        .store
        .run_now(|tx| store::withdrawal::of_client(tx, &id, now))
        .unwrap();
    assert_eq!(
        withdrawn,
        Withdrawn {
            grants: 1,
            ..Withdrawn::default()
        }
    );
    let token = body["refresh_token"].as_str().unwrap();
    let answer = server.refresh(&client, token, &[]).await;
    answer.assert_error(401, "invalid_client");
    let token = others["refresh_token"].as_str().unwrap();
    assert_eq!(
        server.refresh(&other, token, &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_refresh_token_is_known_to_its_own_client_alone() {
    let server = Server::new();
    let service = server.register_confidential().await;
    let own = server.register_confidential().await;
    let code = server.code("alice", &own.0, &[]).await;
    let form = code_form(&own.0, &code);
    let answer = server.post_form_as("/oauth/token", &form, &own.0, &own.1).await;
    let token = answer.text("refresh_token");
    assert!(!is_active(&server, &service, &token).await);
    let form = [("token", token.as_str())];
    let told = server.post_form_as("/oauth/introspect", &form, &own.0, &own.1).await;
    assert_eq!(told.json()["active"], true);
    assert_eq!(told.json()["client_id"], json!(own.0));
    assert!(told.json().get("token_type").is_none());
    let form = [("grant_type", "refresh_token"), ("refresh_token", &token)];
    let answer = server.post_form_as("/oauth/token", &form, &own.0, &own.1).await;
    let next = answer.text("refresh_token");
    assert!(!is_active(&server, &own, &token).await, "replaced");
    assert!(is_active(&server, &own, &next).await);
    assert!(!is_active(&server, &service, &next).await);
}

#[tokio::test]
async fn an_old_refresh_token_is_recognised_however_many_came_after_it() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let first = body["refresh_token"].as_str().unwrap();
    let mut token = first.to_owned();
    for _ in 0..50 {
        token = server.refresh(&client, &token, &[]).await.text("refresh_token");
    }
    let rows: i64 = server
        .state
        .store
        .run_now(|tx| tx.query_row("SELECT count(*) FROM refresh_tokens", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(rows, 1, "rotated tokens leave nothing behind");
    server.refresh(&client, first, &[]).await.assert_error(400, "invalid_grant");
    server.refresh(&client, &token, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_database_of_the_first_version_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    old.execute_batch(include_str!("schema_1.sql")).unwrap();
    drop(old);
    let server = Server::start(dir, &[]);
    // The client stays; the grant of a user who signed in before has ended.
    let answer = server.refresh("old-client", "x", &[]).await;
    answer.assert_error(400, "invalid_grant");
    let service = server.register_confidential().await;
    let body = server.login("alice", "old-client", &[]).await;
    assert!(is_active(&server, &service, body["access_token"].as_str().unwrap()).await);
    assert_eq!(body["scope"], json!("mcp:read mcp:tools mcp:prompts"));
    server.restart();
}

/// Version 2 had everything but the tables of upstream providers, and nothing of it is lost.
#[tokio::test]
async fn a_database_of_the_second_version_is_taken_over() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let older = server.state.store.run_now(|tx| {
        tx.execute_batch(
            "DROP TABLE upstream_tokens; DROP TABLE upstream_users; DROP TABLE upstream_flows;",
        )?;
        tx.pragma_update(None, "user_version", 2)
    });
    older.unwrap();
    let server = server.restart();
    let answer = server.refresh(&client, body["refresh_token"].as_str().unwrap(), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    let tables = server.state.store.run_now(|tx| {
        tx.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'upstream%'",
            [],
            |row| row.get::<_, i64>(0),
        )
    });
    assert_eq!(tables.unwrap(), 3);
}
