//! Registration, pre-registered clients, and the redirect URIs of real clients.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use super::harness::*;
use crate::redirect;

#[tokio::test]
async fn a_registration_is_echoed_and_a_public_client_gets_no_secret() {
    let server = Server::new();
    let sent = json!({
        "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        "client_name": "Visual Studio Code",
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "software_id": "x",
        "scope": "mcp:read anything",
        "contacts": ["a@example.com"],
        "an_unknown_member": {"deep": [1, null, {"x": null}]},
        "logo_uri": null,
    });
    let answer = server.post_json("/oauth/register", &sent).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    for member in [
        "redirect_uris",
        "client_name",
        "application_type",
        "software_id",
        "scope",
    ] {
        assert_eq!(body[member], sent[member], "{member}");
    }
    assert_eq!(body["token_endpoint_auth_method"], "none");
    assert_eq!(
        body["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    assert!(body["client_id_issued_at"].is_i64());
    assert!(body.get("client_secret").is_none());
    assert!(body.get("logo_uri").is_none());
    assert_eq!(body["an_unknown_member"], json!({"deep": [1, null, {}]}));
}

#[tokio::test]
async fn a_secret_is_given_where_it_is_asked_for() {
    let server = Server::new();
    for method in ["client_secret_basic", "client_secret_post"] {
        let sent = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": method});
        let answer = server.post_json("/oauth/register", &sent).await;
        assert_eq!(answer.text("client_secret").len(), 43);
        assert_eq!(answer.json()["client_secret_expires_at"], 0);
        assert_eq!(answer.text("token_endpoint_auth_method"), method);
    }
}

#[tokio::test]
async fn a_client_cannot_choose_its_id_or_secret() {
    let server = Server::new();
    let sent = json!({
        "redirect_uris": [CALLBACK],
        "client_id": "mine",
        "client_secret": "mine",
        "registration_access_token": "mine",
        "client_secret_expires_at": 1,
    });
    let body = server.post_json("/oauth/register", &sent).await.json();
    assert_ne!(body["client_id"], "mine");
    for member in [
        "client_secret",
        "registration_access_token",
        "client_secret_expires_at",
    ] {
        assert!(body.get(member).is_none(), "{member}");
    }
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_with_the_right_error() {
    let server = Server::new();
    let eleven: Vec<_> = (0..11).map(|n| format!("https://a.example/{n}")).collect();
    for (sent, error) in [
        (json!({}), "invalid_redirect_uri"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": eleven}), "invalid_redirect_uri"),
        (
            json!({"redirect_uris": ["http://evil.example/"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": [CALLBACK, "data:text/html,x"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": CALLBACK}),
            "invalid_client_metadata",
        ),
        (json!({"redirect_uris": [1]}), "invalid_client_metadata"),
        (
            json!({"redirect_uris": [CALLBACK], "client_name": 1}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [CALLBACK], "response_types": ["token"]}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [CALLBACK], "grant_types": ["password"]}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt"}),
            "invalid_client_metadata",
        ),
        (json!([]), "invalid_client_metadata"),
    ] {
        let answer = server.post_json("/oauth/register", &sent).await;
        answer.assert_error(400, error);
    }
}

#[tokio::test]
async fn a_registration_has_to_be_json_and_small() {
    let server = Server::new();
    let request = Request::post("/oauth/register")
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Body::from("{not json"))
        .unwrap();
    server.send(request).await.assert_error(400, "invalid_client_metadata");
    let answer = server.post_form("/oauth/register", &[("redirect_uris", CALLBACK)]).await;
    answer.assert_error(400, "invalid_client_metadata");
    let huge = json!({"redirect_uris": [CALLBACK], "client_name": "x".repeat(17 * 1024)});
    let answer = server.post_json("/oauth/register", &huge).await;
    answer.assert_error(413, "invalid_request");
}

#[test]
fn redirect_uris_of_real_clients_are_accepted() {
    for uri in [
        "http://127.0.0.1:33418/",
        "http://127.0.0.1/",
        "http://localhost/callback",
        "http://localhost:6274/oauth/callback",
        "http://127.0.0.1:6276/oauth/callback",
        "http://[::1]:8080/cb",
        "https://vscode.dev/redirect",
        "https://claude.ai/api/mcp/auth_callback",
        "https://client.example:8443/cb?x=1",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "vscode://vscode.github-authentication/did-authenticate",
        "com.example.app:/oauth2redirect",
    ] {
        assert_eq!(redirect::check(uri), Ok(()), "{uri}");
    }
}

#[test]
fn dangerous_redirect_uris_are_refused() {
    for uri in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "about:blank",
        "blob:https://a.example/x",
        "http://evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/",
        "http://192.168.0.1/",
        "http://0.0.0.0/",
        "https://a.example/cb#fragment",
        "https://a.example/cb#",
        "https://user@a.example/cb",
        "http://localhost:80@evil.example/",
        "https://*.example/cb",
        "https://a.example/*",
        "/callback",
        "//a.example/cb",
        "callback",
        "",
        "http://",
        "https://a.example/ cb",
        "https://a.example/\ncb",
        "http://localhost\\@evil.example/",
        "https://ex\u{e4}mple.com/",
    ] {
        assert!(redirect::check(uri).is_err(), "{uri}");
    }
    assert!(redirect::check(&format!("https://a.example/{}", "x".repeat(2048))).is_err());
}

#[test]
fn only_the_port_of_a_loopback_uri_is_free() {
    for (registered, requested, matches) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:1234/cb", true),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb", true),
        ("http://localhost:1/", "http://localhost:2/", true),
        ("http://[::1]:1/cb", "http://[::1]:2/cb", true),
        (
            "http://localhost:1/cb?a=1",
            "http://localhost:2/cb?a=1",
            true,
        ),
        (
            "http://localhost:1/cb?a=1",
            "http://localhost:2/cb?a=2",
            false,
        ),
        ("http://127.0.0.1:1/cb", "http://localhost:1/cb", false),
        ("http://localhost:1/cb", "http://localhost:2/cb/", false),
        ("http://localhost:1/cb", "http://localhost:2/x/../cb", false),
        (
            "http://localhost:1/cb",
            "http://localhost:2@evil.example/cb",
            false,
        ),
        ("http://localhost:1/cb", "http://localhost:70000/cb", false),
        ("http://localhost:1/cb", "http://localhost:/cb", false),
        ("http://localhost:1/cb", "https://localhost:2/cb", false),
        ("https://a.example/cb", "https://a.example:444/cb", false),
        ("https://localhost:1/cb", "https://localhost:2/cb", false),
    ] {
        assert_eq!(
            redirect::matches(registered, requested),
            matches,
            "{registered} {requested}"
        );
    }
}

#[test]
fn parameters_are_added_to_what_is_there() {
    let params = [("code", "a b"), ("iss", "http://x/")];
    for (uri, expected) in [
        (
            "https://a.example/cb",
            "https://a.example/cb?code=a+b&iss=http%3A%2F%2Fx%2F",
        ),
        (
            "https://a.example/cb?x=1",
            "https://a.example/cb?x=1&code=a+b&iss=http%3A%2F%2Fx%2F",
        ),
        (
            "com.example:/cb",
            "com.example:/cb?code=a+b&iss=http%3A%2F%2Fx%2F",
        ),
    ] {
        assert_eq!(redirect::with_params(uri, &params), expected);
    }
}

const CLIENTS: &str = r#"
    [[clients]]
    client_id = "workshop"
    client_name = "Workshop"
    redirect_uris = ["http://127.0.0.1/callback"]

    [[clients]]
    client_id = "backend"
    redirect_uris = ["https://backend.example/cb"]
    client_secret_hash = "HASH"
"#;

fn with_clients(text: &str) -> Result<Server, String> {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "clients.toml", text);
    let flags = ["--clients", "{dir}/clients.toml"];
    let owned = flags.map(str::to_owned);
    open(&dir, &owned).map_err(|error| format!("{error:#}"))?;
    Ok(Server::start(dir, &flags))
}

#[tokio::test]
async fn pre_registered_clients_work() {
    let hash = crate::users::hash("a secret").unwrap();
    let server = with_clients(&CLIENTS.replace("HASH", &hash)).unwrap();
    let body = server.login("alice", "workshop", &[]).await;
    assert_eq!(body["token_type"], "Bearer");
    let form = [("token", "x")];
    let answer = server.post_form_as("/oauth/introspect", &form, "backend", "a+secret").await;
    assert_eq!(answer.json(), json!({"active": false}));
    let answer = server.post_form_as("/oauth/introspect", &form, "backend", "wrong").await;
    answer.assert_error(401, "invalid_client");
}

#[test]
fn a_bad_clients_file_is_one_clear_sentence() {
    for (text, expected) in [
        (CLIENTS.to_owned(), "hash-password"),
        (
            "[[clients]]\nclient_id = \"x\"\nredirect_uris = [\"javascript:x\"]".to_owned(),
            "scheme",
        ),
        (
            "[[clients]]\nclient_id = \"x\"\nredirect_uris = []\ntypo = 1".to_owned(),
            "typo",
        ),
        (
            "[[clients]]\nclient_id = \"x\"\nredirect_uris = []\n".repeat(2),
            "twice",
        ),
    ] {
        let error = with_clients(&text).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

/// What clients in the wild register, and then ask with.
#[tokio::test]
async fn the_shapes_of_real_clients_are_served() {
    let server = Server::new();
    let zoo: &[(Value, &str)] = &[
        (
            json!({"client_name": "Visual Studio Code", "redirect_uris": ["http://127.0.0.1/", "http://127.0.0.1:33418/", "https://vscode.dev/redirect"], "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"], "response_types": ["code"], "token_endpoint_auth_method": "none", "application_type": "native"}),
            "http://127.0.0.1:51234/",
        ),
        (
            json!({"client_name": "Cursor", "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"], "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none"}),
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ),
        (
            json!({"client_name": "MCP Inspector", "redirect_uris": ["http://localhost:6274/oauth/callback"], "client_uri": "https://github.com/modelcontextprotocol/inspector", "scope": "mcp:read mcp:tools"}),
            "http://localhost:6274/oauth/callback",
        ),
        (
            json!({"client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"], "token_endpoint_auth_method": "client_secret_post"}),
            "https://claude.ai/api/mcp/auth_callback",
        ),
    ];
    for (sent, uri) in zoo {
        let answer = server.post_json("/oauth/register", sent).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{sent}");
        let client = answer.text("client_id");
        let browser = Browser::default();
        let query = request(&client, &[("redirect_uri", uri)]);
        browser.sign_in(&server, &query, "alice", "alice").await;
        let location = browser.decide(&server, &query, "approve").await.location();
        assert!(location.starts_with(&format!("{uri}?code=")), "{location}");
    }
}
