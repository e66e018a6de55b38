//! The user decides, and a code is issued.
//!
//! Asked every time, for every client: nothing is remembered or approved silently, so no other
//! program can ride on an earlier decision (the confused deputy of the MCP security guide). The
//! form works only in the browser that signed in, and only for the request that it showed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::audit;
use crate::authorize;
use crate::authorize::AuthorizationRequest;
use crate::authorize::Refusal;
use crate::authorize::Step;
use crate::authorize::Who;
use crate::cimd;
use crate::clients::Client;
use crate::clients::Source;
use crate::login;
use crate::pages;
use crate::params::Form;
use crate::params::Params;
use crate::redirect;
use crate::scopes;
use crate::scopes::Scopes;
use crate::secret;
use crate::session;
use crate::session::Session;
use crate::state::AppState;
use crate::store;
use crate::store::codes::Code;

const SECONDS_PER_DAY: i64 = 86_400;

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
        username: &session.user.username,
        display_name: session.user.display_name(),
        csrf: &session.consent_token(state, &carried),
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
    let days = (state.config.settings.refresh_ttl / SECONDS_PER_DAY).max(1);
    if client.may_refresh() { days } else { 0 }
}

/// What an approval would give: never more than the role permits, and never nothing.
fn granted(
    request: &AuthorizationRequest,
    session: &Session,
) -> Result<Scopes, Refusal> {
    let granted = scopes::grantable(&request.scope, &session.user.roles);
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
    let params = login::carried(&form);
    let session = match session::find(&state, &form.headers).await {
        Ok(session) => session,
        Err(error) => return Refusal::from(error).answer(&state, Who::of(EVENT, &params, None)),
    };
    decide(&state, &form, &params, session.as_ref())
        .await
        .unwrap_or_else(|refusal| refusal.answer(&state, Who::of(EVENT, &params, session.as_ref())))
}

const EVENT: &str = "consent";

/// Whether the form shows this session's user this very request, and came from our page.
pub(crate) fn is_genuine(
    state: &AppState,
    form: &Form,
    session: &Session,
) -> Result<bool, Refusal> {
    let carried = form.params.one("request")?.unwrap_or_default();
    let token = form.params.one("csrf")?.unwrap_or_default();
    Ok(session::is_own_form(&state.config, &form.headers)
        && secret::same(token, &session.consent_token(state, carried)))
}

async fn decide(
    state: &AppState,
    form: &Form,
    params: &Params,
    session: Option<&Session>,
) -> Result<Response, Refusal> {
    let session = session.ok_or_else(login::foreign_form)?;
    if !is_genuine(state, form, session)? {
        return Err(login::foreign_form());
    }
    let Step::Decide {
        request,
        session,
    } = authorize::read(state, params, Some(session)).await?
    else {
        return Err(login::foreign_form());
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
    state
        .store
        .run(move |tx| {
            store::clients::touch(tx, &row.client_id, now)?;
            store::codes::insert(tx, &row)
        })
        .await?;
    Ok(request.back.send(&state.config.issuer.text, &[("code", &code)]))
}

fn record(row: &Code) {
    audit::allowed(audit::Entry {
        event: "consent",
        user: &row.username,
        client: &row.client_id,
        detail: &row.scope,
    });
}
