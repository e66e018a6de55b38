//! The authorization code grant (RFC 6749 section 4.1.3, with PKCE: RFC 7636 section 4.5).

use rusqlite::Transaction;

use super::answer::Entitlement;
use super::answer::Issued;
use super::answer::Login;
use super::answer::issue;
use super::context::Context;
use super::context::Refused;
use super::outcome::Outcome;
use super::outcome::run;
use crate::error::OAuthError;
use crate::params::Form;
use crate::refresh_token::RefreshToken;
use crate::scopes;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::store::codes::Code;
use crate::store::grants::Grant;

/// Redeems a code. Everything it is bound to is checked first; then one transaction marks it used
/// and remembers what it gave.
pub(super) async fn redeem(
    state: &AppState,
    context: Context,
    form: &Form,
) -> Result<Issued, OAuthError> {
    let presented = PresentedCode {
        code_hash: secret::sha256(form.required("code")?),
        redirect_uri: form.one("redirect_uri")?.map(str::to_owned),
        verifier: form.required("code_verifier")?.to_owned(),
    };
    let client_id = context.client.id.clone();
    run(state, "token.code", client_id, move |tx| {
        presented.redeem(tx, &context)
    })
    .await
}

struct PresentedCode {
    code_hash: String,
    redirect_uri: Option<String>,
    verifier: String,
}

impl PresentedCode {
    fn redeem(
        &self,
        tx: &Transaction<'_>,
        context: &Context,
    ) -> Outcome {
        let Some(code) = store::codes::find(tx, &self.code_hash)? else {
            return Ok(Err(Refused::Grant("The code is unknown or has expired.")));
        };
        if let Some(grant_id) = &code.grant_id {
            // RFC 6749 section 4.1.2. Whoever holds it, a code seen twice is in two hands.
            store::grants::revoke(tx, grant_id, context.now)?;
            return Ok(Err(Refused::Reused(
                "The code was used before; what it gave is revoked.",
                code.username,
            )));
        }
        match self.check(&code, context) {
            Ok(entitlement) => issue_first(tx, context, code, entitlement).map(Ok),
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Everything the code is bound to.
    fn check(
        &self,
        code: &Code,
        context: &Context,
    ) -> Result<Entitlement, Refused> {
        if code.expires_at <= context.now {
            return Err(Refused::Grant("The code is unknown or has expired."));
        }
        if code.client_id != context.client.id {
            return Err(Refused::Grant("The code was issued to another client."));
        }
        if !self.redirect_uri_fits(code) {
            return Err(Refused::Grant(
                "The redirect_uri is not the one of the authorization request.",
            ));
        }
        if !verifies(&self.verifier, &code.challenge) {
            return Err(Refused::Grant(
                "The code_verifier does not fit the code_challenge.",
            ));
        }
        let resources = context.resources(&code.resources)?;
        let (user, permitted) = context.user(&code.username, &code.credential)?;
        Ok(Entitlement {
            user,
            scopes: &scopes::known(&code.scope) & &permitted,
            resources,
        })
    }

    /// RFC 6749 section 4.1.3: required and identical where the authorization request named it.
    fn redirect_uri_fits(
        &self,
        code: &Code,
    ) -> bool {
        match &self.redirect_uri {
            Some(uri) => *uri == code.redirect_uri,
            None => !code.redirect_given,
        }
    }
}

/// RFC 7636 sections 4.1 and 4.6.
fn verifies(
    verifier: &str,
    challenge: &str,
) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
    well_formed && secret::same(&secret::sha256(verifier), challenge)
}

fn issue_first(
    tx: &Transaction<'_>,
    context: &Context,
    code: Code,
    entitlement: Entitlement,
) -> rusqlite::Result<Issued> {
    let grant = Grant {
        id: secret::random(),
        client_id: code.client_id,
        username: code.username,
        credential: code.credential,
        scope: code.scope,
        resources: code.resources,
        created_at: context.now,
        revoked: false,
    };
    store::grants::insert(tx, &grant)?;
    let redeemed = store::codes::redeem(tx, &code.code_hash, &grant.id, context.now)?;
    if !redeemed {
        // Cannot happen while transactions exclude each other; if it ever did, nothing is issued.
        return Err(rusqlite::Error::StatementChangedRows(0));
    }
    let refresh_token = if context.client.may_refresh() {
        Some(begin_chain(tx, context, &grant)?)
    } else {
        None
    };
    let login = entitlement.scopes.contains("openid").then_some(Login {
        nonce: code.nonce,
        sid: code.sid,
        signed_in_at: code.signed_in_at,
    });
    issue(tx, context, &grant.id, entitlement, refresh_token, login)
}

fn begin_chain(
    tx: &Transaction<'_>,
    context: &Context,
    grant: &Grant,
) -> rusqlite::Result<RefreshToken> {
    let token = RefreshToken::random();
    let expires_at = context.refresh_until(grant.created_at);
    store::grants::insert_chain(
        tx,
        &grant.id,
        &token.handle_hash(),
        &token.hash(),
        expires_at,
    )?;
    Ok(token)
}
