//! Whether a client's secret is the right one, without letting anybody guess.
//!
//! A secret made here is 256 random bits: comparing its hash is quick, and a right one is never
//! made to wait. One that a person chose is kept as an argon2 hash. Checking that is slow, so it
//! has slots of its own, apart from the users' passwords; and once a client was right, its secret
//! is recognised by a keyed hash in memory, so that guesses at it cannot keep it out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::clients::Client;
use crate::clients::SecretHash;
use crate::passwords::Checker;
use crate::secret;
use crate::secret::Sealer;
use crate::throttle::Key;
use crate::throttle::Throttle;

/// Slow checks at once.
const SLOTS: usize = 2;

/// What a presented secret is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    /// Not looked at: too many were wrong. Holds the seconds to wait.
    Wait(u64),
}

/// Checks the secrets of all clients.
pub(crate) struct ClientSecrets {
    checker: Checker,
    throttle: Throttle,
    sealer: Arc<Sealer>,
    /// By client id, what a secret that was right looks like. Pre-registered clients only, so it
    /// stays small.
    seen: Mutex<HashMap<String, String>>,
}

impl ClientSecrets {
    pub(crate) fn new(sealer: Arc<Sealer>) -> Self {
        Self {
            checker: Checker::new(SLOTS),
            throttle: Throttle::default(),
            sealer,
            seen: Mutex::default(),
        }
    }

    /// Judges the secret that somebody presents for `id`. Guesses at an id that no client has
    /// (`None`) are counted and made to wait as all others.
    pub(crate) async fn check(
        &self,
        id: &str,
        client: Option<&Client>,
        presented: &str,
        now: i64,
    ) -> Verdict {
        let hash = client.and_then(Client::secret);
        if self.is_right_at_once(id, hash, presented) {
            return Verdict::Right;
        }
        let key = Key::client(id);
        if let Err(seconds) = self.throttle.check(&key, now) {
            return Verdict::Wait(seconds);
        }
        if let Some(SecretHash::Argon2(hash)) = hash {
            return self.check_slowly(id, hash, presented, now).await;
        }
        self.throttle.failed(&key, now);
        Verdict::Wrong
    }

    async fn check_slowly(
        &self,
        id: &str,
        hash: &str,
        presented: &str,
        now: i64,
    ) -> Verdict {
        let key = Key::client(id);
        // Kept until the result is counted, so that guesses at once are few more than five.
        let slot = self.checker.slot().await;
        // Others may have guessed while this one waited for its turn.
        if let Err(seconds) = self.throttle.check(&key, now) {
            return Verdict::Wait(seconds);
        }
        if slot.matches(hash, presented).await {
            self.throttle.forget(&key);
            self.seen().insert(id.to_owned(), self.seal(id, presented));
            return Verdict::Right;
        }
        self.throttle.failed(&key, now);
        Verdict::Wrong
    }

    fn is_right_at_once(
        &self,
        id: &str,
        hash: Option<&SecretHash>,
        presented: &str,
    ) -> bool {
        match hash {
            Some(SecretHash::Sha256(hash)) => secret::same(hash, &secret::sha256(presented)),
            Some(SecretHash::Argon2(_)) => {
                let seen = self.seen().get(id).cloned();
                seen.is_some_and(|seen| secret::same(&seen, &self.seal(id, presented)))
            }
            None => false,
        }
    }

    fn seal(
        &self,
        id: &str,
        presented: &str,
    ) -> String {
        self.sealer.seal(&["client secret", id, presented])
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
