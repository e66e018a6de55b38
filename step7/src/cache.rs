//! A value that is loaded when it is needed, kept for a while, and loaded again only so often.
//!
//! Whoever may send a request may ask for a key that does not exist. So a flood of requests must
//! not become a flood of loads: one load runs at a time, and after each there is a pause. What a
//! load brings is obeyed at once. Where loads fail, the newest value serves for a limited time.

use std::error::Error;
use std::sync::Arc;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio::time::timeout;
use tracing::warn;

/// How long a caller who has a good value at hand waits for a newer one.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where a value comes from.
pub(crate) trait Load: Send + Sync + 'static {
    type Value: Send + Sync;
    type Error: Error + Send + Sync;

    fn load(&self) -> impl Future<Output = Result<Self::Value, Self::Error>> + Send;
}

/// When a value is loaded again.
pub(crate) struct Rules {
    /// How long a value serves before it is loaded again.
    pub(crate) fresh_for: Duration,
    /// How long it serves where it cannot be loaded again.
    pub(crate) usable_for: Duration,
    /// How long after a load there is no other one, whatever callers ask for.
    pub(crate) pause: Duration,
}

/// The newest value of a source.
pub(crate) struct Cached<S: Load> {
    pub(crate) source: Arc<S>,
    rules: Rules,
    state: Arc<RwLock<State<S>>>,
    turn: Arc<Mutex<()>>,
}

/// The newest value that any load has brought, and how the last load ended.
struct State<S: Load> {
    newest: Option<Arc<S::Value>>,
    /// When the load began that brought the newest value.
    as_of: Instant,
    error: Option<Arc<S::Error>>,
    ended: Option<Instant>,
}

/// There is no value to use, through no fault of the caller, who may try again after `retry_in`.
pub(crate) struct Missing<E> {
    pub(crate) error: Arc<E>,
    pub(crate) retry_in: Duration,
}

impl<S: Load> Cached<S> {
    /// Nothing is loaded yet: that waits for the first caller.
    pub(crate) fn new(
        source: S,
        rules: Rules,
    ) -> Self {
        let state = State {
            newest: None,
            as_of: Instant::now(),
            error: None,
            ended: None,
        };
        Self {
            source: Arc::new(source),
            rules,
            state: Arc::new(RwLock::new(state)),
            turn: Arc::default(),
        }
    }

    /// The newest value, loaded first if that is due, or if the one at hand is not `good`. One that
    /// is not good comes back only from a load that went well: there is no better one.
    pub(crate) async fn get(
        &self,
        good: impl Fn(&S::Value) -> bool,
    ) -> Result<Arc<S::Value>, Missing<S::Error>> {
        if let Some(fresh) = self.state().newest(self.rules.fresh_for, &good) {
            return Ok(fresh);
        }
        let usable = |state: &State<S>| state.newest(self.rules.usable_for, &good);
        // With a good value at hand nobody waits long for a newer one, or at all while loads fail.
        let old = usable(&self.state());
        if let Some(old) = old {
            let failing = self.state().error.is_some();
            let patience = if failing { Duration::ZERO } else { PATIENCE };
            // The load goes on without us.
            if timeout(patience, self.renew()).await.is_err() {
                return Ok(old);
            }
        }
        self.renew().await;
        let retry_in = self.retry_in();
        let state = self.state();
        match &state.error {
            None => Ok(state.newest.clone().expect("a load has gone well")),
            Some(error) => usable(&state).ok_or_else(|| Missing {
                error: error.clone(),
                retry_in,
            }),
        }
    }

    /// How long ago the newest value was asked for.
    pub(crate) fn age(&self) -> Duration {
        self.state().as_of.elapsed()
    }

    /// Loads, after waiting for a load that is under way, unless one has ended a moment ago.
    async fn renew(&self) {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if !self.retry_in().is_zero() {
            return;
        }
        let source = Arc::clone(&self.source);
        let state = Arc::clone(&self.state);
        // In a task of its own, which keeps the turn to its end: a caller who hangs up must not
        // cancel the load that others wait for.
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let loaded = source.load().await;
            let mut state = state.write().expect("no writer panics");
            state.note(began, loaded);
            drop(turn);
        });
        task.await.expect("a load returns its errors");
    }

    /// How long it takes until a load is allowed again; zero if it is.
    pub(crate) fn retry_in(&self) -> Duration {
        let ended = self.state().ended;
        let passed = ended.map_or(Duration::MAX, |ended| ended.elapsed());
        self.rules.pause.saturating_sub(passed)
    }

    fn state(&self) -> RwLockReadGuard<'_, State<S>> {
        self.state.read().expect("no writer panics")
    }
}

impl<S: Load> State<S> {
    /// The newest value, if it is `good` and not too old.
    fn newest(
        &self,
        max_age: Duration,
        good: impl Fn(&S::Value) -> bool,
    ) -> Option<Arc<S::Value>> {
        let newest = self.newest.as_ref()?;
        let usable = good(newest) && self.as_of.elapsed() < max_age;
        usable.then(|| newest.clone())
    }

    /// Takes down what a load has brought.
    fn note(
        &mut self,
        began: Instant,
        loaded: Result<S::Value, S::Error>,
    ) {
        self.ended = Some(Instant::now());
        match loaded {
            Ok(value) => {
                self.newest = Some(Arc::new(value));
                self.as_of = began;
                self.error = None;
            }
            Err(error) => {
                warn!("{error}");
                self.error = Some(Arc::new(error));
            }
        }
    }
}
