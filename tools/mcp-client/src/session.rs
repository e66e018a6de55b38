//! A quiet client: it logs in when it must, steps up when it must, and remembers.
//!
//! What `walk` tells at length, `call`, `prompt` and `tools` simply do. Spec: MCP 2026-07-28,
//! basic/authorization. Left out: pages of lists after the first, and asking the server again for
//! its era.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::cache;
use crate::cache::Cache;
use crate::cache::Entry;
use crate::challenge::Challenge;
use crate::gate::discovery;
use crate::gate::discovery::Way;
use crate::gate::pass::GivenToken;
use crate::gate::pass::Pass;
use crate::gate::pass::ServerUrl;
use crate::gate::secret::Kept;
use crate::http::Http;
use crate::http::Reply;
use crate::login::Grant;
use crate::login::How;
use crate::login::Login;
use crate::mcp;
use crate::mcp::Endpoint;
use crate::out;
use crate::register::Client;
use crate::scopes;
use crate::story;

/// First call, login, refresh, step-up, and once more: beyond that the server asks in circles.
const MAX_ROUNDS: usize = 5;

/// A connection to one server as one user.
pub(crate) struct Session {
    http: Http,
    server: ServerUrl,
    endpoint: Endpoint,
    how: How,
    cache: Cache,
    key: String,
    entry: Option<Entry>,
    login: Option<Login>,
    /// Whether the token was given, and is all there is.
    fixed: bool,
    /// The scopes that the user was asked for during this run, if it came to a login.
    asked: Option<Vec<String>>,
}

impl Session {
    /// With a token of the user's, or with what the cache has. An error where the given token may
    /// not go to this server.
    pub(crate) fn new(
        http: Http,
        server: &ServerUrl,
        how: How,
        token: Option<&GivenToken>,
        cache: Cache,
    ) -> Result<Self> {
        let key = cache::key(server.as_str(), who(&how).as_deref());
        let entry = if token.is_some() {
            None
        } else {
            cache.find(&key)
        };
        let pass = match (token, &entry) {
            (Some(token), _) => Some(Pass::by_user(server, token)?),
            (None, Some(entry)) if entry.is_fresh() => {
                Pass::kept(server, &entry.resource, &entry.access_token.secret).ok()
            }
            _ => None,
        };
        Ok(Self {
            http,
            server: server.clone(),
            endpoint: Endpoint::new(server.as_str(), pass).with_machine(how.machine),
            how,
            cache,
            key,
            entry,
            login: None,
            fixed: token.is_some(),
            asked: None,
        })
    }

    /// Learns which era the server is of, logging in on the way where it must.
    pub(crate) async fn open(&mut self) -> Result<()> {
        let reply = self.ask("server/discover", json!({})).await?;
        if mcp::is_modern(&reply) {
            return Ok(());
        }
        let request = self.endpoint.initialize();
        let reply = self.http.send(story::QUIET, request).await?;
        if !reply.json()["result"].is_object() {
            mcp::ask_about_path(self.server.as_str(), &reply)?;
            let why = mcp::problem(&reply).unwrap_or_else(|| reply.status_text());
            bail!("this is no MCP server that we can talk to ({why})");
        }
        self.endpoint.agree(&reply);
        let ready = self.endpoint.notification("notifications/initialized");
        self.http.send(story::QUIET, ready).await?;
        Ok(())
    }

    /// One request and its result.
    pub(crate) async fn result(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Value> {
        let reply = self.ask(method, params).await?;
        match mcp::problem(&reply) {
            Some(why) => bail!("the server refused: {why}"),
            None => Ok(reply.json()["result"].clone()),
        }
    }

    async fn ask(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Reply> {
        for _ in 0..MAX_ROUNDS {
            let request = self.endpoint.request(method, params.clone());
            let reply = self.http.send(story::QUIET, request).await?;
            let challenge = Challenge::parse(&reply.header("WWW-Authenticate"));
            match (reply.status, challenge) {
                (401, challenge) => self.enter(challenge.unwrap_or_default(), &reply).await?,
                (403, Some(challenge)) if challenge.wants_step_up() => {
                    self.step_up(&challenge).await?;
                }
                _ => return Ok(reply),
            }
        }
        bail!("the server keeps asking for another token: giving up")
    }

    /// After a 401: the refresh token if there is one, else the user.
    async fn enter(
        &mut self,
        challenge: Challenge,
        reply: &Reply,
    ) -> Result<()> {
        if self.fixed || self.asked.is_some() {
            let why = mcp::problem(reply).unwrap_or_default();
            bail!("the server does not take this token: {why}");
        }
        if let Some(entry) = self.entry.take()
            && self.refresh(entry).await.is_ok()
        {
            return Ok(());
        }
        let way = self.find_way(&challenge).await?;
        let scopes = way.scopes().to_vec();
        let login = Login::prepare(&mut self.http, &self.how, way).await?;
        self.login = Some(login);
        self.authorize(scopes).await
    }

    async fn find_way(
        &mut self,
        challenge: &Challenge,
    ) -> Result<Way> {
        let preset = self.how.issuer.as_deref();
        discovery::find_way(&mut self.http, &self.server, challenge, preset).await
    }

    async fn authorize(
        &mut self,
        scopes: Vec<String>,
    ) -> Result<()> {
        let login = self.login.as_mut().context("there is no login to widen")?;
        let grant = login.authorize(&mut self.http, &scopes).await?;
        self.asked = Some(scopes);
        self.take(grant)
    }

    /// Once only: a refresh token that failed is gone.
    async fn refresh(
        &mut self,
        entry: Entry,
    ) -> Result<()> {
        let token = entry.refresh_token.context("there is no refresh token")?;
        let (resource, issuer) = (&entry.resource, &entry.issuer);
        let (http, server) = (&mut self.http, &self.server);
        let way = discovery::resume_way(http, server, resource, issuer, &entry.scopes).await?;
        let client = Client {
            id: entry.client_id,
            secret: entry.client_secret.map(|kept| kept.secret),
            ..Client::default()
        };
        let login = Login::resume(&self.how, way, client).await?;
        let mut grant = login.refresh(&mut self.http, &token.secret, &entry.scopes).await?;
        grant.refresh_token.get_or_insert(token.secret);
        self.login = Some(login);
        self.take(grant)
    }

    async fn step_up(
        &mut self,
        challenge: &Challenge,
    ) -> Result<()> {
        let needed = challenge.get("scope").unwrap_or("not named").to_owned();
        if self.fixed {
            bail!("the token lacks a scope ({needed}): get one that has it");
        }
        let had = self.entry.as_ref().map(|entry| entry.scopes.clone()).unwrap_or_default();
        let asked = self.asked.as_deref().unwrap_or_default();
        let dropped = scopes::dropped(&challenge.scopes(), asked, &had);
        if !dropped.is_empty() {
            bail!(scopes::granted_only(&had, &dropped));
        }
        let wanted = scopes::union(&had, &challenge.scopes());
        if self.asked.is_some() && wanted.len() == had.len() {
            bail!("the server asks for a scope that the token has ({needed})");
        }
        let whom = if self.how.machine {
            "the issuer"
        } else {
            "the user"
        };
        out::say(&format!("(this needs more: {needed}; asking {whom} again)"));
        if self.login.is_none() {
            let way = self.find_way(challenge).await?;
            self.login = Some(Login::prepare(&mut self.http, &self.how, way).await?);
        }
        self.authorize(wanted).await
    }

    /// Uses the new token from now on, and keeps it.
    fn take(
        &mut self,
        grant: Grant,
    ) -> Result<()> {
        let login = self.login.as_ref().context("a grant comes from a login")?;
        // A machine brings its secret each time; it is kept for nobody else either than to refresh.
        let client_secret = match &grant.refresh_token {
            Some(_) => login.client.secret.clone().map(Kept::from),
            None => None,
        };
        let entry = Entry {
            access_token: Kept::from(grant.access_token.clone()),
            refresh_token: grant.refresh_token.map(Kept::from),
            expires_at: cache::now() + grant.expires_in.unwrap_or(300),
            scopes: grant.scopes,
            issuer: login.way.issuer().name().to_owned(),
            resource: login.way.resource().to_owned(),
            client_id: login.client.id.clone(),
            client_secret,
        };
        let pass = login.way.pass(grant.access_token);
        self.cache.keep(&self.key, Some(&entry))?;
        self.endpoint.pass = Some(pass);
        self.entry = Some(entry);
        Ok(())
    }
}

/// Whose login it is: logins of different users, and of machines, are kept apart.
fn who(how: &How) -> Option<String> {
    if how.machine {
        // No user is called like that: a name ends at the first colon.
        return how.given.client_id.as_ref().map(|id| format!("machine:{id}"));
    }
    how.user.as_ref().map(|user| user.name.clone())
}
