//! The server as its callers see it: every test drives the whole router, and asserts status,
//! header and JSON member. Time passes by the clock's `advance`, never by waiting.

mod authorize;
mod clients;
mod embedded;
mod end_session;
pub(crate) mod harness;
mod limits;
mod machines;
mod manage;
mod metadata;
mod refresh;
mod sign_in;
mod state;
mod token;
mod tokens;
mod upstream;
mod upstream_github;
mod upstream_openid;
mod withdrawal;
