//! A value that is loaded when it is needed, kept for a while, and loaded again only so often.
//!
//! Whoever may send a request may ask for a key that does not exist. So a flood of requests must
//! not become a flood of loads: one load runs at a time, and the next one has to wait its turn.
//! A load that fails does not take away the value that is there.

use std::sync::Arc;
use std::sync::RwLock;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

/// A value and the rules for loading it again: when it is older than `fresh_for`, or not good
/// enough for a caller, but not within `retry_after` of the last load.
pub(crate) struct Cached<T> {
    fresh_for: Duration,
    retry_after: Duration,
    last: Arc<RwLock<Load<T>>>,
    turn: Arc<Mutex<()>>,
}

/// How the last load ended, and the newest value that any load has brought.
#[derive(Clone, Default)]
struct Load<T> {
    value: Option<T>,
    error: Option<String>,
    ended: Option<Instant>,
}

/// Nothing usable could be loaded, through no fault of the caller, who may try again.
pub(crate) struct Unavailable {
    pub(crate) reason: String,
    retry_after: Duration,
}

impl<T: Clone + Default + Send + Sync + 'static> Cached<T> {
    pub(crate) fn new(
        fresh_for: Duration,
        retry_after: Duration,
    ) -> Self {
        Self {
            fresh_for,
            retry_after,
            last: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// The value; `load` runs if that is due. What is known and `good` works even while loads fail:
    /// only the caller whose turn it is to try again waits for that.
    pub(crate) async fn get(
        &self,
        good: impl Fn(&T) -> bool,
        load: impl Future<Output = Result<T, String>> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let last = self.last();
        let fresh = last.error.is_none()
            && last
                .ended
                .is_some_and(|ended| ended.elapsed() < self.fresh_for);
        // A value that somebody else is just renewing will do, too: the renewal may take long.
        let enough = |value: &T| good(value) && (fresh || self.turn.try_lock().is_err());
        if let Some(value) = last.value.filter(enough) {
            return Ok(value);
        }
        self.take_turn(load).await;
        let last = self.last();
        let usable = |value: &T| last.error.is_none() || good(value);
        last.value.filter(usable).ok_or(Unavailable {
            reason: last.error.unwrap_or_default(),
            retry_after: self.retry_after,
        })
    }

    /// Waits for a load that is under way, then loads, unless that is too soon.
    async fn take_turn(
        &self,
        load: impl Future<Output = Result<T, String>> + Send + 'static,
    ) {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let ended = self.last().ended;
        if ended.is_some_and(|ended| ended.elapsed() < self.retry_after) {
            return;
        }
        let last = Arc::clone(&self.last);
        // In a task of its own, which keeps the turn to its end: a caller who hangs up must not
        // cancel the load that others wait for.
        let task = tokio::spawn(async move {
            let loaded = load.await.inspect_err(|reason| warn!("{reason}"));
            let mut last = last.write().expect("no writer panics");
            last.ended = Some(Instant::now());
            last.error = loaded.map(|value| last.value = Some(value)).err();
            drop(turn);
        });
        task.await.expect("a load returns its errors");
    }

    fn last(&self) -> Load<T> {
        self.last.read().expect("no writer panics").clone()
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let error = "temporarily_unavailable";
        let body = json!({"error": error, "error_description": self.reason});
        let retry_after = self.retry_after.as_secs().to_string();
        let status = StatusCode::SERVICE_UNAVAILABLE;
        (status, [(RETRY_AFTER, retry_after)], Json(body)).into_response()
    }
}
