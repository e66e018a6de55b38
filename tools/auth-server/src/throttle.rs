//! Slows down guessing of one password or client secret, whatever addresses the guesses come from.
//!
//! Five wrong ones in a row and the next has to wait half a minute; a right one forgets them. A
//! pause rather than a lock, or anybody could lock anybody out. Kept in memory: a restart takes
//! longer than it would give an attacker.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::secret;

/// Wrong attempts before the pause.
pub(crate) const ATTEMPTS: u32 = 5;

/// Length of the pause, in seconds.
pub(crate) const PAUSE: i64 = 30;

/// Keys remembered at most; beyond it those whose pause is over are forgotten.
pub(crate) const MAX_KEYS: usize = 10_000;

/// By what attempts are counted. Hashed, so that it has one size whatever was sent as a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    digest: String,
    /// Only this server makes such keys, so nobody can come up with thousands of them.
    proven: bool,
}

impl Key {
    /// A user name, true or not.
    pub(crate) fn name(name: &str) -> Self {
        Self {
            digest: secret::sha256(&format!("name {name}")),
            proven: false,
        }
    }

    /// A browser in which the user has signed in before.
    pub(crate) fn browser(id: &str) -> Self {
        Self {
            digest: secret::sha256(&format!("browser {id}")),
            proven: true,
        }
    }

    /// A client identifier, true or not.
    pub(crate) fn client(id: &str) -> Self {
        Self {
            digest: secret::sha256(&format!("client {id}")),
            proven: false,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Record {
    failures: u32,
    last: i64,
}

/// Wrong attempts by key, of users and clients that exist and of those that do not.
#[derive(Default)]
pub(crate) struct Throttle {
    records: Mutex<HashMap<Key, Record>>,
}

impl Throttle {
    /// Counts an attempt *before* it is looked at, so that a burst of parallel guesses gets no
    /// more than five either. `Err` holds the seconds to wait.
    pub(crate) fn attempt(
        &self,
        key: &Key,
        now: i64,
    ) -> Result<(), u64> {
        let mut records = self.lock();
        check(&mut records, key, now)?;
        count(&mut records, key, now);
        Ok(())
    }

    /// Whether an attempt would be looked at. `Err` holds the seconds to wait.
    pub(crate) fn check(
        &self,
        key: &Key,
        now: i64,
    ) -> Result<(), u64> {
        check(&mut self.lock(), key, now)
    }

    /// Counts an attempt that was wrong.
    pub(crate) fn failed(
        &self,
        key: &Key,
        now: i64,
    ) {
        count(&mut self.lock(), key, now);
    }

    /// The attempt was right.
    pub(crate) fn forget(
        &self,
        key: &Key,
    ) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(
    records: &mut HashMap<Key, Record>,
    key: &Key,
    now: i64,
) -> Result<(), u64> {
    if records.len() >= MAX_KEYS {
        records.retain(|_, record| record.last + PAUSE > now);
    }
    match records.get(key) {
        Some(record) => {
            let left = record.last + PAUSE - now;
            if record.failures >= ATTEMPTS && left > 0 {
                return Err(left.unsigned_abs());
            }
            Ok(())
        }
        // With so many of them at once, whoever is new is one of them.
        None if records.len() >= MAX_KEYS && !key.proven => Err(PAUSE.unsigned_abs()),
        None => Ok(()),
    }
}

fn count(
    records: &mut HashMap<Key, Record>,
    key: &Key,
    now: i64,
) {
    let record = records.entry(key.clone()).or_default();
    if record.last + PAUSE <= now {
        *record = Record::default();
    }
    record.failures += 1;
    record.last = now;
}
