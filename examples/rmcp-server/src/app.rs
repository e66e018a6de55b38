//! The router: which path leads where, and the limits that every request obeys.
//!
//! Of the layers in one list, the first is the outermost: it sees the request first and the answer
//! last. Of those that are added one by one, the last is. So a request for `/mcp` passes `Origin`,
//! `Host`, its token and [`guard`], in this order, and then meets the SDK.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use axum::routing::get;
use axum::routing::post_service;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
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
use crate::guard;
use crate::headers;
use crate::keys;
use crate::metadata;
use crate::server::Server;
use crate::tools::Tools;

/// The whole server as a function of its parts.
pub(crate) fn app(server: Server) -> Router {
    let request_timeout = server.config.request_timeout;
    Router::new()
        .route("/health", get(health))
        .route("/.well-known/jwks.json", get(keys::publish))
        .route(metadata::RESOURCE, get(metadata::resource))
        .route(metadata::RESOURCE_WITH_PATH, get(metadata::resource))
        .route(metadata::SERVER, get(metadata::authorization_server))
        .route("/mcp", mcp(&server))
        .fallback(error::not_found)
        .layer((
            TraceLayer::new_for_http()
                .make_span_with(request_span)
                .on_response(DefaultOnResponse::new().level(Level::INFO))
                .on_failure(()),
            MapRequestBodyLayer::new(body::read_to_end),
            metadata::cors_layer(),
            TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, request_timeout),
            DefaultBodyLimit::max(MAX_BODY),
        ))
        .with_state(server)
}

/// The endpoint of the SDK, and what stands before it. The layers lie on this route alone: on the
/// whole router they would answer 401 on paths that have to be open, or that lead nowhere.
fn mcp(server: &Server) -> MethodRouter<Server> {
    let state = server.clone();
    post_service(sdk(server))
        // Only for POST: every other method is answered 405, to whoever has a token.
        .route_layer(from_fn_with_state(state.clone(), guard::check))
        .layer((
            // The SDK leaves `Origin` unchecked unless it is told which ones are allowed.
            from_fn(headers::check_origin),
            from_fn_with_state(state.clone(), headers::check_host),
            from_fn_with_state(state, auth::authenticate),
        ))
}

/// The server of the SDK. Without sessions: each request is answered for the user of its own token.
fn sdk(server: &Server) -> StreamableHttpService<Arc<Tools>, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // Its list knows only this machine; `check_host` knows the resource, too.
        .disable_allowed_hosts();
    let tools = server.tools.clone();
    StreamableHttpService::new(move || Ok(tools.clone()), Arc::default(), config)
}

/// One log line per request: the path without its query, because people put secrets there.
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
        "issuer": server.config.issuer,
        "keys": age.is_some(),
        "resource_metadata": server.config.resource_metadata_url(),
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
