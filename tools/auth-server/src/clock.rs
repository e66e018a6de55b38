//! The time, in one place, so that tests can let an hour pass without waiting for it.
//!
//! Every lifetime in this server (codes, tokens, sessions, keys) is counted in whole seconds
//! since 1970 as this clock tells them; nothing else asks the system for the time.

#[cfg(test)]
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::AtomicI64;
#[cfg(test)]
use std::sync::atomic::Ordering;

use jiff::Timestamp;

/// Tells the time: the system's, or in tests one that stands still until it is moved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    #[cfg(test)]
    stopped: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// Seconds since 1970-01-01T00:00:00Z.
    #[cfg(not(test))]
    pub(crate) fn now(&self) -> i64 {
        Timestamp::now().as_second()
    }
}

#[cfg(test)]
impl Clock {
    /// Stands still at this time, so that a slow machine changes nothing.
    pub(crate) fn stopped_at(seconds: i64) -> Self {
        Self {
            stopped: Some(Arc::new(AtomicI64::new(seconds))),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        let system = || Timestamp::now().as_second();
        self.stopped.as_ref().map_or_else(system, |time| time.load(Ordering::Relaxed))
    }

    /// Lets `seconds` pass at once, for all clones.
    pub(crate) fn advance(
        &self,
        seconds: i64,
    ) {
        if let Some(time) = &self.stopped {
            time.fetch_add(seconds, Ordering::Relaxed);
        }
    }
}
