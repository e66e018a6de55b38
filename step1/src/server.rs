//! The parts that the server is made of. Each is shared, and a handler asks for the one it needs
//! (`State(config): State<Arc<Config>>`), so that a part can be lifted into another server.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::config::Config;

/// All parts together: the state of the router.
#[derive(Clone, FromRef)]
pub(crate) struct Server {
    pub(crate) config: Arc<Config>,
}

impl Server {
    /// Puts the parts together; nothing is read or asked for yet.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config: Arc::new(config),
        }
    }
}
