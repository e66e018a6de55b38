//! The parts that the server is made of. Each is shared, and a handler asks for the one it needs
//! (`State(config): State<Arc<Config>>`), so that a part can be lifted into another server.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::answers::Answers;
use crate::auth::Auth;
use crate::cache::Cached;
use crate::config::Config;
use crate::issuer;
use crate::issuer::Issuer;
use crate::keys::Keys;
use crate::lookup::Lookup;

/// All parts together: the state of the router.
#[derive(Clone, FromRef)]
pub(crate) struct Server {
    pub(crate) auth: Arc<Auth>,
    pub(crate) config: Arc<Config>,
    pub(crate) issuer: Arc<Cached<Issuer>>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) lookup: Arc<Lookup>,
}

impl Server {
    /// Puts the parts together; nothing is read or asked for yet.
    pub(crate) fn new(config: Config) -> Self {
        let issuer = Issuer {
            name: config.issuer.clone(),
            provider: config.provider.clone(),
        };
        let issuer = Arc::new(Cached::new(issuer, issuer::RULES));
        let keys = Arc::new(Keys::new(&config, issuer.clone()));
        let lookup = Arc::new(Lookup {
            issuer: issuer.clone(),
            resource: config.resource(),
            answers: Answers::new(),
        });
        let scope = &config.provider.scopes;
        Self {
            auth: Arc::new(Auth::new(&config, keys.clone(), lookup.clone(), scope)),
            issuer,
            keys,
            lookup,
            config: Arc::new(config),
        }
    }
}
