//! Slows down guessing of one user's password, whatever addresses the guesses come from.
//!
//! Five wrong passwords in a row and the name waits half a minute; a right one forgets them. A
//! pause rather than a lock, or anybody could lock anybody out. Kept in memory: a restart takes
//! longer than it would give an attacker.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::secret;

/// Wrong passwords before the pause.
pub(crate) const ATTEMPTS: u32 = 5;

/// Length of the pause, in seconds.
pub(crate) const PAUSE: i64 = 30;

/// Names remembered at most; beyond it those whose pause is over are forgotten.
const MAX_NAMES: usize = 10_000;

#[derive(Clone, Copy, Default)]
struct Record {
    failures: u32,
    last: i64,
}

/// Failures by user name, of users that exist and of names that do not.
#[derive(Default)]
pub(crate) struct Throttle {
    names: Mutex<HashMap<String, Record>>,
}

impl Throttle {
    /// Counts an attempt *before* the password is looked at, so that a burst of parallel guesses
    /// gets no more than five either. `Err` holds the seconds to wait.
    pub(crate) fn attempt(
        &self,
        name: &str,
        now: i64,
    ) -> Result<(), u64> {
        // Hashed, so that a record has one size whatever was sent as a name.
        let name = secret::sha256(name);
        let mut names = self.lock();
        if names.len() >= MAX_NAMES {
            names.retain(|_, record| record.last + PAUSE > now);
        }
        let full = names.len() >= MAX_NAMES && !names.contains_key(&name);
        if full {
            return Err(PAUSE.unsigned_abs());
        }
        let record = names.entry(name).or_default();
        if record.last + PAUSE <= now {
            *record = Record::default();
        }
        if record.failures >= ATTEMPTS {
            return Err((record.last + PAUSE - now).unsigned_abs());
        }
        record.failures += 1;
        record.last = now;
        Ok(())
    }

    /// The password was right.
    pub(crate) fn forget(
        &self,
        name: &str,
    ) {
        self.lock().remove(&secret::sha256(name));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
