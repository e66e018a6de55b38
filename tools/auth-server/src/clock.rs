//! The time, in one place, so that tests can let an hour pass without waiting for it.
//!
//! Every lifetime in this server (codes, tokens, sessions, keys) is counted in whole seconds
//! since 1970 as this clock tells them; nothing else asks the system for the time.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

/// Seconds since 1970-01-01T00:00:00Z, plus whatever a test has skipped. Clones share the skip.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The current time in seconds.
    pub(crate) fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead.load(Ordering::Relaxed)
    }

    /// Lets `seconds` pass at once.
    #[cfg(test)]
    pub(crate) fn advance(
        &self,
        seconds: i64,
    ) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }
}
