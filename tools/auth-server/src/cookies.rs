//! The cookies of the pages: all `HttpOnly`, `SameSite=Lax` and for this host only.

use axum::http::HeaderMap;
use axum_extra::extract::cookie::Cookie;
use axum_extra::extract::cookie::CookieJar;
use axum_extra::extract::cookie::SameSite;

use crate::config::Config;

/// The cookie's value, unless it is empty.
pub(crate) fn read(
    config: &Config,
    headers: &HeaderMap,
    name: &str,
) -> Option<String> {
    CookieJar::from_headers(headers)
        .get(&full_name(config, name))
        .map(|cookie| cookie.value().to_owned())
        .filter(|value| !value.is_empty())
}

/// A cookie that lives as long as the browser runs.
pub(crate) fn make(
    config: &Config,
    name: &str,
    value: String,
) -> Cookie<'static> {
    Cookie::build((full_name(config, name), value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(config.issuer.https)
        .build()
}

/// On https the `__Host-` prefix keeps other hosts and plain http from planting the cookie.
fn full_name(
    config: &Config,
    name: &str,
) -> String {
    let prefix = if config.issuer.https { "__Host-" } else { "" };
    format!("{prefix}{name}")
}
