//! An offline stand-in for GitHub: signing in with an OAuth app, and the little of its API that a
//! server needs which lets its users sign in there.
//!
//! It has GitHub's quirks on purpose, because whoever was only tried with a well-behaved provider
//! fails at the real one: form-encoded answers unless JSON is asked for, errors with status 200,
//! `User-Agent` required, redirect URIs matched by prefix, no second question for who has granted
//! once, refresh tokens that die together with their access token. And it fails on demand:
//! see [`Fault`].
//!
//! - `world`: accounts, apps, codes, tokens; `faults`: what can be made to go wrong
//! - `authorize`, `token`, `api`: what GitHub serves; `control`: what only a stand-in has
//!
//! Left out: everything else. It holds its state in memory, and is for this machine only.

mod api;
mod authorize;
mod control;
mod faults;
mod pages;
mod token;
mod world;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::Router;
use axum::middleware::from_fn_with_state;

pub use faults::Fault;
pub use world::App;
pub use world::OTHER_APP;
use world::World;

/// What its paths of the API begin with, as at a GitHub of one's own.
pub const API: &str = "/api/v3";

/// The stand-in; clones share everything.
#[derive(Clone)]
pub struct MockGitHub(Arc<Mutex<World>>);

impl MockGitHub {
    /// Knows this app and [`OTHER_APP`]; `origin` is what its own URLs begin with.
    #[must_use]
    pub fn new(
        origin: &str,
        app: App,
    ) -> Self {
        Self(Arc::new(Mutex::new(World::new(origin, app))))
    }

    /// Everything that it serves.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(authorize::router())
            .merge(token::router())
            .merge(api::router())
            .layer(from_fn_with_state(self.clone(), faults::inject))
            .merge(control::router())
            .with_state(self.clone())
    }

    /// Who is signed in without a page from now on; `None` shows the pages.
    pub fn sign_in_as(
        &self,
        login: Option<&str>,
    ) {
        self.world().auto = login.map(str::to_owned);
    }

    /// Lets a path (`/login/oauth/access_token`, `/api/v3/user`) go wrong; `None` heals it.
    pub fn set_fault(
        &self,
        path: &str,
        fault: Option<Fault>,
    ) {
        let mut world = self.world();
        world.faults.remove(path);
        if let Some(fault) = fault {
            world.faults.insert(path.to_owned(), fault);
        }
    }

    /// Tokens that are issued from now on expire after so many seconds; `None`: never.
    pub fn set_expiry(
        &self,
        seconds: Option<i64>,
    ) {
        self.world().expires_in = seconds;
    }

    /// Kills every token, as a user does who takes the access back.
    pub fn revoke_all(&self) {
        self.world().tokens.clear();
    }

    /// How often a pair of tokens was refreshed.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.world().refreshes
    }

    /// A token that an account granted to an app, as if the user had been here with it.
    ///
    /// `None` where there is no such app or account.
    #[must_use]
    pub fn token_for(
        &self,
        client_id: &str,
        login: &str,
    ) -> Option<String> {
        self.world().token_for(client_id, login)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
