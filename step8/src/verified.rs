//! What was verified a moment ago: a client sends the same token with each of its calls, and checking
//! a signature costs more than all the rest.
//!
//! What it is looked up by is the whole token, so nothing of a token that was not itself verified
//! counts. Only what was verified is remembered, so nobody without a valid token can fill this. An
//! entry ends with its token, and with the set of keys that the token was verified by.
//!
//! Left out: revocation before the end of a token (RFC 7662, introspection); it was so without this.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex;

use jiff::Timestamp;
use lru::LruCache;

/// How many tokens are remembered; the one that was not used for the longest time makes room.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).expect("more than none");

/// Values of type `T` by the token that vouches for them, verified with keys of type `K`.
pub(crate) struct Verified<T, K> {
    entries: Mutex<LruCache<String, Entry<T, K>>>,
}

struct Entry<T, K> {
    value: Arc<T>,
    keys: Arc<K>,
    /// In seconds since 1970.
    ends: f64,
}

impl<T, K> Verified<T, K> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(LruCache::new(CAPACITY)),
        }
    }

    /// What this very token vouched for, unless it has expired, and the keys it was verified with. If
    /// these are not the keys of now, it counts for nothing.
    pub(crate) fn get(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<(Arc<T>, Arc<K>)> {
        let mut entries = self.entries.lock().expect("no holder panics");
        let entry = entries.get(token)?;
        if (now.as_second() as f64) < entry.ends {
            return Some((entry.value.clone(), entry.keys.clone()));
        }
        entries.pop(token);
        None
    }

    /// Remembers what a token vouches for until it `ends`, in seconds since 1970, or the keys do.
    pub(crate) fn insert(
        &self,
        token: &str,
        keys: Arc<K>,
        ends: f64,
        value: Arc<T>,
    ) {
        let entry = Entry {
            value,
            keys,
            ends,
        };
        let mut entries = self.entries.lock().expect("no holder panics");
        entries.put(token.to_owned(), entry);
    }
}
