//! Signing out.

use axum::extract::State;
use axum::http::header;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::audit;
use crate::consent;
use crate::forms;
use crate::params::Form;
use crate::refusal::Refusal;
use crate::refusal::Who;
use crate::session;
use crate::state::AppState;

const EVENT: &str = "logout";

/// `POST /oauth/logout` with `request` and `csrf` of the consent page: "somebody else".
pub(crate) async fn switch_user(
    State(state): State<AppState>,
    form: Form,
) -> Response {
    let params = forms::carried(&form);
    end_and_go_back(&state, &form)
        .await
        .unwrap_or_else(|refusal| refusal.answer(&state.config.issuer, Who::nobody(EVENT, &params)))
}

async fn end_and_go_back(
    state: &AppState,
    form: &Form,
) -> Result<Response, Refusal> {
    let session = session::find(state, &form.headers)
        .await?
        .ok_or_else(forms::foreign_form)?;
    if !forms::is_genuine(state, form, &session, consent::PURPOSE)? {
        return Err(forms::foreign_form());
    }
    audit::allowed(audit::Entry {
        event: EVENT,
        user: &session.user.username,
        ..Default::default()
    });
    let cookie = session::end(state, &form.headers).await?;
    let cookies = AppendHeaders([(header::SET_COOKIE, cookie.to_string())]);
    let next = forms::back_to_authorize(&state.config, form)?;
    Ok((cookies, next).into_response())
}
