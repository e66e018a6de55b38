//! Redeeming an authorization code.

use axum::http::StatusCode;
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
