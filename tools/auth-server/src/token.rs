//! The token endpoint (RFC 6749 section 3.2): a code or a refresh token becomes tokens.
//!
//! Everything is checked before anything is changed, and all changes are one transaction. So a
//! request that fails costs the client nothing, and of twenty that redeem one code at once
//! exactly one succeeds; the others prove that the code is in two hands, and revoke what it gave.
//!
//! Refresh tokens are rotated (OAuth 2.1 section 4.3.1). The successor is *derived* from the token
//! it replaces, so parallel refreshes of one client, and a retry after a lost answer, get the same
//! successor instead of each starting a line of its own. The old token works for a grace period
//! that ends early once the successor is used; after that it can only be a stolen copy, and the
//! whole grant is revoked.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use rusqlite::Transaction;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;

use crate::audit;
use crate::client_auth;
use crate::clients::Client;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::mint;
use crate::params::Form;
use crate::resource;
use crate::scopes;
use crate::scopes::Scopes;
use crate::secret;
use crate::secret::Sealer;
use crate::state::AppState;
use crate::store;
use crate::store::codes::Code;
use crate::store::grants::Grant;
use crate::store::grants::Refresh;
use crate::users::User;
use crate::users::Users;

/// `POST /oauth/token`.
pub(crate) async fn post(
    State(state): State<AppState>,
    form: Form,
) -> Result<Response, OAuthError> {
    let grant_type = form.required("grant_type")?.to_owned();
    // Repeated ones are refused before anything is looked up.
    for name in [
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
        "scope",
    ] {
        form.one(name)?;
    }
    let client = client_auth::authenticate(&state, &form).await?;
    let context = Context::new(&state, client, &form);
    let issued = match grant_type.as_str() {
        "authorization_code" => redeem_code(&state, context, &form).await,
        "refresh_token" => refresh(&state, context, &form).await,
        _ => Err(OAuthError::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "Use grant_type authorization_code or refresh_token.",
        )),
    }?;
    let body = issued.body(&state)?;
    Ok(uncached(StatusCode::OK, body))
}

/// What a transaction needs, apart from the request's own values.
struct Context {
    client: Client,
    users: Arc<Users>,
    sealer: Arc<Sealer>,
    configured: Vec<String>,
    requested: Vec<String>,
    now: i64,
    access_ttl: i64,
    refresh_ttl: i64,
    grace: i64,
}

impl Context {
    fn new(
        state: &AppState,
        client: Client,
        form: &Form,
    ) -> Self {
        let settings = &state.config.settings;
        Self {
            client,
            users: state.users.clone(),
            sealer: state.sealer.clone(),
            configured: settings.resource.clone(),
            requested: form.params.all("resource").map(str::to_owned).collect(),
            now: state.now(),
            access_ttl: settings.access_ttl,
            refresh_ttl: settings.refresh_ttl,
            grace: settings.refresh_grace,
        }
    }

    /// Those of the grant's resources that this request asks for; all of them where it asks for
    /// none (clients often leave `resource` out when they refresh).
    fn resources(
        &self,
        granted: &[String],
    ) -> Result<Vec<String>, Refused> {
        let requested = self.requested.iter().map(String::as_str);
        let wanted = resource::find_all(&self.configured, requested).unwrap_or_default();
        let still_served = |name: &&String| self.configured.contains(name);
        let resources: Vec<_> = if self.requested.is_empty() {
            granted.iter().filter(still_served).cloned().collect()
        } else {
            wanted
        };
        let ours = !resources.is_empty() && resources.iter().all(|name| granted.contains(name));
        ours.then_some(resources)
            .ok_or(Refused::Target("The grant does not cover that resource."))
    }

    /// The user as of now, and which of these scopes their role still permits.
    fn user(
        &self,
        username: &str,
    ) -> Result<(Arc<User>, Scopes), Refused> {
        let user = self
            .users
            .get(username)
            .ok_or(Refused::Grant("The user of this grant no longer exists."))?;
        let permitted = scopes::permitted(&user.roles);
        Ok((user, permitted))
    }
}

/// Why a request fails, as decided inside a transaction.
enum Refused {
    /// Unknown, expired, revoked, or not this client's.
    Grant(&'static str),
    /// Used before: what it gave has just been revoked. Holds the user whose grant it was.
    Reused(&'static str, String),
    Target(&'static str),
    Scope(&'static str),
}

impl Refused {
    fn into_error(
        self,
        event: &'static str,
        client: &str,
    ) -> OAuthError {
        let (user, detail) = match &self {
            Self::Reused(detail, user) => (user.as_str(), *detail),
            Self::Grant(detail) | Self::Target(detail) | Self::Scope(detail) => ("", *detail),
        };
        audit::denied(audit::Entry {
            event,
            user,
            client,
            detail,
        });
        match self {
            Self::Grant(text) | Self::Reused(text, _) => OAuthError::invalid_grant(text),
            Self::Target(text) => OAuthError::invalid_target(text),
            Self::Scope(text) => OAuthError::invalid_scope(text),
        }
    }
}

/// What a transaction gave; becomes the answer once it is safely stored.
struct Issued {
    user: Arc<User>,
    client_id: String,
    scopes: Scopes,
    resources: Vec<String>,
    jti: String,
    refresh_token: Option<String>,
    /// Set where an ID token belongs to the answer.
    login: Option<Login>,
    now: i64,
    expires_at: i64,
}

struct Login {
    nonce: Option<String>,
    signed_in_at: i64,
}

impl Issued {
    fn body(
        &self,
        state: &AppState,
    ) -> Result<Value, OAuthError> {
        let ring = state.keys.ring();
        let issuer = &state.config.issuer.text;
        let access = mint::Access {
            issuer,
            user: &self.user,
            client_id: &self.client_id,
            resources: &self.resources,
            scopes: &self.scopes,
            jti: &self.jti,
            now: self.now,
            expires_at: self.expires_at,
        };
        let mut body = json!({
            "access_token": access.sign(&ring)?,
            "token_type": "Bearer",
            "expires_in": self.expires_at - self.now,
            "scope": scopes::join(&self.scopes),
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
            user: &self.user,
            client_id: &self.client_id,
            scopes: &self.scopes,
            nonce: login.nonce.as_deref(),
            signed_in_at: login.signed_in_at,
            now: self.now,
            expires_at: self.expires_at,
        }
    }

    fn record(
        &self,
        event: &'static str,
    ) {
        audit::allowed(audit::Entry {
            event,
            user: &self.user.username,
            client: &self.client_id,
            detail: &format!("jti {} scope {}", self.jti, scopes::join(&self.scopes)),
        });
    }
}

/// The outer error undoes the transaction, the inner one commits it: a refusal may have revoked.
type Outcome = rusqlite::Result<Result<Issued, Refused>>;

async fn run(
    state: &AppState,
    event: &'static str,
    client_id: String,
    work: impl FnOnce(&Transaction<'_>) -> Outcome + Send + 'static,
) -> Result<Issued, OAuthError> {
    match state.store.run(work).await? {
        Ok(issued) => {
            issued.record(event);
            Ok(issued)
        }
        Err(refused) => Err(refused.into_error(event, &client_id)),
    }
}

async fn redeem_code(
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
            Ok((user, scopes, resources)) => {
                issue_first(tx, context, code, user, scopes, resources).map(Ok)
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Everything the code is bound to.
    fn check(
        &self,
        code: &Code,
        context: &Context,
    ) -> Result<(Arc<User>, Scopes, Vec<String>), Refused> {
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
        let (user, permitted) = context.user(&code.username)?;
        Ok((user, &scopes::known(&code.scope) & &permitted, resources))
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
    user: Arc<User>,
    scopes: Scopes,
    resources: Vec<String>,
) -> rusqlite::Result<Issued> {
    let grant = Grant {
        id: secret::random(),
        client_id: code.client_id,
        username: code.username,
        scope: code.scope,
        resources: code.resources,
        revoked: false,
    };
    store::grants::insert(tx, &grant, context.now)?;
    let redeemed = store::codes::redeem(tx, &code.code_hash, &grant.id, context.now)?;
    if !redeemed {
        // Cannot happen while transactions exclude each other; if it ever did, nothing is issued.
        return Err(rusqlite::Error::StatementChangedRows(0));
    }
    let refresh_token = context.client.may_refresh().then(secret::random);
    if let Some(token) = &refresh_token {
        let expires_at = context.now + context.refresh_ttl;
        store::grants::insert_refresh(tx, &secret::sha256(token), &grant.id, expires_at)?;
    }
    let login = scopes.contains("openid").then_some(Login {
        nonce: code.nonce,
        signed_in_at: code.signed_in_at,
    });
    issue(
        tx,
        context,
        &grant.id,
        user,
        scopes,
        resources,
        refresh_token,
        login,
    )
}

/// Notes the access token that the answer will carry.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one answer, each used once"
)]
fn issue(
    tx: &Transaction<'_>,
    context: &Context,
    grant_id: &str,
    user: Arc<User>,
    scopes: Scopes,
    resources: Vec<String>,
    refresh_token: Option<String>,
    login: Option<Login>,
) -> rusqlite::Result<Issued> {
    let jti = secret::random();
    let expires_at = context.now + context.access_ttl;
    store::grants::insert_access(tx, &jti, grant_id, expires_at)?;
    Ok(Issued {
        user,
        client_id: context.client.id.clone(),
        scopes,
        resources,
        jti,
        refresh_token,
        login,
        now: context.now,
        expires_at,
    })
}

async fn refresh(
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
            Ok((user, scopes, resources)) => {
                let successor = rotate(tx, context, &self.token, &token_hash, &found.grant.id)?;
                issue(
                    tx,
                    context,
                    &found.grant.id,
                    user,
                    scopes,
                    resources,
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
    ) -> Result<(Arc<User>, Scopes, Vec<String>), Refused> {
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
        Ok((user, &wanted & &permitted, resources))
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
