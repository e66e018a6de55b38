//! What follows when somebody has signed in, in whatever way: a session, a cookie by which this
//! browser is known from now on, and the way back to the request that began it all.

use axum::http::HeaderMap;
use axum::http::header;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::audit;
use crate::forms;
use crate::known_browser;
use crate::params::Params;
use crate::session;
use crate::state::AppState;
use crate::store::StoreError;
use crate::users::User;

/// How the audit log calls signing in.
pub(crate) const EVENT: &str = "login";

/// Sends the browser on with its authorization request, signed in.
pub(crate) async fn welcome(
    state: &AppState,
    headers: &HeaderMap,
    request: Params,
    user: &User,
) -> Result<Response, StoreError> {
    audit::allowed(audit::Entry {
        event: EVENT,
        user: &user.username,
        ..Default::default()
    });
    let session = session::start(state, headers, user).await?;
    let known = known_browser::cookie(&state.config, &state.sealer, &user.username);
    let cookies = AppendHeaders([
        (header::SET_COOKIE, session.to_string()),
        (header::SET_COOKIE, known.to_string()),
    ]);
    let next = forms::back_to_authorize(&state.config, request);
    Ok((cookies, next).into_response())
}
