//! ID tokens, userinfo, introspection, revocation.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use super::harness::*;

#[tokio::test]
async fn with_openid_an_id_token_comes_too() {
    let server = Server::new();
    let client = server.register().await;
    let extra = [("scope", "openid profile mcp:read"), ("nonce", "n-1")];
    let body = server.login("alice", &client, &extra).await;
    let token = body["id_token"].as_str().unwrap();
    assert_eq!(token_header(token)["typ"], "JWT");
    let id = claims(token);
    assert_eq!(id["iss"], ISSUER);
    assert_eq!(id["aud"], client.as_str());
    assert_eq!(id["sub"], "alice");
    assert_eq!(id["nonce"], "n-1");
    assert_eq!(id["preferred_username"], "alice");
    assert!(id["auth_time"].is_i64());
    assert!(id.get("scope").is_none());
    let body = server.login("alice", &client, &[("scope", "openid")]).await;
    let id = claims(body["id_token"].as_str().unwrap());
    assert!(id.get("nonce").is_none());
    assert!(id.get("name").is_none());
}

#[tokio::test]
async fn userinfo_needs_an_access_token_with_openid() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[("scope", "openid profile")]).await;
    let access = body["access_token"].as_str().unwrap();
    let answer = server.get_with_token("/oauth/userinfo", access).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.json(),
        json!({"sub": "alice", "name": "alice", "preferred_username": "alice"})
    );
    let missing = server.get("/oauth/userinfo").await;
    assert_eq!(missing.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        missing.header("www-authenticate"),
        r#"Bearer realm="auth-server""#
    );
    for bad in ["garbage", "a.b.c", body["id_token"].as_str().unwrap()] {
        let answer = server.get_with_token("/oauth/userinfo", bad).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.header("www-authenticate").contains(r#"error="invalid_token""#));
        assert_eq!(answer.json()["error"], "invalid_token");
    }
    let plain = server.login("alice", &client, &[("scope", "mcp:read")]).await;
    let plain = plain["access_token"].as_str().unwrap();
    let answer = server.get_with_token("/oauth/userinfo", plain).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.contains(r#"error="insufficient_scope""#),
        "{challenge}"
    );
    assert!(challenge.contains(r#"scope="openid""#), "{challenge}");
}

#[tokio::test]
async fn userinfo_takes_one_header_and_posts_and_lets_tokens_expire() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[("scope", "openid")]).await;
    let access = body["access_token"].as_str().unwrap();
    let post = Request::post("/oauth/userinfo")
        .header(header::AUTHORIZATION, format!("bearer {access}"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(server.send(post).await.json(), json!({"sub": "alice"}));
    let twice = Request::get("/oauth/userinfo")
        .header(header::AUTHORIZATION, format!("Bearer {access}"))
        .header(header::AUTHORIZATION, format!("Bearer {access}"))
        .body(Body::empty())
        .unwrap();
    let answer = server.send(twice).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error"], "invalid_request");
    let query = server.get(&format!("/oauth/userinfo?access_token={access}")).await;
    assert_eq!(query.status, StatusCode::UNAUTHORIZED);
    server.advance(900);
    let answer = server.get_with_token("/oauth/userinfo", access).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// Asks the introspection endpoint about a token.
async fn introspect(
    server: &Server,
    token: &str,
) -> serde_json::Value {
    let (id, secret) = server.register_confidential().await;
    let form = [("token", token)];
    let answer = server.post_form_as("/oauth/introspect", &form, &id, &secret).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

#[tokio::test]
async fn introspection_tells_what_a_token_is_worth() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let access = introspect(&server, body["access_token"].as_str().unwrap()).await;
    assert_eq!(access["active"], true);
    assert_eq!(access["sub"], "alice");
    assert_eq!(access["client_id"], client.as_str());
    assert_eq!(access["aud"], RESOURCE);
    assert_eq!(access["scope"], "mcp:read mcp:tools mcp:prompts");
    let token = body["refresh_token"].as_str().unwrap();
    let refresh = introspect(&server, token).await;
    assert_eq!(refresh["active"], true);
    assert_eq!(refresh["client_id"], client.as_str());
    assert!(refresh.get("token_type").is_none());
    server.refresh(&client, token, &[]).await;
    assert_eq!(introspect(&server, token).await, json!({"active": false}));
    assert_eq!(
        introspect(&server, "garbage").await,
        json!({"active": false})
    );
    server.advance(900);
    let expired = introspect(&server, body["access_token"].as_str().unwrap()).await;
    assert_eq!(expired, json!({"active": false}));
}

#[tokio::test]
async fn introspection_is_for_clients_with_a_secret() {
    let server = Server::new();
    let public = server.register().await;
    let form = [("token", "x"), ("client_id", public.as_str())];
    server
        .post_form("/oauth/introspect", &form)
        .await
        .assert_error(401, "invalid_client");
    let form = [("token", "x")];
    server
        .post_form("/oauth/introspect", &form)
        .await
        .assert_error(401, "invalid_client");
    let (id, secret) = server.register_confidential().await;
    let answer = server.post_form_as("/oauth/introspect", &[], &id, &secret).await;
    answer.assert_error(400, "invalid_request");
}

/// Signs what the test likes with the server's own key, as gen-token does.
fn sign(
    server: &Server,
    typ: &str,
    change: impl FnOnce(&mut serde_json::Value),
) -> String {
    let ring = server.state.keys.ring();
    let now = server.state.now();
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": RESOURCE, "exp": now + 60, "iat": now, "nbf": now,
        "jti": "made-elsewhere", "client_id": "gen-token", "scope": "openid", "roles": ["user"],
    });
    change(&mut claims);
    let header = jsonwebtoken::Header {
        typ: Some(typ.to_owned()),
        kid: Some(ring.signer.kid().to_owned()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256)
    };
    jsonwebtoken::encode(&header, &claims, ring.signer.encoding_key()).unwrap()
}

#[tokio::test]
async fn a_token_of_gen_tokens_kind_is_active() {
    let server = Server::new();
    let token = sign(&server, "at+jwt", |_| {});
    assert_eq!(introspect(&server, &token).await["active"], true);
    let answer = server.get_with_token("/oauth/userinfo", &token).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// Each differs from a good token in one thing.
#[tokio::test]
async fn what_only_looks_like_an_access_token_is_not_active() {
    let server = Server::new();
    let tokens = [
        sign(&server, "JWT", |_| {}),
        sign(&server, "at+jwt", |claims| {
            claims["iss"] = json!("http://localhost:9002")
        }),
        sign(&server, "at+jwt", |claims| claims["sub"] = json!("")),
        sign(&server, "at+jwt", |claims| claims["exp"] = json!(1)),
    ];
    for token in tokens {
        assert_eq!(introspect(&server, &token).await, json!({"active": false}));
        let answer = server.get_with_token("/oauth/userinfo", &token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_refresh_token_given_back_takes_everything_with_it() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let (access, refresh) = (
        body["access_token"].as_str().unwrap(),
        body["refresh_token"].as_str().unwrap(),
    );
    let form = [("client_id", client.as_str()), ("token", refresh)];
    assert_eq!(
        server.post_form("/oauth/revoke", &form).await.status,
        StatusCode::OK
    );
    server.refresh(&client, refresh, &[]).await.assert_error(400, "invalid_grant");
    assert_eq!(introspect(&server, access).await["active"], false);
    // Giving it back again is fine.
    assert_eq!(
        server.post_form("/oauth/revoke", &form).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_access_token_given_back_goes_alone() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let access = body["access_token"].as_str().unwrap();
    let form = [
        ("client_id", client.as_str()),
        ("token", access),
        ("token_type_hint", "refresh_token"),
    ];
    assert_eq!(
        server.post_form("/oauth/revoke", &form).await.status,
        StatusCode::OK
    );
    assert_eq!(introspect(&server, access).await["active"], false);
    let refresh = body["refresh_token"].as_str().unwrap();
    assert_eq!(
        server.refresh(&client, refresh, &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn only_the_client_itself_can_give_a_token_back() {
    let server = Server::new();
    let client = server.register().await;
    let other = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    for name in ["access_token", "refresh_token"] {
        let token = body[name].as_str().unwrap();
        let form = [("client_id", other.as_str()), ("token", token)];
        server
            .post_form("/oauth/revoke", &form)
            .await
            .assert_error(400, "invalid_grant");
        assert_eq!(introspect(&server, token).await["active"], true);
    }
    let form = [("client_id", client.as_str()), ("token", "garbage")];
    assert_eq!(
        server.post_form("/oauth/revoke", &form).await.status,
        StatusCode::OK
    );
    let form = [("client_id", "nobody"), ("token", "garbage")];
    server
        .post_form("/oauth/revoke", &form)
        .await
        .assert_error(401, "invalid_client");
    let form = [("client_id", client.as_str())];
    server
        .post_form("/oauth/revoke", &form)
        .await
        .assert_error(400, "invalid_request");
}
