//! Access tokens as JWTs: one good kind, and thirteen that are good but for one flaw.
//!
//! Implements RFC 9068 (the JWT profile for access tokens) in the compact form of RFC 7515
//! section 7.1, with the `roles` claim of RFC 9068 section 2.2.3.1 and `preferred_username` of
//! OpenID Connect Core 5.1. The parts are put together here rather than by a JWT library, because
//! no library writes `alg: none` or signs with a public key as the secret, and a flawed token
//! must differ from a good one in its flaw alone.
//!
//! Left out: encryption, several audiences, `auth_time` and `acr` (nobody logged in).

use std::collections::BTreeMap;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use anyhow::Result;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ValueEnum;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::keys::KeyPair;

/// RFC 9068 section 2.1: the type that keeps an ID token from passing as an access token.
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// How far the time-based flaws miss: well beyond any clock leeway. Seconds.
const HOUR: u64 = 3600;

/// The JOSE header of a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Header {
    /// The kind of JWT; [`ACCESS_TOKEN_TYPE`] in a good one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// The signature algorithm; [`KeyPair::algorithm`] in a good one.
    pub alg: String,
    /// Which key verifies it: [`KeyPair::kid`] in a good one.
    pub kid: String,
}

/// The claims of an access token. Times are seconds since 1970 (RFC 7519 section 2, NumericDate).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// Who issued the token: the issuer's exact string.
    pub iss: String,
    /// Whom the token speaks for; never empty.
    pub sub: String,
    /// The one resource the token is for: its exact string (RFC 8707).
    pub aud: String,
    /// When the token stops being valid. Absent only in a token with that flaw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// When the token was issued.
    pub iat: u64,
    /// When the token starts being valid.
    pub nbf: u64,
    /// The token's own name, for logs: unlike the token it is no secret.
    pub jti: String,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The granted scopes, separated by single spaces (RFC 8693 section 4.2); absent when none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What the user may do at all; absent when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The user's name for people. Nothing may be decided by it.
    pub preferred_username: String,
    /// What only tokens of other kinds have; none in a good one.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// A signed token with what it says. `encoded` is a secret: whoever has it may use it.
#[derive(Clone, Serialize)]
pub struct Token {
    /// The compact form: header, claims and signature in base64url, joined by dots.
    #[serde(rename = "token")]
    pub encoded: String,
    /// The header inside `encoded`.
    pub header: Header,
    /// The claims inside `encoded`.
    pub claims: Claims,
}

/// One thing that is wrong with a token; everything else about it is right.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Flaw {
    /// one bit of the signature is flipped
    Signature,
    /// exp lies an hour before iat
    Expired,
    /// nbf lies an hour after iat
    NotYetValid,
    /// there is no exp
    NoExpiry,
    /// iss names another issuer, one that begins with the right string
    Issuer,
    /// aud names another resource, one that begins with the right string
    Audience,
    /// the header says alg: none, and the signature is empty
    AlgNone,
    /// the header says HS256, and the secret is the public key file
    Hs256,
    /// the header names a key that does not exist
    Kid,
    /// the header says that this is a logout token (logout+jwt)
    Typ,
    /// the header does not say what kind of JWT this is
    Untyped,
    /// it is an ID token as Keycloak writes them: typ JWT in the header; typ ID, nonce and at_hash in the payload
    IdToken,
    /// it is bound to a key (cnf), of which no proof comes with it
    Cnf,
}

impl Flaw {
    /// What is wrong, in a few words: the text that `--help` shows.
    pub fn explain(self) -> String {
        let value = self.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help());
        help.map(ToString::to_string).unwrap_or_default()
    }

    /// Flaws of content come before signing, so that the signature is right and cannot be the
    /// reason for the refusal.
    fn spoil(
        self,
        header: &mut Header,
        claims: &mut Claims,
    ) -> Result<()> {
        match self {
            Self::Signature => {}
            Self::Expired => claims.exp = Some(claims.iat.saturating_sub(HOUR)),
            Self::NotYetValid => claims.nbf = claims.iat + HOUR,
            Self::NoExpiry => claims.exp = None,
            // A check by prefix would let these two pass; only comparing whole strings refuses them.
            Self::Issuer => claims.iss.push_str(".evil.example"),
            Self::Audience => claims.aud.push_str("-other"),
            Self::AlgNone => "none".clone_into(&mut header.alg),
            Self::Hs256 => "HS256".clone_into(&mut header.alg),
            Self::Kid => "no-such-key".clone_into(&mut header.kid),
            Self::Typ => header.typ = Some("logout+jwt".to_owned()),
            Self::Untyped => header.typ = None,
            Self::IdToken => {
                // This type alone is accepted, because Keycloak's access tokens have it, too.
                header.typ = Some("JWT".to_owned());
                claims.add("typ", json!("ID"));
                claims.add("nonce", json!(random::<16>()?));
                claims.add("at_hash", json!(random::<16>()?));
            }
            Self::Cnf => claims.add("cnf", json!({"jkt": random::<32>()?})),
        }
        Ok(())
    }
}

impl Claims {
    fn add(
        &mut self,
        name: &str,
        value: Value,
    ) {
        self.others.insert(name.to_owned(), value);
    }
}

/// Signs `claims` as an access token, by the key's algorithm: `typ: at+jwt`.
pub fn sign(
    pair: &KeyPair,
    claims: Claims,
) -> Result<Token> {
    let header = good_header(pair);
    assemble(header, claims, |message| signature(pair, message))
}

/// Signs `claims` as [`sign`] does, but for one flaw.
pub fn sign_flawed(
    pair: &KeyPair,
    mut claims: Claims,
    flaw: Flaw,
) -> Result<Token> {
    let mut header = good_header(pair);
    flaw.spoil(&mut header, &mut claims)?;
    assemble(header, claims, |message| match flaw {
        Flaw::Signature => flip_one_bit(&signature(pair, message)?),
        Flaw::AlgNone => Ok(String::new()),
        Flaw::Hs256 => hs256(pair, message),
        _ => signature(pair, message),
    })
}

fn good_header(pair: &KeyPair) -> Header {
    Header {
        typ: Some(ACCESS_TOKEN_TYPE.to_owned()),
        alg: pair.algorithm().to_string(),
        kid: pair.kid().to_owned(),
    }
}

/// RFC 7515 section 7.1: the signature covers header and claims exactly as they are sent.
fn assemble(
    header: Header,
    claims: Claims,
    sign: impl FnOnce(&str) -> Result<String>,
) -> Result<Token> {
    let message = format!("{}.{}", part(&header)?, part(&claims)?);
    let signature = sign(&message)?;
    Ok(Token {
        encoded: format!("{message}.{signature}"),
        header,
        claims,
    })
}

fn part(value: &impl Serialize) -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value)?))
}

fn signature(
    pair: &KeyPair,
    message: &str,
) -> Result<String> {
    Ok(crypto::sign(
        message.as_bytes(),
        pair.encoding_key(),
        pair.algorithm().jws(),
    )?)
}

/// The key confusion attack of RFC 8725 section 2.1: everybody knows the public key, so a server
/// that lets the token choose HS256 accepts what anybody signed.
fn hs256(
    pair: &KeyPair,
    message: &str,
) -> Result<String> {
    let secret = EncodingKey::from_secret(pair.public_pem().as_bytes());
    Ok(crypto::sign(
        message.as_bytes(),
        &secret,
        jsonwebtoken::Algorithm::HS256,
    )?)
}

/// The bit is taken from the middle: the last base64url character also holds bits that decode to
/// nothing, and changing those would make a malformed token instead of a wrong signature.
fn flip_one_bit(signature: &str) -> Result<String> {
    let mut bytes = URL_SAFE_NO_PAD.decode(signature)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The present moment, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A fresh `jti`: 128 random bits, 22 base64url characters.
pub fn new_jti() -> Result<String> {
    random::<16>()
}

/// So many random bytes, in base64url.
fn random<const COUNT: usize>() -> Result<String> {
    let mut bytes = [0; COUNT];
    rand::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;
