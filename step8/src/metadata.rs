//! What a client that knows nothing needs to find the way in.
//!
//! The 401 names our metadata document, the document names the authorization server, and the client
//! goes on from there. Browser clients may read all this from any page, so CORS is here as well.
//!
//! Spec: RFC 9728 (protected resource metadata), MCP 2026-07-28, basic/authorization, Fetch standard
//! (CORS). Left out: signed metadata.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;
use tower_http::cors;

use crate::app::Server;
use crate::app::not_found;
use crate::cache::Unavailable;
use crate::config::Config;
use crate::transport::is_loopback_origin;

pub(crate) const RESOURCE: &str = "/.well-known/oauth-protected-resource";
pub(crate) const RESOURCE_WITH_PATH: &str = "/.well-known/oauth-protected-resource/{*path}";
pub(crate) const SERVER: &str = "/.well-known/oauth-authorization-server";

/// The scopes to begin with. Clients ask for exactly these, and many never ask for more later.
pub(crate) const BASIC_SCOPES: [&str; 3] = ["mcp:read", "mcp:tools", "mcp:prompts"];

/// Scheme and host of a URL, and its path, which may be empty; as text, so that nothing is changed.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    let path = url[host..].find('/').map_or(url.len(), |at| host + at);
    url.split_at(path)
}

/// The URL of our document: RFC 9728, section 3.1 inserts the well-known part before the path.
pub(crate) fn resource_url(config: &Config) -> String {
    let resource = config.resource();
    let (origin, path) = split(&resource);
    format!("{origin}{RESOURCE}{path}")
}

/// `GET /.well-known/oauth-protected-resource`, with our path behind it or without: clients try
/// both, and the path of the endpoint, too, which a proxy may have changed. The resource in it is
/// the configured string, byte for byte, never what `Host` says.
pub(crate) async fn resource(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Response {
    let resource = server.config.resource();
    let (_, own_path) = split(&resource);
    let suffix = request
        .uri()
        .path()
        .strip_prefix(RESOURCE)
        .unwrap_or_default();
    if !["", "/mcp", own_path].contains(&suffix) {
        return not_found(request).await;
    }
    Json(json!({
        "resource": resource,
        "authorization_servers": [server.config.issuer()],
        "scopes_supported": BASIC_SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_name": env!("CARGO_PKG_NAME"),
    }))
    .into_response()
}

/// `GET /.well-known/oauth-authorization-server`: the issuer's own document, for clients of MCP
/// 2025-03-26, which look for it here. Nothing links to it.
pub(crate) async fn authorization_server(
    State(server): State<Arc<Server>>
) -> Result<Json<Value>, Unavailable> {
    let metadata = server.keys.issuer.metadata().await?;
    Ok(Json(Value::clone(&metadata)))
}

/// Which web pages may read our answers: any page the metadata, pages of this machine also `/mcp`.
/// Without the exposed headers a browser client could not see why it was refused.
pub(crate) fn cors_layer() -> cors::CorsLayer {
    let origins = cors::AllowOrigin::predicate(|origin, request| {
        request.uri.path() != "/mcp" || origin.to_str().is_ok_and(is_loopback_origin)
    });
    cors::CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(cors::AllowHeaders::mirror_request())
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(Duration::from_secs(3600))
}
