//! Random values, and the only two things done with them: hashing and comparing.
//!
//! Codes, refresh tokens, client secrets and session ids are 256 random bits. Only their SHA-256
//! is stored, so a copy of the database lets nobody in. A fast hash is enough *because* they are
//! random: there is no dictionary to try. Passwords are another matter (see `users`).
//!
//! `aws-lc-rs` does all of it: it is already here, as the library that signs the tokens.

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 256 random bits as 43 base64url characters: no one guesses it (RFC 6749 section 10.10).
pub(crate) fn random() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256 as base64url. Also exactly the `S256` transformation of RFC 7636 section 4.2.
pub(crate) fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Compares without telling, by its duration, how many leading characters agree.
pub(crate) fn same(
    a: &str,
    b: &str,
) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

/// A key for deriving values that only this server can make: form tokens and refresh successors.
pub(crate) struct Sealer(hmac::Key);

impl Sealer {
    /// From 32 random bytes that the store keeps, so that a restart invalidates nothing.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// HMAC-SHA-256 over the parts as base64url. Each part is preceded by its length, so that
    /// no two different lists of parts give the same input.
    pub(crate) fn seal(
        &self,
        parts: &[&str],
    ) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(context.sign())
    }
}
