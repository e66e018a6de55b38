//! GitHub's API, asked in the name of a user who signed in there.
//!
//! The token comes out of the vault for one request and goes to GitHub alone. One that GitHub does
//! not take any more is forgotten, together with what the user's clients hold: they have to send
//! their user here again, and the sign-in brings a new one. A token that expires is refreshed by
//! one request at a time, because a refresh kills both old tokens at once.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::audit;
use crate::state::AppState;
use crate::store;
use crate::store::StoreError;
use crate::upstream::github::ApiFailure;
use crate::upstream::github::Provider;
use crate::upstream::identity::Tokens;
use crate::upstream::vault::Vault;

/// A token that expires so soon is refreshed first, in seconds.
const MARGIN: i64 = 60;

/// Why GitHub cannot be asked in the user's name. The texts name no token, and fit for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiError {
    /// There is no token of that user, or GitHub does not take it any more.
    SignInAgain,
    /// GitHub's rate limit is used up for so many seconds.
    RateLimited(i64),
    /// The token does not reach that.
    OutOfReach,
    /// No usable answer.
    Unavailable,
}

impl fmt::Display for ApiError {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match self {
            Self::SignInAgain => {
                f.write_str("GitHub does not take your sign-in any more: sign in with GitHub again")
            }
            Self::RateLimited(seconds) => {
                write!(
                    f,
                    "GitHub's rate limit is used up: try again in {seconds} seconds"
                )
            }
            Self::OutOfReach => f.write_str("GitHub does not let this server see that"),
            Self::Unavailable => {
                f.write_str("GitHub gives no usable answer: try again in a minute")
            }
        }
    }
}

impl std::error::Error for ApiError {}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the vault failed");
        Self::Unavailable
    }
}

/// GitHub's API in the names of those who signed in there. Clones share everything.
#[derive(Clone)]
pub struct GitHubApi(AppState);

/// A token as it lies in the database, and what it opens to.
struct Entry {
    sealed: Vec<u8>,
    tokens: Tokens,
}

impl GitHubApi {
    /// `None` where users sign in elsewhere.
    pub(crate) fn of(state: &AppState) -> Option<Self> {
        let provider = state.upstream.as_ref().and_then(|upstream| upstream.github());
        provider.is_some().then(|| Self(state.clone()))
    }

    /// `GET path` (such as `/user`) with the token of the user whose `sub` that is, as a JSON
    /// document.
    ///
    /// # Errors
    ///
    /// Why not, fit to be shown to that user.
    pub async fn get(
        &self,
        sub: &str,
        path: &str,
    ) -> Result<Value, ApiError> {
        // In a task of its own: a caller that goes away must not lose tokens that were just renewed.
        let (api, sub, path) = (self.clone(), sub.to_owned(), path.to_owned());
        let work = tokio::spawn(async move { api.ask(&sub, &path).await });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request to GitHub failed");
            Err(ApiError::Unavailable)
        })
    }

    async fn ask(
        &self,
        sub: &str,
        path: &str,
    ) -> Result<Value, ApiError> {
        let (provider, _) = self.parts()?;
        let mut entry = self.usable(sub).await?;
        let mut answer = provider.api(&entry.tokens.access, path, self.0.now()).await;
        if matches!(answer, Err(ApiFailure::Dead)) {
            // It may have been renewed while this request was on its way.
            let current = self.usable(sub).await?;
            if current.sealed != entry.sealed {
                answer = provider.api(&current.tokens.access, path, self.0.now()).await;
                entry = current;
            }
        }
        match answer {
            Ok(document) => Ok(document),
            Err(failure) => Err(self.failed(sub, entry, failure).await),
        }
    }

    fn parts(&self) -> Result<(&Provider, &Vault), ApiError> {
        let provider = self.0.upstream.as_ref().and_then(|upstream| upstream.github());
        provider.zip(self.0.vault.as_ref()).ok_or(ApiError::Unavailable)
    }

    /// The user's token, renewed if it is about to expire.
    async fn usable(
        &self,
        sub: &str,
    ) -> Result<Entry, ApiError> {
        let entry = self.stored(sub).await?;
        if !self.expires_soon(&entry.tokens) {
            return Ok(entry);
        }
        let _turn = self.0.refreshing.turn(sub).await;
        // Whoever had the turn before has renewed it.
        let entry = self.stored(sub).await?;
        if !self.expires_soon(&entry.tokens) {
            return Ok(entry);
        }
        self.renew(sub, entry).await
    }

    fn expires_soon(
        &self,
        tokens: &Tokens,
    ) -> bool {
        tokens.expires_at.is_some_and(|at| at <= self.0.now() + MARGIN)
    }

    async fn renew(
        &self,
        sub: &str,
        entry: Entry,
    ) -> Result<Entry, ApiError> {
        let (provider, vault) = self.parts()?;
        let renewed = match &entry.tokens.refresh {
            Some(refresh) => provider.refresh(refresh, self.0.now()).await,
            None => Err(ApiFailure::Dead),
        };
        let tokens = match renewed {
            Ok(tokens) => tokens,
            Err(failure) => return Err(self.failed(sub, entry, failure).await),
        };
        let sealed = vault.seal(sub, &tokens);
        let (owner, new) = (sub.to_owned(), sealed.clone());
        let work = self
            .0
            .store
            .run(move |tx| store::upstream::replace_token(tx, &owner, &entry.sealed, &new));
        work.await?;
        Ok(Entry {
            sealed,
            tokens,
        })
    }

    /// What lies in the vault. What does not open is as good as nothing.
    async fn stored(
        &self,
        sub: &str,
    ) -> Result<Entry, ApiError> {
        let (_, vault) = self.parts()?;
        let owner = sub.to_owned();
        let sealed = self.0.store.run(move |tx| store::upstream::token(tx, &owner)).await?;
        let sealed = sealed.ok_or(ApiError::SignInAgain)?;
        match vault.unseal(sub, &sealed) {
            Some(tokens) => Ok(Entry {
                sealed,
                tokens,
            }),
            None => {
                self.forget(sub, sealed, "the token does not open").await?;
                Err(ApiError::SignInAgain)
            }
        }
    }

    async fn failed(
        &self,
        sub: &str,
        entry: Entry,
        failure: ApiFailure,
    ) -> ApiError {
        match failure {
            ApiFailure::Dead => match self.forget(sub, entry.sealed, "GitHub says 401").await {
                Ok(()) => ApiError::SignInAgain,
                Err(error) => error,
            },
            ApiFailure::Limited(seconds) => ApiError::RateLimited(seconds),
            ApiFailure::OutOfReach => ApiError::OutOfReach,
            ApiFailure::Unavailable(why) => {
                tracing::warn!(?why, "GitHub gives no usable answer");
                ApiError::Unavailable
            }
        }
    }

    /// Forgets this very token, and ends the user's sessions and grants with it. One that has been
    /// replaced meanwhile (the user signed in anew) takes nothing along.
    async fn forget(
        &self,
        sub: &str,
        sealed: Vec<u8>,
        why: &'static str,
    ) -> Result<(), ApiError> {
        let (owner, now) = (Arc::<str>::from(sub), self.0.now());
        let work = self.0.store.run(move |tx| {
            let was_current = store::upstream::delete_token(tx, &owner, &sealed)?;
            if was_current {
                store::withdrawal::of_user(tx, &owner, now)?;
            }
            Ok(was_current)
        });
        if work.await? {
            audit::denied(audit::Entry {
                event: "upstream.token",
                user: sub,
                detail: why,
                ..Default::default()
            });
        }
        Ok(())
    }
}
