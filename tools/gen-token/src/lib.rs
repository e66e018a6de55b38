//! The keys that access tokens are signed with, and the tokens themselves.
//!
//! Three small modules behind the `gen-token` command: [`algorithm`] knows the kinds of keys;
//! [`keys`] makes, stores and loads the pair in `keys/`, and is shared with the authorization
//! server so that both sign with the same key; [`token`] signs good tokens and deliberately broken
//! ones. It is for development and workshops: the private key lies unencrypted in a file that only
//! its owner may read, not in a key store.

pub mod algorithm;
mod files;
pub mod keys;
pub mod token;
