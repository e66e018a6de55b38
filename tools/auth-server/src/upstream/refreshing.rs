//! One refresh at a time for each user.

use tokio::sync::Mutex;
use tokio::sync::MutexGuard;

/// How many users can have a refresh under way at once.
const SLOTS: usize = 64;

/// One lock for each user, shared with those whose name falls on the same one.
pub(crate) struct Refreshing([Mutex<()>; SLOTS]);

impl Default for Refreshing {
    fn default() -> Self {
        Self([const { Mutex::const_new(()) }; SLOTS])
    }
}

impl Refreshing {
    /// Waits until nobody else renews this user's token.
    pub(crate) async fn turn(
        &self,
        sub: &str,
    ) -> MutexGuard<'_, ()> {
        let sum: usize = sub.bytes().map(usize::from).sum();
        self.0[sum % SLOTS].lock().await
    }
}
