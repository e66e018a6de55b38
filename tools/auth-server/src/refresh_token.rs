//! What a refresh token is made of.
//!
//! A handle, the same for all tokens of one chain, and a secret, replaced at every use. Both are
//! random; of both only hashes are stored. The secret is *derived* from the token before, so that
//! parallel refreshes of one client, and a retry after a lost answer, agree on the successor. The
//! handle tells to which grant an old token once belonged, however many came after it.

use crate::secret;
use crate::secret::Sealer;

/// Characters of the handle: 132 random bits.
const HANDLE: usize = 22;

/// Characters of a token: the handle, then 256 bits as base64url.
const LENGTH: usize = HANDLE + 43;

/// A well-formed refresh token. Whether it was ever issued, only the store knows.
#[derive(Clone)]
pub(crate) struct RefreshToken(String);

impl RefreshToken {
    /// The first of a chain.
    pub(crate) fn random() -> Self {
        let handle = secret::random();
        Self(format!("{}{}", &handle[..HANDLE], secret::random()))
    }

    /// `None` for what this server cannot have issued.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (text.len() == LENGTH && text.is_ascii()).then(|| Self(text.to_owned()))
    }

    /// The one that replaces it.
    pub(crate) fn successor(
        &self,
        sealer: &Sealer,
    ) -> Self {
        let secret = sealer.seal(&["refresh", &self.0]);
        Self(format!("{}{secret}", &self.0[..HANDLE]))
    }

    /// Names the chain in the store.
    pub(crate) fn handle_hash(&self) -> String {
        secret::sha256(&self.0[..HANDLE])
    }

    /// Names the token in the store.
    pub(crate) fn hash(&self) -> String {
        secret::sha256(&self.0)
    }

    /// As the client gets it.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}
