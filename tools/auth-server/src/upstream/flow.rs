//! The browser's way to the upstream provider and back.
//!
//! Nothing goes there without a press on a page of ours that names the client, and what comes back
//! leads to our consent page, never straight to a code. A sign-in belongs to the browser that began
//! it: its `state` counts together with that browser's cookie, once, for ten minutes. So nobody can
//! make another browser finish a sign-in that they began (the victim would act in the attacker's
//! name), nor finish one that somebody else began.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::authorize::request;
use crate::authorize::request::Step;
use crate::forms;
use crate::limits::Peer;
use crate::params::Form;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::refusal::Who;
use crate::secret;
use crate::session::Browser;
use crate::signed_in;
use crate::state::AppState;
use crate::store;
use crate::store::upstream::Flow;
use crate::store::upstream::Row;
use crate::upstream::Upstream;
use crate::upstream::failure::Failure;
use crate::upstream::identity::Answer;
use crate::upstream::identity::Ask;
use crate::upstream::identity::Identity;
use crate::upstream::identity::Tokens;
use crate::users::Newcomer;
use crate::users::User;

/// How the audit log calls it.
const EVENT: &str = "login.upstream";

/// How long a user has to come back, in seconds.
const PATIENCE: i64 = 600;

/// `POST /oauth/upstream` with `request` and `csrf` of the login page, and `account=other` where
/// the user wants to choose the account there.
pub(crate) async fn begin(
    State(state): State<AppState>,
    Peer(address): Peer,
    form: Form,
) -> Response {
    let params = forms::carried(&form);
    send_there(&state, address, &form, &params)
        .await
        .unwrap_or_else(|refusal| refusal.answer(&state.config.issuer, Who::nobody(EVENT, &params)))
}

async fn send_there(
    state: &AppState,
    address: IpAddr,
    form: &Form,
    params: &Params,
) -> Result<Response, Refusal> {
    let upstream = provider(state)?;
    let browser = forms::own_browser(state, form)?;
    state.logins.check(&address).map_err(|_| too_many())?;
    form.params.one("request")?;
    // What the provider would be asked for in vain is refused before.
    request::read(state, params, None).await?;
    let key = secret::random();
    remember(state, &browser, &key, params).await?;
    let ask = Ask {
        state: &key,
        verifier: &verifier(state, &key),
        nonce: &nonce(state, &key),
        again: wants_choice(form, params)?,
    };
    match upstream.authorization_url(&ask).await {
        Ok(url) => Ok(Redirect::to(url.as_str()).into_response()),
        Err(failure) => Err(refused(state, params, &failure).await),
    }
}

fn provider(state: &AppState) -> Result<&Upstream, Refusal> {
    state.upstream.as_ref().ok_or_else(|| Refusal::Page {
        status: StatusCode::NOT_FOUND,
        title: "Nobody signs in elsewhere",
        text: "This server has no upstream provider.".to_owned(),
        hints: &[],
    })
}

fn too_many() -> Refusal {
    Refusal::Page {
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many attempts",
        text: "Wait a minute, then go back and try again.".to_owned(),
        hints: &[],
    }
}

/// Derived, so that nothing has to be stored which could finish a sign-in. 43 characters of
/// base64url, as RFC 7636 section 4.1 wants.
fn verifier(
    state: &AppState,
    key: &str,
) -> String {
    state.sealer.seal(&["upstream verifier", key])
}

fn nonce(
    state: &AppState,
    key: &str,
) -> String {
    state.sealer.seal(&["upstream nonce", key])
}

/// Whether the provider should ask who it is: our page's second button, or the client's wish.
fn wants_choice(
    form: &Form,
    params: &Params,
) -> Result<bool, Refusal> {
    let prompt = params.one("prompt")?.unwrap_or_default();
    let asked = prompt.split(' ').any(|word| matches!(word, "login" | "select_account"));
    let button = form.params.one("account")? == Some("other");
    Ok(button || asked || params.one("max_age")?.is_some())
}

async fn remember(
    state: &AppState,
    browser: &Browser,
    key: &str,
    params: &Params,
) -> Result<(), Refusal> {
    let now = state.now();
    let flow = Flow {
        state_hash: secret::sha256(key),
        browser_hash: browser.hash(),
        request: params.encode(),
        expires_at: now + PATIENCE,
    };
    let kept = state.store.run(move |tx| store::upstream::insert_flow(tx, &flow, now)).await?;
    if kept { Ok(()) } else { Err(too_many()) }
}

/// The provider's redirect: `code`, or `error`, with `state`, and perhaps `iss`.
pub(crate) async fn finish(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = Params::parse(query.unwrap_or_default().as_bytes());
    let issuer = &state.config.issuer;
    let nobody = Params::parse(b"");
    let (key, request) = match taken(&state, &headers, &answer).await {
        Ok(taken) => taken,
        Err(refusal) => return refusal.answer(issuer, Who::nobody(EVENT, &nobody)),
    };
    sign_in(&state, &headers, &answer, &key, &request)
        .await
        .unwrap_or_else(|refusal| refusal.answer(issuer, Who::nobody(EVENT, &request)))
}

/// The `state`, and the client's request that this browser left here under it.
async fn taken(
    state: &AppState,
    headers: &HeaderMap,
    answer: &Params,
) -> Result<(String, Params), Refusal> {
    let key = answer.one("state")?.unwrap_or_default().to_owned();
    let browser = Browser::of(&state.config, headers);
    let (hash, owner, now) = (secret::sha256(&key), browser.hash(), state.now());
    let flow = state
        .store
        .run(move |tx| store::upstream::take_flow(tx, &hash, &owner, now))
        .await?;
    let request = flow.ok_or_else(|| Refusal::Page {
        status: StatusCode::FORBIDDEN,
        title: "This sign-in cannot be finished here",
        text: "It began in another browser, is more than ten minutes old, or was finished before. \
               Nobody was signed in. Go back to the client and start again."
            .to_owned(),
        hints: &[],
    })?;
    Ok((key, Params::parse(request.as_bytes())))
}

async fn sign_in(
    state: &AppState,
    headers: &HeaderMap,
    answer: &Params,
    key: &str,
    request: &Params,
) -> Result<Response, Refusal> {
    let upstream = provider(state)?;
    if !upstream.is_issuer(answer.one("iss")?).await {
        return Err(Refusal::page(
            "This answer is not from the provider",
            "It names another issuer than the one that you were sent to. Nobody was signed in.",
        ));
    }
    let identity = match identify(state, upstream, answer, key).await {
        Ok(identity) => identity,
        Err(failure) => return Err(refused(state, request, &failure).await),
    };
    let user = admit(state, upstream, identity).await?;
    Ok(signed_in::welcome(state, headers, request.clone(), &user).await?)
}

async fn identify(
    state: &AppState,
    upstream: &Upstream,
    answer: &Params,
    key: &str,
) -> Result<Identity, Failure> {
    let text = |name| answer.one(name).ok().flatten();
    match text("error") {
        None => {}
        Some("access_denied") => return Err(Failure::Denied),
        // Chosen by whoever made the URL: quoted and escaped in the log.
        Some(error) => {
            let why = format!("it sent the browser back with {error:?}");
            return Err(Failure::unavailable(why));
        }
    }
    let code = text("code").ok_or(Failure::unavailable(
        "it sent the browser back without a code",
    ))?;
    let answer = Answer {
        code,
        verifier: &verifier(state, key),
        nonce: &nonce(state, key),
        now: state.now(),
    };
    upstream.identify(&answer).await
}

/// Remembers who it is, together with the sealed tokens, before anybody is signed in.
async fn admit(
    state: &AppState,
    upstream: &Upstream,
    identity: Identity,
) -> Result<Arc<User>, Refusal> {
    let row = Row {
        sub: upstream.subject(&identity),
        credential: upstream.credential(),
        login: identity.login,
        name: identity.name,
        signed_in_at: state.now(),
    };
    let newcomer = Newcomer::from_row(&row, upstream.name(), &state.config.settings.upstream_role);
    let sealed = identity.tokens.map(|tokens| seal(state, &row.sub, &tokens)).transpose()?;
    state
        .store
        .run(move |tx| {
            store::upstream::put_user(tx, &row)?;
            match sealed {
                Some(sealed) => store::upstream::put_token(tx, &row.sub, &sealed),
                None => Ok(()),
            }
        })
        .await?;
    Ok(state.users.admit(newcomer))
}

fn seal(
    state: &AppState,
    sub: &str,
    tokens: &Tokens,
) -> Result<Vec<u8>, Refusal> {
    let vault = state.vault.as_ref();
    let vault = vault.ok_or_else(|| Refusal::page("The server failed", "It has no vault."))?;
    Ok(vault.seal(sub, tokens))
}

/// To the client, where it is known where that is; otherwise a page.
async fn refused(
    state: &AppState,
    params: &Params,
    failure: &Failure,
) -> Refusal {
    if let Failure::Unavailable(why) = failure {
        tracing::warn!(?why, "the upstream provider gives no usable answer");
    }
    let step = match request::read(state, params, None).await {
        Ok(step) => step,
        Err(refusal) => return refusal,
    };
    match step {
        Step::SignIn {
            back: Some(back),
            ..
        } => Refusal::Back {
            back,
            code: failure.code(),
            description: failure.description(),
        },
        _ => Refusal::Page {
            status: StatusCode::BAD_GATEWAY,
            title: "You are not signed in",
            text: failure.description().to_owned(),
            hints: &[],
        },
    }
}
