//! The authorization endpoint (RFC 6749 section 3.1): a browser arrives with a client's request.
//!
//! The order of the checks is the security: first the client and the redirect URI, and while
//! either is in doubt the user gets a page and nobody is redirected. After that every refusal
//! goes back to the client with `state` and `iss` (RFC 9207). Nothing is stored before the user
//! has approved, so this URL can be opened as often as anybody likes.
//!
//! PKCE with S256 is required (RFC 7636, OAuth 2.1 section 4.1.1), `resource` is checked against
//! the configured ones (RFC 8707). Left out: request objects and every `response_mode` but query.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::audit;
use crate::cimd;
use crate::clients::Client;
use crate::consent;
use crate::login;
use crate::pages;
use crate::params::Params;
use crate::params::Repeated;
use crate::redirect;
use crate::resource;
use crate::session;
use crate::session::Session;
use crate::state::AppState;
use crate::store::StoreError;

/// Seconds to wait before a page that was refused with 429 is worth another try.
const PAGE_WAIT: u64 = 60;

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
    pub(crate) prompt: String,
}

/// The verified way back to the client.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
}

impl Back {
    /// Redirects the browser to the client with these parameters, `state` and `iss`.
    ///
    /// 303, so that the browser turns a post into a get and never sends a password on.
    pub(crate) fn send(
        &self,
        issuer: &str,
        params: &[(&str, &str)],
    ) -> Response {
        let mut all = params.to_vec();
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.push(("iss", issuer));
        Redirect::to(&redirect::with_params(&self.redirect_uri, &all)).into_response()
    }
}

/// Why a request does not go on.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The way back is not known to be safe, or there is nobody to go back to.
    Page {
        status: StatusCode,
        title: &'static str,
        text: String,
        hints: &'static [&'static str],
    },
    /// To the client, as RFC 6749 section 4.1.2.1 says.
    Back {
        back: Box<Back>,
        code: &'static str,
        description: &'static str,
    },
}

impl Refusal {
    pub(crate) fn page(
        title: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self::Page {
            status: StatusCode::BAD_REQUEST,
            title,
            text: text.into(),
            hints: &[],
        }
    }

    /// The answer, and its line in the audit log.
    pub(crate) fn answer(
        self,
        state: &AppState,
        who: Who<'_>,
    ) -> Response {
        match self {
            Self::Page {
                status,
                title,
                text,
                hints,
            } => {
                who.denied("page", title);
                let problem = pages::Problem {
                    base: &state.config.issuer.path,
                    title,
                    text: &text,
                    hints,
                };
                let page = pages::show(status, &problem);
                let wait = (status == StatusCode::TOO_MANY_REQUESTS)
                    .then_some((header::RETRY_AFTER, PAGE_WAIT.to_string()));
                (AppendHeaders(wait), page).into_response()
            }
            Self::Back {
                back,
                code,
                description,
            } => {
                who.denied(code, description);
                let params = [("error", code), ("error_description", description)];
                back.send(&state.config.issuer.text, &params)
            }
        }
    }
}

/// Whose request is refused, for the audit log.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) event: &'static str,
    pub(crate) user: &'a str,
    pub(crate) client: &'a str,
}

impl<'a> Who<'a> {
    /// The client is the one that the request's parameters name, true or not.
    pub(crate) fn of(
        event: &'static str,
        params: &'a Params,
        session: Option<&'a Session>,
    ) -> Self {
        Self {
            event,
            user: session.map_or("", |session| &session.user.username),
            client: params.all("client_id").next().unwrap_or_default(),
        }
    }

    fn denied(
        self,
        code: &str,
        description: &str,
    ) {
        audit::denied(audit::Entry {
            event: self.event,
            user: self.user,
            client: self.client,
            detail: &format!("{code}: {description}"),
        });
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a page failed");
        Self::Page {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "The server failed",
            text: "Its log says why. Nothing was granted.".to_owned(),
            hints: &[],
        }
    }
}

impl From<Repeated> for Refusal {
    fn from(Repeated(name): Repeated) -> Self {
        Self::page(
            "This request is ambiguous",
            format!("It names {name} more than once."),
        )
    }
}

/// `GET /oauth/authorize`: the login page, the consent page, or a redirect. Never 401.
pub(crate) async fn get(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let session = match session::find(&state, &headers).await {
        Ok(session) => session,
        Err(error) => return Refusal::from(error).answer(&state, Who::of(EVENT, &params, None)),
    };
    start(&state, &headers, &params, session.as_ref())
        .await
        .unwrap_or_else(|refusal| refusal.answer(&state, Who::of(EVENT, &params, session.as_ref())))
}

const EVENT: &str = "authorize";

async fn start(
    state: &AppState,
    headers: &HeaderMap,
    params: &Params,
    session: Option<&Session>,
) -> Result<Response, Refusal> {
    match read(state, params, session).await? {
        Step::SignIn {
            client,
        } => Ok(login_page(state, headers, params, &client)),
        Step::Decide {
            request,
            session,
        } => consent::page(state, &request, &session, params),
    }
}

fn login_page(
    state: &AppState,
    headers: &HeaderMap,
    params: &Params,
    client: &str,
) -> Response {
    let browser = session::Browser::of(&state.config, headers);
    let page = login::page(
        state,
        &browser,
        client,
        &params.encode(),
        StatusCode::OK,
        "",
        "",
    );
    let cookies = browser.new_cookie.map(|cookie| (header::SET_COOKIE, cookie.to_string()));
    (AppendHeaders(cookies), page).into_response()
}

/// What the user has to do next.
pub(crate) enum Step {
    /// Sign in; `client` is what to call the client on that page.
    SignIn { client: String },
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
        });
    };
    let (back, redirect_given) = way_back(params, &client)?;
    let request = complete(state, params, client, back, redirect_given)?;
    next_step(request, session)
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
        Some(session) => cimd::client(state, client_id, &session.user.username).await.map(Some),
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
    let back = Back {
        redirect_uri,
        // Repeated: there is no telling which one to echo. `complete` refuses the request.
        state: params.one("state").ok().flatten().map(str::to_owned),
    };
    Ok((back, requested.is_some()))
}

/// The checks whose refusals go back to the client.
fn complete(
    state: &AppState,
    params: &Params,
    client: Client,
    back: Back,
    redirect_given: bool,
) -> Result<AuthorizationRequest, Refusal> {
    let refuse = |(code, description)| Refusal::Back {
        back: Box::new(back.clone()),
        code,
        description,
    };
    let challenge = check_shape(params).map_err(refuse)?;
    let resources = check_resources(state, params).map_err(refuse)?;
    let text = |name| params.one(name).ok().flatten().map(str::to_owned);
    Ok(AuthorizationRequest {
        redirect_given,
        challenge,
        scope: text("scope").unwrap_or_default(),
        resources,
        nonce: text("nonce"),
        prompt: text("prompt").unwrap_or_default(),
        client,
        back: back.clone(),
    })
}

type Reason = (&'static str, &'static str);

/// Parameters that may come once only.
const SINGLE: &[&str] = &[
    "response_type",
    "response_mode",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "prompt",
    "request",
    "request_uri",
];

/// Returns the challenge.
fn check_shape(params: &Params) -> Result<String, Reason> {
    if SINGLE.iter().any(|name| params.one(name).is_err()) {
        return Err(("invalid_request", "A parameter is there more than once."));
    }
    let get = |name| params.one(name).ok().flatten();
    if get("request").is_some() {
        return Err((
            "request_not_supported",
            "Request objects are not supported.",
        ));
    }
    if get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "request_uri is not supported."));
    }
    match get("response_type") {
        Some("code") => {}
        None => return Err(("invalid_request", "The parameter response_type is missing.")),
        Some(_) => {
            return Err((
                "unsupported_response_type",
                "Only response_type=code is supported.",
            ));
        }
    }
    if get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "Only response_mode=query is supported."));
    }
    check_challenge(get("code_challenge"), get("code_challenge_method"))
}

/// RFC 7636 section 4.3. Without a method it would mean `plain`, which protects nothing from
/// whoever reads the request.
fn check_challenge(
    challenge: Option<&str>,
    method: Option<&str>,
) -> Result<String, Reason> {
    let Some(challenge) = challenge else {
        return Err((
            "invalid_request",
            "PKCE is required: code_challenge is missing.",
        ));
    };
    if method != Some("S256") {
        return Err(("invalid_request", "code_challenge_method must be S256."));
    }
    match URL_SAFE_NO_PAD.decode(challenge) {
        Ok(bytes) if bytes.len() == 32 => Ok(challenge.to_owned()),
        _ => Err((
            "invalid_request",
            "code_challenge is not the SHA-256 of a verifier in base64url.",
        )),
    }
}

/// Without `resource` the only configured one is meant; among several, the client has to choose.
fn check_resources(
    state: &AppState,
    params: &Params,
) -> Result<Vec<String>, Reason> {
    let configured = &state.config.settings.resource;
    let found = resource::find_all(configured, params.all("resource")).ok_or((
        "invalid_target",
        "This server issues no tokens for that resource.",
    ))?;
    match (found.is_empty(), configured.as_slice()) {
        (false, _) => Ok(found),
        (true, [only]) => Ok(vec![only.clone()]),
        (true, _) => Err((
            "invalid_target",
            "Name the resource: this server knows several.",
        )),
    }
}

/// OpenID Connect Core section 3.1.2.1 on `prompt`. Consent is always asked for, so `none` never
/// succeeds; it must still be answered without a page.
fn next_step(
    request: AuthorizationRequest,
    session: Option<&Session>,
) -> Result<Step, Refusal> {
    let asks = |prompt: &str| request.prompt.split(' ').any(|word| word == prompt);
    let refuse = |code, description| {
        Err(Refusal::Back {
            back: Box::new(request.back.clone()),
            code,
            description,
        })
    };
    let session = session.filter(|_| !asks("login") && !asks("select_account"));
    match session {
        _ if asks("none") && request.prompt != "none" => {
            refuse("invalid_request", "prompt=none goes with no other prompt.")
        }
        None if asks("none") => refuse("login_required", "Nobody is signed in."),
        Some(_) if asks("none") => refuse("consent_required", "The user has to decide."),
        None => Ok(Step::SignIn {
            client: request.client.display_name(),
        }),
        Some(session) => Ok(Step::Decide {
            session: session.clone(),
            request: Box::new(request),
        }),
    }
}
