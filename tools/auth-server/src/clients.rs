//! Clients: where they come from, and what is known about one.
//!
//! Three sources: a TOML file (pre-registered), RFC 7591 registration, and Client ID Metadata
//! Documents. All describe themselves with the same metadata (RFC 7591 section 2), so one
//! function reads it for all three; what differs is who vouches for it, and the consent page says.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use anyhow::ensure;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::client_key::ClientKey;
use crate::machine;
use crate::machine::Machine;
use crate::passwords;
use crate::redirect;
use crate::secret;
use crate::text;
use crate::users::User;

/// Most redirect URIs that one client may have.
pub(crate) const MAX_REDIRECT_URIS: usize = 10;

/// How a client that registers itself may prove itself at the token endpoint. `none` means by PKCE
/// alone.
pub(crate) const AUTH_METHODS: &[&str] = &["none", "client_secret_basic", "client_secret_post"];

/// Who vouches for the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The operator, in a file.
    File,
    /// Nobody: the client registered itself.
    Registration,
    /// The owner of the host in its `client_id`.
    Document,
}

impl Source {
    /// As stored.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Registration => "registration",
            Self::Document => "document",
        }
    }
}

/// How a client's secret is kept.
#[derive(Clone, Debug)]
pub(crate) enum SecretHash {
    /// Made here, 256 random bits: a fast hash is enough.
    Sha256(String),
    /// Chosen by a person, in the clients file.
    Argon2(String),
}

/// How a client proves that it is itself: in one way, or not at all.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// A public client: nothing that it could send would prove anything.
    Nothing,
    Secret(SecretHash),
    /// By a JWT that one of these keys signed (`private_key_jwt`). Never none.
    Keys(Vec<ClientKey>),
}

impl Proof {
    /// Digest of it: another secret or another key ends what was given for the old one.
    fn credential(&self) -> Option<String> {
        match self {
            Self::Secret(SecretHash::Argon2(hash) | SecretHash::Sha256(hash)) => {
                Some(secret::sha256(hash))
            }
            Self::Keys(keys) => {
                let all: Vec<_> = keys.iter().map(|key| key.fingerprint.as_str()).collect();
                Some(secret::sha256(&all.join(" ")))
            }
            Self::Nothing => None,
        }
    }
}

/// The metadata of a client, as far as this server uses it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Metadata {
    pub(crate) redirect_uris: Vec<String>,
    /// Where users may be sent after they have signed out.
    #[serde(default)]
    pub(crate) post_logout_redirect_uris: Vec<String>,
    #[serde(default)]
    pub(crate) client_name: Option<String>,
    #[serde(default)]
    pub(crate) grant_types: Option<Vec<String>>,
}

/// One client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) source: Source,
    pub(crate) metadata: Metadata,
    pub(crate) proof: Proof,
    /// Set where it may act in its own name. Of pre-registered clients only: the operator decides.
    pub(crate) machine: Option<Machine>,
}

impl Client {
    /// Whether anybody could claim to be this client.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self.proof, Proof::Nothing)
    }

    /// The hash of its secret, if it has one.
    pub(crate) fn secret(&self) -> Option<&SecretHash> {
        match &self.proof {
            Proof::Secret(hash) => Some(hash),
            Proof::Nothing | Proof::Keys(_) => None,
        }
    }

    /// The keys that sign its assertions; none for a client that has another proof.
    pub(crate) fn keys(&self) -> &[ClientKey] {
        match &self.proof {
            Proof::Keys(keys) => keys,
            Proof::Nothing | Proof::Secret(_) => &[],
        }
    }

    /// The registered redirect URI that the requested one is, or the only one where none is
    /// requested. The result is what may be redirected to.
    pub(crate) fn redirect_uri(
        &self,
        requested: Option<&str>,
    ) -> Option<String> {
        let registered = &self.metadata.redirect_uris;
        match (requested, registered.as_slice()) {
            (Some(uri), _) => registered
                .iter()
                .any(|known| redirect::matches(known, uri))
                .then(|| uri.to_owned()),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    /// Whether users may be sent there after they have signed out.
    pub(crate) fn may_receive_after_logout(
        &self,
        uri: &str,
    ) -> bool {
        let registered = &self.metadata.post_logout_redirect_uris;
        registered.iter().any(|known| redirect::matches(known, uri))
    }

    /// Whether it gets refresh tokens: unless it says that it uses other grants only. Clients
    /// that leave `grant_types` out mean "what you have".
    pub(crate) fn may_refresh(&self) -> bool {
        self.metadata
            .grant_types
            .as_ref()
            .is_none_or(|grants| grants.iter().any(|grant| grant == "refresh_token"))
    }

    /// The name it gives itself, made harmless for a page: nothing that cannot be seen, at most 80
    /// characters.
    pub(crate) fn display_name(&self) -> String {
        let name = self.metadata.client_name.as_deref().unwrap_or_default();
        let name: String = name.chars().filter(|c| text::is_visible(*c)).take(80).collect();
        let name = name.trim();
        if name.is_empty() {
            "A client without a name".to_owned()
        } else {
            name.to_owned()
        }
    }
}

/// Takes out null members at every depth: absent is absent (some clients refuse nulls).
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name, without_nulls(member)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// The pre-registered clients.
pub(crate) type Preregistered = HashMap<String, Client>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    clients: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    client_id: String,
    client_name: Option<String>,
    /// May be left out by a client that only acts in its own name.
    redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    post_logout_redirect_uris: Vec<String>,
    grant_types: Option<Vec<String>>,
    /// An argon2 hash. Without it and without `public_keys` the client is public.
    client_secret_hash: Option<String>,
    /// PEM, RSA or EC on P-256. Several while one replaces another.
    #[serde(default)]
    public_keys: Vec<String>,
    /// With the grant `client_credentials`: what the client may do in its own name.
    #[serde(default)]
    roles: Vec<String>,
    /// Likewise, separated by spaces.
    scope: Option<String>,
}

/// The accounts of those that may act in their own names.
pub(crate) fn machines(clients: &Preregistered) -> impl Iterator<Item = Arc<User>> {
    let machines = clients.values().filter_map(|client| client.machine.as_ref());
    machines.map(|machine| machine.account.clone())
}

/// Reads the pre-registered clients; none without a file.
pub(crate) fn load(file: Option<&Path>) -> Result<Preregistered> {
    let Some(path) = file else {
        return Ok(Preregistered::new());
    };
    read(path).with_context(|| format!("--clients {}", path.display()))
}

fn read(path: &Path) -> Result<Preregistered> {
    let text = std::fs::read_to_string(path).context("cannot read the file")?;
    let file: File = toml::from_str(&text).context("cannot read the clients in it")?;
    let mut clients = Preregistered::new();
    for entry in file.clients {
        let client = entry.check()?;
        let twice = clients.insert(client.id.clone(), client);
        ensure!(twice.is_none(), "a client_id is there twice");
    }
    Ok(clients)
}

impl Entry {
    fn check(self) -> Result<Client> {
        let id = self.client_id.clone();
        ensure!(!id.is_empty(), "a client has an empty client_id");
        self.check_addresses()?;
        let proof = self.proof()?;
        let machine = self.machine(&proof)?;
        Ok(Client {
            id,
            source: Source::File,
            metadata: Metadata {
                redirect_uris: self.redirect_uris.unwrap_or_default(),
                post_logout_redirect_uris: self.post_logout_redirect_uris,
                client_name: self.client_name,
                grant_types: self.grant_types,
            },
            proof,
            machine,
        })
    }

    fn check_addresses(&self) -> Result<()> {
        let id = &self.client_id;
        let uris = self.redirect_uris.iter().flatten();
        for uri in uris.chain(&self.post_logout_redirect_uris) {
            redirect::check(uri).map_err(|why| anyhow!("client {id:?}: {why}"))?;
        }
        ensure!(
            self.redirect_uris.is_some() || self.is_machine(),
            "client {id:?} has no redirect_uris: users could not come back to it"
        );
        Ok(())
    }

    fn proof(&self) -> Result<Proof> {
        let id = &self.client_id;
        let hash = self.client_secret_hash.as_deref();
        ensure!(
            hash.is_none_or(passwords::is_hash),
            "the client_secret_hash of {id:?} is not an argon2 hash: make one with \
             `cargo run -p auth-server -- hash-password`"
        );
        let keys = self.public_keys.iter().map(|pem| ClientKey::read(pem));
        let keys: Vec<_> = keys
            .collect::<Result<_, _>>()
            .with_context(|| format!("the public_keys of {id:?}"))?;
        match (hash, keys.is_empty()) {
            (Some(_), false) => bail!(
                "client {id:?} has a client_secret_hash and public_keys: choose one, or the weaker \
                 one would decide"
            ),
            (Some(hash), true) => Ok(Proof::Secret(SecretHash::Argon2(hash.to_owned()))),
            (None, false) => Ok(Proof::Keys(keys)),
            (None, true) => Ok(Proof::Nothing),
        }
    }

    fn is_machine(&self) -> bool {
        let mut grants = self.grant_types.iter().flatten();
        grants.any(|grant| grant == machine::GRANT_TYPE)
    }

    fn machine(
        &self,
        proof: &Proof,
    ) -> Result<Option<Machine>> {
        let id = &self.client_id;
        let scope = self.scope.as_deref().unwrap_or_default();
        if self.is_machine() {
            return Machine::new(id, &self.roles, scope, proof.credential())
                .with_context(|| format!("client {id:?}"))
                .map(Some);
        }
        ensure!(
            self.roles.is_empty() && self.scope.is_none(),
            "client {id:?} has roles or a scope without the grant type client_credentials: in a \
             user's name the user's roles decide"
        );
        Ok(None)
    }
}
