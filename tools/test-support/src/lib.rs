//! The real binaries of this workspace, for the tests of all its members: found, started, heard,
//! and ended.
//!
//! ```no_run
//! let mut step8 = test_support::command("step8");
//! step8.args(["--issuer", "http://localhost:9001"]);
//! let server = test_support::Server::start(step8);
//! println!("it answers at {}", server.url("/health"));
//! // Going out of scope ends it.
//! ```
//!
//! A server gets a free port, and is ready when it says so in its log: nobody sleeps and nobody
//! guesses. Only processes that were started here are ended, each by its own id.
//!
//! `cargo test` builds no binaries of other packages. A binary that is missing, or older than its
//! sources, ends the test with the command that builds it:
//!
//! ```sh
//! cargo build --workspace --bins
//! ```
//!
//! Left out: HTTP. Each member tests with the client that suits it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is the inside of tests: what cannot go on ends the test"
)]

mod binary;
mod log;
mod run;
mod server;
#[cfg(test)]
mod tests;

pub use binary::command;
pub use run::gen_token;
pub use run::run;
pub use server::NotStarted;
pub use server::Server;
pub use server::on_free_port;
