//! `walk`: the whole dance against a server, from the first refusal to the step-up.
//!
//! The first login asks for one scope only, the first that the server names. That is least
//! privilege as the specification recommends it, and it leads to a real 403 and a real step-up on
//! any server that checks scopes per operation. `--scope` chooses differently.

use anyhow::Result;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::challenge::Challenge;
use crate::challenge::words;
use crate::exchange::Note;
use crate::gate::discovery;
use crate::gate::pass::GivenToken;
use crate::gate::pass::Pass;
use crate::gate::pass::ServerUrl;
use crate::http::Http;
use crate::http::Reply;
use crate::login::How;
use crate::login::Login;
use crate::mcp;
use crate::mcp::Endpoint;
use crate::mcp::Era;
use crate::scopes;
use crate::story;
use crate::story::prevents;
use crate::tools;

/// How often one call may lead to a new login (MCP authorization, "Step-Up Authorization Flow").
const MAX_STEP_UPS: usize = 2;

/// What to do on the walk.
pub(crate) struct Plan {
    pub(crate) how: How,
    pub(crate) token: Option<GivenToken>,
    /// The scopes of the first login.
    pub(crate) scope: Option<String>,
    /// The tool to call, and its arguments.
    pub(crate) tool: Option<(String, Value)>,
}

/// A conversation with one server, with the login that it needed.
struct Walk<'a> {
    http: &'a mut Http,
    plan: &'a Plan,
    server: &'a ServerUrl,
    endpoint: Endpoint,
    login: Option<Login>,
    /// What was asked for so far.
    asked: Vec<String>,
    /// What the token in use is good for.
    granted: Vec<String>,
}

/// Walks the whole way.
pub(crate) async fn walk(
    http: &mut Http,
    server: &ServerUrl,
    plan: &Plan,
) -> Result<()> {
    let mut walk = Walk {
        http,
        plan,
        server,
        endpoint: Endpoint::new(server.as_str(), None).with_machine(plan.how.machine),
        login: None,
        asked: Vec::new(),
        granted: Vec::new(),
    };
    let reply = walk.knock().await?;
    let reply = match reply.status {
        401 => {
            walk.enter(&reply).await?;
            walk.greet().await?
        }
        _ => reply,
    };
    walk.settle_era(reply).await?;
    let tools = walk.list().await?;
    walk.call(&tools).await?;
    walk.farewell();
    Ok(())
}

impl Walk<'_> {
    async fn knock(&mut self) -> Result<Reply> {
        self.http.recorder.chapter("Knocking: what does the server say to a stranger?");
        let request = self.endpoint.request("server/discover", json!({}));
        let reply = self.http.send(story::KNOCK, request).await?;
        if reply.status != 401 {
            self.http.recorder.remark(open_door(&reply));
        }
        Ok(reply)
    }

    /// From a 401 to a token.
    async fn enter(
        &mut self,
        reply: &Reply,
    ) -> Result<()> {
        let challenge = Challenge::parse(&reply.header("WWW-Authenticate"));
        self.http.recorder.check(
            challenge.is_some(),
            "the 401 has a Bearer challenge",
            prevents::NO_CHALLENGE,
        )?;
        if let Some(token) = &self.plan.token {
            self.http
                .recorder
                .remark("A token was given with --token, so there is no login.");
            self.endpoint.pass = Some(Pass::by_user(self.server, token)?);
            return Ok(());
        }
        self.log_in(&challenge.unwrap_or_default()).await
    }

    /// The way, the registration and the first login.
    async fn log_in(
        &mut self,
        challenge: &Challenge,
    ) -> Result<()> {
        let how = &self.plan.how;
        self.http
            .recorder
            .chapter("Finding the way: who issues tokens for this server?");
        let preset = how.issuer.as_deref();
        let way = discovery::find_way(self.http, self.server, challenge, preset).await?;
        self.asked = self.first_scopes(way.scopes());
        self.http.recorder.chapter("Introducing ourselves: registration");
        let mut login = Login::prepare(self.http, how, way).await?;
        self.http.recorder.chapter(if how.machine {
            "Proving ourselves: the client credentials grant"
        } else {
            "Logging in: the authorization code flow with PKCE"
        });
        let grant = login.authorize(self.http, &self.asked).await?;
        self.granted = grant.scopes;
        self.endpoint.pass = Some(login.way.pass(grant.access_token));
        self.login = Some(login);
        Ok(())
    }

    fn first_scopes(
        &mut self,
        named: &[String],
    ) -> Vec<String> {
        if let Some(scope) = &self.plan.scope {
            return words(scope);
        }
        let first: Vec<_> = named.iter().take(1).cloned().collect();
        if named.len() > 1 {
            self.http.recorder.remark(format!(
                "The server names the scopes {}. Most clients ask for all of them (\"Scope Selection \
                 Strategy\"). This walk asks for {} only, the least that can begin, in order to meet \
                 the 403 and the step-up later; --scope chooses differently.",
                named.join(" "),
                first.join(" ")
            ));
        }
        first
    }

    async fn greet(&mut self) -> Result<Reply> {
        self.http.recorder.chapter("Inside: the same call, with the token");
        self.ask(story::GREET, "server/discover", json!({})).await
    }

    fn stop_if_refused(
        &self,
        reply: &Reply,
    ) -> Result<()> {
        if matches!(reply.status, 401 | 503) {
            let why = mcp::problem(reply).unwrap_or_default();
            bail!(
                "the server does not take this token: {} ({why})",
                reply.status_text()
            );
        }
        Ok(())
    }

    /// Falls back to the handshake where the server is of that era.
    async fn settle_era(
        &mut self,
        reply: Reply,
    ) -> Result<()> {
        if mcp::is_modern(&reply) {
            return Ok(());
        }
        self.http.recorder.remark(
            "The answer is not one of a server that speaks 2026-07-28, so the client falls back to \
             the handshake of the revisions before.",
        );
        let request = self.endpoint.initialize();
        let reply = self.http.send(story::HANDSHAKE, request).await?;
        self.stop_if_refused(&reply)?;
        if reply.json()["result"].is_object() {
            self.endpoint.agree(&reply);
            let request = self.endpoint.notification("notifications/initialized");
            self.http.send(story::READY, request).await?;
            return Ok(());
        }
        mcp::ask_about_path(self.server.as_str(), &reply)?;
        let why = mcp::problem(&reply).unwrap_or_else(|| reply.status_text());
        bail!(
            "this is no MCP server that we can talk to: it answers neither server/discover nor initialize ({why})"
        )
    }

    async fn list(&mut self) -> Result<Vec<Value>> {
        let reply = self.ask(story::LIST, "tools/list", json!({})).await?;
        if let Some(why) = mcp::problem(&reply) {
            self.http.recorder.remark(format!("No tools to be seen: {why}."));
        }
        Ok(reply.json()["result"]["tools"].as_array().cloned().unwrap_or_default())
    }

    async fn call(
        &mut self,
        tools: &[Value],
    ) -> Result<()> {
        let Some((name, arguments)) = self.plan.tool.clone().or_else(|| tools::harmless(tools))
        else {
            self.http.recorder.remark(
                "No tool is called: none is known to be harmless and without arguments. Name one \
                 with --tool NAME key=value..",
            );
            return Ok(());
        };
        let note = story::CALL.titled(format!("Call the tool {name}"));
        let params = json!({"name": name, "arguments": arguments});
        let reply = self.ask(note, "tools/call", params).await?;
        match mcp::problem(&reply) {
            Some(why) if reply.status == 403 => bail!("{name} was refused: {why}"),
            Some(why) => self.http.recorder.remark(format!("The call failed: {why}.")),
            None => {}
        }
        Ok(())
    }

    /// One request; where the token lacks a scope, the step-up and the request again.
    async fn ask(
        &mut self,
        note: Note,
        method: &str,
        params: Value,
    ) -> Result<Reply> {
        let mut note = note;
        for _ in 0..=MAX_STEP_UPS {
            let request = self.endpoint.request(method, params.clone());
            let reply = self.http.send(note.clone(), request).await?;
            self.stop_if_refused(&reply)?;
            let challenge = Challenge::parse(&reply.header("WWW-Authenticate"));
            let challenge = challenge.filter(|c| reply.status == 403 && c.wants_step_up());
            match challenge {
                Some(challenge) if self.login.is_some() => self.step_up(&challenge).await?,
                Some(challenge) => bail!(
                    "the token lacks a scope ({}) and there is no login to get it with",
                    challenge.get("scope").unwrap_or("not named")
                ),
                None => return Ok(reply),
            }
            note = note.again();
        }
        bail!("the server asks for more scopes after {MAX_STEP_UPS} step-ups: giving up")
    }

    /// Logs in again with the union of what was asked for and what is needed.
    async fn step_up(
        &mut self,
        challenge: &Challenge,
    ) -> Result<()> {
        self.http.recorder.chapter(if self.plan.how.machine {
            "Stepping up: more scopes, as far as this client has them"
        } else {
            "Stepping up: more scopes, with the user's consent"
        });
        let needed = challenge.scopes();
        let dropped = scopes::dropped(&needed, &self.asked, &self.granted);
        if !dropped.is_empty() {
            bail!(scopes::granted_only(&self.granted, &dropped));
        }
        let wanted = scopes::union(&self.granted, &needed);
        let lines = vec![
            format!("had       {}", self.granted.join(" ")),
            format!("needed    {}", needed.join(" ")),
            format!("ask for   {}", wanted.join(" ")),
        ];
        self.http.recorder.local(story::STEP_UP, lines);
        let login = self.login.as_mut().expect("only called with a login");
        let grant = login.authorize(self.http, &wanted).await?;
        self.asked = wanted;
        self.granted = grant.scopes;
        self.endpoint.pass = Some(login.way.pass(grant.access_token));
        self.http.recorder.chapter("Inside again: the call that was refused");
        Ok(())
    }

    fn farewell(&mut self) {
        let text = match (&self.endpoint.pass, &self.endpoint.era) {
            (None, _) => "Done. This server asks nobody for a token.".to_owned(),
            (Some(_), Era::Modern) => "Done. The server speaks MCP 2026-07-28.".to_owned(),
            (
                Some(_),
                Era::Handshake {
                    version,
                    ..
                },
            ) => {
                format!("Done. The server speaks MCP {version}, with a handshake.")
            }
        };
        self.http.recorder.remark(text);
    }
}

fn open_door(reply: &Reply) -> String {
    match reply.status {
        200 => {
            "No 401: this server lets strangers in. There is no login to show, so the walk goes on \
                without a token."
                .to_owned()
        }
        _ => format!(
            "The answer is {}, not 401: no token is asked for at this point.",
            reply.status_text()
        ),
    }
}
