//! All routes and the layers around them.
//!
//! Two families: what programs call (any origin may read the answers, errors are JSON) and what
//! browsers navigate to (pages, never framed, never cached).

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde_json::json;
use tower_http::timeout::TimeoutLayer;

use crate::authorize;
use crate::config::Config;
use crate::consent;
use crate::cors;
use crate::error::OAuthError;
use crate::home;
use crate::introspect;
use crate::jwks;
use crate::login;
use crate::logout;
use crate::manage;
use crate::metadata;
use crate::pages;
use crate::params;
use crate::register;
use crate::revoke;
use crate::session;
use crate::state::AppState;
use crate::token;
use crate::upstream::flow;
use crate::userinfo;

/// The whole server as a router, for a listener of its own. Tests drive it without a socket.
pub(crate) fn app(state: &AppState) -> Router {
    let health = Router::new().route("/health", get(health));
    let app = endpoints(state).merge(health).fallback(not_found);
    guarded(app, &state.config)
}

/// The endpoints alone, to be merged into another program's routes.
pub(crate) fn endpoints(state: &AppState) -> Router {
    let config = &state.config;
    let path = &config.issuer.path;
    let callback = state.upstream.as_ref().map(|upstream| upstream.callback());
    let for_browsers = at(path, for_browsers(callback))
        .layer(middleware::from_fn_with_state(state.clone(), own_host))
        .layer(middleware::map_response(pages::protect));
    let metadata = in_json_405(metadata::router(&config.issuer));
    let endpoints = Router::new()
        .merge(metadata.layer(cors::any_origin()))
        .merge(at(path, readable_from_anywhere()).layer(cors::any_origin()))
        .merge(at(path, for_servers()))
        .merge(for_browsers)
        .with_state(state.clone());
    guarded(endpoints, config)
}

/// Within limits of time and size, whatever the path. To be guarded twice changes nothing.
fn guarded(
    router: Router,
    config: &Config,
) -> Router {
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, config.request_timeout());
    router
        .layer(timeout)
        .layer(middleware::from_fn(in_json))
        .layer(middleware::from_fn(refuse_large))
}

/// Puts routes under the issuer's path, if it has one.
fn at(
    path: &str,
    router: Router<AppState>,
) -> Router<AppState> {
    let router = in_json_405(router);
    if path.is_empty() {
        router
    } else {
        Router::new().nest(path, router)
    }
}

/// Has to come before any layer: set on the outside, it would replace the preflight answers that
/// the CORS layer gives in the very same place.
fn in_json_405(router: Router<AppState>) -> Router<AppState> {
    router.method_not_allowed_fallback(wrong_method)
}

fn readable_from_anywhere() -> Router<AppState> {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks::get))
        .route("/oauth/token", post(token::post))
        .route("/oauth/register", post(register::post))
        .route(
            "/oauth/register/{client_id}",
            get(manage::read).delete(manage::delete),
        )
        .route("/oauth/revoke", post(revoke::post))
        .route(
            "/oauth/userinfo",
            get(userinfo::serve).post(userinfo::serve),
        )
}

/// Called by resource servers, with a secret that no page should hold.
fn for_servers() -> Router<AppState> {
    Router::new().route("/oauth/introspect", post(introspect::post))
}

/// `callback` is where the upstream provider, if there is one, sends browsers back to.
fn for_browsers(callback: Option<&str>) -> Router<AppState> {
    let router = Router::new()
        .route("/", get(home::get))
        .route("/style.css", get(pages::style))
        .route("/oauth/authorize", get(authorize::get))
        .route("/oauth/login", post(login::post))
        .route("/oauth/consent", post(consent::post))
        .route("/oauth/logout", post(logout::switch_user))
        .route("/oauth/end_session", get(logout::get).post(logout::post))
        .route("/oauth/end_session/confirm", post(logout::confirm));
    match callback {
        Some(callback) => router
            .route("/oauth/upstream", post(flow::begin))
            .route(callback, get(flow::finish)),
        None => router,
    }
}

/// Pages are shown under our own names only; metadata and tokens may be fetched under any, such as
/// the name of a container.
async fn own_host(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    if session::is_own_host(&state.config, request.headers()) {
        return next.run(request).await;
    }
    OAuthError::new(
        StatusCode::FORBIDDEN,
        "invalid_request",
        "This host name is not the issuer's: open the issuer's URL, or start with another --issuer.",
    )
    .into_response()
}

async fn health() -> Response {
    let body = json!({
        "status": "healthy",
        "service": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
    });
    axum::Json(body).into_response()
}

/// JSON, also below `/.well-known/`: clients probe several places and read what comes back.
async fn not_found() -> OAuthError {
    OAuthError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "There is nothing at this path.",
    )
}

async fn wrong_method(method: Method) -> OAuthError {
    let text = match method {
        Method::GET | Method::HEAD => "Use POST here.",
        _ => "Use another method here; the Allow header lists them.",
    };
    OAuthError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", text)
}

/// The answers that a layer gives without a body get one.
async fn in_json(
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let bare = !response.headers().contains_key(header::CONTENT_TYPE);
    match response.status() {
        StatusCode::REQUEST_TIMEOUT if bare => OAuthError::new(
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request",
            "The request took too long to arrive.",
        )
        .into_response(),
        _ => response,
    }
}

/// A body that says it is too large is refused before any of it is read, whatever it is sent to.
async fn refuse_large(
    request: Request,
    next: Next,
) -> Response {
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let length = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > params::MAX_BODY as u64) {
        return params::too_large().into_response();
    }
    next.run(request).await
}
