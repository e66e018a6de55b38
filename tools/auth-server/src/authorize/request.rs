//! A client's request, checked from the first parameter to the last.
//!
//! The order of the checks is the security: first the client and the redirect URI, and while
//! either is in doubt the user gets a page and nobody is redirected. After that every refusal
//! goes back to the client.

use axum::http::StatusCode;

use crate::authorize::checks;
use crate::authorize::checks::Reason;
use crate::cimd;
use crate::clients::Client;
use crate::documents;
use crate::params::Params;
use crate::refusal::Back;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::state::AppState;

/// A longer request could not be carried through the login form, whose body is limited.
const MAX_QUERY: usize = 6 * 1024;

/// A request that passed every check. Only this module makes one.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client: Client,
    pub(crate) back: Back,
    pub(crate) redirect_given: bool,
    pub(crate) challenge: String,
    /// As asked for, unknown ones included.
    pub(crate) scope: String,
    pub(crate) resources: Vec<String>,
    pub(crate) nonce: Option<String>,
    prompt: String,
    max_age: Option<i64>,
}

/// What the user has to do next.
pub(crate) enum Step {
    /// Sign in; `client` is what to call the client on that page, `back` the way back to it, where
    /// that is known already.
    SignIn {
        client: String,
        back: Option<Box<Back>>,
    },
    /// Approve or deny.
    Decide {
        request: Box<AuthorizationRequest>,
        session: Session,
    },
}

/// Checks a whole request. Run when it arrives and again when it is approved, so that what the
/// browser carried in between is never trusted.
pub(crate) async fn read(
    state: &AppState,
    params: &Params,
    session: Option<&Session>,
) -> Result<Step, Refusal> {
    if params.encode().len() > MAX_QUERY {
        return Err(Refusal::page(
            "This request is too long",
            "Ask the client's maker to send less.",
        ));
    }
    let client_id = params.one("client_id")?.ok_or_else(|| {
        Refusal::page(
            "No client is named",
            "The request lacks the parameter client_id.",
        )
    })?;
    let Some(client) = find_client(state, client_id, session).await? else {
        let client = cimd::shown_host(client_id);
        return Ok(Step::SignIn {
            client,
            back: None,
        });
    };
    let (back, redirect_given) = way_back(params, &client)?;
    let refuse = |(code, description)| Refusal::Back {
        back: Box::new(back.clone()),
        code,
        description,
    };
    let request = complete(state, params, client, &back, redirect_given).map_err(refuse)?;
    next_step(request, session, state.now()).map_err(refuse)
}

/// `None` for a metadata document while nobody has signed in: strangers cannot make this server
/// fetch anything.
async fn find_client(
    state: &AppState,
    client_id: &str,
    session: Option<&Session>,
) -> Result<Option<Client>, Refusal> {
    if !cimd::is_document_url(client_id) {
        let known = state.known_client(client_id).await?;
        return known.map(Some).ok_or_else(unknown_client);
    }
    if let Some(client) = state.preregistered.get(client_id) {
        return Ok(Some(client.clone()));
    }
    cimd::check_url(client_id, state.documents.allows_loopback())
        .map_err(|why| Refusal::page("This client cannot be used", why))?;
    match session {
        None => Ok(None),
        Some(session) => {
            documents::client(state, client_id, &session.user.username).await.map(Some)
        }
    }
}

/// The one refusal that users meet after this server's state was deleted, so it says how to get
/// each client to register again.
fn unknown_client() -> Refusal {
    Refusal::Page {
        status: StatusCode::BAD_REQUEST,
        title: "This client is not known here",
        text: "The client's registration is not in this server's database, so nobody is sent \
               back to it. Let the client register again:"
            .to_owned(),
        hints: &[
            "MCP Inspector: open the Auth settings and choose Clear OAuth State",
            "Claude Code: run /mcp, choose the server, then Clear authentication",
            "VS Code: run the command Authentication: Remove Dynamic Authentication Providers",
            "mcp-remote: delete the directory ~/.mcp-auth",
            "Others: remove the server from the client and add it again",
        ],
    }
}

fn way_back(
    params: &Params,
    client: &Client,
) -> Result<(Back, bool), Refusal> {
    let requested = params.one("redirect_uri")?;
    let redirect_uri = client.redirect_uri(requested).ok_or_else(|| {
        Refusal::page(
            "This client may not send you back there",
            "The redirect_uri of the request is not one that the client registered. Nobody is \
             redirected, because that could hand your login to somebody else.",
        )
    })?;
    // Repeated: there is no telling which one to echo. `complete` refuses the request.
    let echoed = params.one("state").ok().flatten().map(str::to_owned);
    let back = Back::new(client, redirect_uri, echoed);
    Ok((back, requested.is_some()))
}

/// The checks whose refusals go back to the client.
fn complete(
    state: &AppState,
    params: &Params,
    client: Client,
    back: &Back,
    redirect_given: bool,
) -> Result<AuthorizationRequest, Reason> {
    checks::shape(params)?;
    let text = |name| params.one(name).ok().flatten().map(str::to_owned);
    Ok(AuthorizationRequest {
        redirect_given,
        challenge: checks::challenge(params)?,
        resources: checks::resources(&state.config.settings.resource, params)?,
        scope: checks::scope(params)?,
        max_age: checks::max_age(params)?,
        nonce: text("nonce"),
        prompt: text("prompt").unwrap_or_default(),
        client,
        back: back.clone(),
    })
}

/// OpenID Connect Core section 3.1.2.1 on `prompt` and `max_age`. Consent is always asked for, so
/// `none` never succeeds; it must still be answered without a page.
fn next_step(
    request: AuthorizationRequest,
    session: Option<&Session>,
    now: i64,
) -> Result<Step, Reason> {
    let asks = |prompt: &str| request.prompt.split(' ').any(|word| word == prompt);
    if asks("none") && request.prompt != "none" {
        return Err(("invalid_request", "prompt=none goes with no other prompt."));
    }
    let again = asks("login") || asks("select_account");
    let recent = |session: &&Session| {
        let age = now - session.signed_in_at;
        request.max_age.is_none_or(|max_age| age <= max_age)
    };
    let session = session.filter(recent);
    match session {
        Some(_) if asks("none") => Err(("consent_required", "The user has to decide.")),
        None if asks("none") => Err(("login_required", "Nobody is signed in.")),
        Some(session) if !again => Ok(Step::Decide {
            session: session.clone(),
            request: Box::new(request),
        }),
        _ => Ok(Step::SignIn {
            client: request.client.display_name(),
            back: Some(Box::new(request.back)),
        }),
    }
}
