//! Who can sign in: the demo users, or a TOML file with argon2 hashes and roles.
//!
//! Passwords are short and guessable, so they are hashed with Argon2id (RFC 9106), which is slow
//! and wants memory. A wrong password and an unknown user cost the same work and get the same
//! answer, or the login page would tell strangers which names exist.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::ensure;
use argon2::Argon2;
use argon2::PasswordHasher;
use argon2::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use serde::Deserialize;
use tokio::sync::Semaphore;

/// Each verification takes 19 MiB; more at once than this would only be slower.
const PARALLEL_HASHES: usize = 4;

/// Name and role of the demo users. The password of each is its name.
pub(crate) const DEMO: &[(&str, &str)] = &[
    ("alice", "user"),
    ("bob", "user"),
    ("admin", "admin"),
    ("guest", "guest"),
];

/// Somebody who can sign in. The user name is the subject (`sub`) of the tokens, as it is in
/// gen-token's: names are never given to somebody else here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) username: String,
    /// Shown to clients with the scope `profile`; the user name where it is left out.
    #[serde(default)]
    pub(crate) name: Option<String>,
    password_hash: String,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
}

impl User {
    /// The name to show to people.
    pub(crate) fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.username)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: Vec<User>,
}

/// All users, and the gate through which passwords are checked.
pub(crate) struct Users {
    by_name: HashMap<String, Arc<User>>,
    /// Verified against when the name is unknown, so that both cases take the same time.
    decoy: String,
    gate: Arc<Semaphore>,
}

impl Users {
    /// Reads `file`, or makes the demo users.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self> {
        let users = match file {
            Some(path) => read(path).with_context(|| format!("--users {}", path.display()))?,
            None => demo()?,
        };
        Ok(Self {
            by_name: users
                .into_iter()
                .map(|user| (user.username.clone(), Arc::new(user)))
                .collect(),
            decoy: hash(&crate::secret::random())?,
            gate: Arc::new(Semaphore::new(PARALLEL_HASHES)),
        })
    }

    /// The user of that name, compared exactly.
    pub(crate) fn get(
        &self,
        username: &str,
    ) -> Option<Arc<User>> {
        self.by_name.get(username).cloned()
    }

    /// The user, when the password is theirs.
    pub(crate) async fn verify(
        &self,
        username: &str,
        password: &str,
    ) -> Option<Arc<User>> {
        let user = self.get(username);
        let hash = user.as_ref().map_or(&self.decoy, |user| &user.password_hash);
        let matches = self.matches(hash, password).await;
        user.filter(|_| matches)
    }

    /// Checks a password against an argon2 hash, a few at a time and off the async threads.
    pub(crate) async fn matches(
        &self,
        hash: &str,
        password: &str,
    ) -> bool {
        let permit = self.gate.clone().acquire_owned().await;
        let (hash, password) = (hash.to_owned(), password.to_owned());
        let check = move || {
            let _held = permit;
            PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
            })
        };
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }
}

/// Argon2id with the parameters that OWASP recommends (19 MiB, two passes), as a PHC string.
pub(crate) fn hash(password: &str) -> Result<String> {
    let hash = hasher()?
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
    let params = argon2::Params::new(8, 1, 1, None).map_err(|error| anyhow!("{error}"))?;
    Ok(Argon2::new(
        argon2::Algorithm::Argon2id,
        argon2::Version::V0x13,
        params,
    ))
}

/// Whether the text is a hash that [`Users::matches`] can check.
pub(crate) fn is_hash(text: &str) -> bool {
    text.starts_with("$argon2") && PasswordHash::new(text).is_ok()
}

fn demo() -> Result<Vec<User>> {
    DEMO.iter()
        .map(|(name, role)| {
            Ok(User {
                username: (*name).to_owned(),
                name: None,
                password_hash: hash(name)?,
                roles: vec![(*role).to_owned()],
            })
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<User>> {
    let text = std::fs::read_to_string(path).context("cannot read the file")?;
    let file: File = toml::from_str(&text).context("cannot read the users in it")?;
    ensure!(!file.users.is_empty(), "holds no [[users]]");
    let mut seen = std::collections::HashSet::new();
    for user in &file.users {
        ensure!(!user.username.is_empty(), "a user has an empty username");
        ensure!(
            is_hash(&user.password_hash),
            "the password_hash of {:?} is not an argon2 hash: make one with \
             `cargo run -p auth-server -- hash-password`",
            user.username
        );
        ensure!(
            seen.insert(&user.username),
            "{:?} is there twice",
            user.username
        );
    }
    Ok(file.users)
}
