//! Clients that act in their own name, without a user (RFC 6749 section 4.4): a cron job, a service.
//!
//! Only the operator can make one, in the clients file: neither a registration nor a metadata
//! document ever becomes a machine. The subject of its tokens is its client id, so an id that is or
//! could become a user's name is refused at the start (RFC 9700 section 4.15).

use std::sync::Arc;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use crate::scopes;
use crate::scopes::Scopes;
use crate::text;
use crate::users::User;

/// The grant that a machine's entry has among its `grant_types`.
pub(crate) const GRANT_TYPE: &str = "client_credentials";

/// What a client may do in its own name.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Whose tokens it gets: its own, with its roles. Nobody signs in to it.
    pub(crate) account: Arc<User>,
    /// The most that it gets.
    pub(crate) scopes: Scopes,
}

impl Machine {
    /// From the values of its entry in the clients file. Its `credential` is the digest of what it proves
    /// itself with, if there is anything.
    pub(crate) fn new(
        id: &str,
        roles: &[String],
        scope: &str,
        credential: Option<String>,
    ) -> Result<Self> {
        check_name(id)?;
        let credential = credential.context(
            "client_credentials is for clients that prove themselves: give it a \
             client_secret_hash or public_keys",
        )?;
        check_roles(roles)?;
        let account = User::machine(id, roles, credential);
        Ok(Self {
            account: Arc::new(account),
            scopes: scopes_within(roles, scope)?,
        })
    }
}

/// A colon stands in the names of users of an upstream provider, whichever that is next week.
fn check_name(id: &str) -> Result<()> {
    ensure!(
        !id.contains(':'),
        "its client_id becomes the subject of tokens, and one with a colon is an upstream user's"
    );
    ensure!(
        id.chars().all(text::is_visible),
        "its client_id becomes the subject of tokens, and holds a character that cannot be seen"
    );
    Ok(())
}

fn check_roles(roles: &[String]) -> Result<()> {
    ensure!(
        !roles.is_empty(),
        "client_credentials needs roles, such as roles = [\"user\"]: no user brings any"
    );
    for role in roles {
        ensure!(scopes::is_role(role), "there is no role {role:?}");
    }
    Ok(())
}

/// All of them must be there and be permitted: the operator should hear of a slip now.
fn scopes_within(
    roles: &[String],
    scope: &str,
) -> Result<Scopes> {
    let known = scopes::known(scope);
    let unknown = scopes::missing(scope, &scopes::join(&known));
    ensure!(unknown.is_empty(), "there is no scope {unknown:?}");
    ensure!(
        !known.is_empty(),
        "client_credentials needs a scope, such as scope = \"mcp:read mcp:tools\""
    );
    let beyond: Scopes = &known - &scopes::of_roles(roles);
    ensure!(
        beyond.is_empty(),
        "its roles do not permit {:?}, or that scope is about a user",
        scopes::join(&beyond)
    );
    Ok(known)
}
