//! One structured log line for every decision: who, which client, what, and the outcome.
//!
//! Lines have the target `audit`, so a filter such as `RUST_LOG=audit=info` shows nothing else.
//! Names sent by clients are written with `?` (quoted and escaped), so that nobody can forge a
//! second line with a line break. Codes, tokens, passwords and secrets are never passed here.

/// What is known about a decision. Everything but `event` may be unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry<'a> {
    pub(crate) event: &'static str,
    pub(crate) user: &'a str,
    pub(crate) client: &'a str,
    pub(crate) detail: &'a str,
}

/// The request was granted.
pub(crate) fn allowed(entry: Entry<'_>) {
    tracing::info!(
        target: "audit",
        event = entry.event,
        outcome = "allowed",
        user = ?entry.user,
        client = ?entry.client,
        detail = ?entry.detail,
    );
}

/// The request was refused; `detail` is the reason.
pub(crate) fn denied(entry: Entry<'_>) {
    tracing::warn!(
        target: "audit",
        event = entry.event,
        outcome = "denied",
        user = ?entry.user,
        client = ?entry.client,
        detail = ?entry.detail,
    );
}
