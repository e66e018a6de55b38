//! The router: which path leads where, and the limits that every request obeys.
//!
//! Of the layers in one list, the first is the outermost: it sees the request first and the answer
//! last. Of those that are added one by one, the last is.

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
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

use crate::body;
use crate::config::MAX_BODY;
use crate::error;
use crate::headers;
use crate::server::Server;
use crate::transport;

/// The whole server as a function of its parts, so that tests can drive it without a socket.
pub(crate) fn app(server: Server) -> Router {
    let request_timeout = server.config.request_timeout;
    Router::new()
        .route("/health", get(health))
        .route(
            "/mcp",
            post(transport::receive).fallback(transport::method_not_allowed).layer((
                from_fn(headers::check_origin),
                from_fn_with_state(server.config.clone(), headers::check_host),
            )),
        )
        .fallback(error::not_found)
        .layer((
            TraceLayer::new_for_http()
                .make_span_with(request_span)
                .on_response(DefaultOnResponse::new().level(Level::INFO))
                .on_failure(()),
            MapRequestBodyLayer::new(body::read_to_end),
            TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, request_timeout),
            DefaultBodyLimit::max(MAX_BODY),
        ))
        .with_state(server)
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
async fn health() -> Json<Value> {
    Json(json!({
        "status": "healthy",
        "service": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}
