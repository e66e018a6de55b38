//! The endpoints as a part of another program.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::routing::get;
use tower::ServiceExt;

use super::harness::*;
use crate::AuthServer;

#[tokio::test]
async fn another_program_keeps_its_own_routes_and_its_own_404() {
    let dir = tempfile::tempdir().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 9001));
    let server = AuthServer::open(settings(&dir, &[]), address).unwrap();
    let app = Router::new()
        .route("/health", get(async || "the host's"))
        .merge(server.endpoints())
        .fallback(async || (StatusCode::NOT_FOUND, "the host's"));
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    for path in ["/health", "/nowhere"] {
        let body = axum::body::to_bytes(ask(path).await.into_body(), 100).await;
        assert_eq!(body.unwrap(), "the host's", "{path}");
    }
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        "/",
    ] {
        assert_eq!(ask(path).await.status(), StatusCode::OK, "{path}");
    }
    let page = ask("/oauth/authorize").await;
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    let refused = Request::post("/oauth/token")
        .header("content-length", "10000000000")
        .body(Body::empty())
        .unwrap();
    let refused = app.clone().oneshot(refused).await.unwrap();
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
