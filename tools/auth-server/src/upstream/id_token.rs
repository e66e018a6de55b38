//! The ID token of an upstream provider, checked as OpenID Connect Core section 3.1.3.7 says.

use jsonwebtoken::Validation;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::text;
use crate::upstream::failure::Failure;
use crate::upstream::key::Key;

/// Two clocks may differ by so many seconds.
const LEEWAY: i64 = 30;

/// The longest subject, in bytes (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;

/// What the claims are compared with.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    /// In seconds.
    pub(crate) now: i64,
}

/// The claims of a good token. A claim of another type makes the token a bad one.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    pub(crate) sub: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    nonce: Option<String>,
    /// Names, where the provider puts them here.
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Several only together with `azp`, which `verify` checks.
    fn holds(
        &self,
        client_id: &str,
    ) -> bool {
        match self {
            Self::One(only) => only == client_id,
            Self::Several(all) => all.iter().any(|one| one == client_id),
        }
    }

    fn is_alone(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Several(all) => all.len() == 1,
        }
    }
}

/// The name of the key in the token's header; a key that the token brings along is never looked at.
pub(crate) fn key_id(token: &str) -> Result<Option<String>, Failure> {
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| Failure::Refused("What the provider sent is no ID token."))?;
    let typed = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    // An access token is a token for something else, and `crit` asks for what is not known here.
    if !typed || header.crit.is_some() {
        return Err(Failure::Refused("What the provider sent is no ID token."));
    }
    Ok(header.kid)
}

/// Signature, then claims. Each refusal is a sentence of ours: the library's may quote the token.
pub(crate) fn verify(
    token: &str,
    key: &Key,
    expected: &Expected<'_>,
) -> Result<Claims, Failure> {
    let mut validation = Validation::new(key.algorithm);
    // Compared below, by this server's own clock and with the types that they must have.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
        .map_err(|_| Failure::Refused("The ID token's signature or form is not good."))?
        .claims;
    check(&claims, expected).map_err(Failure::Refused)?;
    Ok(claims)
}

fn check(
    claims: &Claims,
    expected: &Expected<'_>,
) -> Result<(), &'static str> {
    let now = expected.now as f64;
    let leeway = LEEWAY as f64;
    let ours = claims
        .azp
        .as_deref()
        .map_or(claims.aud.is_alone(), |azp| azp == expected.client_id);
    let subject = &claims.sub;
    if claims.iss != expected.issuer {
        return Err("The ID token is of another issuer.");
    }
    if !claims.aud.holds(expected.client_id) || !ours {
        return Err("The ID token is for another client.");
    }
    if claims.exp + leeway <= now || claims.nbf.is_some_and(|nbf| nbf - leeway > now) {
        return Err("The ID token is not valid now.");
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err("The ID token is of another sign-in.");
    }
    if subject.is_empty() || subject.len() > MAX_SUBJECT || !subject.chars().all(text::is_visible) {
        return Err("The ID token names its user in a way that cannot be used.");
    }
    Ok(())
}
