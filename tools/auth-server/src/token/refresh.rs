//! The refresh token grant (RFC 6749 section 6), with rotation (OAuth 2.1 section 4.3.1).
//!
//! The token that was replaced last works for a grace period, which ends early once its successor
//! is used; each such use leaves a line in the audit log. After that it can only be a stolen copy,
//! as any older one is, and the whole grant is revoked. A chain ends for good when the grant is
//! too old, however often it was used.

use rusqlite::Transaction;

use super::answer::Entitlement;
use super::answer::Issued;
use super::answer::issue;
use super::context::Context;
use super::context::Refused;
use super::outcome::Outcome;
use super::outcome::run;
use crate::audit;
use crate::error::OAuthError;
use crate::params::Form;
use crate::refresh_token::RefreshToken;
use crate::scopes;
use crate::scopes::Scopes;
use crate::state::AppState;
use crate::store;
use crate::store::grants::Chain;
use crate::store::grants::Grant;

const EVENT: &str = "token.refresh";

const UNKNOWN: &str = "The refresh token is unknown or has expired.";

/// Redeems a refresh token.
pub(super) async fn redeem(
    state: &AppState,
    context: Context,
    form: &Form,
) -> Result<Issued, OAuthError> {
    let presented = PresentedRefresh {
        token: RefreshToken::parse(form.required("refresh_token")?),
        scope: form.one("scope")?.unwrap_or_default().to_owned(),
    };
    let client_id = context.client.id.clone();
    run(state, EVENT, client_id, move |tx| {
        presented.redeem(tx, &context)
    })
    .await
}

struct PresentedRefresh {
    /// `None` where it cannot be one of ours.
    token: Option<RefreshToken>,
    scope: String,
}

/// Which token of its chain one is.
enum Place {
    Newest,
    /// Replaced a moment ago, and the successor is not in use yet.
    InGrace,
    /// Replaced, and the grace is over.
    Stale,
}

impl PresentedRefresh {
    fn redeem(
        &self,
        tx: &Transaction<'_>,
        context: &Context,
    ) -> Outcome {
        let Some(token) = &self.token else {
            return Ok(Err(Refused::Grant(UNKNOWN)));
        };
        let Some(chain) = store::grants::find_chain(tx, &token.handle_hash())? else {
            return Ok(Err(Refused::Grant(UNKNOWN)));
        };
        if let Err(refused) = check_chain(&chain, context) {
            return Ok(Err(refused));
        }
        let place = place(&chain, token, context);
        if matches!(place, Place::Stale) {
            store::grants::revoke(tx, &chain.grant.id, context.now)?;
            return Ok(Err(Refused::Reused(
                "The refresh token was replaced and used again; the grant is revoked.",
                chain.grant.username,
            )));
        }
        match self.check(&chain.grant, context) {
            Ok(entitlement) => {
                let successor = token.successor(&context.sealer);
                move_on(tx, context, &chain.grant, &place, &successor)?;
                let grant_id = &chain.grant.id;
                issue(tx, context, grant_id, entitlement, Some(successor), None).map(Ok)
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
        let wanted = self.wanted(&scopes::known(&grant.scope))?;
        self.record_dropped(grant, &wanted);
        let resources = context.resources(&grant.resources)?;
        let (user, permitted) = context.user(&grant.username, &grant.credential)?;
        Ok(Entitlement {
            user,
            scopes: &wanted & &permitted,
            resources,
        })
    }

    /// Says which scopes do not exist: the client will wonder.
    fn record_dropped(
        &self,
        grant: &Grant,
        wanted: &Scopes,
    ) {
        let dropped = scopes::missing(&self.scope, &scopes::join(wanted));
        if !dropped.is_empty() {
            audit::denied(audit::Entry {
                event: "token.scope",
                user: &grant.username,
                client: &grant.client_id,
                detail: &format!("unknown here: {dropped}"),
            });
        }
    }

    /// Everything that was granted where nothing is asked for. A client that asks for scopes that
    /// do not exist wants something, but certainly not everything.
    fn wanted(
        &self,
        granted: &Scopes,
    ) -> Result<Scopes, Refused> {
        if self.scope.is_empty() {
            return Ok(granted.clone());
        }
        let asked = scopes::known(&self.scope);
        if asked.is_empty() {
            return Err(Refused::Scope("None of the requested scopes exists."));
        }
        if asked.is_subset(granted) {
            return Ok(asked);
        }
        Err(Refused::Scope(
            "The grant does not cover that scope; send the user to the authorization endpoint.",
        ))
    }
}

/// The newest token gives way to its successor; one in its grace has done so already.
fn move_on(
    tx: &Transaction<'_>,
    context: &Context,
    grant: &Grant,
    place: &Place,
    successor: &RefreshToken,
) -> rusqlite::Result<()> {
    if matches!(place, Place::InGrace) {
        record_second_use(grant);
        return Ok(());
    }
    let expires_at = context.refresh_until(grant.created_at);
    store::grants::rotate(tx, &grant.id, &successor.hash(), context.now, expires_at)
}

fn check_chain(
    chain: &Chain,
    context: &Context,
) -> Result<(), Refused> {
    if chain.grant.client_id != context.client.id {
        return Err(Refused::Grant(
            "The refresh token was issued to another client.",
        ));
    }
    if chain.grant.revoked {
        return Err(Refused::Grant("The grant was revoked."));
    }
    let too_old = chain.grant.created_at + context.grant_ttl <= context.now;
    if too_old || chain.expires_at <= context.now {
        return Err(Refused::Grant(UNKNOWN));
    }
    Ok(())
}

fn place(
    chain: &Chain,
    token: &RefreshToken,
    context: &Context,
) -> Place {
    let hash = token.hash();
    let in_grace = chain.rotated_at.is_some_and(|at| at + context.grace > context.now);
    if chain.token_hash == hash {
        Place::Newest
    } else if in_grace && chain.replaced_hash.as_deref() == Some(hash.as_str()) {
        Place::InGrace
    } else {
        Place::Stale
    }
}

/// Two tabs of one client, a retry after a lost answer, or a thief: the log is where that can be
/// told apart.
fn record_second_use(grant: &Grant) {
    audit::allowed(audit::Entry {
        event: EVENT,
        user: &grant.username,
        client: &grant.client_id,
        detail: "a refresh token that was replaced already is used again, within its grace",
    });
}
