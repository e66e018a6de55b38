//! Signing in: user name and password, checked slowly and not too often.
//!
//! The answer to a wrong password and to an unknown user is the same. Afterwards the browser goes
//! back to the authorization endpoint, whose URL is built here from configuration: no parameter
//! can send it anywhere else.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::audit;
use crate::authorize;
use crate::authorize::Refusal;
use crate::authorize::Step;
use crate::authorize::Who;
use crate::consent;
use crate::limits::Peer;
use crate::pages;
use crate::params::Form;
use crate::params::Params;
use crate::secret;
use crate::session;
use crate::session::Browser;
use crate::state::AppState;

/// The login page for the request that the browser came with.
pub(crate) fn page(
    state: &AppState,
    browser: &Browser,
    client: &str,
    request: &str,
    status: StatusCode,
    username: &str,
    problem: &str,
) -> Response {
    let csrf = browser.login_token(state);
    let page = pages::Login {
        base: &state.config.issuer.path,
        client,
        username,
        problem,
        request,
        csrf: &csrf,
        demo_users: state.config.has_demo_users(),
    };
    pages::show(status, &page)
}

/// `POST /oauth/login` with `username`, `password`, `request` and `csrf`.
pub(crate) async fn post(
    State(state): State<AppState>,
    Peer(address): Peer,
    form: Form,
) -> Response {
    if let Err(seconds) = state.logins.check(&address) {
        return too_many(&state, &form, seconds, "address");
    }
    sign_in(&state, &form)
        .await
        .unwrap_or_else(|refusal| refusal.answer(&state, Who::of("login", &carried(&form), None)))
}

/// The authorization request that a form carries along.
pub(crate) fn carried(form: &Form) -> Params {
    let request = form.params.all("request").next().unwrap_or_default();
    Params::parse(request.as_bytes())
}

async fn sign_in(
    state: &AppState,
    form: &Form,
) -> Result<Response, Refusal> {
    let browser = own_browser(state, form)?;
    let username = form.params.one("username")?.unwrap_or_default();
    let password = form.params.one("password")?.unwrap_or_default();
    if let Err(seconds) = state.throttle.attempt(username, state.now()) {
        return Ok(too_many(state, form, seconds, "name"));
    }
    let Some(user) = state.users.verify(username, password).await else {
        record_wrong(state, username);
        return try_again(state, form, &browser, username).await;
    };
    state.throttle.forget(username);
    audit::allowed(audit::Entry {
        event: "login",
        user: &user.username,
        ..Default::default()
    });
    let cookie = session::start(state, &user.username).await?;
    let cookies = AppendHeaders([(header::SET_COOKIE, cookie.to_string())]);
    Ok((cookies, back_to_authorize(state, form)?).into_response())
}

/// The login page once more. The same for every reason.
async fn try_again(
    state: &AppState,
    form: &Form,
    browser: &Browser,
    username: &str,
) -> Result<Response, Refusal> {
    let request = form.params.one("request")?.unwrap_or_default();
    let client = match authorize::read(state, &carried(form), None).await? {
        Step::SignIn {
            client,
        } => client,
        Step::Decide {
            ..
        } => String::new(),
    };
    let problem = "That user name and password do not belong together.";
    let status = StatusCode::FORBIDDEN;
    Ok(page(
        state, browser, &client, request, status, username, problem,
    ))
}

/// The browser, once its form is known to be ours: otherwise another site could sign its visitor
/// in under the attacker's name and wait for what they grant (login CSRF).
fn own_browser(
    state: &AppState,
    form: &Form,
) -> Result<Browser, Refusal> {
    let browser = Browser::of(&state.config, &form.headers);
    let token = form.params.one("csrf")?.unwrap_or_default();
    let ours = session::is_own_form(&state.config, &form.headers)
        && browser.new_cookie.is_none()
        && secret::same(token, &browser.login_token(state));
    if ours {
        Ok(browser)
    } else {
        Err(foreign_form())
    }
}

/// A form that did not come from a page of this server in this browser.
pub(crate) fn foreign_form() -> Refusal {
    Refusal::Page {
        status: StatusCode::FORBIDDEN,
        title: "This form is not from here",
        text: "It was sent from another page or another browser, or cookies are switched off. \
               Go back to the client and start again."
            .to_owned(),
        hints: &[],
    }
}

/// The request goes on where it was, minus a `prompt` that would ask for the login again.
fn back_to_authorize(
    state: &AppState,
    form: &Form,
) -> Result<Redirect, Refusal> {
    form.params.one("request")?;
    Ok(Redirect::to(&authorize_url(
        state,
        &carried(form).without("prompt"),
    )))
}

fn authorize_url(
    state: &AppState,
    params: &Params,
) -> String {
    let path = format!("{}/oauth/authorize", state.config.issuer.path);
    format!("{path}?{}", params.encode())
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
    };
    let wait = [(header::RETRY_AFTER, seconds.to_string())];
    (wait, pages::show(StatusCode::TOO_MANY_REQUESTS, &problem)).into_response()
}

fn record(
    username: &str,
    detail: &str,
) {
    audit::denied(audit::Entry {
        event: "login",
        user: username,
        detail,
        ..Default::default()
    });
}

/// `POST /oauth/logout` with `request` and `csrf` of the consent page: "somebody else".
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    form: Form,
) -> Response {
    end_session(&state, &form)
        .await
        .unwrap_or_else(|refusal| refusal.answer(&state, Who::of("logout", &carried(&form), None)))
}

async fn end_session(
    state: &AppState,
    form: &Form,
) -> Result<Response, Refusal> {
    let session = session::find(state, &form.headers).await?.ok_or_else(foreign_form)?;
    if !consent::is_genuine(state, form, &session)? {
        return Err(foreign_form());
    }
    audit::allowed(audit::Entry {
        event: "logout",
        user: &session.user.username,
        ..Default::default()
    });
    let cookie = session::end(state, &form.headers).await?;
    let cookies = AppendHeaders([(header::SET_COOKIE, cookie.to_string())]);
    Ok((cookies, back_to_authorize(state, form)?).into_response())
}
