//! What a transaction at the token endpoint needs, and why one is refused.

use std::sync::Arc;

use crate::audit;
use crate::clients::Client;
use crate::error::OAuthError;
use crate::params::Form;
use crate::resource;
use crate::scopes;
use crate::scopes::Scopes;
use crate::secret::Sealer;
use crate::state::AppState;
use crate::users::User;
use crate::users::Users;

/// What a transaction needs, apart from the request's own values.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) users: Arc<Users>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) configured: Vec<String>,
    pub(super) requested: Vec<String>,
    pub(super) now: i64,
    pub(super) access_ttl: i64,
    pub(super) refresh_ttl: i64,
    pub(super) grant_ttl: i64,
    pub(super) grace: i64,
}

impl Context {
    pub(super) fn new(
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
    pub(super) fn refresh_until(
        &self,
        granted_at: i64,
    ) -> i64 {
        (self.now + self.refresh_ttl).min(granted_at + self.grant_ttl)
    }

    /// Those of the grant's resources that this request asks for; all of them where it asks for
    /// none (clients often leave `resource` out when they refresh).
    pub(super) fn resources(
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
    pub(super) fn user(
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
        let permitted = scopes::permitted(&user);
        Ok((user, permitted))
    }
}

/// Why a request fails, as decided inside a transaction.
pub(super) enum Refused {
    /// Unknown, expired, revoked, or not this client's.
    Grant(&'static str),
    /// Used before: what it gave has just been revoked. Holds the user whose grant it was.
    Reused(&'static str, String),
    /// The client may not use this grant.
    Client(&'static str),
    Target(&'static str),
    Scope(&'static str),
}

impl Refused {
    pub(super) fn into_error(
        self,
        event: &'static str,
        client: &str,
    ) -> OAuthError {
        let (user, detail) = match &self {
            Self::Reused(detail, user) => (user.as_str(), *detail),
            Self::Grant(detail)
            | Self::Client(detail)
            | Self::Target(detail)
            | Self::Scope(detail) => ("", *detail),
        };
        audit::denied(audit::Entry {
            event,
            user,
            client,
            detail,
        });
        match self {
            Self::Grant(text) | Self::Reused(text, _) => OAuthError::invalid_grant(text),
            Self::Client(text) => OAuthError::unauthorized_client(text),
            Self::Target(text) => OAuthError::invalid_target(text),
            Self::Scope(text) => OAuthError::invalid_scope(text),
        }
    }
}
