//! What a client reads first.

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use super::harness::*;

const DOCUMENTS: &[&str] = &[
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];

#[tokio::test]
async fn both_documents_name_the_issuer_and_what_clients_need() {
    let server = Server::new();
    for path in DOCUMENTS {
        let answer = server.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/json");
        let body = answer.json();
        assert_eq!(body["issuer"], ISSUER);
        assert_eq!(body["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(body["response_types_supported"], json!(["code"]));
        assert_eq!(body["authorization_response_iss_parameter_supported"], true);
        assert_eq!(body["client_id_metadata_document_supported"], true);
        let methods = body["token_endpoint_auth_methods_supported"].as_array().unwrap();
        assert!(methods.contains(&json!("none")));
        let scopes = body["scopes_supported"].as_array().unwrap();
        for scope in [
            "mcp:read",
            "mcp:audit",
            "openid",
            "profile",
            "offline_access",
        ] {
            assert!(scopes.contains(&json!(scope)), "{scope}");
        }
    }
}

fn assert_no_nulls(value: &Value) {
    match value {
        Value::Null => panic!("a null member"),
        Value::Array(items) => items.iter().for_each(assert_no_nulls),
        Value::Object(members) => members.values().for_each(assert_no_nulls),
        _ => {}
    }
}

#[tokio::test]
async fn no_member_is_null_and_every_url_answers() {
    let server = Server::new();
    let body = server.get(DOCUMENTS[0]).await.json();
    assert_no_nulls(&body);
    let mut urls = 0;
    for (name, value) in body.as_object().unwrap() {
        let Some(path) = value.as_str().and_then(|url| url.strip_prefix(ISSUER)) else {
            continue;
        };
        if path.is_empty() {
            continue;
        }
        urls += 1;
        assert_ne!(
            server.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{name}"
        );
    }
    assert_eq!(urls, 7);
}

#[tokio::test]
async fn an_issuer_with_a_path_is_found_in_every_form() {
    let server = Server::with(&["--issuer", "http://localhost:9001/tenant"]);
    for path in [
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/openid-configuration/tenant",
        "/tenant/.well-known/openid-configuration",
        "/tenant/.well-known/oauth-authorization-server",
    ] {
        let body = server.get(path).await.json();
        assert_eq!(body["issuer"], "http://localhost:9001/tenant", "{path}");
        assert_eq!(
            body["token_endpoint"],
            "http://localhost:9001/tenant/oauth/token"
        );
    }
    for path in DOCUMENTS {
        server.get(path).await.assert_error_json(404, "not_found");
    }
    assert_eq!(
        server.get("/tenant/.well-known/jwks.json").await.status,
        StatusCode::OK
    );
    server
        .post_form("/tenant/oauth/token", &[])
        .await
        .assert_error(400, "invalid_request");
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_issuer_that_ends_in_a_slash_is_kept_as_it_is() {
    let server = Server::with(&["--issuer", "http://localhost:9001/"]);
    let body = server.get(DOCUMENTS[0]).await.json();
    assert_eq!(body["issuer"], "http://localhost:9001/");
    assert_eq!(
        body["jwks_uri"],
        "http://localhost:9001/.well-known/jwks.json"
    );
}

#[tokio::test]
async fn the_rest_of_well_known_is_a_json_404() {
    let server = Server::new();
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/anything/else",
        "/nothing",
    ] {
        server.get(path).await.assert_error_json(404, "not_found");
    }
}

#[tokio::test]
async fn the_wrong_method_is_json_too_and_names_the_right_one() {
    let server = Server::new();
    for path in ["token", "register", "revoke", "introspect"] {
        let answer = server.get(&format!("/oauth/{path}")).await;
        answer.assert_error_json(405, "invalid_request");
        assert_eq!(answer.header("allow"), "POST", "{path}");
    }
    let answer = server.post_form(DOCUMENTS[0], &[]).await;
    answer.assert_error_json(405, "invalid_request");
}

#[tokio::test]
async fn the_key_set_holds_public_keys_only() {
    let server = Server::new();
    let answer = server.get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let body = answer.json();
    let keys = body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["kty"], "RSA");
    assert_eq!(keys[0]["use"], "sig");
    assert_eq!(keys[0]["alg"], "RS256");
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(keys[0].get(private).is_none(), "{private}");
    }
}

fn from_inspector(
    method: Method,
    path: &str,
) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::ORIGIN, "http://localhost:6274")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type, mcp-protocol-version",
        )
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn scripts_of_any_origin_may_read_what_browser_clients_need() {
    let server = Server::new();
    for path in [
        DOCUMENTS[0],
        DOCUMENTS[1],
        "/.well-known/jwks.json",
        "/oauth/token",
        "/oauth/register",
        "/oauth/revoke",
        "/oauth/userinfo",
    ] {
        let preflight = server.send(from_inspector(Method::OPTIONS, path)).await;
        assert_eq!(preflight.status, StatusCode::OK, "{path}");
        assert_eq!(
            preflight.header("access-control-allow-origin"),
            "*",
            "{path}"
        );
        assert_eq!(
            preflight.header("access-control-allow-headers"),
            "content-type, mcp-protocol-version"
        );
        // On every answer, errors included.
        let answer = server.send(from_inspector(Method::POST, path)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
        assert!(exposed.contains("www-authenticate"), "{path}");
        assert!(exposed.contains("retry-after"), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn scripts_may_not_read_pages_or_introspection() {
    let server = Server::new();
    for path in [
        "/",
        "/oauth/authorize",
        "/oauth/login",
        "/oauth/consent",
        "/oauth/logout",
        "/oauth/introspect",
    ] {
        for method in [Method::OPTIONS, Method::GET, Method::POST] {
            let answer = server.send(from_inspector(method, path)).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        }
    }
}

#[tokio::test]
async fn no_url_is_built_from_the_host_header() {
    let server = Server::new();
    let request = Request::get(DOCUMENTS[0])
        .header(header::HOST, "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https")
        .body(Body::empty())
        .unwrap();
    let answer = server.send(request).await;
    assert_eq!(
        answer.json()["token_endpoint"],
        format!("{ISSUER}/oauth/token")
    );
    assert!(!answer.body_text().contains("evil"));
}
