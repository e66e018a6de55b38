//! Passwords and their hashes: Argon2id (RFC 9106), which is slow and wants memory on purpose.
//!
//! A check fills 19 MiB. Memory given back after each check stays in the allocator's arenas, one
//! per thread, so a storm of wrong passwords would fill the machine. Here every slot has a piece
//! of memory that is used again and never given back: as many pieces as slots, however many ask.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::Result;
use anyhow::anyhow;
use argon2::Algorithm;
use argon2::Argon2;
use argon2::Block;
use argon2::Params;
use argon2::PasswordHasher;
use argon2::Version;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::phc::Salt;
use aws_lc_rs::constant_time;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

/// Checks passwords, a few at a time and off the async threads.
pub(crate) struct Checker {
    slots: Arc<Semaphore>,
    memory: Arc<Memory>,
}

impl Checker {
    /// With so many checks at once; each takes as much memory as its hash says (ours: 19 MiB).
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            memory: Arc::default(),
        }
    }

    /// Waits for a turn.
    pub(crate) async fn slot(&self) -> Slot {
        Slot {
            // Never closed; and if it were, the check would still be made.
            permit: self.slots.clone().acquire_owned().await.ok().map(Arc::new),
            memory: self.memory.clone(),
        }
    }

    /// Whether the password is the one of this hash. `false` also for a text that is no hash.
    pub(crate) async fn matches(
        &self,
        hash: &str,
        password: &str,
    ) -> bool {
        self.slot().await.matches(hash, password).await
    }
}

/// The right to make one check, until it is dropped.
pub(crate) struct Slot {
    permit: Option<Arc<OwnedSemaphorePermit>>,
    memory: Arc<Memory>,
}

impl Slot {
    /// As [`Checker::matches`].
    pub(crate) async fn matches(
        &self,
        hash: &str,
        password: &str,
    ) -> bool {
        let (hash, password) = (hash.to_owned(), password.to_owned());
        let (permit, memory) = (self.permit.clone(), self.memory.clone());
        let check = move || {
            // Held until the check is over, even where nobody waits for its result any more.
            let _permit = permit;
            let Some(recipe) = Recipe::parse(&hash) else {
                return false;
            };
            let mut blocks = memory.take();
            let same = recipe.matches(password.as_bytes(), &mut blocks);
            memory.put_back(blocks);
            same
        };
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }
}

/// The pieces of memory that no check is using.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn take(&self) -> Vec<Block> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    fn put_back(
        &self,
        blocks: Vec<Block>,
    ) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(blocks);
    }
}

/// A hash taken apart: how it was made, and what came out.
struct Recipe {
    argon2: Argon2<'static>,
    salt: Salt,
    expected: Vec<u8>,
}

impl Recipe {
    /// Reads a PHC string (`$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`); `None` if it is no
    /// complete argon2 hash.
    fn parse(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from);
        let params = Params::try_from(&hash).ok()?;
        Some(Self {
            argon2: Argon2::new(algorithm, version.ok()?, params),
            salt: hash.salt?,
            expected: hash.hash?.as_bytes().to_vec(),
        })
    }

    fn matches(
        &self,
        password: &[u8],
        blocks: &mut Vec<Block>,
    ) -> bool {
        let needed = self.argon2.params().block_count();
        if blocks.len() < needed {
            blocks.resize(needed, Block::new());
        }
        let mut found = vec![0; self.expected.len()];
        let done = self.argon2.hash_password_into_with_memory(
            password,
            &self.salt,
            &mut found,
            blocks.as_mut_slice(),
        );
        done.is_ok() && constant_time::verify_slices_are_equal(&found, &self.expected).is_ok()
    }

    /// Blocks of memory times passes: what a check costs, to compare hashes by.
    fn cost(&self) -> u64 {
        let params = self.argon2.params();
        u64::from(params.m_cost()) * u64::from(params.t_cost())
    }
}

/// Whether the text is a hash that [`Checker::matches`] can check.
pub(crate) fn is_hash(text: &str) -> bool {
    Recipe::parse(text).is_some()
}

/// Hashes a password with the parameters that OWASP recommends (19 MiB, two passes), as a PHC
/// string.
pub(crate) fn hash(password: &str) -> Result<String> {
    hash_with(&hasher()?, password)
}

/// A hash of nothing that anybody knows, as slow to check as the slowest of `hashes`: checked
/// where a user name is unknown, so that the time does not tell.
pub(crate) fn decoy<'a>(hashes: impl Iterator<Item = &'a str>) -> Result<String> {
    let slowest = hashes
        .filter_map(Recipe::parse)
        .max_by_key(Recipe::cost)
        .map(|recipe| recipe.argon2);
    let password = crate::secret::random();
    slowest.map_or_else(|| hash(&password), |argon2| hash_with(&argon2, &password))
}

fn hash_with(
    argon2: &Argon2<'_>,
    password: &str,
) -> Result<String> {
    let hash = argon2
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow!("cannot hash a password: {error}"))?;
    Ok(hash.to_string())
}

#[cfg(not(test))]
fn hasher() -> Result<Argon2<'static>> {
    Ok(Argon2::default())
}

/// Tests sign in hundreds of times, and guess nothing: one pass over 8 KiB will do.
#[cfg(test)]
fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(8, 1, 1, None).map_err(|error| anyhow!("{error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests;
