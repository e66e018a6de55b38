//! Makes tokens, and reads our own back.
//!
//! Access tokens follow RFC 9068 (`typ: at+jwt`), ID tokens OpenID Connect Core section 2. Both
//! are RS256, but the header's `typ` differs and the ID token's audience is the client, so that
//! neither can be passed off as the other.

use jsonwebtoken::Algorithm;
use jsonwebtoken::Header;
use jsonwebtoken::Validation;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::error::OAuthError;
use crate::keys::Ring;
use crate::scopes;
use crate::scopes::Scopes;
use crate::users::User;

/// What an access token is made from.
pub(crate) struct Access<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) user: &'a User,
    pub(crate) client_id: &'a str,
    pub(crate) resources: &'a [String],
    pub(crate) scopes: &'a Scopes,
    pub(crate) jti: &'a str,
    pub(crate) now: i64,
    pub(crate) expires_at: i64,
}

impl Access<'_> {
    /// The claims, as every resource server of this workspace reads them.
    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer,
            "sub": self.user.username,
            "aud": audience(self.resources),
            "exp": self.expires_at,
            "iat": self.now,
            "nbf": self.now,
            "jti": self.jti,
            "client_id": self.client_id,
            "scope": scopes::join(self.scopes),
            "roles": self.user.roles,
            "preferred_username": self.user.login(),
        })
    }

    /// Signs it.
    pub(crate) fn sign(
        &self,
        ring: &Ring,
    ) -> Result<String, OAuthError> {
        sign(ring, "at+jwt", &self.claims())
    }
}

/// One resource is a string, as almost every verifier expects; several are an array.
fn audience(resources: &[String]) -> Value {
    match resources {
        [only] => json!(only),
        several => json!(several),
    }
}

/// What an ID token is made from.
pub(crate) struct Id<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) user: &'a User,
    pub(crate) client_id: &'a str,
    pub(crate) scopes: &'a Scopes,
    pub(crate) nonce: Option<&'a str>,
    /// Name of the session, for signing out (OpenID Connect Front-Channel Logout section 3).
    pub(crate) sid: &'a str,
    pub(crate) signed_in_at: i64,
    pub(crate) now: i64,
    pub(crate) expires_at: i64,
}

impl Id<'_> {
    fn claims(&self) -> Value {
        let mut claims = json!({
            "iss": self.issuer,
            "sub": self.user.username,
            "aud": self.client_id,
            "exp": self.expires_at,
            "iat": self.now,
            "auth_time": self.signed_in_at,
            "sid": self.sid,
        });
        if let Some(nonce) = self.nonce {
            claims["nonce"] = json!(nonce);
        }
        if self.scopes.contains("profile") {
            claims["name"] = json!(self.user.display_name());
            claims["preferred_username"] = json!(self.user.login());
        }
        claims
    }

    /// Signs it.
    pub(crate) fn sign(
        &self,
        ring: &Ring,
    ) -> Result<String, OAuthError> {
        sign(ring, "JWT", &self.claims())
    }
}

fn sign(
    ring: &Ring,
    typ: &str,
    claims: &Value,
) -> Result<String, OAuthError> {
    let header = Header {
        typ: Some(typ.to_owned()),
        kid: Some(ring.signer.kid().to_owned()),
        ..Header::new(Algorithm::RS256)
    };
    jsonwebtoken::encode(&header, claims, ring.signer.encoding_key())
        .map_err(|error| OAuthError::server(&error))
}

/// The claims of an access token that this server's keys signed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) aud: Value,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    nbf: Option<i64>,
    pub(crate) jti: String,
    pub(crate) client_id: String,
    #[serde(default)]
    pub(crate) scope: String,
}

/// Reads an access token: RS256 by a published key, `typ` `at+jwt`, our issuer, in its time.
/// `None` for anything else, an ID token included.
pub(crate) fn read_access(
    token: &str,
    ring: &Ring,
    issuer: &str,
    now: i64,
) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let typed = header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt"));
    let key = ring.decoding_key(&header.kid?)?;
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &rs256()).ok()?.claims;
    let ours = typed && claims.iss == issuer && !claims.sub.is_empty();
    let in_time = claims.exp > now && claims.nbf.is_none_or(|nbf| nbf <= now);
    (ours && in_time).then_some(claims)
}

/// What an ID token says about whose it is.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Hint {
    iss: String,
    pub(crate) sub: String,
    /// The client.
    pub(crate) aud: String,
    pub(crate) sid: Option<String>,
}

/// Reads an ID token of ours that somebody brings back, expired or not: it is a hint at a user
/// and opens nothing (OpenID Connect RP-Initiated Logout section 2).
pub(crate) fn read_hint(
    token: &str,
    ring: &Ring,
    issuer: &str,
) -> Option<Hint> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let typed = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    let key = ring.decoding_key(&header.kid?)?;
    let hint = jsonwebtoken::decode::<Hint>(token, &key, &rs256()).ok()?.claims;
    (typed && hint.iss == issuer).then_some(hint)
}

/// Signature only: the time is told by this server's own clock, and the audience is not us.
fn rs256() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}
