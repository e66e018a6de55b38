//! The router: which path leads where, and the limits that every request obeys.
//!
//! Of the layers in one list, the first is the outermost: it sees the request first and the answer
//! last. Of those that are added one by one, the last is.
//!
//! Two servers share the paths. Keys and the metadata of the authorization server are its own, so step
//! 8's routes for them are left out: one path cannot have two owners.

use anyhow::Context;
use anyhow::Result;
use auth_server::AuthServer;
use auth_server::GitHubApi;
use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::routing::post;
use serde_json::Value;
use serde_json::json;
use tower_http::map_request_body::MapRequestBodyLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::DefaultOnResponse;
use tower_http::trace::TraceLayer;
use tracing::Level;
use tracing::Span;
use tracing::info_span;

use crate::auth;
use crate::body;
use crate::config::MAX_BODY;
use crate::error;
use crate::github;
use crate::headers;
use crate::metadata;
use crate::server::Server;
use crate::transport;

/// Both servers on one router.
pub(crate) fn app(
    server: Server,
    sign_in: &AuthServer,
) -> Result<Router> {
    let github = sign_in.github().context("nobody signs in at GitHub")?;
    let app = resource(server, github)
        // Has its own limits and its own CORS, which the layers of `/mcp` must not touch.
        .merge(sign_in.endpoints())
        .fallback(error::not_found)
        .layer((
            TraceLayer::new_for_http()
                .make_span_with(request_span)
                .on_response(DefaultOnResponse::new().level(Level::INFO))
                .on_failure(()),
            MapRequestBodyLayer::new(body::read_to_end),
        ));
    Ok(app)
}

/// What the MCP server serves.
fn resource(
    server: Server,
    github: GitHubApi,
) -> Router {
    let request_timeout = server.config.request_timeout;
    Router::new()
        .route("/health", get(health))
        .route(metadata::RESOURCE, get(metadata::resource))
        .route(metadata::RESOURCE_WITH_PATH, get(metadata::resource))
        .route(
            "/mcp",
            post(transport::receive).fallback(transport::method_not_allowed).layer((
                from_fn(headers::check_origin),
                from_fn_with_state(server.config.clone(), headers::check_host),
                from_fn_with_state(server.auth.clone(), auth::authenticate),
                from_fn_with_state(github, github::provide),
            )),
        )
        .layer((
            metadata::cors_layer(),
            TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, request_timeout),
            DefaultBodyLimit::max(MAX_BODY),
        ))
        .with_state(server)
}

/// One log line per request: the path without its query, because codes come in it.
fn request_span(request: &Request) -> Span {
    info_span!(
        "request",
        method = ?request.method(),
        path = ?request.uri().path(),
    )
}

/// `GET /health`: 200 as long as the process can answer at all.
async fn health(State(server): State<Server>) -> Json<Value> {
    let age = server.keys.age().await;
    let mut auth = json!({
        "required": true,
        "keys": age.is_some(),
        "resource_metadata": server.config.resource_metadata_url(),
        "sign_in": "GitHub",
    });
    if let Some(age) = age {
        auth["keys_age_seconds"] = json!(age.as_secs());
    }
    Json(json!({
        "status": "healthy",
        "service": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "auth": auth,
    }))
}
