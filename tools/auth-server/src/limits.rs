//! How often one address may register clients, log in, or have documents fetched.
//!
//! Each is an endpoint where a stranger makes this server work or remember something. The limits
//! are far above what a test run or a class room needs; they stop loops, not people.

use std::convert::Infallible;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use axum::extract::ConnectInfo;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::clock::DefaultClock;
use governor::state::keyed::DefaultKeyedStateStore;

type Limiter = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock>;

/// One limit per minute and address, the whole minute's worth available at once.
pub(crate) struct PerAddress(Limiter);

impl PerAddress {
    /// `per_minute` must not be zero; the settings see to it.
    pub(crate) fn new(per_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self(RateLimiter::keyed(quota))
    }

    /// Counts one use. `Err` holds the seconds to wait.
    pub(crate) fn check(
        &self,
        address: IpAddr,
    ) -> Result<(), u64> {
        self.0.check_key(&address).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            wait.as_secs() + 1
        })
    }

    /// Forgets addresses that have been quiet, so that memory stays small.
    pub(crate) fn clean_up(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
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
