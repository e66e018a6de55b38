//! The authorization endpoint (RFC 6749 section 3.1): a browser arrives with a client's request.
//!
//! Nothing is granted before the user has approved, so this URL can be opened as often as anybody
//! likes.
//!
//! PKCE with S256 is required (RFC 7636, OAuth 2.1 section 4.1.1), `resource` is checked against
//! the configured ones (RFC 8707). Left out: request objects and every `response_mode` but query.

mod checks;
pub(crate) mod request;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use axum::response::Response;

use self::request::Step;
use crate::consent;
use crate::login;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::refusal::Who;
use crate::session;
use crate::session::Browser;
use crate::session::Session;
use crate::state::AppState;
use crate::store;

const EVENT: &str = "authorize";

/// `GET /oauth/authorize`: the login page, the consent page, or a redirect. Never 401.
pub(crate) async fn get(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let who = Who::nobody(EVENT, &params);
    let issuer = &state.config.issuer;
    let session = match session::find(&state, &headers).await {
        Ok(session) => session,
        Err(error) => return Refusal::from(error).answer(issuer, who),
    };
    let username = session.as_ref().map(Session::username);
    start(&state, &headers, &params, session.as_ref())
        .await
        .unwrap_or_else(|refusal| refusal.answer(issuer, who.user(username)))
}

async fn start(
    state: &AppState,
    headers: &HeaderMap,
    params: &Params,
    session: Option<&Session>,
) -> Result<Response, Refusal> {
    let step = request::read(state, params, session).await?;
    note_client(state, params).await?;
    match step {
        Step::SignIn {
            client,
            ..
        } => Ok(login_page(state, headers, params, &client)),
        Step::Decide {
            request,
            session,
        } => consent::page(state, &request, &session, params),
    }
}

/// A client whose user is about to sign in must not make room for others.
async fn note_client(
    state: &AppState,
    params: &Params,
) -> Result<(), Refusal> {
    let id = params.one("client_id")?.unwrap_or_default().to_owned();
    let now = state.now();
    let noted = state.store.run(move |tx| store::clients::seen(tx, &id, now)).await;
    Ok(noted?)
}

fn login_page(
    state: &AppState,
    headers: &HeaderMap,
    params: &Params,
    client: &str,
) -> Response {
    let browser = Browser::of(&state.config, headers);
    let screen = login::Screen {
        client,
        redirect_host: &login::redirect_host(params),
        request: &params.encode(),
        failed_as: None,
    };
    let page = login::page(state, &browser, &screen);
    let cookies = browser.new_cookie.map(|cookie| (header::SET_COOKIE, cookie.to_string()));
    (AppendHeaders(cookies), page).into_response()
}
