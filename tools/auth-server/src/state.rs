//! What all handlers share.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use anyhow::anyhow;

use crate::cimd::Documents;
use crate::client_secrets::ClientSecrets;
use crate::clients;
use crate::clients::Client;
use crate::clients::Preregistered;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::Settings;
use crate::keys::Keyring;
use crate::limits::InFlight;
use crate::limits::PerMinute;
use crate::secret::Sealer;
use crate::store;
use crate::store::Store;
use crate::store::StoreError;
use crate::throttle::Throttle;
use crate::upstream::Upstream;
use crate::upstream::refreshing::Refreshing;
use crate::upstream::vault::Vault;
use crate::users::Local;
use crate::users::Newcomer;
use crate::users::Users;

/// The server's state; clones share it.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Inner>);

/// The parts, each in the module of its name.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) keys: Keyring,
    /// Whether the signing key was made at this start.
    pub(crate) made_keys: bool,
    pub(crate) users: Arc<Users>,
    /// Where users can sign in elsewhere.
    pub(crate) upstream: Option<Upstream>,
    /// GitHub's tokens; `None` where users do not sign in there.
    pub(crate) vault: Option<Vault>,
    pub(crate) refreshing: Refreshing,
    pub(crate) preregistered: Preregistered,
    pub(crate) client_secrets: ClientSecrets,
    pub(crate) documents: Documents,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) throttle: Throttle,
    pub(crate) registrations: PerMinute<IpAddr>,
    pub(crate) logins: PerMinute<IpAddr>,
    /// Fetches of client metadata documents, by user name.
    pub(crate) fetches: PerMinute<String>,
    /// Those that are under way.
    pub(crate) fetching: InFlight,
}

impl std::ops::Deref for AppState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Documents that are fetched for one user at once.
const PARALLEL_FETCHES: usize = 2;

/// How long a replaced key stays published after the last token it signed: clocks differ.
const KEY_LEEWAY: i64 = 60;

impl AppState {
    /// Opens the database, loads or makes the keys, reads users and clients. Errors are one
    /// sentence for the person who starts the server.
    pub(crate) fn open(
        config: Config,
        clock: Clock,
    ) -> Result<Self> {
        let settings = config.settings.clone();
        let upstream = Upstream::new(&settings, &config.issuer)?;
        let preregistered = clients::load(settings.clients.as_deref())?;
        let users = Users::load(&local(&settings), upstream.as_ref().map(Upstream::name))?
            .with_machines(clients::machines(&preregistered))?;
        let store = Store::open(&settings.data)?;
        let seal_key = store.seal_key().map_err(|error| anyhow!("{error}"))?;
        let sealer = Arc::new(Sealer::new(&seal_key));
        let retention = settings.access_ttl + KEY_LEEWAY;
        let vault = open_vault(upstream.as_ref(), &settings.keys_dir)?;
        if let Some(upstream) = &upstream {
            welcome_back(&users, upstream, &settings.upstream_role, &store)?;
        }
        let (keys, made_keys) = Keyring::open(settings.keys_dir, retention, &store, clock.now())?;
        Ok(Self(Arc::new(Inner {
            clock,
            keys,
            made_keys,
            users: Arc::new(users),
            upstream,
            vault,
            refreshing: Refreshing::default(),
            preregistered,
            client_secrets: ClientSecrets::new(sealer.clone()),
            documents: Documents::new(settings.allow_loopback_client_metadata),
            sealer,
            throttle: Throttle::default(),
            registrations: PerMinute::new(settings.registrations_per_minute),
            logins: PerMinute::new(settings.logins_per_minute),
            fetches: PerMinute::new(settings.registrations_per_minute),
            fetching: InFlight::new(PARALLEL_FETCHES),
            store,
            config,
        })))
    }

    /// The time in seconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// A client that is known without fetching anything: from the file, registered, or a
    /// document seen before (however old the copy).
    pub(crate) async fn known_client(
        &self,
        id: &str,
    ) -> Result<Option<Client>, StoreError> {
        if let Some(client) = self.preregistered.get(id) {
            return Ok(Some(client.clone()));
        }
        let id = id.to_owned();
        let stored = self.store.run(move |tx| store::clients::find(tx, &id)).await?;
        Ok(stored.map(|stored| stored.client))
    }
}

fn local(settings: &Settings) -> Local<'_> {
    match &settings.users {
        _ if settings.no_local_users => Local::Nobody,
        Some(path) => Local::File(path),
        None => Local::Demo,
    }
}

/// For GitHub's tokens alone: an OpenID provider's are not kept.
fn open_vault(
    upstream: Option<&Upstream>,
    keys_dir: &Path,
) -> Result<Option<Vault>> {
    match upstream {
        Some(Upstream::GitHub(_)) => Vault::open(keys_dir).map(Some),
        _ => Ok(None),
    }
}

/// Those who signed in at this provider before the start, under this very client id.
fn welcome_back(
    users: &Users,
    upstream: &Upstream,
    role: &str,
    store: &Store,
) -> Result<()> {
    let credential = upstream.credential();
    let rows = store
        .run_now(|tx| store::upstream::users(tx, &credential))
        .map_err(|error| anyhow!("{error}"))?;
    for row in rows {
        users.admit(Newcomer::from_row(&row, upstream.name(), role));
    }
    Ok(())
}
