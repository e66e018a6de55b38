//! A client's own registration (RFC 7592), and which clients go by themselves.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use super::harness::*;

/// What a registration gave.
struct Registered {
    id: String,
    path: String,
    token: String,
    answer: Value,
}

async fn register(
    server: &Server,
    method: &str,
) -> Registered {
    let body = json!({
        "redirect_uris": [CALLBACK],
        "client_name": "Managed",
        "token_endpoint_auth_method": method,
        "software_id": "x",
    });
    let answer = server.post_json("/oauth/register", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let uri = answer.text("registration_client_uri");
    Registered {
        id: answer.text("client_id"),
        path: uri.strip_prefix(ISSUER).unwrap().to_owned(),
        token: answer.text("registration_access_token"),
        answer: answer.json(),
    }
}

async fn manage(
    server: &Server,
    method: &str,
    path: &str,
    token: &str,
) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    server.send(request).await
}

#[tokio::test]
async fn a_client_reads_its_own_registration() {
    let server = Server::new();
    for method in ["none", "client_secret_basic"] {
        let client = register(&server, method).await;
        let answer = manage(&server, "GET", &client.path, &client.token).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("cache-control"), "no-store");
        let mut expected = client.answer.clone();
        // Only its hash is kept.
        let members = expected.as_object_mut().unwrap();
        members.remove("client_secret");
        members.remove("client_secret_expires_at");
        assert_eq!(answer.json(), expected);
    }
}

#[tokio::test]
async fn a_client_that_deletes_itself_takes_everything_with_it() {
    let server = Server::new();
    let service = server.register_confidential().await;
    let client = register(&server, "none").await;
    let body = server.login("alice", &client.id, &[]).await;
    let code = server.code("alice", &client.id, &[]).await;
    let answer = manage(&server, "DELETE", &client.path, &client.token).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    server.redeem(&client.id, &code).await.assert_error(401, "invalid_client");
    let access = body["access_token"].as_str().unwrap();
    let form = [("token", access)];
    let told = server.post_form_as("/oauth/introspect", &form, &service.0, &service.1).await;
    assert_eq!(told.json(), json!({"active": false}));
    // The token is good for nothing now.
    for method in ["GET", "DELETE"] {
        let answer = manage(&server, method, &client.path, &client.token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn nobody_else_reads_or_deletes_a_registration() {
    let server = Server::new();
    let client = register(&server, "none").await;
    let other = register(&server, "none").await;
    let unknown = format!("{}x", client.path);
    for (path, token) in [
        (&client.path, other.token.as_str()),
        (&client.path, "garbage"),
        (&client.path, ""),
        (&unknown, &client.token),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = manage(&server, method, path, token).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.json()["error"], "invalid_token");
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with("Bearer "), "{challenge}");
        }
    }
    assert_eq!(
        server.get(&client.path).await.status,
        StatusCode::UNAUTHORIZED
    );
    let answer = manage(&server, "PUT", &client.path, &client.token).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.json()["error"], "invalid_request");
    let answer = manage(&server, "GET", &client.path, &client.token).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_script_on_another_page_may_manage_what_it_registered() {
    let server = Server::new();
    let client = register(&server, "none").await;
    let request = Request::builder()
        .method("OPTIONS")
        .uri(&client.path)
        .header(header::ORIGIN, "http://localhost:6274")
        .header("access-control-request-method", "DELETE")
        .header("access-control-request-headers", "authorization")
        .body(Body::empty())
        .unwrap();
    let answer = server.send(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let methods = answer.header("access-control-allow-methods");
    assert!(methods.split(',').any(|name| name == "DELETE"), "{methods}");
}

async fn is_known(
    server: &Server,
    client: &str,
) -> bool {
    let answer = server.refresh(client, "x", &[]).await;
    answer.status != StatusCode::UNAUTHORIZED
}

async fn clean_up(server: &Server) {
    let now = server.state.now();
    server.state.store.clean_up(now).await.unwrap();
}

#[tokio::test]
async fn a_client_whose_user_is_signing_in_makes_no_room_for_others() {
    let server = Server::with(&["--max-clients", "2"]);
    let busy = server.register().await;
    let browser = Browser::default();
    browser.open(&server, &request(&busy, &[])).await;
    let idle = server.register().await;
    server.advance(14 * 60);
    server.register().await;
    assert!(is_known(&server, &busy).await);
    assert!(!is_known(&server, &idle).await);
    let answer = browser.sign_in(&server, &request(&busy, &[]), "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // Where all are signing somebody in, nobody is thrown out.
    let second = server.register().await;
    browser.open(&server, &request(&second, &[])).await;
    let body = json!({"redirect_uris": [CALLBACK]});
    let full = server.post_json("/oauth/register", &body).await;
    full.assert_error(503, "temporarily_unavailable");
    // A quarter of an hour is enough for anybody.
    server.advance(15 * 60);
    server.register().await;
    assert!(!is_known(&server, &busy).await);
}

#[tokio::test]
async fn clients_that_nobody_uses_go() {
    let server = Server::with(&["--grant-ttl", "86400"]);
    let used = server.register().await;
    server.login("alice", &used, &[]).await;
    let unused = server.register().await;
    let seen = server.register().await;
    server.advance(86_399);
    clean_up(&server).await;
    server.get(&format!("/oauth/authorize?{}", request(&seen, &[]))).await;
    assert!(is_known(&server, &unused).await);
    server.advance(1);
    clean_up(&server).await;
    assert!(!is_known(&server, &unused).await);
    assert!(is_known(&server, &seen).await);
    assert!(is_known(&server, &used).await);
    server.advance(89 * 86_400);
    clean_up(&server).await;
    assert!(!is_known(&server, &used).await);
    assert!(!is_known(&server, &seen).await);
}
