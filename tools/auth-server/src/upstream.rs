//! Signing in somewhere else: an upstream identity provider, either GitHub or any OpenID provider.
//!
//! This server is a client there, and stays the only authorization server of its own clients: they
//! get this server's codes and tokens, never the provider's. What the provider says is who the user
//! is; what the user lends to a client is asked here, on the consent page, as ever.
//!
//! - `settings`: what the operator says; `failure`, `identity`: what is asked and answered
//! - `http`: requests within limits; `github`, and `openid` with `discovery`, `key`, `id_token`
//! - `flow`: the browser's way there and back; `vault`, `on_behalf`, `refreshing`: GitHub's tokens,
//!   kept and used

mod discovery;
pub(crate) mod failure;
pub(crate) mod flow;
mod github;
mod http;
mod id_token;
pub(crate) mod identity;
mod key;
pub(crate) mod on_behalf;
mod openid;
pub(crate) mod refreshing;
pub(crate) mod settings;
pub(crate) mod vault;

use anyhow::Result;
use anyhow::ensure;
use url::Url;

use crate::config::Issuer;
use crate::config::Settings;
use crate::upstream::failure::Failure;
use crate::upstream::identity::Answer;
use crate::upstream::identity::Ask;
use crate::upstream::identity::Identity;
use crate::upstream::openid::Registration;
use crate::upstream::settings::GITHUB;

/// Where users sign in.
pub(crate) enum Upstream {
    /// One OAuth app at GitHub.
    GitHub(Box<github::Provider>),
    /// One client at an OpenID provider.
    OpenId(Box<openid::Provider>),
}

impl Upstream {
    /// The provider of these settings, if they name one.
    ///
    /// # Errors
    ///
    /// One sentence that says which setting to change.
    pub(crate) fn new(
        settings: &Settings,
        issuer: &Issuer,
    ) -> Result<Option<Self>> {
        if let Some(app) = &settings.github {
            let provider = github::Provider::new(app, issuer.url(github::CALLBACK))?;
            return Ok(Some(Self::GitHub(Box::new(provider))));
        }
        let Some(upstream_issuer) = &settings.upstream_issuer else {
            return Ok(None);
        };
        let client_id = settings.upstream_client_id.as_deref().unwrap_or_default();
        ensure!(
            !client_id.is_empty(),
            "--upstream-issuer needs --upstream-client-id"
        );
        ensure!(
            *upstream_issuer != issuer.text,
            "--upstream-issuer is this server's own --issuer: users would be sent in a circle"
        );
        let registration = Registration {
            issuer: upstream_issuer,
            client_id,
            client_secret: settings.upstream_client_secret.clone(),
            name: settings.upstream_name.as_deref(),
        };
        let provider = openid::Provider::new(&registration, issuer.url(openid::CALLBACK))?;
        Ok(Some(Self::OpenId(Box::new(provider))))
    }

    /// What stands before the colon in the `sub` of its users.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::GitHub(_) => GITHUB,
            Self::OpenId(provider) => &provider.name,
        }
    }

    /// What people call it.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::GitHub(_) => "GitHub",
            Self::OpenId(provider) => &provider.name,
        }
    }

    /// Where it sends the browser back to, below the issuer.
    pub(crate) fn callback(&self) -> &'static str {
        match self {
            Self::GitHub(_) => github::CALLBACK,
            Self::OpenId(_) => openid::CALLBACK,
        }
    }

    /// Digest of who vouches for its users: sessions and grants end when that is another.
    pub(crate) fn credential(&self) -> String {
        match self {
            Self::GitHub(provider) => provider.credential(),
            Self::OpenId(provider) => provider.credential(),
        }
    }

    /// The subject of a user of it, here.
    pub(crate) fn subject(
        &self,
        identity: &Identity,
    ) -> String {
        format!("{}:{}", self.name(), identity.subject)
    }

    /// Whether an answer with this `iss` can be its (RFC 9207).
    pub(crate) async fn is_issuer(
        &self,
        iss: Option<&str>,
    ) -> bool {
        match self {
            Self::GitHub(provider) => provider.is_issuer(iss),
            Self::OpenId(provider) => provider.is_issuer(iss).await,
        }
    }

    /// Where the browser goes to sign in.
    pub(crate) async fn authorization_url(
        &self,
        ask: &Ask<'_>,
    ) -> Result<Url, Failure> {
        match self {
            Self::GitHub(provider) => Ok(provider.authorization_url(ask)),
            Self::OpenId(provider) => provider.authorization_url(ask).await,
        }
    }

    /// Who has signed in there, from the code that came back.
    pub(crate) async fn identify(
        &self,
        answer: &Answer<'_>,
    ) -> Result<Identity, Failure> {
        match self {
            Self::GitHub(provider) => provider.identify(answer).await,
            Self::OpenId(provider) => provider.identify(answer).await,
        }
    }

    /// GitHub, if it is that.
    pub(crate) fn github(&self) -> Option<&github::Provider> {
        match self {
            Self::GitHub(provider) => Some(provider),
            Self::OpenId(_) => None,
        }
    }
}
