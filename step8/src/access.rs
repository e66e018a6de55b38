//! Who may do what: a call needs a scope in the token *and* a role of the user.
//!
//! Scopes are what the user has lent to this client; roles are what the user may do at all. So an
//! admin's token without `mcp:tools` calls no tool, and neither does a guest with `mcp:tools`.
//!
//! Spec: RFC 6750, section 3.1 (`insufficient_scope`), MCP 2026-07-28, basic/authorization, "Scope
//! Challenge Handling", and server/tools, "Security Considerations" (limits). Left out: storing the
//! decisions; the log has them all, `audit_log` the newest, out of which a busy user can push others.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Mutex;

use axum::http::StatusCode;
use governor::DefaultKeyedRateLimiter;
use governor::Quota;
use governor::clock::Clock;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tracing::info;

use crate::app::Server;
use crate::auth;
use crate::auth::User;
use crate::config::Config;
use crate::jsonrpc;
use crate::jsonrpc::Call;
use crate::jsonrpc::Error;
use crate::metadata;

const ANY: &[&str] = &["admin", "user", "guest"];
const MEMBERS: &[&str] = &["admin", "user"];

/// Method, tool or prompt, the scopes of which one is needed (none: any valid token will do), and
/// the roles of which one is needed.
type Rule = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// What is not in this table does not exist for anybody.
#[rustfmt::skip]
const RULES: [Rule; 11] = [
    ("server/discover", "",          &[],                          ANY),
    ("initialize",      "",          &[],                          ANY),
    ("ping",            "",          &[],                          ANY),
    ("tools/list",      "",          &["mcp:read", "mcp:tools"],   ANY),
    ("prompts/list",    "",          &["mcp:read", "mcp:prompts"], ANY),
    ("prompts/get",     "greeting",  &["mcp:read", "mcp:prompts"], ANY),
    ("prompts/get",     "help",      &["mcp:read", "mcp:prompts"], ANY),
    ("tools/call",      "echo",      &["mcp:tools"],               MEMBERS),
    ("tools/call",      "get_time",  &["mcp:tools"],               MEMBERS),
    ("tools/call",      "whoami",    &["mcp:tools"],               MEMBERS),
    ("tools/call",      "audit_log", &["mcp:audit"],               &["admin"]),
];

/// How many decisions `audit_log` remembers.
const REMEMBERED: usize = 100;

/// How often each user may still call.
pub(crate) type Limiter = Option<DefaultKeyedRateLimiter<String>>;

/// What was decided, newest first.
pub(crate) type Decisions = Mutex<VecDeque<Value>>;

/// The limiter that the settings ask for; none for 0 calls a minute.
pub(crate) fn limiter(config: &Config) -> Limiter {
    let calls = NonZeroU32::new(config.calls_per_minute)?;
    Some(DefaultKeyedRateLimiter::keyed(Quota::per_minute(calls)))
}

/// Lets a call pass or refuses it. The decision is logged and kept.
pub(crate) fn check(
    server: &Server,
    call: &Call,
) -> Result<(), Error> {
    let name = call.params.get("name").and_then(Value::as_str);
    let Some(rule) = find(&call.method, name) else {
        return Err(match RULES.iter().any(|rule| rule.0 == call.method) {
            true => Error::new(jsonrpc::INVALID_PARAMS, "the name is missing or unknown"),
            false => Error::method_not_found(call),
        });
    };
    let outcome = decide(server, &call.user, rule);
    let decision = json!({
        "time": Timestamp::now().to_string(),
        "sub": call.user.sub,
        "client_id": call.user.client_id.as_deref().unwrap_or("unknown"),
        "operation": format!("{} {}", rule.0, rule.1).trim_end(),
        "allowed": outcome.is_ok(),
        "reason": outcome.as_ref().err().map_or("permitted", |error| &error.message),
    });
    info!(%decision);
    let mut decisions = server.decisions.lock().expect("no holder panics");
    decisions.push_front(decision);
    decisions.truncate(REMEMBERED);
    outcome
}

/// The role comes before the scope: a client that is told of a missing scope asks its user for
/// more, and would do so for ever where the role forbids the call anyway.
fn decide(
    server: &Server,
    user: &User,
    rule: &Rule,
) -> Result<(), Error> {
    let (method, _, scopes, _) = rule;
    let limiter = server.limiter.as_ref().filter(|_| *method == "tools/call");
    // Users who have not called for a while need not be remembered.
    if let Some(limiter) = limiter.filter(|limiter| limiter.len() > 10_000) {
        limiter.retain_recent();
    }
    if let Some(limiter) = limiter
        && let Err(refusal) = limiter.check_key(&user.sub)
    {
        let wait = refusal.wait_time_from(limiter.clock().now()).as_secs() + 1;
        let mut error = Error::http(StatusCode::TOO_MANY_REQUESTS, "too many calls");
        error.header = Some(("Retry-After", wait.to_string()));
        return Err(error);
    }
    if !role_permits(user, rule) {
        let reason = "your role does not permit this";
        return Err(Error::http(StatusCode::FORBIDDEN, reason));
    }
    if scopes.is_empty() || user.scope.split(' ').any(|scope| scopes.contains(&scope)) {
        return Ok(());
    }
    Err(insufficient_scope(server, user, scopes[0]))
}

/// The challenge names what the token has already together with what is needed: some clients ask
/// for exactly this, and would lose the rest.
fn insufficient_scope(
    server: &Server,
    user: &User,
    needed: &str,
) -> Error {
    let ours = |scope: &&str| RULES.iter().any(|rule| rule.2.contains(scope));
    let scopes: Vec<_> = user.scope.split(' ').filter(ours).chain([needed]).collect();
    let reason = format!("this needs the scope {needed}");
    let challenge = auth::challenge(&[
        ("realm", "mcp"),
        ("error", "insufficient_scope"),
        ("error_description", &reason),
        ("resource_metadata", &metadata::resource_url(&server.config)),
        ("scope", &scopes.join(" ")),
    ]);
    let mut error = Error::http(StatusCode::FORBIDDEN, reason);
    error.header = Some(("WWW-Authenticate", challenge));
    error
}

/// Whether a user could ever call a tool. Scopes do not count here: they can be asked for.
pub(crate) fn could_call(
    user: &User,
    tool: &Value,
) -> bool {
    find("tools/call", tool["name"].as_str()).is_some_and(|rule| role_permits(user, rule))
}

fn find(
    method: &str,
    name: Option<&str>,
) -> Option<&'static Rule> {
    let mut rules = RULES.iter().filter(|rule| rule.0 == method);
    rules.find(|rule| rule.1.is_empty() || Some(rule.1) == name)
}

/// Several roles add up. Whoever has none that we know is a guest.
fn role_permits(
    user: &User,
    rule: &Rule,
) -> bool {
    let mut roles = user.roles.iter().map(String::as_str).chain(["guest"]);
    roles.any(|role| rule.3.contains(&role))
}
