//! What is asked of an upstream provider, and what it says about somebody.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::text;

/// Longer names are cut: they are for people to read.
const MAX_NAME: usize = 100;

/// The values of one sign-in that go with the user to the provider.
pub(crate) struct Ask<'a> {
    pub(crate) state: &'a str,
    /// PKCE (RFC 7636).
    pub(crate) verifier: &'a str,
    /// OpenID Connect Core section 3.1.2.1.
    pub(crate) nonce: &'a str,
    /// Whether the user has to choose the account anew.
    pub(crate) again: bool,
}

/// What came back with the user, and what it has to fit.
pub(crate) struct Answer<'a> {
    pub(crate) code: &'a str,
    pub(crate) verifier: &'a str,
    pub(crate) nonce: &'a str,
    /// In seconds.
    pub(crate) now: i64,
}

/// Somebody, as the provider knows them.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Never given to somebody else: the provider's `sub`, or GitHub's number. No login name.
    pub(crate) subject: String,
    /// What they call themselves there, for people to read.
    pub(crate) login: String,
    pub(crate) name: Option<String>,
    /// To be kept, for asking the provider on the user's behalf.
    pub(crate) tokens: Option<Tokens>,
}

/// What opens the provider's API in one user's name. Sealed wherever it is stored.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<String>,
    /// In seconds since 1970; absent where it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
}

impl fmt::Debug for Tokens {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// A name for pages and tokens; `None` where nothing of it can be seen.
pub(crate) fn shown(name: &str) -> Option<String> {
    let shown: String = name.chars().filter(|c| text::is_visible(*c)).take(MAX_NAME).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}
