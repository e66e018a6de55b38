//! The parts that the server is made of. Each is shared, and a handler asks for the one it needs
//! (`State(config): State<Arc<Config>>`), so that a part can be lifted into another server.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::auth::Auth;
use crate::config::Config;
use crate::keys::Keys;

/// All parts together: the state of the router.
#[derive(Clone, FromRef)]
pub(crate) struct Server {
    pub(crate) auth: Arc<Auth>,
    pub(crate) config: Arc<Config>,
    pub(crate) keys: Arc<Keys>,
}

impl Server {
    /// Puts the parts together; nothing is read or asked for yet.
    pub(crate) fn new(config: Config) -> Self {
        let keys = Arc::new(Keys::new(&config));
        Self {
            auth: Arc::new(Auth::new(&config, keys.clone())),
            keys,
            config: Arc::new(config),
        }
    }
}
