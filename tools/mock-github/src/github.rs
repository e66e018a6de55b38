//! The stand-in as tests and programs hold it: its state, and what it is told to do.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::faults::Fault;
use crate::world::App;
use crate::world::World;

/// The stand-in; clones share everything.
#[derive(Clone)]
pub struct MockGitHub(Arc<Mutex<World>>);

impl MockGitHub {
    /// Knows this app and [`OTHER_APP`](crate::OTHER_APP); `origin` is what its own URLs begin with.
    #[must_use]
    pub fn new(
        origin: &str,
        app: App,
    ) -> Self {
        Self(Arc::new(Mutex::new(World::new(origin, app))))
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

    /// The state, for as long as the guard is held.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
