//! Who can sign in: the demo users, or a TOML file with argon2 hashes and roles; and who has come
//! from the upstream provider.
//!
//! A wrong password and an unknown user cost the same work and get the same answer, or the login
//! page would tell strangers which names exist.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use serde::Deserialize;

use crate::passwords;
use crate::passwords::Checker;
use crate::secret;
use crate::store::upstream::Row;
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
    /// The upstream provider's name, for who signs in there and has no password here.
    #[serde(skip)]
    pub(crate) upstream: Option<String>,
    /// What the user is called there. It may change hands, so it is for people to read only.
    #[serde(skip)]
    pub(crate) login: Option<String>,
}

impl User {
    /// The name to show to people.
    pub(crate) fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.login())
    }

    /// What the user is called where they sign in.
    pub(crate) fn login(&self) -> &str {
        self.login.as_deref().unwrap_or(&self.username)
    }
}

impl User {
    /// A client in its own name: no password opens it, and only its own grant leads to it.
    pub(crate) fn machine(
        client_id: &str,
        roles: &[String],
        credential: String,
    ) -> Self {
        Self {
            username: client_id.to_owned(),
            name: None,
            password_hash: String::new(),
            roles: roles.to_vec(),
            credential,
            upstream: None,
            login: None,
        }
    }
}

/// Somebody who signed in at the upstream provider.
pub(crate) struct Newcomer(User);

impl Newcomer {
    /// From the database's row, with the name of the provider and the role that its users have.
    pub(crate) fn from_row(
        row: &Row,
        upstream: &str,
        role: &str,
    ) -> Self {
        Self(User {
            username: row.sub.clone(),
            name: row.name.clone(),
            password_hash: String::new(),
            roles: vec![role.to_owned()],
            credential: row.credential.clone(),
            upstream: Some(upstream.to_owned()),
            login: Some(row.login.clone()),
        })
    }
}

/// Where the users with passwords come from.
pub(crate) enum Local<'a> {
    /// The demo users.
    Demo,
    File(&'a Path),
    /// There are none.
    Nobody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: Vec<User>,
}

/// All users, and the gate through which passwords are checked.
pub(crate) struct Users {
    local: HashMap<String, Arc<User>>,
    /// Those who signed in at the upstream provider, as of their last sign-in. Their names begin
    /// with the provider's, which no local user's may.
    upstream: RwLock<HashMap<String, Arc<User>>>,
    /// Clients that act in their own names, by client id. Nobody signs in as one.
    machines: HashMap<String, Arc<User>>,
    /// Checked when the name is unknown, so that both cases take the same time.
    decoy: String,
    checker: Checker,
}

impl Users {
    /// Reads the file, or makes the demo users. `upstream` is the provider at which others sign in.
    pub(crate) fn load(
        local: &Local<'_>,
        upstream: Option<&str>,
    ) -> Result<Self> {
        let users = match local {
            Local::File(path) => {
                read(path).with_context(|| format!("--users {}", path.display()))?
            }
            Local::Demo => demo()?,
            Local::Nobody => Vec::new(),
        };
        refuse_collisions(&users, upstream)?;
        let hashes = users.iter().map(|user| user.password_hash.as_str());
        Ok(Self {
            decoy: passwords::decoy(hashes)?,
            checker: Checker::new(PARALLEL_CHECKS),
            upstream: RwLock::default(),
            machines: HashMap::new(),
            local: users.into_iter().map(|user| (user.username.clone(), Arc::new(user))).collect(),
        })
    }

    /// With the machines, none of which may be called like a user.
    pub(crate) fn with_machines(
        mut self,
        machines: impl Iterator<Item = Arc<User>>,
    ) -> Result<Self> {
        for machine in machines {
            let name = machine.username.clone();
            ensure!(
                self.get(&name).is_none(),
                "the client {name:?} is called like a user, and its tokens would be taken for the \
                 user's: give it another client_id"
            );
            self.machines.insert(name, machine);
        }
        Ok(self)
    }

    /// The user or machine of that name, compared exactly.
    pub(crate) fn get(
        &self,
        username: &str,
    ) -> Option<Arc<User>> {
        let local = self.local.get(username).or(self.machines.get(username));
        local.or(self.upstream().get(username)).cloned()
    }

    /// Makes somebody known who has signed in at the upstream provider.
    pub(crate) fn admit(
        &self,
        Newcomer(user): Newcomer,
    ) -> Arc<User> {
        let user = Arc::new(user);
        let mut upstream = self.upstream.write().unwrap_or_else(PoisonError::into_inner);
        upstream.insert(user.username.clone(), user.clone());
        user
    }

    fn upstream(&self) -> RwLockReadGuard<'_, HashMap<String, Arc<User>>> {
        self.upstream.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user, when the password is theirs. Who signs in elsewhere has none.
    pub(crate) async fn verify(
        &self,
        username: &str,
        password: &str,
    ) -> Option<Arc<User>> {
        let user = self.local.get(username).cloned();
        let hash = user.as_ref().map_or(&self.decoy, |user| &user.password_hash);
        let matches = self.checker.matches(hash, password).await;
        user.filter(|_| matches)
    }
}

/// Or somebody from there would be taken for the local user, and the other way round.
fn refuse_collisions(
    users: &[User],
    upstream: Option<&str>,
) -> Result<()> {
    let is_theirs = |name: &str| {
        let before = name.split_once(':').map(|(before, _)| before);
        before.is_some() && before == upstream
    };
    match users.iter().find(|user| is_theirs(&user.username)) {
        Some(user) => bail!(
            "the local user {:?} is called like one of the upstream provider: rename the user, or \
             give another --upstream-name",
            user.username
        ),
        None => Ok(()),
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
                upstream: None,
                login: None,
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
