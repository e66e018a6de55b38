//! An offline stand-in for GitHub: signing in with an OAuth app, and the little of its API that a
//! server needs which lets its users sign in there.
//!
//! It has GitHub's quirks on purpose, because whoever was only tried with a well-behaved provider
//! fails at the real one: form-encoded answers unless JSON is asked for, errors with status 200,
//! `User-Agent` required, redirect URIs matched by prefix, no second question for who has granted
//! once, refresh tokens that die together with their access token. And it fails on demand:
//! see [`Fault`].
//!
//! - `world`: accounts, apps, codes, tokens; `github`: the stand-in as it is told what to do
//! - `faults`: what can be made to go wrong; `inject`: where it does
//! - `authorize`, `token`, `api`: what GitHub serves; `control`: what only a stand-in has
//!
//! Left out: everything else. It holds its state in memory, and is for this machine only.

mod api;
mod authorize;
mod control;
mod faults;
mod github;
mod inject;
mod pages;
mod token;
mod world;

use axum::Router;
use axum::middleware::from_fn_with_state;

pub use api::API;
pub use faults::Fault;
pub use github::MockGitHub;
pub use world::App;
pub use world::OTHER_APP;

impl MockGitHub {
    /// Everything that it serves.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(authorize::router())
            .merge(token::router())
            .merge(api::router())
            .layer(from_fn_with_state(self.clone(), inject::inject))
            .merge(control::router())
            .with_state(self.clone())
    }
}
