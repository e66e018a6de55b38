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

use crate::cache::Cached;
use crate::config::Config;
use crate::config::RESOURCE_METADATA;
use crate::config::split;
use crate::error::Unavailable;
use crate::error::not_found;
use crate::headers::is_loopback_origin;
use crate::issuer::Issuer;
use crate::rules::BASIC_SCOPES;

pub(crate) const RESOURCE: &str = RESOURCE_METADATA;
pub(crate) const RESOURCE_WITH_PATH: &str = "/.well-known/oauth-protected-resource/{*path}";
pub(crate) const SERVER: &str = "/.well-known/oauth-authorization-server";

/// `GET /.well-known/oauth-protected-resource`, with our path behind it or without: clients try
/// both, and the path of the endpoint, too, which a proxy may have changed. The resource in it is
/// the configured string, byte for byte, never what `Host` says.
pub(crate) async fn resource(
    State(config): State<Arc<Config>>,
    request: Request,
) -> Response {
    let resource = config.resource();
    let (_, own_path) = split(&resource);
    let suffix = request.uri().path().strip_prefix(RESOURCE).unwrap_or_default();
    if !["", "/mcp", own_path].contains(&suffix) {
        return not_found(request).await.into_response();
    }
    Json(json!({
        "resource": resource,
        "authorization_servers": [config.issuer],
        "scopes_supported": BASIC_SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_name": env!("CARGO_PKG_NAME"),
    }))
    .into_response()
}

/// `GET /.well-known/oauth-authorization-server`: the issuer's own document, for clients of MCP
/// 2025-03-26, which look for it here. Nothing links to it.
pub(crate) async fn authorization_server(
    State(issuer): State<Arc<Cached<Issuer>>>
) -> Result<Json<Value>, Unavailable> {
    let metadata = issuer.get(|_| true).await;
    let metadata = metadata.map_err(|missing| Unavailable {
        description: "the metadata of the issuer cannot be had",
        retry_in: missing.retry_in,
    })?;
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
        .vary([header::ORIGIN])
}
