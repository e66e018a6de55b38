//! What people see: login, consent, and problems in plain words.
//!
//! Templates are compiled in and escape every value (`askama` does so for `.html`), because most
//! of what they show was sent by strangers. The pages work without scripts, and their policy
//! allows none. There is no `form-action`: Chromium applies it to the redirect that follows a
//! post, which has to reach the client.

use askama::Template;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

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
    /// Who asks for the password.
    pub(crate) issuer: &'a str,
    /// Name or host of the client that the user comes from.
    pub(crate) client: &'a str,
    /// Where the client's answer goes.
    pub(crate) redirect_host: &'a str,
    /// The upstream provider, as people call it.
    pub(crate) provider: Option<&'a str>,
    /// Whether there are users with passwords.
    pub(crate) passwords: bool,
    /// The user name of an attempt that failed.
    pub(crate) failed_as: Option<&'a str>,
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
    /// How long it may go unused; zero where it gets no refresh token.
    pub(crate) refresh_days: i64,
    /// When it ends in any case.
    pub(crate) grant_days: i64,
    pub(crate) username: &'a str,
    /// What the user is called at the upstream provider, where they signed in there.
    pub(crate) login: Option<&'a str>,
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
    /// Where the user may go on, knowing what it is.
    pub(crate) way_on: Option<WayOn<'a>>,
}

/// Asks whether the user wants to be signed out.
#[derive(Template)]
#[template(path = "sign_out.html")]
pub(crate) struct SignOut<'a> {
    pub(crate) base: &'a str,
    /// Name of the client that asks for it.
    pub(crate) client: Option<&'a str>,
    pub(crate) username: &'a str,
    /// Where the browser goes afterwards.
    pub(crate) next_host: Option<&'a str>,
    pub(crate) request: &'a str,
    pub(crate) csrf: &'a str,
}

/// Something is over.
#[derive(Template)]
#[template(path = "done.html")]
pub(crate) struct Done<'a> {
    pub(crate) base: &'a str,
    pub(crate) title: &'a str,
    pub(crate) way_on: Option<WayOn<'a>>,
}

/// A place that nobody is sent to without asking.
pub(crate) struct WayOn<'a> {
    pub(crate) host: &'a str,
    pub(crate) url: &'a str,
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

/// `GET /style.css`. A file of its own, so that the policy need not allow inline styles.
pub(crate) async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../assets/style.css")).into_response()
}
