//! Signing out: for somebody else on the consent page, or because a client asks for it (OpenID
//! Connect RP-Initiated Logout 1.0).
//!
//! A client that brings an ID token of the user has shown that it knows them, and the session
//! ends at once. Anybody else's link only leads to a question, so no page can sign its visitors
//! out. Afterwards the browser goes where the client has registered, and nowhere else.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::audit;
use crate::clients::Client;
use crate::consent;
use crate::forms;
use crate::mint;
use crate::mint::Hint;
use crate::pages;
use crate::params::Form;
use crate::params::Params;
use crate::refusal::Back;
use crate::refusal::Refusal;
use crate::refusal::Who;
use crate::session;
use crate::session::Session;
use crate::state::AppState;

const EVENT: &str = "logout";

/// What the form of the question is good for.
const PURPOSE: &str = "end_session";

/// `POST /oauth/logout` with `request` and `csrf` of the consent page: "somebody else".
pub(crate) async fn switch_user(
    State(state): State<AppState>,
    form: Form,
) -> Response {
    let params = forms::carried(&form);
    end_and_go_back(&state, &form)
        .await
        .unwrap_or_else(|refusal| answer(&state, refusal, &params))
}

async fn end_and_go_back(
    state: &AppState,
    form: &Form,
) -> Result<Response, Refusal> {
    let session = session::find(state, &form.headers).await?.ok_or_else(forms::foreign_form)?;
    if !forms::is_genuine(state, form, &session, consent::PURPOSE)? {
        return Err(forms::foreign_form());
    }
    let next = forms::back_to_authorize(&state.config, forms::carried(form)).into_response();
    end(state, session.username(), &session.sid, next).await
}

/// `GET /oauth/end_session`.
pub(crate) async fn get(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    asked_to_end(&state, &headers, &params)
        .await
        .unwrap_or_else(|refusal| answer(&state, refusal, &params))
}

/// `POST /oauth/end_session`. A browser that comes from the client's page keeps its cookies to
/// itself, but follows a redirect with them.
pub(crate) async fn post(
    State(state): State<AppState>,
    form: Form,
) -> Response {
    if !session::is_own_form(&state.config, &form.headers) {
        let path = format!("{}/oauth/end_session", state.config.issuer.path);
        return Redirect::to(&format!("{path}?{}", form.params.encode())).into_response();
    }
    asked_to_end(&state, &form.headers, &form.params)
        .await
        .unwrap_or_else(|refusal| answer(&state, refusal, &form.params))
}

/// `POST /oauth/end_session/confirm` with `request`, `csrf` and `decision` (`sign_out` or
/// `stay`): the answer to the question.
pub(crate) async fn confirm(
    State(state): State<AppState>,
    form: Form,
) -> Response {
    let params = forms::carried(&form);
    confirmed(&state, &form, &params)
        .await
        .unwrap_or_else(|refusal| answer(&state, refusal, &params))
}

fn answer(
    state: &AppState,
    refusal: Refusal,
    params: &Params,
) -> Response {
    refusal.answer(&state.config.issuer, Who::nobody(EVENT, params))
}

/// A checked request to sign somebody out.
struct Request {
    client: Option<Client>,
    hint: Option<Hint>,
    /// Where the browser goes afterwards: one that the client has registered.
    back: Option<Back>,
}

async fn asked_to_end(
    state: &AppState,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response, Refusal> {
    let request = read(state, params).await?;
    let session = session::find(state, headers).await?;
    if let Some(session) = &session {
        let hinted = request.hint.as_ref();
        if hinted.is_some_and(|hint| hint.sub == session.username()) {
            let next = signed_out(state, &request, true);
            return end(state, session.username(), &session.sid, next).await;
        }
        return Ok(question(state, &request, session, params));
    }
    // Nobody is signed in here, whatever is ended elsewhere.
    let next = signed_out(state, &request, false);
    match request.hint.as_ref().and_then(named_session) {
        Some((hint, sid)) if is_session_of(state, hint, sid).await? => {
            end(state, &hint.sub, sid, next).await
        }
        _ => Ok(next),
    }
}

/// For a program without the browser's cookies: its ID token names the session.
async fn is_session_of(
    state: &AppState,
    hint: &Hint,
    sid: &str,
) -> Result<bool, Refusal> {
    let owner = session::user_of(state, sid).await?;
    Ok(owner.is_some_and(|owner| owner == hint.sub))
}

fn named_session(hint: &Hint) -> Option<(&Hint, &str)> {
    hint.sid.as_deref().map(|sid| (hint, sid))
}

/// Section 2. A hint that cannot be read is no hint; what contradicts itself is refused.
async fn read(
    state: &AppState,
    params: &Params,
) -> Result<Request, Refusal> {
    let issuer = &state.config.issuer.text;
    let ring = state.keys.ring();
    let hint = params
        .one("id_token_hint")?
        .and_then(|token| mint::read_hint(token, &ring, issuer));
    let named = params.one("client_id")?;
    if let (Some(named), Some(hint)) = (named, &hint)
        && named != hint.aud
    {
        return Err(Refusal::page(
            "This request contradicts itself",
            "Its client_id is not the client that its id_token_hint was made for.",
        ));
    }
    let client = match named.or(hint.as_ref().map(|hint| hint.aud.as_str())) {
        Some(id) => state.known_client(id).await?,
        None => None,
    };
    let back = way_back(params, client.as_ref())?;
    Ok(Request {
        client,
        hint,
        back,
    })
}

fn way_back(
    params: &Params,
    client: Option<&Client>,
) -> Result<Option<Back>, Refusal> {
    let echoed = params.one("state")?.map(str::to_owned);
    let Some(uri) = params.one("post_logout_redirect_uri")? else {
        return Ok(None);
    };
    let client = client.filter(|client| client.may_receive_after_logout(uri));
    let client = client.ok_or_else(|| {
        Refusal::page(
            "This client may not send you there",
            "The post_logout_redirect_uri is not one that the client registered, or no client is \
             named. Nobody was signed out, and nobody is redirected.",
        )
    })?;
    Ok(Some(Back::new(client, uri.to_owned(), echoed)))
}

/// Asks the user, who may have been led here by anybody.
fn question(
    state: &AppState,
    request: &Request,
    session: &Session,
    params: &Params,
) -> Response {
    let carried = params.encode();
    let client = request.client.as_ref().map(Client::display_name);
    let next = request.back.as_ref().map(Back::shown_host);
    let page = pages::SignOut {
        base: &state.config.issuer.path,
        client: client.as_deref(),
        username: session.username(),
        next_host: next.as_deref(),
        request: &carried,
        csrf: &session.form_token(state, PURPOSE, &carried),
    };
    pages::show(StatusCode::OK, &page)
}

async fn confirmed(
    state: &AppState,
    form: &Form,
    params: &Params,
) -> Result<Response, Refusal> {
    let session = session::find(state, &form.headers).await?.ok_or_else(forms::foreign_form)?;
    if !forms::is_genuine(state, form, &session, PURPOSE)? {
        return Err(forms::foreign_form());
    }
    if form.params.one("decision")? != Some("sign_out") {
        return Ok(done(state, "You are still signed in", None));
    }
    let request = read(state, params).await?;
    let next = signed_out(state, &request, true);
    end(state, session.username(), &session.sid, next).await
}

/// Ends the session, whatever the browser is shown next.
async fn end(
    state: &AppState,
    username: &str,
    sid: &str,
    next: Response,
) -> Result<Response, Refusal> {
    audit::allowed(audit::Entry {
        event: EVENT,
        user: username,
        ..Default::default()
    });
    let cookie = session::end(state, sid).await?;
    let cookies = AppendHeaders([(header::SET_COOKIE, cookie.to_string())]);
    Ok((cookies, next).into_response())
}

/// Back to the client. Where nobody was signed in in this browser, this could be anybody's way of
/// sending people to any site: then only to a place that is above suspicion, with a link to others.
fn signed_out(
    state: &AppState,
    request: &Request,
    somebody_was: bool,
) -> Response {
    match &request.back {
        Some(back) if somebody_was || back.is_trusted() => {
            Redirect::to(&back.plain_url()).into_response()
        }
        Some(back) => {
            let url = back.plain_url();
            done(
                state,
                "You are signed out",
                Some(pages::WayOn {
                    host: &back.shown_host(),
                    url: &url,
                }),
            )
        }
        None => done(state, "You are signed out", None),
    }
}

fn done(
    state: &AppState,
    title: &str,
    way_on: Option<pages::WayOn<'_>>,
) -> Response {
    let page = pages::Done {
        base: &state.config.issuer.path,
        title,
        way_on,
    };
    pages::show(StatusCode::OK, &page)
}
