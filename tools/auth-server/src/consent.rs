//! The user decides, and a code is issued.
//!
//! Asked every time, for every client: nothing is remembered or approved silently, so no other
//! program can ride on an earlier decision (the confused deputy of the MCP security guide). The
//! form works only in the browser that signed in, and only for the request that it showed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::audit;
use crate::authorize::request;
use crate::authorize::request::AuthorizationRequest;
use crate::authorize::request::Step;
use crate::cimd;
use crate::clients::Client;
use crate::clients::Source;
use crate::forms;
use crate::pages;
use crate::params::Form;
use crate::params::Params;
use crate::redirect;
use crate::refusal::Refusal;
use crate::refusal::Who;
use crate::scopes;
use crate::scopes::Scopes;
use crate::secret;
use crate::session;
use crate::session::Session;
use crate::state::AppState;
use crate::store;
use crate::store::codes::Code;

const SECONDS_PER_DAY: i64 = 86_400;

/// What the forms of this page are good for: the decision, or signing in as somebody else.
pub(crate) const PURPOSE: &str = "consent";

/// The consent page: who wants what, and where the answer goes.
pub(crate) fn page(
    state: &AppState,
    request: &AuthorizationRequest,
    session: &Session,
    params: &Params,
) -> Result<Response, Refusal> {
    let granted = granted(request, session)?;
    let carried = params.encode();
    let wanted = scopes::known(&request.scope);
    let withheld: Vec<_> = wanted.difference(&granted).copied().collect();
    let page = pages::Consent {
        base: &state.config.issuer.path,
        client: &request.client.display_name(),
        voucher: &voucher(&request.client),
        redirect_host: &redirect::shown_host(&request.back.redirect_uri),
        on_this_computer: redirect::is_loopback(&request.back.redirect_uri),
        resources: &request.resources,
        scopes: &scopes::in_order(&granted).collect::<Vec<_>>(),
        withheld: &withheld,
        refresh_days: refresh_days(state, &request.client),
        grant_days: days(state.config.settings.grant_ttl),
        username: &session.user.username,
        login: session.user.login.as_deref(),
        display_name: session.user.display_name(),
        csrf: &session.form_token(state, PURPOSE, &carried),
        request: &carried,
    };
    Ok(pages::show(StatusCode::OK, &page))
}

fn voucher(client: &Client) -> String {
    match client.source {
        Source::File => "Set up by the operator of this server.".to_owned(),
        Source::Registration => {
            "It registered itself and chose its own name; nobody has checked it.".to_owned()
        }
        Source::Document => format!(
            "Its description was published at {}.",
            cimd::shown_host(&client.id)
        ),
    }
}

/// Zero where the client gets no refresh token.
fn refresh_days(
    state: &AppState,
    client: &Client,
) -> i64 {
    if client.may_refresh() {
        days(state.config.settings.refresh_ttl)
    } else {
        0
    }
}

/// One at least.
fn days(seconds: i64) -> i64 {
    (seconds / SECONDS_PER_DAY).max(1)
}

/// What an approval would give: never more than the role permits, and never nothing.
fn granted(
    request: &AuthorizationRequest,
    session: &Session,
) -> Result<Scopes, Refusal> {
    let granted = scopes::grantable(&request.scope, &session.user);
    if granted.is_empty() {
        return Err(Refusal::Back {
            back: Box::new(request.back.clone()),
            code: "access_denied",
            description: "The user's role permits none of the requested scopes.",
        });
    }
    Ok(granted)
}

/// `POST /oauth/consent` with `decision` (`approve` or `deny`), `request` and `csrf`.
pub(crate) async fn post(
    State(state): State<AppState>,
    form: Form,
) -> Response {
    let params = forms::carried(&form);
    let (issuer, who) = (&state.config.issuer, Who::nobody(EVENT, &params));
    let session = match session::find(&state, &form.headers).await {
        Ok(session) => session,
        Err(error) => return Refusal::from(error).answer(issuer, who),
    };
    let username = session.as_ref().map(Session::username);
    decide(&state, &form, &params, session.as_ref())
        .await
        .unwrap_or_else(|refusal| refusal.answer(issuer, who.user(username)))
}

const EVENT: &str = "consent";

async fn decide(
    state: &AppState,
    form: &Form,
    params: &Params,
    session: Option<&Session>,
) -> Result<Response, Refusal> {
    let session = session.ok_or_else(forms::foreign_form)?;
    if !forms::is_genuine(state, form, session, PURPOSE)? {
        return Err(forms::foreign_form());
    }
    let Step::Decide {
        request,
        session,
    } = request::read(state, params, Some(session)).await?
    else {
        return Err(forms::foreign_form());
    };
    match form.params.one("decision")? {
        Some("approve") => approve(state, &request, &session).await,
        Some("deny") => Err(denied(&request)),
        _ => Err(Refusal::page(
            "No decision was sent",
            "Go back and choose a button.",
        )),
    }
}

fn denied(request: &AuthorizationRequest) -> Refusal {
    Refusal::Back {
        back: Box::new(request.back.clone()),
        code: "access_denied",
        description: "The user said no.",
    }
}

async fn approve(
    state: &AppState,
    request: &AuthorizationRequest,
    session: &Session,
) -> Result<Response, Refusal> {
    let scope = scopes::join(&granted(request, session)?);
    let code = secret::random();
    let now = state.now();
    let row = Code {
        code_hash: secret::sha256(&code),
        client_id: request.client.id.clone(),
        username: session.user.username.clone(),
        credential: session.user.credential.clone(),
        sid: session.sid.clone(),
        redirect_uri: request.back.redirect_uri.clone(),
        redirect_given: request.redirect_given,
        challenge: request.challenge.clone(),
        scope,
        resources: request.resources.clone(),
        nonce: request.nonce.clone(),
        signed_in_at: session.signed_in_at,
        expires_at: now + state.config.settings.code_ttl,
        grant_id: None,
    };
    record(&row);
    record_dropped(request, session, &row.scope);
    state
        .store
        .run(move |tx| {
            store::clients::touch(tx, &row.client_id, now)?;
            store::codes::insert(tx, &row)
        })
        .await?;
    Ok(request.back.send(&state.config.issuer, &[("code", &code)]))
}

fn record(row: &Code) {
    audit::allowed(audit::Entry {
        event: "consent",
        user: &row.username,
        client: &row.client_id,
        detail: &row.scope,
    });
}

/// Says which scopes the client asked for and does not get: it will wonder.
fn record_dropped(
    request: &AuthorizationRequest,
    session: &Session,
    granted: &str,
) {
    let dropped = scopes::missing(&request.scope, granted);
    if dropped.is_empty() {
        return;
    }
    audit::denied(audit::Entry {
        event: "consent.scope",
        user: &session.user.username,
        client: &request.client.id,
        detail: &format!("unknown here, or beyond the user's role: {dropped}"),
    });
}
