//! The algorithms that tokens are signed with, and the kind of key that each needs.
//!
//! RFC 7518 section 3 (RS256, PS256, ES256, ES384) and RFC 8037 (EdDSA with Ed25519). These are the
//! ones that the servers accept; stronger variants of the same (RS384, ES512) are left out.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING as P256;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING as P384;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use clap::ValueEnum;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::errors;

/// How a token is signed: the `alg` of its header and of its key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Algorithm {
    /// RSA with PKCS #1 v1.5 padding, and SHA-256: what most issuers use, and all servers here
    #[default]
    #[value(name = "RS256")]
    Rs256,
    /// RSA with PSS padding, and SHA-256; the same kind of key as for RS256
    #[value(name = "PS256")]
    Ps256,
    /// ECDSA on the curve P-256, and SHA-256
    #[value(name = "ES256")]
    Es256,
    /// ECDSA on the curve P-384, and SHA-384
    #[value(name = "ES384")]
    Es384,
    /// Ed25519
    #[value(name = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// What a key for it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Rs256 | Self::Ps256 => Kind::Rsa,
            Self::Es256 => Kind::P256,
            Self::Es384 => Kind::P384,
            Self::EdDsa => Kind::Ed25519,
        }
    }

    /// The same for `jsonwebtoken`, which knows more of them.
    pub fn jws(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// As in the header of a token.
impl fmt::Display for Algorithm {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        })
    }
}

/// What a key is, which decides what it can sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// RSA, 2048 bits or more (RFC 7518 section 3.3)
    Rsa,
    /// elliptic curve P-256
    P256,
    /// elliptic curve P-384
    P384,
    /// Edwards curve 25519
    Ed25519,
}

/// In the middle of a sentence.
impl fmt::Display for Kind {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "an RSA key",
            Self::P256 => "an EC key on P-256",
            Self::P384 => "an EC key on P-384",
            Self::Ed25519 => "an Ed25519 key",
        })
    }
}

/// Both halves of a key as they are stored, in DER.
pub(crate) struct Halves {
    /// PKCS#8 version 1 (RFC 5208), which every tool reads.
    pub(crate) private: Vec<u8>,
    /// SubjectPublicKeyInfo (RFC 5280 section 4.1).
    pub(crate) public: Vec<u8>,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Rsa, Self::P256, Self::P384, Self::Ed25519];

    /// The algorithm that a key of this kind is for, where nobody asks for another.
    pub(crate) fn usual_algorithm(self) -> Algorithm {
        match self {
            Self::Rsa => Algorithm::Rs256,
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::Ed25519 => Algorithm::EdDsa,
        }
    }

    /// A new key.
    pub(crate) fn generate(self) -> Result<Halves, Unspecified> {
        match self {
            Self::Rsa => of_rsa(&rsa::KeyPair::generate(KeySize::Rsa2048)?),
            Self::P256 => of_ec(&EcdsaKeyPair::generate(&P256)?),
            Self::P384 => of_ec(&EcdsaKeyPair::generate(&P384)?),
            Self::Ed25519 => of_ed25519(&Ed25519KeyPair::generate()?),
        }
    }

    /// The key in a PKCS#8 document, if it is one of this kind.
    pub(crate) fn read(
        self,
        pkcs8: &[u8],
    ) -> Result<Halves, KeyRejected> {
        let halves = match self {
            Self::Rsa => of_rsa(&rsa::KeyPair::from_pkcs8(pkcs8)?),
            Self::P256 => of_ec(&EcdsaKeyPair::from_pkcs8(&P256, pkcs8)?),
            Self::P384 => of_ec(&EcdsaKeyPair::from_pkcs8(&P384, pkcs8)?),
            Self::Ed25519 => of_ed25519(&Ed25519KeyPair::from_pkcs8(pkcs8)?),
        };
        Ok(halves?)
    }

    /// A private key of this kind as `jsonwebtoken` signs with it.
    pub(crate) fn encoding_key(
        self,
        private_pem: &str,
    ) -> errors::Result<EncodingKey> {
        let pem = private_pem.as_bytes();
        match self {
            Self::Rsa => EncodingKey::from_rsa_pem(pem),
            Self::P256 | Self::P384 => EncodingKey::from_ec_pem(pem),
            Self::Ed25519 => EncodingKey::from_ed_pem(pem),
        }
    }

    /// A public key of this kind as `jsonwebtoken` verifies with it.
    pub(crate) fn decoding_key(
        self,
        public_pem: &str,
    ) -> errors::Result<DecodingKey> {
        let pem = public_pem.as_bytes();
        match self {
            Self::Rsa => DecodingKey::from_rsa_pem(pem),
            Self::P256 | Self::P384 => DecodingKey::from_ec_pem(pem),
            Self::Ed25519 => DecodingKey::from_ed_pem(pem),
        }
    }
}

fn of_rsa(key: &rsa::KeyPair) -> Result<Halves, Unspecified> {
    let private: Pkcs8V1Der<'_> = key.as_der()?;
    Ok(Halves {
        private: private.as_ref().to_vec(),
        public: key.public_key().as_der()?.as_ref().to_vec(),
    })
}

fn of_ec(key: &EcdsaKeyPair) -> Result<Halves, Unspecified> {
    Ok(Halves {
        private: key.to_pkcs8v1()?.as_ref().to_vec(),
        public: key.public_key().as_der()?.as_ref().to_vec(),
    })
}

fn of_ed25519(key: &Ed25519KeyPair) -> Result<Halves, Unspecified> {
    Ok(Halves {
        private: key.to_pkcs8v1()?.as_ref().to_vec(),
        public: key.public_key().as_der()?.as_ref().to_vec(),
    })
}
