//! Looking into an access token, and forging others from it.
//!
//! A client must treat it as opaque: only the resource server may rely on what is inside, after
//! checking the signature. Looking is for learning and for finding faults, so nothing here decides
//! anything.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::gate::secret::Secret;

/// What is written in a JWT, unverified.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

/// Two tokens that every server must refuse.
pub(crate) struct Forged {
    /// Without a signature, and saying so.
    pub(crate) unsigned: Secret,
    /// Another subject under the old signature.
    pub(crate) tampered: Secret,
}

/// Header and claims; `None` for a token that is no JWT.
pub(crate) fn decode(token: &Secret) -> Option<Inside> {
    let [header, claims, _] = parts(token)?;
    let (header, claims) = (part(header)?, part(claims)?);
    (header.is_object() && claims.is_object()).then_some(Inside {
        header,
        claims,
    })
}

/// The forgeries of a JWT; `None` for a token that is none.
pub(crate) fn forge(token: &Secret) -> Option<Forged> {
    let [header, claims, signature] = parts(token)?;
    let mut inside = decode(token)?;
    inside.header["alg"] = json!("none");
    inside.claims["sub"] = json!("somebody-else");
    let unsigned = format!("{}.{claims}.", encode(&inside.header));
    let tampered = format!("{header}.{}.{signature}", encode(&inside.claims));
    Some(Forged {
        unsigned: Secret::new(unsigned),
        tampered: Secret::new(tampered),
    })
}

fn parts(token: &Secret) -> Option<[&str; 3]> {
    let parts: Vec<_> = token.expose().split('.').collect();
    parts.try_into().ok()
}

fn part(text: &str) -> Option<Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}
