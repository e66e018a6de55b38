//! Signing in: user name and password, checked slowly and not too often.
//!
//! The answer to a wrong password and to an unknown user is the same. Afterwards the browser goes
//! back to the authorization endpoint, whose URL is built from configuration: no parameter can
//! send it anywhere else.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::audit;
use crate::authorize::request;
use crate::authorize::request::Step;
use crate::forms;
use crate::known_browser;
use crate::limits::Peer;
use crate::pages;
use crate::params::Form;
use crate::params::Params;
use crate::redirect;
use crate::refusal::Refusal;
use crate::refusal::Who;
use crate::session::Browser;
use crate::signed_in;
use crate::state::AppState;

const EVENT: &str = signed_in::EVENT;

/// What the login page shows.
pub(crate) struct Screen<'a> {
    /// Name or host of the client that the user comes from; empty where it is not known.
    pub(crate) client: &'a str,
    /// Where the client's answer goes, as the request says.
    pub(crate) redirect_host: &'a str,
    /// The authorization request, as a query.
    pub(crate) request: &'a str,
    /// The user name of an attempt that failed.
    pub(crate) failed_as: Option<&'a str>,
}

/// The login page in that browser.
pub(crate) fn page(
    state: &AppState,
    browser: &Browser,
    screen: &Screen<'_>,
) -> Response {
    let config = &state.config;
    let page = pages::Login {
        base: &config.issuer.path,
        issuer: &config.issuer.text,
        client: screen.client,
        redirect_host: screen.redirect_host,
        provider: state.upstream.as_ref().map(|upstream| upstream.label()),
        passwords: !config.settings.no_local_users,
        failed_as: screen.failed_as,
        request: screen.request,
        csrf: &browser.login_token(state),
        demo_users: config.has_demo_users(),
    };
    let status = match screen.failed_as {
        Some(_) => StatusCode::FORBIDDEN,
        None => StatusCode::OK,
    };
    pages::show(status, &page)
}

/// The host of the `redirect_uri` that a request names. Empty where it names none; whether the client
/// may use it is checked before anything is sent there.
pub(crate) fn redirect_host(request: &Params) -> String {
    let uri = request.all("redirect_uri").next();
    uri.map(redirect::shown_host).unwrap_or_default()
}

/// `POST /oauth/login` with `username`, `password`, `request` and `csrf`.
pub(crate) async fn post(
    State(state): State<AppState>,
    Peer(address): Peer,
    form: Form,
) -> Response {
    let params = forms::carried(&form);
    attempt(&state, address, &form)
        .await
        .unwrap_or_else(|refusal| refusal.answer(&state.config.issuer, Who::nobody(EVENT, &params)))
}

async fn attempt(
    state: &AppState,
    address: IpAddr,
    form: &Form,
) -> Result<Response, Refusal> {
    // First of all: the forms of other sites must not use up anybody's attempts.
    let browser = forms::own_browser(state, form)?;
    if let Err(seconds) = state.logins.check(&address) {
        return Ok(too_many(state, form, seconds, "address"));
    }
    let username = form.params.one("username")?.unwrap_or_default();
    let password = form.params.one("password")?.unwrap_or_default();
    let key = known_browser::key(&state.config, &state.sealer, &form.headers, username);
    if let Err(seconds) = state.throttle.attempt(&key, state.now()) {
        return Ok(too_many(state, form, seconds, "name"));
    }
    let Some(user) = state.users.verify(username, password).await else {
        record_wrong(state, username);
        return try_again(state, form, &browser, username).await;
    };
    state.throttle.forget(&key);
    form.params.one("request")?;
    let request = forms::carried(form);
    Ok(signed_in::welcome(state, &form.headers, request, &user).await?)
}

/// The login page once more. The same for every reason.
async fn try_again(
    state: &AppState,
    form: &Form,
    browser: &Browser,
    username: &str,
) -> Result<Response, Refusal> {
    let request = forms::carried(form);
    let client = match request::read(state, &request, None).await? {
        Step::SignIn {
            client,
            ..
        } => client,
        Step::Decide {
            ..
        } => String::new(),
    };
    let screen = Screen {
        client: &client,
        redirect_host: &redirect_host(&request),
        request: form.params.one("request")?.unwrap_or_default(),
        failed_as: Some(username),
    };
    Ok(page(state, browser, &screen))
}

/// A name that is nobody's is not logged: people type their password into the wrong field.
fn record_wrong(
    state: &AppState,
    username: &str,
) {
    match state.users.get(username) {
        Some(user) => record(&user.username, "wrong password"),
        None => record("", "unknown user name"),
    }
}

fn too_many(
    state: &AppState,
    form: &Form,
    seconds: u64,
    by: &'static str,
) -> Response {
    let username = form.params.all("username").next().unwrap_or_default();
    let known = state.users.get(username);
    let name = known.as_ref().map_or("", |user| &user.username);
    record(name, &format!("too many attempts by {by}"));
    let problem = pages::Problem {
        base: &state.config.issuer.path,
        title: "Too many attempts",
        text: &format!("Wait {seconds} seconds, then go back and try again."),
        hints: &[],
        way_on: None,
    };
    let wait = [(header::RETRY_AFTER, seconds.to_string())];
    (wait, pages::show(StatusCode::TOO_MANY_REQUESTS, &problem)).into_response()
}

fn record(
    username: &str,
    detail: &str,
) {
    audit::denied(audit::Entry {
        event: EVENT,
        user: username,
        detail,
        ..Default::default()
    });
}
