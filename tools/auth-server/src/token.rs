//! The token endpoint (RFC 6749 section 3.2): a code or a refresh token becomes tokens.
//!
//! Everything is checked before anything is changed, and all changes are one transaction. So a
//! request that fails costs the client nothing, and of twenty that redeem one code at once
//! exactly one succeeds; the others prove that the code is in two hands, and revoke what it gave.

mod answer;
mod code;
mod refresh;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use rusqlite::Transaction;
use std::sync::Arc;

use self::answer::Issued;
use crate::audit;
use crate::client_auth;
use crate::clients::Client;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::params::Form;
use crate::resource;
use crate::scopes;
use crate::scopes::Scopes;
use crate::secret::Sealer;
use crate::state::AppState;
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
        "authorization_code" => code::redeem(&state, context, &form).await,
        "refresh_token" => refresh::redeem(&state, context, &form).await,
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
    grant_ttl: i64,
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
            grant_ttl: settings.grant_ttl,
            grace: settings.refresh_grace,
        }
    }

    /// Until when a refresh token that is issued now may be used, under a grant of that age: a
    /// while after its last use, and not for ever.
    fn refresh_until(
        &self,
        granted_at: i64,
    ) -> i64 {
        (self.now + self.refresh_ttl).min(granted_at + self.grant_ttl)
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

    /// The user as of now, and which scopes their role now permits. `credential` is what the user
    /// had signed in with.
    fn user(
        &self,
        username: &str,
        credential: &str,
    ) -> Result<(Arc<User>, Scopes), Refused> {
        let user = self
            .users
            .get(username)
            .ok_or(Refused::Grant("The user of this grant no longer exists."))?;
        if user.credential != credential {
            return Err(Refused::Grant(
                "The user's password has changed since; the user has to sign in again.",
            ));
        }
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
