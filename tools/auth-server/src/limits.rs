//! How often one address may register clients, log in, or have documents fetched.
//!
//! Each is an endpoint where a stranger makes this server work or remember something. The limits
//! are far above what a test run or a class room needs; they stop loops, not people.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::extract::ConnectInfo;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::clock::DefaultClock;
use governor::state::keyed::DefaultKeyedStateStore;

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>;

/// One limit per minute and key, the whole minute's worth available at once. The key is an
/// address, or the name of a signed-in user.
pub(crate) struct PerMinute<K: Clone + Eq + Hash>(Limiter<K>);

impl<K: Clone + Eq + Hash> PerMinute<K> {
    /// `per_minute` must not be zero; the settings see to it.
    pub(crate) fn new(per_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self(RateLimiter::keyed(quota))
    }

    /// Counts one use. `Err` holds the seconds to wait.
    pub(crate) fn check(
        &self,
        key: &K,
    ) -> Result<(), u64> {
        self.0.check_key(key).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            wait.as_secs() + 1
        })
    }

    /// Forgets keys that have been quiet, so that memory stays small.
    pub(crate) fn clean_up(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

/// How much of the same one user may have going on at once.
pub(crate) struct InFlight {
    most: usize,
    by_user: Arc<Mutex<HashMap<String, usize>>>,
}

impl InFlight {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            by_user: Arc::default(),
        }
    }

    /// Counts one more, until the turn is dropped; `None` where there are enough.
    pub(crate) fn begin(
        &self,
        username: &str,
    ) -> Option<Turn> {
        let mut by_user = lock(&self.by_user);
        let count = by_user.entry(username.to_owned()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Turn {
            username: username.to_owned(),
            by_user: self.by_user.clone(),
        })
    }
}

/// One of a user's things in flight.
pub(crate) struct Turn {
    username: String,
    by_user: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut by_user = lock(&self.by_user);
        match by_user.get_mut(&self.username) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                by_user.remove(&self.username);
            }
        }
    }
}

fn lock(by_user: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
    by_user.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address that the connection comes from. Never `X-Forwarded-For`: anybody can write that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Infallible> {
        let address = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        Ok(Self(address))
    }
}
