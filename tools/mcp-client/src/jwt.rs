//! Looking into an access token.
//!
//! A client must treat it as opaque: only the resource server may rely on what is inside, after
//! checking the signature. Looking is for learning and for finding faults, so nothing here decides
//! anything.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::http::Http;
use crate::redact;

/// Header and claims, unverified; `None` for a token that is no JWT.
pub(crate) fn decode(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.');
    let header = part(parts.next()?)?;
    let claims = part(parts.next()?)?;
    parts
        .next()
        .filter(|_| header.is_object() && claims.is_object())?;
    Some((header, claims))
}

fn part(text: &str) -> Option<Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Tells what is inside.
pub(crate) fn describe(
    http: &mut Http,
    token: &str,
) {
    let Some((header, claims)) = decode(token) else {
        http.recorder
            .remark("The access token is opaque: only its issuer can say what it means.");
        return;
    };
    let shown = |value: &Value| redact::json(&value.to_string()).unwrap_or_default();
    let text = format!("header {}\nclaims {}", shown(&header), shown(&claims));
    let why = "To the client a token is opaque; we look inside to learn. `aud` names the one server \
               that may accept it, `scope` what the user lent to this client, `roles` what the user \
               may do at all, `exp` the end.";
    let clause = "RFC 9068 section 2; MCP authorization, \"Token Handling\"";
    let lines = text.lines().map(str::to_owned).collect();
    http.recorder
        .local("Look into the access token", why, clause, lines);
}
