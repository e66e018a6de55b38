//! `doctor`: what would clients stumble over at this server, and what is the fix?
//!
//! Each check looks at one thing, says what it saw, and names the clients that depend on it. A
//! failed check breaks a rule or a client; a warning costs comfort or safety; a skipped one could
//! not be made (the reason is given). Nothing is changed on the MCP server; at the authorization
//! server one client is registered, and with `--as` a user logs in.
//!
//! Left out: everything behind the tools themselves, load, TLS configuration.

mod issuer;
mod server;
mod token;

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::challenge::Challenge;
use crate::discovery;
use crate::discovery::Issuer;
use crate::exchange::Note;
use crate::http::Http;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::login::How;
use crate::mcp::Endpoint;
use crate::print;

/// The page that the MCP Inspector runs on: what browser clients look like to a server.
const PAGE: &str = "http://localhost:6274";

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Pass,
    Warn,
    Fail,
    Skip,
}

/// What a check is about, apart from how it ended.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    /// What should be so.
    pub(crate) claim: &'static str,
    /// One line for whoever runs the server.
    pub(crate) fix: &'static str,
    /// Who stumbles where it is not so.
    pub(crate) clients: &'static str,
}

/// Makes the table of rules read like one.
const fn rule(
    id: &'static str,
    claim: &'static str,
    fix: &'static str,
    clients: &'static str,
) -> Rule {
    Rule {
        id,
        claim,
        fix,
        clients,
    }
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) rule: Rule,
    pub(crate) outcome: Outcome,
    pub(crate) seen: String,
}

/// What the patient is asked with.
pub(crate) struct Doctor {
    pub(crate) http: Http,
    pub(crate) url: String,
    how: How,
    token: Option<String>,
    /// A token of the same issuer for another server.
    foreign: Option<String>,
    findings: Vec<Finding>,
}

/// What was learned on the way, for the later checks.
#[derive(Default)]
struct Known {
    challenge: Challenge,
    /// Whether a stranger is turned away.
    protected: bool,
    /// The resource metadata as served.
    metadata: Option<Value>,
    issuer: Option<Issuer>,
}

impl Doctor {
    pub(crate) fn new(
        http: Http,
        url: &str,
        how: How,
        token: Option<String>,
        foreign: Option<String>,
    ) -> Self {
        Self {
            http,
            url: url.to_owned(),
            how,
            token,
            foreign,
            findings: Vec::new(),
        }
    }

    /// Runs all checks and prints the report. Exit status 1 where one failed.
    pub(crate) async fn examine(
        mut self,
        as_json: bool,
    ) -> Result<ExitCode> {
        // A server that is not there has no findings: that is an error of its own.
        self.http.quiet(&Outgoing::get(&self.url)).await?;
        let mut known = Known::default();
        server::examine(&mut self, &mut known).await;
        issuer::examine(&mut self, &mut known).await;
        token::examine(&mut self, &known).await;
        match as_json {
            true => println!("{}", serde_json::to_string_pretty(&self.report())?),
            false => self.print(),
        }
        let failed = self.count(Outcome::Fail) > 0;
        Ok(ExitCode::from(u8::from(failed)))
    }

    fn report(&self) -> Value {
        json!({
            "url": self.url,
            "passed": self.count(Outcome::Pass),
            "warned": self.count(Outcome::Warn),
            "failed": self.count(Outcome::Fail),
            "skipped": self.count(Outcome::Skip),
            "checks": self.findings,
        })
    }

    fn count(
        &self,
        outcome: Outcome,
    ) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.outcome == outcome)
            .count()
    }

    fn print(&self) {
        let skipped = |finding: &&Finding| finding.outcome == Outcome::Skip;
        for finding in self.findings.iter().filter(|finding| !skipped(finding)) {
            println!("{}", line(finding));
        }
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for finding in self.findings.iter().filter(skipped) {
            match reasons
                .iter_mut()
                .find(|(reason, _)| *reason == finding.seen)
            {
                Some((_, ids)) => ids.push(finding.rule.id),
                None => reasons.push((&finding.seen, vec![finding.rule.id])),
            }
        }
        for (reason, ids) in reasons {
            let ids = print::wrap(&ids.join(", "), "        ");
            println!("skip  {reason}:\n{ids}");
        }
        println!(
            "\n{} passed, {} warned, {} failed, {} skipped: {}",
            self.count(Outcome::Pass),
            self.count(Outcome::Warn),
            self.count(Outcome::Fail),
            self.count(Outcome::Skip),
            self.url
        );
    }

    /// Adds a finding.
    fn find(
        &mut self,
        rule: Rule,
        outcome: Outcome,
        seen: impl Into<String>,
    ) {
        self.findings.push(Finding {
            rule,
            outcome,
            seen: crate::redact::text(&seen.into()),
        });
    }

    /// Pass or fail.
    fn must(
        &mut self,
        rule: Rule,
        good: bool,
        seen: impl Into<String>,
    ) {
        let outcome = if good { Outcome::Pass } else { Outcome::Fail };
        self.find(rule, outcome, seen);
    }

    /// Pass or warn.
    fn should(
        &mut self,
        rule: Rule,
        good: bool,
        seen: impl Into<String>,
    ) {
        let outcome = if good { Outcome::Pass } else { Outcome::Warn };
        self.find(rule, outcome, seen);
    }

    fn skip(
        &mut self,
        rules: &[Rule],
        why: &str,
    ) {
        for rule in rules {
            self.find(*rule, Outcome::Skip, why);
        }
    }

    /// Sends a request; an error of the network becomes an answer with status 0.
    async fn ask(
        &mut self,
        request: &Outgoing,
    ) -> Reply {
        match self.http.quiet(request).await {
            Ok(reply) => {
                self.http.note(Note::to_server("", "", ""), request, &reply);
                reply
            }
            Err(error) => Reply {
                status: 0,
                headers: reqwest::header::HeaderMap::default(),
                body: error.to_string(),
            },
        }
    }

    async fn get(
        &mut self,
        url: &str,
    ) -> Reply {
        self.ask(&Outgoing::get_json(url)).await
    }

    /// A modern `server/discover`, with this token.
    fn discover(
        &self,
        token: Option<&str>,
    ) -> Outgoing {
        let mut endpoint = Endpoint::new(&self.url, token.map(str::to_owned));
        endpoint.request("server/discover", json!({}))
    }

    fn origin(&self) -> String {
        discovery::split(&self.url).0.to_owned()
    }
}

/// The preflight that a browser sends from the Inspector's page.
fn preflight(url: &str) -> Outgoing {
    let headers = "authorization,content-type,mcp-method,mcp-protocol-version";
    Outgoing::new(reqwest::Method::OPTIONS, url)
        .header("Origin", PAGE)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", headers)
}

/// Whether the answer may be read by the Inspector's page.
fn is_readable(reply: &Reply) -> bool {
    let origin = reply.header("Access-Control-Allow-Origin");
    origin == "*" || origin == PAGE
}

/// Whether a comma-separated header has the value, or a star.
fn has(
    list: &str,
    value: &str,
) -> bool {
    let mut items = list.split(',').map(str::trim);
    items.any(|item| item == "*" || item.eq_ignore_ascii_case(value))
}

/// Where in a document a `null` is, if anywhere.
fn null_in(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Array(items) => items.iter().find_map(null_in),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| null_in(value).map(|rest| format!("/{name}{rest}"))),
        _ => None,
    }
}

fn line(finding: &Finding) -> String {
    let (mark, colour) = match finding.outcome {
        Outcome::Pass => ("pass", "32"),
        Outcome::Warn => ("warn", "33"),
        Outcome::Fail => ("FAIL", "31"),
        Outcome::Skip => ("skip", "0"),
    };
    let mark = match print::colours_on_stdout() {
        true => format!("\x1b[{colour}m{mark}\x1b[0m"),
        false => mark.to_owned(),
    };
    let rule = finding.rule;
    let mut text = format!("{mark}  {:<24} {}", rule.id, rule.claim);
    if finding.outcome != Outcome::Pass {
        text.push_str(&format!("\n        seen:  {}", finding.seen));
    }
    if matches!(finding.outcome, Outcome::Warn | Outcome::Fail) {
        text.push_str(&format!(
            "\n        fix:   {}\n        hits:  {}",
            rule.fix, rule.clients
        ));
    }
    text
}
