//! What people see: login, consent, a start page, and problems in plain words.
//!
//! Templates are compiled in and escape every value (`askama` does so for `.html`), because most
//! of what they show was sent by strangers. The pages work without scripts, and their policy
//! allows none. There is no `form-action`: Chromium applies it to the redirect that follows a
//! post, which has to reach the client.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::state::AppState;
use crate::users::DEMO;

/// Sent with everything a browser navigates to, redirects included.
pub(crate) const HEADERS: &[(HeaderName, &str)] = &[
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds [`HEADERS`] to an answer.
pub(crate) async fn protect(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Where the user signs in.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct Login<'a> {
    pub(crate) base: &'a str,
    /// Name or host of the client that the user comes from.
    pub(crate) client: &'a str,
    pub(crate) username: &'a str,
    pub(crate) problem: &'a str,
    pub(crate) request: &'a str,
    pub(crate) csrf: &'a str,
    pub(crate) demo_users: bool,
}

/// Where the user decides.
#[derive(Template)]
#[template(path = "consent.html")]
pub(crate) struct Consent<'a> {
    pub(crate) base: &'a str,
    pub(crate) client: &'a str,
    /// Who vouches for the client's name.
    pub(crate) voucher: &'a str,
    pub(crate) redirect_host: &'a str,
    /// The answer goes to whatever program listens there.
    pub(crate) on_this_computer: bool,
    pub(crate) resources: &'a [String],
    pub(crate) scopes: &'a [(&'static str, &'static str)],
    /// Scopes that were asked for and that the user's role does not permit.
    pub(crate) withheld: &'a [&'static str],
    pub(crate) refresh_days: i64,
    pub(crate) username: &'a str,
    pub(crate) display_name: &'a str,
    pub(crate) request: &'a str,
    pub(crate) csrf: &'a str,
}

/// Something that cannot go on, with what to do about it. Shown instead of a redirect wherever
/// the way back to the client is not known to be safe.
#[derive(Template)]
#[template(path = "problem.html")]
pub(crate) struct Problem<'a> {
    pub(crate) base: &'a str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    pub(crate) hints: &'a [&'static str],
}

/// The start page.
#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    base: &'a str,
    issuer: &'a str,
    resources: &'a [String],
    demo_users: &'a [(&'static str, &'static str)],
}

/// Renders a page.
pub(crate) fn show(
    status: StatusCode,
    page: &impl Template,
) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /`: what this is and where to go, for somebody who opens the issuer in a browser.
pub(crate) async fn home(State(state): State<AppState>) -> Response {
    let config = &state.config;
    let demo = if config.has_demo_users() { DEMO } else { &[] };
    show(
        StatusCode::OK,
        &Home {
            base: &config.issuer.path,
            issuer: &config.issuer.text,
            resources: &config.settings.resource,
            demo_users: demo,
        },
    )
}

/// `GET /style.css`. A file of its own, so that the policy need not allow inline styles.
pub(crate) async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../assets/style.css")).into_response()
}
