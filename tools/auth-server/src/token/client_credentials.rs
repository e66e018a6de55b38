//! The client credentials grant (RFC 6749 section 4.4; MCP extension
//! `io.modelcontextprotocol/oauth-client-credentials`): a machine gets a token in its own name.
//!
//! No refresh token comes with it (section 4.4.3): the machine can prove itself again at any time.
//! And no ID token: nobody signed in.

use rusqlite::Transaction;

use super::answer::Entitlement;
use super::answer::Issued;
use super::answer::issue;
use super::context::Context;
use super::context::Refused;
use super::outcome::run;
use crate::error::OAuthError;
use crate::machine::Machine;
use crate::params::Form;
use crate::resource;
use crate::scopes;
use crate::scopes::Scopes;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::store::grants::Grant;

/// Gives a machine its token; to every other client, `unauthorized_client`.
pub(super) async fn grant(
    state: &AppState,
    context: Context,
    form: &Form,
) -> Result<Issued, OAuthError> {
    let scope = form.one("scope")?.unwrap_or_default().to_owned();
    let client_id = context.client.id.clone();
    run(
        state,
        "token.client_credentials",
        client_id,
        move |tx| match entitlement(&context, &scope) {
            Ok(entitlement) => give(tx, &context, entitlement).map(Ok),
            Err(refused) => Ok(Err(refused)),
        },
    )
    .await
}

fn entitlement(
    context: &Context,
    scope: &str,
) -> Result<Entitlement, Refused> {
    let machine = context.client.machine.as_ref().ok_or(Refused::Client(
        "Only clients that the operator configured for it may use client_credentials.",
    ))?;
    let requested = context.requested.iter().map(String::as_str);
    Ok(Entitlement {
        user: machine.account.clone(),
        scopes: wanted(machine, scope)?,
        resources: resource::choose(&context.configured, requested).map_err(Refused::Target)?,
    })
}

/// All that it has where it asks for nothing. Beyond that there is nobody to ask for consent.
fn wanted(
    machine: &Machine,
    scope: &str,
) -> Result<Scopes, Refused> {
    if scope.is_empty() {
        return Ok(machine.scopes.clone());
    }
    let asked = scopes::known(scope);
    if asked.is_empty() {
        return Err(Refused::Scope("None of the requested scopes exists."));
    }
    if asked.is_subset(&machine.scopes) {
        return Ok(asked);
    }
    Err(Refused::Scope(
        "The client does not have all of these scopes; leave scope out to get those that it has.",
    ))
}

/// One grant for each token, so that introspection and revocation know it as any other.
fn give(
    tx: &Transaction<'_>,
    context: &Context,
    entitlement: Entitlement,
) -> rusqlite::Result<Issued> {
    let grant = Grant {
        id: secret::random(),
        client_id: context.client.id.clone(),
        username: entitlement.user.username.clone(),
        credential: entitlement.user.credential.clone(),
        scope: scopes::join(&entitlement.scopes),
        resources: entitlement.resources.clone(),
        created_at: context.now,
        revoked: false,
    };
    store::grants::insert(tx, &grant)?;
    issue(tx, context, &grant.id, entitlement, None, None)
}
