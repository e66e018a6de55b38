//! The secrets of one authorization request: the PKCE pair (RFC 7636) and `state`.

use anyhow::Result;
use anyhow::anyhow;
use aws_lc_rs::digest;
use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// 256 bits, as RFC 7636 section 4.1 recommends, in bytes.
const LENGTH: usize = 32;

/// A verifier that stays here, and the challenge that everybody may see.
pub(crate) struct Pair {
    pub(crate) verifier: String,
    pub(crate) challenge: String,
}

impl Pair {
    pub(crate) fn new() -> Result<Self> {
        let verifier = random()?;
        Ok(Self {
            challenge: challenge(&verifier),
            verifier,
        })
    }
}

/// BASE64URL(SHA-256(verifier)) (RFC 7636 section 4.2).
fn challenge(verifier: &str) -> String {
    let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(hash)
}

/// What nobody can guess, in characters that need no escaping. An error where the system has no
/// randomness to give.
pub(crate) fn random() -> Result<String> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| anyhow!("this system gives no random numbers"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(verifier), expected);
    }

    #[test]
    fn no_two_are_the_same_and_all_are_long_enough() {
        let (a, b) = (Pair::new().unwrap(), Pair::new().unwrap());
        assert_ne!(a.verifier, b.verifier);
        assert_eq!(a.verifier.len(), 43);
    }
}
