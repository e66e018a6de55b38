//! `doctor`: what would clients stumble over at this server, and what is the fix?
//!
//! Each check looks at one thing, says what it saw, and names the clients that depend on it. A
//! failed check breaks a rule or a client; a warning costs comfort or safety; a skipped one could
//! not be made (the reason is given). Nothing is changed on the MCP server. At the authorization
//! server clients are registered, and with `--as` a user logs in; in the end all of it is taken
//! back as far as that server lets it, and the rest is listed.
//!
//! A server that does not pass the checks of `walk` gets no password and no token: then the checks
//! that need one are skipped.
//!
//! Left out: everything behind the tools themselves, load, TLS configuration.

mod cleanup;
pub(crate) mod exam;
pub(crate) mod examine;
mod issuer;
mod login;
mod report;
mod server;
mod token;
