//! The authorization code flow with PKCE, from the authorization server's metadata to the tokens;
//! and the shorter way of a machine, which has credentials and no user.
//!
//! Spec: OAuth 2.1 sections 4.1 and 4.2, RFC 7636 (PKCE), RFC 8707 (resource), RFC 9207 (iss), MCP
//! 2026-07-28, basic/authorization. What is told about it stands in `story.rs`. Left out: other
//! grants, DPoP, and keeping a login (see `cache.rs`).

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::browser;
use crate::browser::Headless;
use crate::browser::User;
use crate::callback;
use crate::callback::Callback;
use crate::challenge::words;
use crate::exchange::Note;
use crate::gate::discovery::Issuer;
use crate::gate::discovery::Way;
use crate::gate::jwt;
use crate::gate::sealed::Field;
use crate::gate::sealed::Sealed;
use crate::gate::secret::Secret;
use crate::gate::signing::ASSERTION_TYPE;
use crate::gate::trusted::Trusted;
use crate::http::Http;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::mcp;
use crate::pkce;
use crate::recorder::Recorder;
use crate::redact;
use crate::register;
use crate::register::Client;
use crate::register::Given;
use crate::story;
use crate::story::prevents;

/// Where the browser is sent when nothing listens: the user pastes the address.
const PASTE_PORT: u16 = 33420;

/// How the user wants to log in.
#[derive(Clone, Default)]
pub(crate) struct How {
    /// In the client's own name: there is no user.
    pub(crate) machine: bool,
    pub(crate) user: Option<User>,
    pub(crate) paste: bool,
    pub(crate) port: Option<u16>,
    pub(crate) given: Given,
    /// The issuer to use, where the server names none or several.
    pub(crate) issuer: Option<String>,
}

/// What a login gave.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
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
    pub(crate) headless: Headless,
    redirect_uri: String,
    pub(crate) client: Client,
}

/// What is kept of one authorization request until its answer comes: nobody else has it.
struct Pending {
    verifier: Secret,
    state: String,
    scopes: Vec<String>,
}

impl Login {
    /// Opens the callback and becomes a client.
    pub(crate) async fn prepare(
        http: &mut Http,
        how: &How,
        way: Way,
    ) -> Result<Self> {
        let mut login = Self::resume(how, way, Client::default()).await?;
        let issuer = login.way.issuer();
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
        let callback = if how.paste || how.machine {
            None
        } else {
            Some(Callback::listen(how.port).await?)
        };
        let pasted = || callback::redirect_uri(how.port.unwrap_or(PASTE_PORT));
        let redirect_uri = callback.as_ref().map_or_else(pasted, Callback::redirect_uri);
        Ok(Self {
            how: how.clone(),
            way,
            callback,
            headless: Headless::default(),
            redirect_uri,
            client,
        })
    }

    /// The whole flow: the user logs in and consents, and the code becomes tokens. Or a machine
    /// proves itself.
    pub(crate) async fn authorize(
        &mut self,
        http: &mut Http,
        scopes: &[String],
    ) -> Result<Grant> {
        if self.how.machine {
            return self.authorize_machine(http, scopes).await;
        }
        let (request, pending) = self.start(&mut http.recorder, scopes)?;
        let answer = self.ask_user(http, &request).await?;
        let code = self.check_answer(&mut http.recorder, &answer, &pending)?;
        self.redeem(http, &code, &pending).await
    }

    /// Nobody can be asked for more scopes than the machine was given when it was set up. So where
    /// the server refuses what the challenge names, the machine asks for what it has.
    async fn authorize_machine(
        &self,
        http: &mut Http,
        scopes: &[String],
    ) -> Result<Grant> {
        let reply = self.prove(http, story::CLIENT_CREDENTIALS, scopes).await?;
        if scopes.is_empty() || reply.json()["error"] != "invalid_scope" {
            return read_tokens(http, &reply, scopes);
        }
        let reply = self.prove(http, story::CLIENT_CREDENTIALS_AGAIN, &[]).await?;
        read_tokens(http, &reply, &[])
    }

    async fn prove(
        &self,
        http: &mut Http,
        note: Note,
        scopes: &[String],
    ) -> Result<Reply> {
        let scope = scopes.join(" ");
        let mut fields = vec![
            ("grant_type", Field::Text("client_credentials")),
            ("resource", Field::Text(self.way.resource())),
        ];
        if !scope.is_empty() {
            fields.push(("scope", Field::Text(&scope)));
        }
        let endpoint = self.way.issuer().endpoint("token_endpoint")?;
        http.send(note, self.as_client(&endpoint, &fields)?).await
    }

    fn start(
        &self,
        recorder: &mut Recorder,
        scopes: &[String],
    ) -> Result<(Trusted, Pending)> {
        let pair = pkce::Pair::new()?;
        let pending = Pending {
            verifier: Secret::new(pair.verifier),
            state: pkce::random()?,
            scopes: scopes.to_vec(),
        };
        let (verifier, state) = (pending.verifier.shown(), &pending.state);
        let (challenge, issuer) = (&pair.challenge, self.way.issuer().name());
        let lines = vec![
            format!("code_verifier  = {verifier}   stays here"),
            format!("code_challenge = {challenge}   BASE64URL(SHA-256(code_verifier))"),
            format!("state          = {state}   ties the answer to this request"),
            format!("issuer         = {issuer}   the only one whose answer counts"),
        ];
        recorder.local(story::PKCE, lines);
        let request = self.authorization_request(challenge, &pending)?;
        let (base, parameters) = redact::target(request.url().as_str());
        let mut lines = vec![base];
        lines.extend(parameters.lines().map(str::to_owned));
        recorder.local(story::AUTHORIZATION_REQUEST, lines);
        Ok((request, pending))
    }

    fn authorization_request(
        &self,
        challenge: &str,
        pending: &Pending,
    ) -> Result<Trusted> {
        let endpoint = self.way.issuer().endpoint("authorization_endpoint")?;
        let scope = pending.scopes.join(" ");
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &self.client.id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("state", &pending.state),
            ("resource", self.way.resource()),
        ];
        if !scope.is_empty() {
            parameters.push(("scope", &scope));
        }
        Ok(endpoint.with_query(&parameters))
    }

    /// Sends the user there and waits for the URL that brings the answer.
    async fn ask_user(
        &mut self,
        http: &mut Http,
        request: &Trusted,
    ) -> Result<String> {
        if let Some(callback) = &mut self.callback {
            callback.forget();
        }
        let Some(user) = &self.how.user else {
            return match &mut self.callback {
                Some(callback) => {
                    browser::open(request.url());
                    receive(http, callback).await
                }
                None => browser::paste(request.url()),
            };
        };
        let uri = &self.redirect_uri;
        let back = self.headless.log_in(http, request, uri, user).await?;
        match &mut self.callback {
            Some(callback) => deliver(http, callback, &back).await,
            None => Ok(back),
        }
    }

    /// Everything that must hold before the code may be sent anywhere.
    fn check_answer(
        &self,
        recorder: &mut Recorder,
        url: &str,
        pending: &Pending,
    ) -> Result<Secret> {
        let url = Url::parse(url).context("what came back is no URL: paste the whole address")?;
        let get = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        recorder.check(
            get("state").as_ref() == Some(&pending.state),
            "state is the one that was sent",
            prevents::FOREIGN_STATE,
        )?;
        check_iss(recorder, self.way.issuer(), get("iss").as_deref())?;
        // Only now may anything else of the answer be looked at, its error included.
        if let Some(error) = get("error") {
            let description = get("error_description").unwrap_or_default();
            bail!("the authorization server said no: {error:?} {description:?}");
        }
        let code = get("code").context("the answer has neither a code nor an error")?;
        Ok(Secret::new(code))
    }

    async fn redeem(
        &self,
        http: &mut Http,
        code: &Secret,
        pending: &Pending,
    ) -> Result<Grant> {
        let fields = [
            ("grant_type", Field::Text("authorization_code")),
            ("code", Field::Secret(code)),
            ("redirect_uri", Field::Text(&self.redirect_uri)),
            ("code_verifier", Field::Secret(&pending.verifier)),
            ("resource", Field::Text(self.way.resource())),
        ];
        self.tokens(http, story::REDEEM, &fields, &pending.scopes).await
    }

    /// A new access token for a refresh token; the scopes stay what they were.
    pub(crate) async fn refresh(
        &self,
        http: &mut Http,
        refresh_token: &Secret,
        scopes: &[String],
    ) -> Result<Grant> {
        let fields = [
            ("grant_type", Field::Text("refresh_token")),
            ("refresh_token", Field::Secret(refresh_token)),
            ("resource", Field::Text(self.way.resource())),
        ];
        self.tokens(http, story::REFRESH, &fields, scopes).await
    }

    async fn tokens(
        &self,
        http: &mut Http,
        note: Note,
        fields: &[(&str, Field<'_>)],
        requested: &[String],
    ) -> Result<Grant> {
        let endpoint = self.way.issuer().endpoint("token_endpoint")?;
        let reply = http.send(note, self.as_client(&endpoint, fields)?).await?;
        read_tokens(http, &reply, requested)
    }

    /// A form to an endpoint of the authorization server, authenticated as the registration says.
    pub(crate) fn as_client(
        &self,
        endpoint: &Trusted,
        fields: &[(&str, Field<'_>)],
    ) -> Result<Sealed> {
        let id = self.client.id.as_str();
        let request = endpoint.request(Method::POST);
        let methods = "token_endpoint_auth_methods_supported";
        let in_body = self.way.issuer().lists(methods, "client_secret_post");
        let mut all = fields.to_vec();
        if let Some(key) = &self.client.key {
            // The assertion names the client (RFC 7523 section 3).
            let assertion = key.assertion(id, self.way.issuer())?;
            all.push(("client_assertion_type", Field::Text(ASSERTION_TYPE)));
            all.push(("client_assertion", Field::Secret(&assertion)));
            return Ok(request.form(&all));
        }
        match &self.client.secret {
            Some(secret) if !in_body => return Ok(request.basic(id, secret).form(&all)),
            Some(secret) => all.push(("client_secret", Field::Secret(secret))),
            None => {}
        }
        all.push(("client_id", Field::Text(id)));
        Ok(request.form(&all))
    }
}

fn check_iss(
    recorder: &mut Recorder,
    issuer: &Issuer,
    iss: Option<&str>,
) -> Result<()> {
    let promised = issuer.is_true("authorization_response_iss_parameter_supported");
    let what = match (iss, promised) {
        (Some(iss), _) => format!("iss {iss:?} is the issuer that was asked, byte for byte"),
        (None, true) => "iss is there, as the metadata promised".to_owned(),
        (None, false) => "iss is absent, and the metadata did not promise it".to_owned(),
    };
    recorder.check(
        iss.map_or(!promised, |iss| iss == issuer.name()),
        what,
        prevents::FOREIGN_ISS,
    )
}

/// What came, and what is in it.
fn read_tokens(
    http: &mut Http,
    reply: &Reply,
    requested: &[String],
) -> Result<Grant> {
    let grant = read_grant(&mut http.recorder, reply, requested)?;
    http.recorder.remark(said(requested, &grant.scopes));
    look_inside(&mut http.recorder, &grant.access_token);
    Ok(grant)
}

/// What the token endpoint answered (OAuth 2.1 section 3.2.3).
fn read_grant(
    recorder: &mut Recorder,
    reply: &Reply,
    requested: &[String],
) -> Result<Grant> {
    let body = reply.json();
    if reply.status != 200 {
        let why = mcp::problem(reply).unwrap_or_default();
        let error = body["error"].as_str().unwrap_or("?");
        bail!("the token endpoint said no: {error} {why}");
    }
    let kind = body["token_type"].as_str().unwrap_or_default();
    recorder.check(
        kind.eq_ignore_ascii_case("Bearer"),
        format!("token_type is Bearer: {kind:?}"),
        prevents::TOKEN_TYPE,
    )?;
    let token = body["access_token"].as_str().context("the answer has no access_token")?;
    let granted = body["scope"].as_str().map_or_else(|| requested.to_vec(), words);
    Ok(Grant {
        access_token: Secret::new(token),
        refresh_token: body["refresh_token"].as_str().map(Secret::new),
        expires_in: body["expires_in"].as_u64(),
        scopes: granted,
    })
}

fn said(
    requested: &[String],
    granted: &[String],
) -> String {
    let (asked, got) = (requested.join(" "), granted.join(" "));
    if asked.is_empty() {
        format!("Granted, without asking for anything: {got}")
    } else if asked == got {
        format!("Asked for and granted: {got}")
    } else {
        format!("Asked for: {asked}. Granted: {got}")
    }
}

/// Tells what is in a token.
fn look_inside(
    recorder: &mut Recorder,
    token: &Secret,
) {
    let Some(inside) = jwt::decode(token) else {
        recorder.remark("The access token is opaque: only its issuer can say what it means.");
        return;
    };
    let shown = |value: &Value| redact::json(&value.to_string()).unwrap_or_default();
    let (header, claims) = (shown(&inside.header), shown(&inside.claims));
    let text = format!("header {header}\nclaims {claims}");
    recorder.local(
        story::LOOK_INSIDE,
        text.lines().map(str::to_owned).collect(),
    );
}

/// The stand-in for the browser calls the listener, just as a browser would.
async fn deliver(
    http: &mut Http,
    callback: &mut Callback,
    url: &str,
) -> Result<String> {
    let request = Outgoing::get(url);
    let (called, received) = tokio::join!(http.quiet(&request), callback.receive());
    called?;
    let (url, reply) = received?;
    http.note(story::CALLBACK, &Outgoing::get(&url), &reply);
    Ok(url)
}

async fn receive(
    http: &mut Http,
    callback: &mut Callback,
) -> Result<String> {
    let (url, reply) = callback.receive().await?;
    http.note(story::CALLBACK, &Outgoing::get(&url), &reply);
    Ok(url)
}
