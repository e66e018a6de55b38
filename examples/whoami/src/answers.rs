//! Answers to questions about tokens, kept for a moment: a client that calls often does not make us ask
//! as often.
//!
//! An answer is found by the hash of its token, so no token lies in memory. Strangers may fill this with
//! tokens that they made up, so it has a limit; the one that was not used for the longest time goes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use lru::LruCache;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How many tokens are known at a time.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).expect("more than none");

/// Answers by the SHA-256 of the token.
pub(crate) struct Answers<T> {
    slots: std::sync::Mutex<LruCache<Vec<u8>, Slot<T>>>,
}

/// The newest answer, and until when it counts. Who asks for it holds the lock; others wait.
type Slot<T> = Arc<Mutex<Option<(T, Instant)>>>;

impl<T: Clone> Answers<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: std::sync::Mutex::new(LruCache::new(CAPACITY)),
        }
    }

    /// The answer at hand, or the one that `ask` brings, with how long it counts. One that counts for no
    /// time serves those who were waiting for it, and nobody who comes later.
    pub(crate) async fn get(
        &self,
        token: &str,
        ask: impl Future<Output = (T, Duration)>,
    ) -> T {
        let came = Instant::now();
        let hash = digest(&SHA256, token.as_bytes()).as_ref().to_vec();
        let slot = self
            .slots
            .lock()
            .expect("no holder panics")
            .get_or_insert(hash, Slot::default)
            .clone();
        let mut slot = slot.lock().await;
        if let Some((answer, counts_until)) = &*slot
            && came < *counts_until
        {
            return answer.clone();
        }
        let (answer, counts_for) = ask.await;
        *slot = Some((answer.clone(), Instant::now() + counts_for));
        answer
    }
}
