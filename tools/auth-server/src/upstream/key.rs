//! One public key of an OpenID provider, with the algorithm that goes with it.

use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::KeyAlgorithm;
use serde_json::Value;

/// A key that can verify signatures.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

impl Key {
    /// `None` for what this server cannot use.
    pub(crate) fn read(key: &Value) -> Option<Self> {
        let algorithm = algorithm(key)?;
        let mut jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
        if jwk.common.key_algorithm == Some(KeyAlgorithm::UNKNOWN_ALGORITHM) {
            // The newer name of EdDSA (RFC 9864), which the library does not know.
            jwk.common.key_algorithm = Some(KeyAlgorithm::EdDSA);
        }
        Some(Self {
            kid: jwk.common.key_id.clone(),
            algorithm,
            decoding: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }
}

/// The key says what its signatures are, never the token (RFC 8725 section 3.1).
fn algorithm(key: &Value) -> Option<Algorithm> {
    let kind = (key["kty"].as_str()?, key["crv"].as_str());
    let named = key.get("alg").map(|alg| alg.as_str().unwrap_or_default());
    if key.get("use").is_some_and(|own| own != "sig") {
        return None;
    }
    match (kind, named) {
        (("RSA", None), None | Some("RS256")) => Some(Algorithm::RS256),
        (("RSA", None), Some("PS256")) => Some(Algorithm::PS256),
        (("EC", Some("P-256")), None | Some("ES256")) => Some(Algorithm::ES256),
        (("EC", Some("P-384")), None | Some("ES384")) => Some(Algorithm::ES384),
        (("OKP", Some("Ed25519")), None | Some("EdDSA" | "Ed25519")) => Some(Algorithm::EdDSA),
        _ => None,
    }
}
