//! The private key of a client that signs instead of sending a secret (`private_key_jwt`: RFC 7523
//! section 2.2).
//!
//! The assertion is made for one issuer, the one whose metadata passed the checks, and for one
//! request: its audience is that issuer alone, because a token endpoint's URL is what a hostile
//! server could borrow (draft-ietf-oauth-rfc7523bis). Left out: keys in hardware.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Result;
use anyhow::anyhow;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::cache;
use crate::gate::discovery::Issuer;
use crate::gate::secret::Secret;
use crate::pkce;

/// The value of `client_assertion_type`.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Seconds for which an assertion is good: time for one request, and for clocks that differ.
const LIFETIME: u64 = 60;

/// A private key, in memory only.
#[derive(Clone)]
pub(crate) struct ClientKey(Arc<Pair>);

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl fmt::Debug for ClientKey {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a file is no key that can be used.
#[derive(Debug)]
pub(crate) enum BadKey {
    Unreadable(std::io::Error),
    NoPem,
    Public,
    Encrypted,
    /// PKCS#1 or SEC 1.
    OtherForm,
    OtherKind,
}

impl fmt::Display for BadKey {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable(error) => return write!(f, "the file cannot be read: {error}"),
            Self::NoPem => "the file is no PEM: it begins with -----BEGIN PRIVATE KEY-----",
            Self::Public => "this is the public key, which the operator gets: name the private one",
            Self::Encrypted => {
                "the key is encrypted: take the password off with `openssl pkcs8 -in FILE -out \
                 key.pem`"
            }
            Self::OtherForm => {
                "the key is not in PKCS#8: turn it with `openssl pkcs8 -topk8 -nocrypt -in FILE -out \
                 key.pem`"
            }
            Self::OtherKind => "the key is neither RSA of 2048 bits or more nor EC on P-256",
        })
    }
}

impl std::error::Error for BadKey {}

/// From the name of a file.
impl FromStr for ClientKey {
    type Err = BadKey;

    fn from_str(file: &str) -> Result<Self, BadKey> {
        let text = fs::read_to_string(file).map_err(BadKey::Unreadable)?;
        Self::read(&text)
    }
}

impl ClientKey {
    /// From a PEM document with a PKCS#8 key (RFC 7468 section 10).
    fn read(text: &str) -> Result<Self, BadKey> {
        let document = pem::parse(text).map_err(|_| BadKey::NoPem)?;
        match document.tag() {
            "PRIVATE KEY" => {}
            "PUBLIC KEY" => return Err(BadKey::Public),
            "ENCRYPTED PRIVATE KEY" => return Err(BadKey::Encrypted),
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" => return Err(BadKey::OtherForm),
            _ => return Err(BadKey::NoPem),
        }
        let der = document.contents();
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Ok(Self(Arc::new(Pair::Rsa(pair))));
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        let pair = pair.map_err(|_| BadKey::OtherKind)?;
        Ok(Self(Arc::new(Pair::P256(pair))))
    }

    /// Proves to this issuer, once, that the client is itself.
    pub(crate) fn assertion(
        &self,
        client_id: &str,
        issuer: &Issuer,
    ) -> Result<Secret> {
        let now = cache::now();
        let header = json!({"alg": self.algorithm(), "typ": "JWT"});
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": issuer.name(),
            "exp": now + LIFETIME,
            "iat": now,
            "jti": pkce::random()?,
        });
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.sign(signed.as_bytes())?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::new(format!("{signed}.{signature}")))
    }

    fn algorithm(&self) -> &'static str {
        match &*self.0 {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
        }
    }

    fn sign(
        &self,
        message: &[u8],
    ) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let failed = |_| anyhow!("the key does not sign");
        match &*self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::encoding::Pkcs8V1Der;
    use aws_lc_rs::rsa;
    use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;

    use super::*;

    fn pem(
        tag: &str,
        der: &[u8],
    ) -> String {
        pem::encode(&pem::Pem::new(tag, der))
    }

    #[test]
    fn both_kinds_of_keys_are_read_and_name_their_algorithm() {
        let rsa = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let rsa: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let ec = ec.to_pkcs8v1().unwrap();
        for (der, algorithm) in [(rsa.as_ref(), "RS256"), (ec.as_ref(), "ES256")] {
            let key = ClientKey::read(&pem("PRIVATE KEY", der)).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(format!("{key:?}"), "***");
        }
    }

    #[test]
    fn a_wrong_file_is_one_clear_sentence() {
        let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let p384 = p384.to_pkcs8v1().unwrap();
        for (text, words) in [
            ("no key".to_owned(), "no PEM"),
            (pem("CERTIFICATE", b"x"), "no PEM"),
            (pem("PUBLIC KEY", b"x"), "public key"),
            (pem("ENCRYPTED PRIVATE KEY", b"x"), "encrypted"),
            (pem("RSA PRIVATE KEY", b"x"), "PKCS#8"),
            (pem("EC PRIVATE KEY", b"x"), "PKCS#8"),
            (pem("PRIVATE KEY", b"x"), "P-256"),
            (pem("PRIVATE KEY", p384.as_ref()), "P-256"),
        ] {
            let said = ClientKey::read(&text).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
        let said = "/nowhere/key.pem".parse::<ClientKey>().unwrap_err().to_string();
        assert!(said.contains("cannot be read"), "{said}");
    }
}
