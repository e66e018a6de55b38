//! The public keys of clients that sign instead of sending a secret.
//!
//! A key alone decides which algorithm its signatures have (RFC 8725 section 3.1): RS256 for RSA,
//! ES256 for P-256. Those are what the libraries of MCP clients sign with.

use std::fmt;

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;

use crate::secret;

/// The algorithms of all keys that there can be.
pub(crate) const ALGORITHMS: &[&str] = &["RS256", "ES256"];

/// One public key, with the algorithm that goes with it.
#[derive(Clone, Debug)]
pub(crate) struct ClientKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
    /// Tells two keys apart: SHA-256 of the PEM text.
    pub(crate) fingerprint: String,
}

/// Why a text is no key that can be used.
#[derive(Debug)]
pub(crate) enum BadKey {
    NoPem,
    Private,
    Other,
}

impl fmt::Display for BadKey {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(match self {
            Self::NoPem => {
                "one is no PEM: it begins with -----BEGIN PUBLIC KEY-----, as \
                 `openssl pkey -in key.pem -pubout` prints it"
            }
            Self::Private => {
                "one is a private key, which belongs to the client alone: take it out, make a new \
                 one, and put what `openssl pkey -in key.pem -pubout` prints here"
            }
            Self::Other => "one is neither RSA of 2048 bits or more nor EC on P-256",
        })
    }
}

impl std::error::Error for BadKey {}

impl ClientKey {
    /// From a PEM document with a SubjectPublicKeyInfo (RFC 7468 section 13).
    pub(crate) fn read(text: &str) -> Result<Self, BadKey> {
        let document = pem::parse(text).map_err(|_| BadKey::NoPem)?;
        if document.tag().ends_with("PRIVATE KEY") {
            return Err(BadKey::Private);
        }
        if document.tag() != "PUBLIC KEY" {
            return Err(BadKey::NoPem);
        }
        let der = document.contents();
        let (algorithm, decoding) =
            if ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).is_ok() {
                (Algorithm::RS256, DecodingKey::from_rsa_pem(text.as_bytes()))
            } else if ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der).is_ok() {
                (Algorithm::ES256, DecodingKey::from_ec_pem(text.as_bytes()))
            } else {
                return Err(BadKey::Other);
            };
        Ok(Self {
            algorithm,
            decoding: decoding.map_err(|_| BadKey::Other)?,
            fingerprint: secret::sha256(text.trim()),
        })
    }
}
