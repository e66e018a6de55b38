//! The authorization code flow with PKCE, from the authorization server's metadata to the tokens.
//!
//! Spec: OAuth 2.1 section 4.1, RFC 7636 (PKCE), RFC 8707 (resource), RFC 9207 (iss), MCP
//! 2026-07-28, basic/authorization. Left out: other grants, DPoP, and keeping a login (see
//! `cache.rs`).

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use oauth2::CsrfToken;
use oauth2::PkceCodeChallenge;
use oauth2::PkceCodeVerifier;
use url::Url;

use crate::browser;
use crate::browser::Headless;
use crate::browser::User;
use crate::callback;
use crate::callback::Callback;
use crate::challenge::Challenge;
use crate::challenge::words;
use crate::discovery;
use crate::discovery::Issuer;
use crate::exchange::Note;
use crate::exchange::Party;
use crate::http::Http;
use crate::http::Outgoing;
use crate::jwt;
use crate::mcp;
use crate::redact;
use crate::register;
use crate::register::Client;
use crate::register::Given;

/// Where the browser is sent when nothing listens: the user pastes the address.
const PASTE_PORT: u16 = 33420;

/// How the user wants to log in.
#[derive(Clone, Default)]
pub(crate) struct How {
    pub(crate) user: Option<User>,
    pub(crate) paste: bool,
    pub(crate) port: Option<u16>,
    pub(crate) given: Given,
    /// The issuer to use with a server that names none.
    pub(crate) issuer: Option<String>,
}

/// The validated way to a login.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) issuer: Issuer,
    /// What to name in `resource`.
    pub(crate) resource: String,
    /// What to ask for at first; empty where the server does not say.
    pub(crate) scopes: Vec<String>,
}

/// Finds the way in from the challenge of a 401.
pub(crate) async fn find_way(
    http: &mut Http,
    server: &str,
    challenge: &Challenge,
    preset: Option<&str>,
) -> Result<Way> {
    let found = discovery::resource(http, server, challenge).await?;
    let (resource, name, supported) = match (found, preset) {
        (Some(found), _) => (found.resource, found.issuer, found.scopes),
        (None, Some(issuer)) => (server.to_owned(), issuer.to_owned(), Vec::new()),
        (None, None) => bail!(
            "{server} wants a token and does not say where to get one: it serves no protected \
             resource metadata (RFC 9728). If you know its authorization server, name it with \
             --issuer; if you have a token, give it with --token"
        ),
    };
    let scopes = match challenge.scopes() {
        named if named.is_empty() => supported,
        named => named,
    };
    Ok(Way {
        issuer: discovery::issuer(http, &name).await?,
        resource,
        scopes,
    })
}

/// What a login gave.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    /// Seconds.
    pub(crate) expires_in: Option<u64>,
    /// What the token is good for, as far as the client is told.
    pub(crate) scopes: Vec<String>,
}

/// A client that can log its user in, once or again with more scopes.
pub(crate) struct Login {
    how: How,
    pub(crate) way: Way,
    callback: Option<Callback>,
    headless: Headless,
    pub(crate) redirect_uri: String,
    pub(crate) client: Client,
}

/// What is kept of one authorization request until its answer comes: nobody else has it.
struct Pending {
    verifier: PkceCodeVerifier,
    state: CsrfToken,
    scopes: Vec<String>,
}

impl Login {
    /// Opens the callback and becomes a client.
    pub(crate) async fn prepare(
        http: &mut Http,
        how: &How,
        way: Way,
    ) -> Result<Self> {
        let nobody = Client {
            id: String::new(),
            secret: None,
        };
        let mut login = Self::resume(how, way, nobody).await?;
        let issuer = &login.way.issuer;
        login.client = register::register(http, issuer, &how.given, &login.redirect_uri).await?;
        Ok(login)
    }

    /// A client that registered before. Its callback may be at another port now, which loopback
    /// redirect URIs allow (RFC 8252 section 7.3).
    pub(crate) async fn resume(
        how: &How,
        way: Way,
        client: Client,
    ) -> Result<Self> {
        let callback = match how.paste {
            true => None,
            false => Some(Callback::listen(how.port).await?),
        };
        let pasted = || callback::redirect_uri(how.port.unwrap_or(PASTE_PORT));
        let redirect_uri = callback
            .as_ref()
            .map_or_else(pasted, Callback::redirect_uri);
        Ok(Self {
            how: how.clone(),
            way,
            callback,
            headless: Headless::default(),
            redirect_uri,
            client,
        })
    }

    /// The whole flow: the user logs in and consents, and the code becomes tokens.
    pub(crate) async fn authorize(
        &mut self,
        http: &mut Http,
        scopes: &[String],
    ) -> Result<Grant> {
        let (url, pending) = self.start(http, scopes)?;
        let answer = self.ask_user(http, &url).await?;
        let code = self.check_answer(http, &answer, &pending)?;
        self.redeem(http, &code, &pending).await
    }

    fn start(
        &self,
        http: &mut Http,
        scopes: &[String],
    ) -> Result<(String, Pending)> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let state = CsrfToken::new_random();
        let lines = vec![
            format!(
                "code_verifier  = {}   stays here",
                redact::shorten(verifier.secret())
            ),
            format!(
                "code_challenge = {}   BASE64URL(SHA-256(code_verifier))",
                challenge.as_str()
            ),
            format!(
                "state          = {}   ties the answer to this request",
                state.secret()
            ),
            format!(
                "issuer         = {}   the only one whose answer counts",
                self.way.issuer.issuer
            ),
        ];
        let why = "The client makes a secret and will show only its hash. Whoever steals the code on \
                   its way back through the browser lacks the secret, and the code is worthless.";
        let clause = "RFC 7636 section 4; MCP authorization, \"Authorization Response Validation\"";
        http.recorder.local(
            "Make the PKCE pair, and remember the request",
            why,
            clause,
            lines,
        );
        let url = self.authorization_url(challenge.as_str(), state.secret(), scopes)?;
        let pending = Pending {
            verifier,
            state,
            scopes: scopes.to_vec(),
        };
        Ok((url, pending))
    }

    fn authorization_url(
        &self,
        challenge: &str,
        state: &str,
        scopes: &[String],
    ) -> Result<String> {
        let endpoint = self.way.issuer.endpoint("authorization_endpoint")?;
        let mut url = Url::parse(endpoint).context("the authorization_endpoint is no URL")?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client.id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", state)
            .append_pair("resource", &self.way.resource);
        if !scopes.is_empty() {
            url.query_pairs_mut()
                .append_pair("scope", &scopes.join(" "));
        }
        Ok(url.into())
    }

    /// Sends the user there and waits for the URL that brings the answer.
    async fn ask_user(
        &mut self,
        http: &mut Http,
        url: &str,
    ) -> Result<String> {
        let (base, parameters) = redact::target(url);
        let mut lines = vec![base];
        lines.extend(parameters.lines().map(str::to_owned));
        let why = "The request travels through the browser, so everybody on the way may read it: \
                   there is no secret in it. `resource` names the one server the token shall be for.";
        let clause = "OAuth 2.1 section 4.1.1; RFC 8707 section 2";
        http.recorder
            .local("Build the authorization request", why, clause, lines);
        match (&self.how.user, &self.callback) {
            (Some(user), callback) => {
                let back = self
                    .headless
                    .play(http, url, &self.redirect_uri, user)
                    .await?;
                match callback {
                    Some(callback) => deliver(http, callback, &back).await,
                    None => Ok(back),
                }
            }
            (None, Some(callback)) => {
                eprintln!("\nLog in in your browser. If it does not open, go to:\n\n{url}\n");
                browser::open(url);
                receive(http, callback).await
            }
            (None, None) => {
                eprintln!("\nOpen this address in any browser:\n\n{url}\n");
                browser::paste()
            }
        }
    }

    /// Everything that must hold before the code may be sent anywhere.
    fn check_answer(
        &self,
        http: &mut Http,
        url: &str,
        pending: &Pending,
    ) -> Result<String> {
        let url = Url::parse(url).context("what came back is no URL: paste the whole address")?;
        let get = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        let recorder = &mut http.recorder;
        recorder.check(
            get("state").as_ref() == Some(pending.state.secret()),
            "state is the one that was sent",
            "RFC 6749 section 10.12: somebody could make this client redeem a code of theirs",
        )?;
        self.check_iss(http, get("iss").as_deref())?;
        // Only now may anything else of the answer be looked at, its error included.
        if let Some(error) = get("error") {
            let description = get("error_description").unwrap_or_default();
            bail!("the authorization server said no: {error:?} {description:?}");
        }
        get("code").context("the answer has neither a code nor an error")
    }

    fn check_iss(
        &self,
        http: &mut Http,
        iss: Option<&str>,
    ) -> Result<()> {
        let issuer = &self.way.issuer;
        let promised = issuer.is_true("authorization_response_iss_parameter_supported");
        let what = match (iss, promised) {
            (Some(iss), _) => format!("iss {iss:?} is the issuer that was asked, byte for byte"),
            (None, true) => "iss is there, as the metadata promised".to_owned(),
            (None, false) => "iss is absent, and the metadata did not promise it".to_owned(),
        };
        http.recorder.check(
            iss.map_or(!promised, |iss| iss == issuer.issuer),
            what,
            "RFC 9207 section 2.4: with several authorization servers, a hostile one could have the \
             client bring it an honest one's code (mix-up attack)",
        )
    }

    async fn redeem(
        &self,
        http: &mut Http,
        code: &str,
        pending: &Pending,
    ) -> Result<Grant> {
        let note = Note::to_issuer(
            "Exchange the code for tokens",
            "Straight to the authorization server, not through the browser. The verifier proves that \
             whoever redeems the code also asked for it; `resource` is named again.",
            "OAuth 2.1 section 4.1.3; RFC 7636 section 4.5; RFC 8707 section 2",
        );
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", pending.verifier.secret()),
        ];
        self.tokens(http, note, &parameters, &pending.scopes).await
    }

    /// A new access token for a refresh token; the scopes stay what they were.
    pub(crate) async fn refresh(
        &self,
        http: &mut Http,
        refresh_token: &str,
        scopes: &[String],
    ) -> Result<Grant> {
        let note = Note::to_issuer(
            "Refresh the token",
            "Access tokens live for minutes. The refresh token gets a new one without the user, and \
             is itself replaced, so that a stolen copy is noticed.",
            "OAuth 2.1 section 4.3",
        );
        let parameters = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        self.tokens(http, note, &parameters, scopes).await
    }

    async fn tokens(
        &self,
        http: &mut Http,
        note: Note,
        parameters: &[(&str, &str)],
        requested: &[String],
    ) -> Result<Grant> {
        let request = self.token_request(parameters)?;
        let reply = http.send(note, request).await?;
        let body = reply.json();
        if reply.status != 200 {
            let why = mcp::problem(&reply).unwrap_or_default();
            bail!(
                "the token endpoint said no: {} {why}",
                body["error"].as_str().unwrap_or("?")
            );
        }
        let kind = body["token_type"].as_str().unwrap_or_default();
        http.recorder.check(
            kind.eq_ignore_ascii_case("Bearer"),
            format!("token_type is Bearer: {kind:?}"),
            "RFC 6749 section 7.1: a client must not use a token whose type it does not know",
        )?;
        let token = body["access_token"]
            .as_str()
            .context("the answer has no access_token")?;
        let granted = body["scope"]
            .as_str()
            .map_or_else(|| requested.to_vec(), words);
        http.recorder.remark(said(requested, &granted));
        jwt::describe(http, token);
        Ok(Grant {
            access_token: token.to_owned(),
            refresh_token: body["refresh_token"].as_str().map(str::to_owned),
            expires_in: body["expires_in"].as_u64(),
            scopes: granted,
        })
    }

    /// A request to the token endpoint, authenticated as the registration says.
    pub(crate) fn token_request(
        &self,
        parameters: &[(&str, &str)],
    ) -> Result<Outgoing> {
        let issuer = &self.way.issuer;
        let endpoint = issuer.endpoint("token_endpoint")?;
        let mut all = parameters.to_vec();
        all.push(("resource", &self.way.resource));
        let post = issuer.lists(
            "token_endpoint_auth_methods_supported",
            "client_secret_post",
        );
        match &self.client.secret {
            Some(secret) if !post => {
                let pair = format!("{}:{}", encode(&self.client.id), encode(secret));
                let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
                return Ok(Outgoing::form(endpoint, &all).header("Authorization", value));
            }
            Some(secret) => all.push(("client_secret", secret)),
            None => {}
        }
        all.push(("client_id", &self.client.id));
        Ok(Outgoing::form(endpoint, &all))
    }
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn said(
    requested: &[String],
    granted: &[String],
) -> String {
    match (requested.join(" "), granted.join(" ")) {
        (asked, got) if asked == got => format!("Asked for and granted: {got}"),
        (asked, got) => format!("Asked for: {asked}. Granted: {got}"),
    }
}

fn callback_note() -> Note {
    Note::to_server(
        "The browser brings the code",
        "A listener of the client on this machine takes the redirect. The code is in a URL, which \
         is why it works once, for a minute, and only together with the verifier.",
        "RFC 8252 section 7.3; RFC 6749 section 4.1.2",
    )
    .between(Party::Browser, Party::Client)
}

/// The stand-in for the browser calls the listener, just as a browser would.
async fn deliver(
    http: &mut Http,
    callback: &Callback,
    url: &str,
) -> Result<String> {
    let request = Outgoing::get(url);
    let (called, received) = tokio::join!(http.quiet(&request), callback.receive());
    called?;
    let (url, reply) = received?;
    http.note(callback_note(), &Outgoing::get(&url), &reply);
    Ok(url)
}

async fn receive(
    http: &mut Http,
    callback: &Callback,
) -> Result<String> {
    let (url, reply) = callback.receive().await?;
    http.note(callback_note(), &Outgoing::get(&url), &reply);
    Ok(url)
}
