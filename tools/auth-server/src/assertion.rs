//! Clients that prove themselves with a signed JWT (`private_key_jwt`: RFC 7523 section 3, as
//! draft-ietf-oauth-rfc7523bis tightens it).
//!
//! The audience is this server's issuer and nothing else. RFC 7523 also lets clients name the token
//! endpoint; but where a client believes what a malicious server publishes, that server can name
//! somebody else's endpoint as its own, get an assertion made for it, and use it there. The update
//! forbids it, and the SDKs of MCP put the issuer in.

use jsonwebtoken::Validation;
use serde::Deserialize;

use crate::client_key::ClientKey;
use crate::error::OAuthError;
use crate::state::AppState;
use crate::store::assertions;
use crate::store::assertions::Memory;

/// `client_assertion_type` (RFC 7523 section 2.2).
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Seconds for which an assertion may be good: it is made for one request.
const MAX_AHEAD: i64 = 300;

/// Seconds by which the client's clock may differ.
const LEEWAY: i64 = 30;

/// Why an assertion counts for nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// What a stranger may hear, whether the client exists or not.
    Unsigned,
    /// What the holder of the key may hear.
    Claim(&'static str),
}

impl Refused {
    /// For the audit log and, as it stands, for the client.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::Unsigned => {
                "The client is unknown, or the assertion is not a JWT that its registered key \
                 signed with its own algorithm."
            }
            Self::Claim(text) => text,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    jti: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn is_only(
        &self,
        issuer: &str,
    ) -> bool {
        match self {
            Self::One(only) => only == issuer,
            Self::Several(all) => matches!(all.as_slice(), [only] if only == issuer),
        }
    }
}

/// Only to look the client up, before anything is verified.
#[derive(Deserialize)]
struct Subject {
    sub: String,
}

/// Whom the assertion says it is of. Nothing is proven by that.
pub(crate) fn claimed_id(assertion: &str) -> Option<String> {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Subject>(assertion);
    claims.ok().map(|claims| claims.sub)
}

/// A verified assertion, which still has to be the first of its `jti`.
#[derive(Debug)]
pub(crate) struct Verified {
    jti: String,
    /// When it counts for nothing any more, the leeway included.
    forget_at: i64,
}

/// Signature first, then the claims.
pub(crate) fn verify(
    assertion: &str,
    client_id: &str,
    keys: &[ClientKey],
    issuer: &str,
    now: i64,
) -> Result<Verified, Refused> {
    check_header(assertion)?;
    let claims = keys.iter().find_map(|key| signed_by(key, assertion)).ok_or(Refused::Unsigned)?;
    let claims: Claims = serde_json::from_value(claims).map_err(|_| {
        Refused::Claim("The assertion needs iss, sub, aud, exp and jti, each of its type.")
    })?;
    check(&claims, client_id, issuer, now).map_err(Refused::Claim)?;
    Ok(Verified {
        forget_at: claims.exp + LEEWAY,
        jti: claims.jti,
    })
}

/// A token of another kind is none, even one that the client's key signed; and `crit` asks for what
/// is not known here.
fn check_header(assertion: &str) -> Result<(), Refused> {
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| Refused::Unsigned)?;
    let typed = header.typ.is_none_or(|typ| {
        let typ = typ.to_ascii_lowercase();
        matches!(typ.as_str(), "jwt" | "client-authentication+jwt")
    });
    if typed && header.crit.is_none() {
        Ok(())
    } else {
        Err(Refused::Unsigned)
    }
}

/// The key's own algorithm is the only one that counts. The times are compared by this server's
/// clock, below.
fn signed_by(
    key: &ClientKey,
    assertion: &str,
) -> Option<serde_json::Value> {
    let mut validation = Validation::new(key.algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let token = jsonwebtoken::decode(assertion, &key.decoding, &validation);
    token.ok().map(|token| token.claims)
}

fn check(
    claims: &Claims,
    client_id: &str,
    issuer: &str,
    now: i64,
) -> Result<(), &'static str> {
    if claims.iss != client_id || claims.sub != client_id {
        return Err("The assertion's iss and sub must both be the client_id.");
    }
    if !claims.aud.is_only(issuer) {
        return Err("The assertion's aud must be this server's issuer, and nothing else.");
    }
    if claims.exp <= now.saturating_sub(LEEWAY) {
        return Err("The assertion has expired: make a new one for each request.");
    }
    if claims.exp > now.saturating_add(MAX_AHEAD + LEEWAY) {
        return Err("The assertion is good for too long: its exp may be 5 minutes ahead.");
    }
    if claims.nbf.is_some_and(|nbf| nbf > now.saturating_add(LEEWAY)) {
        return Err("The assertion is not valid yet: compare the clocks.");
    }
    if claims.jti.is_empty() {
        return Err("The assertion's jti is empty: give each one a jti of its own.");
    }
    Ok(())
}

/// Lets an assertion count once.
pub(crate) async fn use_up(
    state: &AppState,
    client_id: &str,
    verified: Verified,
) -> Result<(), OAuthError> {
    let (id, now) = (client_id.to_owned(), state.now());
    let memory = state
        .store
        .run(move |tx| assertions::remember(tx, &id, &verified.jti, verified.forget_at, now))
        .await?;
    match memory {
        Memory::First => Ok(()),
        Memory::Again => Err(OAuthError::invalid_client(AGAIN)),
        Memory::Full => Err(OAuthError::too_many(
            "Too many assertions of this client are still good: use the tokens that it got.",
            u64::try_from(MAX_AHEAD).unwrap_or_default(),
        )),
    }
}

const AGAIN: &str = "The assertion was used before: make a new one for each request.";
