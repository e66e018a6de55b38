//! What a successful request gives: noted in its transaction, signed once that is stored.

use std::sync::Arc;

use rusqlite::Transaction;
use serde_json::Value;
use serde_json::json;

use super::context::Context;
use crate::audit;
use crate::error::OAuthError;
use crate::mint;
use crate::refresh_token::RefreshToken;
use crate::scopes;
use crate::scopes::Scopes;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::users::User;

/// What a transaction gave; becomes the answer once it is safely stored.
pub(super) struct Issued {
    pub(super) entitlement: Entitlement,
    pub(super) client_id: String,
    pub(super) jti: String,
    pub(super) refresh_token: Option<String>,
    /// Set where an ID token belongs to the answer.
    pub(super) login: Option<Login>,
    pub(super) now: i64,
    pub(super) expires_at: i64,
}

/// When and for which request the user signed in.
pub(super) struct Login {
    pub(super) nonce: Option<String>,
    /// Name of the session.
    pub(super) sid: String,
    pub(super) signed_in_at: i64,
}

impl Issued {
    /// The JSON of RFC 6749 section 5.1.
    pub(super) fn body(
        &self,
        state: &AppState,
    ) -> Result<Value, OAuthError> {
        let ring = state.keys.ring();
        let issuer = &state.config.issuer.text;
        let access = mint::Access {
            issuer,
            user: &self.entitlement.user,
            client_id: &self.client_id,
            resources: &self.entitlement.resources,
            scopes: &self.entitlement.scopes,
            jti: &self.jti,
            now: self.now,
            expires_at: self.expires_at,
        };
        let mut body = json!({
            "access_token": access.sign(&ring)?,
            "token_type": "Bearer",
            "expires_in": self.expires_at - self.now,
            "scope": scopes::join(&self.entitlement.scopes),
        });
        if let Some(refresh_token) = &self.refresh_token {
            body["refresh_token"] = json!(refresh_token);
        }
        if let Some(login) = &self.login {
            body["id_token"] = json!(self.id_token(issuer, login).sign(&ring)?);
        }
        Ok(body)
    }

    fn id_token<'a>(
        &'a self,
        issuer: &'a str,
        login: &'a Login,
    ) -> mint::Id<'a> {
        mint::Id {
            issuer,
            user: &self.entitlement.user,
            client_id: &self.client_id,
            scopes: &self.entitlement.scopes,
            nonce: login.nonce.as_deref(),
            sid: &login.sid,
            signed_in_at: login.signed_in_at,
            now: self.now,
            expires_at: self.expires_at,
        }
    }

    pub(super) fn record(
        &self,
        event: &'static str,
    ) {
        audit::allowed(audit::Entry {
            event,
            user: &self.entitlement.user.username,
            client: &self.client_id,
            detail: &format!(
                "jti {} scope {}",
                self.jti,
                scopes::join(&self.entitlement.scopes)
            ),
        });
    }
}

/// What a checked request is entitled to.
pub(super) struct Entitlement {
    pub(super) user: Arc<User>,
    pub(super) scopes: Scopes,
    pub(super) resources: Vec<String>,
}

/// Notes the access token that the answer will carry.
pub(super) fn issue(
    tx: &Transaction<'_>,
    context: &Context,
    grant_id: &str,
    entitlement: Entitlement,
    refresh_token: Option<RefreshToken>,
    login: Option<Login>,
) -> rusqlite::Result<Issued> {
    let jti = secret::random();
    let expires_at = context.now + context.access_ttl;
    store::grants::insert_access(tx, &jti, grant_id, expires_at)?;
    Ok(Issued {
        entitlement,
        client_id: context.client.id.clone(),
        jti,
        refresh_token: refresh_token.map(RefreshToken::into_text),
        login,
        now: context.now,
        expires_at,
    })
}
