//! The refresh token grant (RFC 6749 section 6), with rotation (OAuth 2.1 section 4.3.1).
//!
//! The successor is *derived* from the token it replaces, so parallel refreshes of one client, and
//! a retry after a lost answer, get the same successor instead of each starting a line of its own.
//! The old token works for a grace period that ends early once the successor is used; after that
//! it can only be a stolen copy, and the whole grant is revoked.

use rusqlite::Transaction;

use super::Context;
use super::Outcome;
use super::Refused;
use super::answer::Entitlement;
use super::answer::Issued;
use super::answer::issue;
use super::run;
use crate::error::OAuthError;
use crate::params::Form;
use crate::scopes;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::store::grants::Grant;
use crate::store::grants::Refresh;

/// Redeems a refresh token.
pub(super) async fn redeem(
    state: &AppState,
    context: Context,
    form: &Form,
) -> Result<Issued, OAuthError> {
    let presented = PresentedRefresh {
        token: form.required("refresh_token")?.to_owned(),
        scope: form.one("scope")?.unwrap_or_default().to_owned(),
    };
    let client_id = context.client.id.clone();
    run(state, "token.refresh", client_id, move |tx| {
        presented.redeem(tx, &context)
    })
    .await
}

struct PresentedRefresh {
    token: String,
    scope: String,
}

impl PresentedRefresh {
    fn redeem(
        &self,
        tx: &Transaction<'_>,
        context: &Context,
    ) -> Outcome {
        let token_hash = secret::sha256(&self.token);
        let Some(found) = store::grants::find_refresh(tx, &token_hash)? else {
            return Ok(Err(Refused::Grant(
                "The refresh token is unknown or has expired.",
            )));
        };
        if let Err(refused) = check_refresh(&found, context) {
            return Ok(Err(refused));
        }
        if is_reused(&found, context) {
            store::grants::revoke(tx, &found.grant.id, context.now)?;
            return Ok(Err(Refused::Reused(
                "The refresh token was replaced and used again; the grant is revoked.",
                found.grant.username,
            )));
        }
        match self.check(&found.grant, context) {
            Ok(entitlement) => {
                let successor = rotate(tx, context, &self.token, &token_hash, &found.grant.id)?;
                issue(
                    tx,
                    context,
                    &found.grant.id,
                    entitlement,
                    Some(successor),
                    None,
                )
                .map(Ok)
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// A narrower scope is fine, a wider one is not: that takes the user's consent (RFC 6749
    /// section 6).
    fn check(
        &self,
        grant: &Grant,
        context: &Context,
    ) -> Result<Entitlement, Refused> {
        let granted = scopes::known(&grant.scope);
        let asked = scopes::known(&self.scope);
        if !asked.is_subset(&granted) {
            return Err(Refused::Scope(
                "The grant does not cover that scope; send the user to the authorization endpoint.",
            ));
        }
        let wanted = if asked.is_empty() { granted } else { asked };
        let resources = context.resources(&grant.resources)?;
        let (user, permitted) = context.user(&grant.username)?;
        Ok(Entitlement {
            user,
            scopes: &wanted & &permitted,
            resources,
        })
    }
}

fn check_refresh(
    found: &Refresh,
    context: &Context,
) -> Result<(), Refused> {
    if found.grant.client_id != context.client.id {
        return Err(Refused::Grant(
            "The refresh token was issued to another client.",
        ));
    }
    if found.grant.revoked {
        return Err(Refused::Grant("The grant was revoked."));
    }
    if found.expires_at <= context.now {
        return Err(Refused::Grant(
            "The refresh token is unknown or has expired.",
        ));
    }
    Ok(())
}

/// Replaced, and the grace is over: by time, or because the successor has been used.
fn is_reused(
    found: &Refresh,
    context: &Context,
) -> bool {
    found
        .rotated_at
        .is_some_and(|at| found.successor_used || at + context.grace <= context.now)
}

fn rotate(
    tx: &Transaction<'_>,
    context: &Context,
    token: &str,
    token_hash: &str,
    grant_id: &str,
) -> rusqlite::Result<String> {
    let successor = context.sealer.seal(&["refresh", token]);
    let successor_hash = secret::sha256(&successor);
    let expires_at = context.now + context.refresh_ttl;
    store::grants::insert_refresh(tx, &successor_hash, grant_id, expires_at)?;
    store::grants::rotate(tx, token_hash, &successor_hash, context.now)?;
    Ok(successor)
}
