//! Which answers a script on another web page may read (the Fetch standard's CORS protocol).
//!
//! Browser clients fetch metadata, register and redeem codes from their own origin, so those
//! endpoints answer any origin. That is safe because none of them looks at cookies. The login and
//! consent pages do, so they have none of this, and neither has the authorization endpoint:
//! browsers navigate there, scripts have no business with it.

use axum::http::Method;
use axum::http::header;
use std::time::Duration;
use tower_http::cors::AllowHeaders;
use tower_http::cors::Any;
use tower_http::cors::CorsLayer;

/// Any origin, without credentials.
pub(crate) fn any_origin() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(Duration::from_secs(3600))
}
