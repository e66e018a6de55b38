//! Who can sign in: the demo users, or a TOML file with argon2 hashes and roles.
//!
//! A wrong password and an unknown user cost the same work and get the same answer, or the login
//! page would tell strangers which names exist.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use serde::Deserialize;

use crate::passwords;
use crate::passwords::Checker;
use crate::secret;
use crate::text;

/// Passwords checked at once; more would only be slower, and take 19 MiB each.
const PARALLEL_CHECKS: usize = 4;

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
    /// Digest of what the user signs in with. Sessions and grants remember it and end when it is
    /// another one: a new password locks out whoever knew the old one.
    #[serde(skip)]
    pub(crate) credential: String,
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
    /// Checked when the name is unknown, so that both cases take the same time.
    decoy: String,
    checker: Checker,
}

impl Users {
    /// Reads `file`, or makes the demo users.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self> {
        let users = match file {
            Some(path) => read(path).with_context(|| format!("--users {}", path.display()))?,
            None => demo()?,
        };
        let hashes = users.iter().map(|user| user.password_hash.as_str());
        Ok(Self {
            decoy: passwords::decoy(hashes)?,
            checker: Checker::new(PARALLEL_CHECKS),
            by_name: users
                .into_iter()
                .map(|user| (user.username.clone(), Arc::new(user)))
                .collect(),
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
        let matches = self.checker.matches(hash, password).await;
        user.filter(|_| matches)
    }
}

fn demo() -> Result<Vec<User>> {
    DEMO.iter()
        .map(|(name, role)| {
            Ok(User {
                username: (*name).to_owned(),
                name: None,
                password_hash: passwords::hash(name)?,
                roles: vec![(*role).to_owned()],
                // Their hashes are made at every start, their passwords never change.
                credential: secret::sha256(&format!("demo {name}")),
            })
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<User>> {
    let text = std::fs::read_to_string(path).context("cannot read the file")?;
    let mut file: File = toml::from_str(&text).context("cannot read the users in it")?;
    ensure!(!file.users.is_empty(), "holds no [[users]]");
    let mut seen = std::collections::HashSet::new();
    for user in &mut file.users {
        ensure!(!user.username.is_empty(), "a user has an empty username");
        ensure!(
            user.username.chars().all(text::is_visible),
            "the username {:?} holds a character that cannot be seen",
            user.username
        );
        ensure!(
            passwords::is_hash(&user.password_hash),
            "the password_hash of {:?} is not an argon2 hash: make one with \
             `cargo run -p auth-server -- hash-password`",
            user.username
        );
        ensure!(
            seen.insert(user.username.clone()),
            "{:?} is there twice",
            user.username
        );
        user.credential = secret::sha256(&user.password_hash);
    }
    Ok(file.users)
}
