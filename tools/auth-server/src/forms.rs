//! What all forms of the pages share: the request that they carry along, and the proof that a page
//! of this server sent them.

use axum::http::StatusCode;
use axum::response::Redirect;

use crate::config::Config;
use crate::params::Form;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::secret;
use crate::session;
use crate::session::Browser;
use crate::session::Session;
use crate::state::AppState;

/// The authorization request that a form carries along.
pub(crate) fn carried(form: &Form) -> Params {
    let request = form.params.all("request").next().unwrap_or_default();
    Params::parse(request.as_bytes())
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

/// The browser, once its form is known to be ours: otherwise another site could sign its visitor
/// in under the attacker's name and wait for what they grant (login CSRF).
pub(crate) fn own_browser(
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

/// Whether a page of this server showed this very request to this session's user. `purpose` is
/// what the page asked: a form of one page is worth nothing at another.
pub(crate) fn is_genuine(
    state: &AppState,
    form: &Form,
    session: &Session,
    purpose: &str,
) -> Result<bool, Refusal> {
    let carried = form.params.one("request")?.unwrap_or_default();
    let token = form.params.one("csrf")?.unwrap_or_default();
    Ok(session::is_own_form(&state.config, &form.headers)
        && secret::same(token, &session.form_token(state, purpose, carried)))
}

/// The request goes on where it was, minus what would ask for the login again.
pub(crate) fn back_to_authorize(
    config: &Config,
    request: Params,
) -> Redirect {
    let params = request.without("prompt").without("max_age");
    let path = format!("{}/oauth/authorize", config.issuer.path);
    Redirect::to(&format!("{path}?{}", params.encode()))
}
