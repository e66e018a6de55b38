//! What a login gives: its tokens, refreshing them, and asking for more scopes later.

use anyhow::Result;
use serde_json::json;

use crate::challenge::Challenge;
use crate::challenge::words;
use crate::doctor::exam::Exam;
use crate::doctor::report::Rule;
use crate::doctor::report::rule;
use crate::gate::discovery::Way;
use crate::gate::pass::Pass;
use crate::http::Reply;
use crate::login::Grant;
use crate::login::Login;
use crate::mcp;
use crate::scopes;
use crate::tools;

const USERS: &str = "users, whose tokens can be abused";
const ALL: &str = "all clients";

/// Longer-lived access tokens are worth a warning, in seconds.
const LONG: u64 = 3600;

const LOGIN: Rule = rule(
    "login.works",
    "a user can log in, and the client's own checks pass",
    "run `walk` to see at which exchange it ends",
    ALL,
);
const LIFETIME: Rule = rule(
    "token.lifetime",
    "expires_in is there and at most an hour",
    "issue short-lived access tokens, and a refresh token with them",
    "clients without it cannot refresh in time; a leaked token works for long",
);
const REFRESH: Rule = rule(
    "refresh.works",
    "the refresh token gives a new access token",
    "issue refresh tokens, and accept them without a repeated scope",
    "users: they log in again whenever the access token expires",
);
const ROTATES: Rule = rule(
    "refresh.rotates",
    "refreshing replaces the refresh token of a public client",
    "rotate refresh tokens (OAuth 2.1 section 4.3.1)",
    USERS,
);
const STEP_UP: Rule = rule(
    "stepup.challenge",
    "too little scope is answered 403 insufficient_scope with the scopes that are needed",
    "answer 403 with WWW-Authenticate: Bearer error=\"insufficient_scope\", scope=\"..\", resource_metadata=\"..\"",
    "clients that step up: without it they fail, or log in again in a loop",
);

/// All checks of this part.
pub(crate) const CHECKS: [Rule; 5] = [LOGIN, LIFETIME, REFRESH, ROTATES, STEP_UP];

/// A login, and everything that it was granted: all of it is to be taken back.
pub(crate) struct Stay {
    pub(crate) login: Login,
    pub(crate) grants: Vec<Grant>,
}

impl Stay {
    /// The newest token, for the server that was validated.
    pub(crate) fn pass(
        &self,
        grant: &Grant,
    ) -> Pass {
        self.login.way.pass(grant.access_token.clone())
    }

    /// One login. What it gives is remembered.
    async fn authorize(
        &mut self,
        exam: &mut Exam,
        scopes: &[String],
    ) -> Result<Grant> {
        let grant = self.login.authorize(&mut exam.http, scopes).await?;
        self.grants.push(grant.clone());
        Ok(grant)
    }
}

/// Logs in as clients do, on a way that passed their checks, and looks at what comes of it. The
/// token to go on with, where there is one, and what is to be taken back.
pub(crate) async fn examine(
    exam: &mut Exam,
    way: Way,
) -> (Option<Pass>, Option<Stay>) {
    let how = exam.how.clone();
    let login = match Login::prepare(&mut exam.http, &how, way).await {
        Ok(login) => login,
        Err(error) => {
            fail(exam, &error);
            return (None, None);
        }
    };
    let client = &login.client;
    exam.registered.push((client.id.clone(), client.registration.clone()));
    let scopes = login.way.scopes().to_vec();
    let mut stay = Stay {
        login,
        grants: Vec::new(),
    };
    match stay.authorize(exam, &scopes).await {
        Err(error) => {
            fail(exam, &error);
            (None, Some(stay))
        }
        Ok(grant) => {
            exam.report.must(LOGIN, true, "logged in");
            lifetime(exam, &grant);
            step_up(exam, &mut stay, &scopes).await;
            let newer = refresh(exam, &mut stay, &grant).await;
            let pass = stay.pass(newer.as_ref().unwrap_or(&grant));
            (Some(pass), Some(stay))
        }
    }
}

fn fail(
    exam: &mut Exam,
    error: &anyhow::Error,
) {
    exam.report.must(LOGIN, false, format!("{error:#}"));
    exam.report.skip(&CHECKS[1..], "nobody could log in");
}

fn lifetime(
    exam: &mut Exam,
    grant: &Grant,
) {
    let seen = format!("expires_in {:?}", grant.expires_in);
    let good = grant.expires_in.is_some_and(|seconds| seconds <= LONG);
    exam.report.should(LIFETIME, good, seen);
}

async fn refresh(
    exam: &mut Exam,
    stay: &mut Stay,
    grant: &Grant,
) -> Option<Grant> {
    let Some(token) = &grant.refresh_token else {
        exam.report.should(REFRESH, false, "no refresh token was issued");
        exam.report.skip(&[ROTATES], "there is no refresh token");
        return None;
    };
    let login = &stay.login;
    match login.refresh(&mut exam.http, token, &grant.scopes).await {
        Err(error) => {
            exam.report.must(REFRESH, false, format!("{error:#}"));
            exam.report.skip(&[ROTATES], "refreshing failed");
            None
        }
        Ok(newer) => {
            exam.report.must(REFRESH, true, "a new access token");
            let rotated = newer.refresh_token.as_ref().is_some_and(|newer| newer != token);
            let seen = format!("another refresh token: {rotated}");
            exam.report.should(ROTATES, rotated, seen);
            stay.grants.push(newer.clone());
            Some(newer)
        }
    }
}

/// Logs in with one scope only, and calls a harmless tool that does not exist for anybody without
/// a further scope.
async fn step_up(
    exam: &mut Exam,
    stay: &mut Stay,
    scopes: &[String],
) {
    let [first, _, ..] = scopes else {
        let why = "the server names fewer than two scopes";
        exam.report.skip(&[STEP_UP], why);
        return;
    };
    let grant = match stay.authorize(exam, std::slice::from_ref(first)).await {
        Ok(grant) => grant,
        Err(error) => {
            let why = format!("no token for {first} alone: {error:#}");
            exam.report.skip(&[STEP_UP], &why);
            return;
        }
    };
    let mut endpoint = exam.endpoint(Some(&stay.pass(&grant)));
    let list = exam.ask(endpoint.request("tools/list", json!({}))).await;
    let list = list.json()["result"]["tools"].as_array().cloned();
    let Some((name, arguments)) = tools::harmless(&list.unwrap_or_default()) else {
        exam.report.skip(&[STEP_UP], "no tool is known to be harmless");
        return;
    };
    let params = json!({"name": name, "arguments": arguments});
    let reply = exam.ask(endpoint.request("tools/call", params)).await;
    judge_step_up(exam, &reply, first);
}

fn judge_step_up(
    exam: &mut Exam,
    reply: &Reply,
    had: &str,
) {
    let header = reply.header("WWW-Authenticate");
    let challenge = Challenge::parse(&header).unwrap_or_default();
    let named = challenge.scopes();
    let seen = format!(
        "with {had} only: {} WWW-Authenticate: {header:?}",
        reply.status_text()
    );
    let refused = reply.status >= 400 || mcp::problem(reply).is_some();
    if !refused {
        exam.report.skip(
            &[STEP_UP],
            "one scope is enough for everything that was tried",
        );
        return;
    }
    let more = scopes::union(&words(had), &named).len() > 1;
    let good = reply.status == 403 && challenge.wants_step_up() && more;
    exam.report.must(STEP_UP, good, seen);
}
