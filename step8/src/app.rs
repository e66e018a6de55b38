//! The router: which path leads where, and the limits that every request obeys.
//!
//! The last layer added is the outermost: it sees the request first and the answer last.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde_json::Value;
use serde_json::json;
use tokio::time::timeout;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::DefaultOnResponse;
use tower_http::trace::TraceLayer;
use tracing::Level;
use tracing::Span;
use tracing::info_span;

use crate::access;
use crate::access::Decisions;
use crate::access::Limiter;
use crate::auth;
use crate::config::Config;
use crate::keys;
use crate::keys::Keys;
use crate::metadata;
use crate::transport;

/// The largest body that is read, in bytes; a larger one is answered 413.
const MAX_BODY: usize = 1024 * 1024;

/// How long `/health` waits for the keys.
const HEALTH_PATIENCE: Duration = Duration::from_millis(500);

/// What the handlers share.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) limiter: Limiter,
    pub(crate) decisions: Decisions,
}

impl Server {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            keys: Keys::new(&config),
            limiter: access::limiter(&config),
            decisions: Decisions::default(),
            config,
        }
    }
}

/// The whole server as a function of its state, so that tests can drive it without a socket.
pub(crate) fn app(server: Arc<Server>) -> Router {
    let request_timeout = server.config.request_timeout;
    Router::new()
        .route("/health", get(health))
        .route("/.well-known/jwks.json", get(keys::publish))
        .route(metadata::RESOURCE, get(metadata::resource))
        .route(metadata::RESOURCE_WITH_PATH, get(metadata::resource))
        .route(metadata::SERVER, get(metadata::authorization_server))
        .route(
            "/mcp",
            post(transport::receive)
                .fallback(transport::method_not_allowed)
                .layer(from_fn_with_state(server.clone(), auth::authenticate))
                .layer(from_fn_with_state(server.clone(), transport::check_host))
                .layer(from_fn(transport::check_origin)),
        )
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            request_timeout,
        ))
        .layer(metadata::cors_layer())
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(request_span)
                .on_response(DefaultOnResponse::new().level(Level::INFO))
                .on_failure(()),
        )
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
async fn health(State(server): State<Arc<Server>>) -> Json<Value> {
    // An issuer that hangs must not make this server look dead.
    let keys = timeout(HEALTH_PATIENCE, server.keys.get(|_| true)).await;
    Json(json!({
        "status": "healthy",
        "service": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "auth": {
            "required": true,
            "issuer": server.config.issuer(),
            "keys": keys.is_ok_and(|keys| keys.is_ok()),
            "resource_metadata": metadata::resource_url(&server.config),
        },
    }))
}

/// Any other path: 404 in JSON, which a client that expects JSON can read.
pub(crate) async fn not_found(request: Request) -> Response {
    let description = format!("nothing is served at {}", request.uri().path());
    let body = json!({
        "error": "not_found",
        "error_description": description,
    });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
