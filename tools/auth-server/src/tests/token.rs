//! Redeeming an authorization code.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use super::harness::*;

#[tokio::test]
async fn a_code_becomes_tokens() {
    let server = Server::new();
    let client = server.register().await;
    let code = server.code("alice", &client, &[("scope", "mcp:tools mcp:read")]).await;
    let answer = server.redeem(&client, &code).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], json!(900));
    assert_eq!(body["scope"], "mcp:read mcp:tools");
    assert!(body["refresh_token"].is_string());
    assert!(body.get("id_token").is_none());
}

#[tokio::test]
async fn the_access_token_has_the_claims_that_resource_servers_check() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("admin", &client, &[("scope", "mcp:audit")]).await;
    let token = body["access_token"].as_str().unwrap();
    let keys = server.get("/.well-known/jwks.json").await.json();
    let head = token_header(token);
    assert_eq!(head["typ"], "at+jwt");
    assert_eq!(head["alg"], "RS256");
    assert_eq!(head["kid"], keys["keys"][0]["kid"]);
    let claims = claims(token);
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], RESOURCE);
    assert_eq!(claims["sub"], "admin");
    assert_eq!(claims["preferred_username"], "admin");
    assert_eq!(claims["client_id"], client.as_str());
    assert_eq!(claims["scope"], "mcp:audit");
    assert_eq!(claims["roles"], json!(["admin"]));
    assert!(claims["jti"].as_str().unwrap().len() >= 20);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        900
    );
    assert_eq!(claims["nbf"], claims["iat"]);
}

#[tokio::test]
async fn another_lifetime_can_be_set() {
    let server = Server::with(&["--access-ttl", "7"]);
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    assert_eq!(body["expires_in"], json!(7));
}

/// One thing wrong at a time; afterwards the untouched code still works, because a refused
/// request changes nothing.
#[tokio::test]
async fn a_code_is_bound_to_everything_it_was_issued_for() {
    let server = Server::new();
    let client = server.register().await;
    let other = server.register().await;
    let code = server.code("alice", &client, &[]).await;
    let wrong = [
        ("client_id", other.as_str(), "invalid_grant"),
        (
            "redirect_uri",
            "http://127.0.0.1:5001/callback",
            "invalid_grant",
        ),
        ("redirect_uri", "", "invalid_grant"),
        (
            "code_verifier",
            "another-verifier-of-at-least-43-characters-00",
            "invalid_grant",
        ),
        ("code_verifier", "short", "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("code", "no-such-code", "invalid_grant"),
        ("code", "", "invalid_request"),
        ("resource", "http://localhost:9000/other", "invalid_target"),
    ];
    for (name, value, error) in wrong {
        let mut form = code_form(&client, &code);
        form.retain(|(other, _)| *other != name);
        form.push((name, value));
        let answer = server.post_form("/oauth/token", &form).await;
        answer.assert_error(400, error);
    }
    assert_eq!(server.redeem(&client, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_code_lives_sixty_seconds() {
    let server = Server::new();
    let client = server.register().await;
    let code = server.code("alice", &client, &[]).await;
    server.advance(59);
    assert_eq!(server.redeem(&client, &code).await.status, StatusCode::OK);
    let code = server.code("alice", &client, &[]).await;
    server.advance(60);
    server.redeem(&client, &code).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_second_use_revokes_what_the_first_one_gave() {
    let server = Server::new();
    let client = server.register().await;
    let (id, secret) = server.register_confidential().await;
    let code = server.code("alice", &client, &[("scope", "openid mcp:read")]).await;
    let first = server.redeem(&client, &code).await.json();
    let access = first["access_token"].as_str().unwrap();
    let active = |answer: Answer| answer.json()["active"].clone();
    let ask = || async {
        let form = [("token", access)];
        active(server.post_form_as("/oauth/introspect", &form, &id, &secret).await)
    };
    assert_eq!(ask().await, true);
    // Long after the code's own lifetime, and after a clean-up.
    server.advance(120);
    server.state.store.clean_up(server.state.now()).await.unwrap();
    server.redeem(&client, &code).await.assert_error(400, "invalid_grant");
    assert_eq!(ask().await, false);
    let refresh = first["refresh_token"].as_str().unwrap();
    server.refresh(&client, refresh, &[]).await.assert_error(400, "invalid_grant");
    let userinfo = server.get_with_token("/oauth/userinfo", access).await;
    assert_eq!(userinfo.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_redemptions_at_once_one_succeeds_and_is_revoked() {
    let server = std::sync::Arc::new(Server::new());
    let client = server.register().await;
    let code = server.code("alice", &client, &[]).await;
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let (server, client, code) = (server.clone(), client.clone(), code.clone());
        tasks.push(tokio::spawn(
            async move { server.redeem(&client, &code).await },
        ));
    }
    let mut won = Vec::new();
    for task in tasks {
        let answer = task.await.unwrap();
        if answer.status == StatusCode::OK {
            won.push(answer.text("refresh_token"));
        } else {
            answer.assert_error(400, "invalid_grant");
        }
    }
    assert_eq!(won.len(), 1);
    server.refresh(&client, &won[0], &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn an_unknown_client_is_401_invalid_client() {
    let server = Server::new();
    let answer = server.redeem("no-such-client", "x").await;
    answer.assert_error(401, "invalid_client");
    assert!(answer.header("www-authenticate").starts_with("Basic"));
    let answer = server.redeem("", "x").await;
    answer.assert_error(401, "invalid_client");
    // A metadata document that nobody has signed in with.
    let answer = server.redeem("https://client.example/metadata.json", "x").await;
    answer.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn other_grants_and_missing_ones_are_refused() {
    let server = Server::new();
    let client = server.register().await;
    for (grant, error) in [
        ("password", "unsupported_grant_type"),
        ("client_credentials", "unauthorized_client"),
        ("", "invalid_request"),
    ] {
        let form = [("grant_type", grant), ("client_id", client.as_str())];
        server.post_form("/oauth/token", &form).await.assert_error(400, error);
    }
}

#[tokio::test]
async fn a_repeated_parameter_is_refused_and_changes_nothing() {
    let server = Server::new();
    let client = server.register().await;
    let code = server.code("alice", &client, &[]).await;
    for name in [
        "grant_type",
        "client_id",
        "code",
        "redirect_uri",
        "code_verifier",
    ] {
        let mut form = code_form(&client, &code);
        let again = *form.iter().find(|(other, _)| *other == name).unwrap();
        form.push(again);
        let answer = server.post_form("/oauth/token", &form).await;
        answer.assert_error(400, "invalid_request");
    }
    assert_eq!(server.redeem(&client, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_empty_parameter_counts_as_omitted() {
    let server = Server::new();
    let client = server.register().await;
    let code = server.code("alice", &client, &[]).await;
    let mut form = code_form(&client, &code);
    form.retain(|(name, _)| *name != "resource");
    form.extend([
        ("resource", ""),
        ("scope", ""),
        ("client_secret", ""),
        ("code", ""),
    ]);
    assert_eq!(
        server.post_form("/oauth/token", &form).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn other_content_types_and_huge_bodies_get_oauth_json() {
    let server = Server::new();
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from("{}"))
            .unwrap();
        server.send(request).await.assert_error(400, "invalid_request");
        let huge = "x".repeat(17 * 1024);
        let answer = server.post_form(path, &[("token", &huge)]).await;
        answer.assert_error(413, "invalid_request");
    }
}

#[tokio::test]
async fn a_secret_is_needed_where_there_is_one() {
    let server = Server::new();
    let (id, secret) = server.register_confidential().await;
    let code = server.code("alice", &id, &[]).await;
    let form = code_form(&id, &code);
    server
        .post_form("/oauth/token", &form)
        .await
        .assert_error(401, "invalid_client");
    let wrong = server.post_form_as("/oauth/token", &form, &id, "wrong").await;
    wrong.assert_error(401, "invalid_client");
    let mut twice = form.clone();
    twice.push(("client_secret", &secret));
    let answer = server.post_form_as("/oauth/token", &twice, &id, &secret).await;
    answer.assert_error(400, "invalid_request");
    let right = server.post_form_as("/oauth/token", &form, &id, &secret).await;
    assert_eq!(right.status, StatusCode::OK);
    // In the form it is the same secret.
    let code = server.code("alice", &id, &[]).await;
    let mut form = code_form(&id, &code);
    form.push(("client_secret", &secret));
    assert_eq!(
        server.post_form("/oauth/token", &form).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_public_client_cannot_pretend_to_have_a_secret() {
    let server = Server::new();
    let client = server.register().await;
    let code = server.code("alice", &client, &[]).await;
    let mut form = code_form(&client, &code);
    form.push(("client_secret", "made-up"));
    server
        .post_form("/oauth/token", &form)
        .await
        .assert_error(401, "invalid_client");
}

#[tokio::test]
async fn the_grants_of_the_registration_decide_on_a_refresh_token() {
    let server = Server::new();
    for (grants, refreshes) in [
        (json!(["authorization_code"]), false),
        (json!(["authorization_code", "refresh_token"]), true),
    ] {
        let body = json!({"redirect_uris": [CALLBACK], "grant_types": grants});
        let client = server.post_json("/oauth/register", &body).await.text("client_id");
        let body = server.login("alice", &client, &[]).await;
        assert_eq!(body.get("refresh_token").is_some(), refreshes);
    }
}

#[tokio::test]
async fn the_right_resource_is_named_in_the_token_however_it_was_spelled() {
    let server = Server::new();
    let client = server.register().await;
    for spelled in ["http://LOCALHOST:9000/mcp", "http://localhost:9000/mcp/"] {
        let body = server.login("alice", &client, &[("resource", spelled)]).await;
        assert_eq!(
            claims(body["access_token"].as_str().unwrap())["aud"],
            RESOURCE
        );
    }
}

#[tokio::test]
async fn of_several_resources_the_token_gets_those_asked_for() {
    let flags = [
        "--resource",
        "http://localhost:9000/a",
        "--resource",
        "http://localhost:9000/b",
    ];
    let server = Server::with(&flags);
    let client = server.register().await;
    let browser = Browser::signed_in_at(&server, "alice", &client, "http://localhost:9000/a").await;
    let query = request(&client, &[("resource", "")]);
    browser.open(&server, &query).await.assert_sent_back("invalid_target");
    let both = request(
        &client,
        &[
            ("resource", "http://localhost:9000/a"),
            ("resource", "http://localhost:9000/b"),
        ],
    );
    let code = async || {
        let answer = browser.decide(&server, &both, "approve").await;
        param(&answer.location(), "code").unwrap()
    };
    let redeem = async |resource: &str| {
        let code = code().await;
        let mut form = code_form(&client, &code);
        form.retain(|(name, _)| *name != "resource");
        form.push(("resource", resource));
        let body = server.post_form("/oauth/token", &form).await.json();
        claims(body["access_token"].as_str().unwrap())["aud"].clone()
    };
    assert_eq!(
        redeem("http://localhost:9000/b").await,
        "http://localhost:9000/b"
    );
    assert_eq!(
        redeem("").await,
        json!(["http://localhost:9000/a", "http://localhost:9000/b"])
    );
}
