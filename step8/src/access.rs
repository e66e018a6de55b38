//! Who may do what: a call needs a scope in the token *and* a role of the user.
//!
//! Scopes are what the user has lent to this client; roles are what the user may do at all. So an
//! admin's token without `mcp:tools` calls no tool, and neither does a guest with `mcp:tools`. What
//! is needed for which call is in `rules.rs`; nothing here has to be changed for that.
//!
//! Spec: RFC 6750, section 3.1 (`insufficient_scope`), MCP 2026-07-28, basic/authorization, "Scope
//! Challenge Handling", and server/tools, "Security Considerations" (limits). Left out: storing the
//! decisions; the log has them all, `audit_log` the newest, out of which a busy user can push others.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::Mutex;

use axum::http::StatusCode;
use governor::DefaultKeyedRateLimiter;
use governor::Quota;
use governor::clock::Clock;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tracing::info;

use crate::auth::User;
use crate::auth::challenge;
use crate::config::Config;
use crate::jsonrpc::Error;
use crate::jsonrpc::INVALID_PARAMS;
use crate::rules::RULES;
use crate::rules::Rule;

/// How many decisions are remembered.
const REMEMBERED: usize = 100;

/// How many users the limiter remembers before it forgets those who have not called for a while.
const MANY_USERS: usize = 10_000;

/// What decides, and what was decided.
pub(crate) struct Access {
    limiter: Option<DefaultKeyedRateLimiter<String>>,
    decisions: Mutex<VecDeque<Decision>>,
    resource_metadata: String,
}

/// What was decided, put into words only where somebody reads them.
struct Decision {
    time: Timestamp,
    user: Arc<User>,
    rule: &'static Rule,
    refusal: Option<String>,
}

impl Decision {
    fn to_json(&self) -> Value {
        json!({
            "time": self.time.to_string(),
            "sub": self.user.sub,
            "client_id": self.user.client_id.as_deref().unwrap_or("unknown"),
            "operation": format!("{} {}", self.rule.method, self.rule.name).trim_end(),
            "allowed": self.refusal.is_none(),
            "reason": self.refusal.as_deref().unwrap_or("permitted"),
        })
    }
}

impl Access {
    pub(crate) fn new(config: &Config) -> Self {
        let calls = NonZeroU32::new(config.calls_per_minute);
        Self {
            limiter: calls.map(|calls| DefaultKeyedRateLimiter::keyed(Quota::per_minute(calls))),
            decisions: Mutex::default(),
            resource_metadata: config.resource_metadata_url(),
        }
    }

    /// Lets a call of this method, and of the tool or prompt with this name, pass or refuses it. The
    /// decision is logged and kept.
    pub(crate) fn check(
        &self,
        user: &Arc<User>,
        method: &str,
        name: Option<&str>,
    ) -> Result<(), Error> {
        let Some(rule) = find(method, name) else {
            return Err(Error::new(INVALID_PARAMS, "the name is missing or unknown"));
        };
        let outcome = self.decide(user, rule);
        let decision = Decision {
            time: Timestamp::now(),
            user: user.clone(),
            rule,
            refusal: outcome.as_ref().err().map(|error| error.message.clone()),
        };
        info!(decision = %decision.to_json());
        let mut decisions = self.decisions.lock().expect("no holder panics");
        decisions.push_front(decision);
        decisions.truncate(REMEMBERED);
        outcome
    }

    /// The newest decisions first.
    pub(crate) fn decisions(&self) -> Vec<Value> {
        let decisions = self.decisions.lock().expect("no holder panics");
        decisions.iter().map(Decision::to_json).collect()
    }

    /// The role comes before the scope: a client that is told of a missing scope asks its user for
    /// more, and would do so for ever where the role forbids the call anyway.
    fn decide(
        &self,
        user: &User,
        rule: &Rule,
    ) -> Result<(), Error> {
        if rule.method == "tools/call" {
            self.count(user)?;
        }
        if !role_permits(user, rule) {
            let reason = "your role does not permit this";
            return Err(Error::http(StatusCode::FORBIDDEN, reason));
        }
        let is_granted = user.scope.split(' ').any(|scope| rule.scopes.contains(&scope));
        match rule.scopes.first() {
            Some(needed) if !is_granted => Err(self.insufficient_scope(user, needed)),
            _ => Ok(()),
        }
    }

    /// Refuses a user who calls more often than the settings allow.
    fn count(
        &self,
        user: &User,
    ) -> Result<(), Error> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        if limiter.len() > MANY_USERS {
            limiter.retain_recent();
        }
        limiter.check_key(&user.sub).map_err(|refusal| {
            let wait = refusal.wait_time_from(limiter.clock().now()).as_secs() + 1;
            let error = Error::http(StatusCode::TOO_MANY_REQUESTS, "too many calls");
            error.with_header("Retry-After", wait.to_string())
        })
    }

    /// The challenge names what the token has already together with what is needed: some clients ask
    /// for exactly this, and would lose the rest.
    fn insufficient_scope(
        &self,
        user: &User,
        needed: &str,
    ) -> Error {
        let ours = |scope: &&str| RULES.iter().any(|rule| rule.scopes.contains(scope));
        let scopes: Vec<_> = user.scope.split(' ').filter(ours).chain([needed]).collect();
        let reason = format!("this needs the scope {needed}");
        let challenge = challenge(&[
            ("realm", "mcp"),
            ("error", "insufficient_scope"),
            ("error_description", &reason),
            ("resource_metadata", &self.resource_metadata),
            ("scope", &scopes.join(" ")),
        ]);
        Error::http(StatusCode::FORBIDDEN, reason).with_header("WWW-Authenticate", challenge)
    }
}

/// Whether there is any call of this method.
pub(crate) fn is_method(method: &str) -> bool {
    RULES.iter().any(|rule| rule.method == method)
}

/// Whether a user could ever call a tool. Scopes do not count here: they can be asked for.
pub(crate) fn could_call(
    user: &User,
    tool: Option<&str>,
) -> bool {
    find("tools/call", tool).is_some_and(|rule| role_permits(user, rule))
}

fn find(
    method: &str,
    name: Option<&str>,
) -> Option<&'static Rule> {
    let mut rules = RULES.iter().filter(|rule| rule.method == method);
    rules.find(|rule| rule.name.is_empty() || Some(rule.name) == name)
}

/// Several roles add up. Whoever has none that we know is a guest.
fn role_permits(
    user: &User,
    rule: &Rule,
) -> bool {
    let mut roles = user.roles.iter().map(String::as_str).chain(["guest"]);
    roles.any(|role| rule.roles.contains(&role))
}
