//! A small OAuth 2.1 authorization server, for development and workshops.
//!
//! It lets a real MCP client log a user in, in a browser or headlessly, and hands out RS256
//! access tokens (RFC 9068) that the servers of this workspace verify. One module per concept:
//!
//! - what is served: `app`, `metadata`, `jwks`, `authorize`, `login`, `consent`, `logout`, `token`,
//!   `register`, `manage`, `revoke`, `introspect`, `userinfo`, `home`
//! - signing in elsewhere: `upstream`, either GitHub or any OpenID provider
//! - what it is about: `clients`, `machine`, `documents`, `cimd`, `redirect`, `users`, `passwords`,
//!   `client_auth`, `client_secrets`, `client_key`, `assertion`, `scopes`, `resource`,
//!   `refresh_token`, `access`
//! - what the pages rest on: `pages`, `forms`, `refusal`, `session`, `signed_in`, `known_browser`,
//!   `cookies`, `text`
//! - what all rests on: `config`, `store`, `keys`, `mint`, `limits`, `throttle`, `audit`, `clock`,
//!   `secret`, `net`, `params`, `bearer`, `error`, `permissions`
//!
//! [`AuthServer`] is the whole of it as routes, for a program that serves something else as well.
//!
//! Left out: everything a production server needs beyond the protocol, such as account recovery,
//! second factors, key storage in hardware, several replicas, and administration.

mod access;
mod app;
mod assertion;
mod audit;
mod authorize;
mod bearer;
mod cimd;
mod client_auth;
mod client_key;
mod client_secrets;
mod clients;
mod clock;
mod commands;
pub mod config;
mod consent;
mod cookies;
mod cors;
mod documents;
mod error;
mod forms;
mod home;
mod introspect;
mod jwks;
mod keys;
mod known_browser;
mod limits;
mod login;
mod logout;
mod machine;
mod manage;
mod metadata;
mod mint;
mod net;
mod pages;
mod params;
mod passwords;
mod permissions;
mod redirect;
mod refresh_token;
mod refusal;
mod register;
mod resource;
mod revoke;
mod scopes;
mod secret;
mod server;
mod session;
mod signed_in;
mod state;
mod store;
mod text;
mod throttle;
mod token;
mod upstream;
mod userinfo;
mod users;

pub use commands::Revoked;
pub use commands::hash_password;
pub use commands::revoke;
pub use commands::rotate_keys;
pub use server::AuthServer;
pub use server::serve;
pub use upstream::on_behalf::ApiError;
pub use upstream::on_behalf::GitHubApi;
pub use upstream::settings::ClientSecret;
pub use upstream::settings::GitHub;

#[cfg(test)]
mod tests;
