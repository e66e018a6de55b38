//! What was verified a moment ago: a client sends the same token with each of its calls, and checking
//! a signature costs more than all the rest.
//!
//! What it is looked up by is the whole token, so nothing of a token that was not itself verified
//! counts. Only what was verified is remembered, so nobody without a valid token can fill this. An
//! entry ends with its token. That it ends with the keys of its token, too, is up to whoever asks: they
//! are a part of what is remembered.
//!
//! Left out: revocation before the end of a token (RFC 7662, introspection); it was so without this.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use jiff::Timestamp;
use lru::LruCache;

/// How many tokens are remembered; the one that was not used for the longest time makes room.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).expect("more than none");

/// Values of type `T` by the token that vouches for them.
pub(crate) struct Verified<T> {
    /// Each with when it ends, in seconds since 1970.
    entries: Mutex<LruCache<String, (T, f64)>>,
}

impl<T: Clone> Verified<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(LruCache::new(CAPACITY)),
        }
    }

    /// What this very token vouched for, unless it has expired.
    pub(crate) fn get(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<T> {
        let mut entries = self.entries.lock().expect("no holder panics");
        let (value, ends) = entries.get(token)?;
        let is_valid = (now.as_second() as f64) < *ends;
        is_valid.then(|| value.clone())
    }

    /// Remembers what a token vouches for until it `ends`, in seconds since 1970.
    pub(crate) fn insert(
        &self,
        token: &str,
        ends: f64,
        value: T,
    ) {
        let mut entries = self.entries.lock().expect("no holder panics");
        entries.put(token.to_owned(), (value, ends));
    }
}
