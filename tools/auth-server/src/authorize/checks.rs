//! The checks of a request whose client and redirect URI are known already: what fails here is
//! told to the client.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::params::Params;
use crate::resource;
use crate::scopes;

/// An OAuth error code and a sentence.
pub(super) type Reason = (&'static str, &'static str);

/// Parameters that may come once only.
const SINGLE: &[&str] = &[
    "response_type",
    "response_mode",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "prompt",
    "max_age",
    "request",
    "request_uri",
];

/// Whether the request has the form that this server can answer.
pub(super) fn shape(params: &Params) -> Result<(), Reason> {
    if SINGLE.iter().any(|name| params.one(name).is_err()) {
        return Err(("invalid_request", "A parameter is there more than once."));
    }
    let get = |name| params.one(name).ok().flatten();
    if get("request").is_some() {
        return Err((
            "request_not_supported",
            "Request objects are not supported.",
        ));
    }
    if get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "request_uri is not supported."));
    }
    match get("response_type") {
        Some("code") => {}
        None => return Err(("invalid_request", "The parameter response_type is missing.")),
        Some(_) => {
            return Err((
                "unsupported_response_type",
                "Only response_type=code is supported.",
            ));
        }
    }
    if get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "Only response_mode=query is supported."));
    }
    Ok(())
}

/// The challenge (RFC 7636 section 4.3). Without a method it would mean `plain`, which protects
/// nothing from whoever reads the request.
pub(super) fn challenge(params: &Params) -> Result<String, Reason> {
    let get = |name| params.one(name).ok().flatten();
    let method = get("code_challenge_method");
    let Some(challenge) = get("code_challenge") else {
        return Err((
            "invalid_request",
            "PKCE is required: code_challenge is missing.",
        ));
    };
    if method != Some("S256") {
        return Err(("invalid_request", "code_challenge_method must be S256."));
    }
    match URL_SAFE_NO_PAD.decode(challenge) {
        Ok(bytes) if bytes.len() == 32 => Ok(challenge.to_owned()),
        _ => Err((
            "invalid_request",
            "code_challenge is not the SHA-256 of a verifier in base64url.",
        )),
    }
}

/// What the token is to be for.
pub(super) fn resources(
    configured: &[String],
    params: &Params,
) -> Result<Vec<String>, Reason> {
    resource::choose(configured, params.all("resource")).map_err(|text| ("invalid_target", text))
}

/// As asked for. Some scopes may be unknown here; where all are, the client wants something else
/// than what it would get.
pub(super) fn scope(params: &Params) -> Result<String, Reason> {
    let asked = params.one("scope").ok().flatten().unwrap_or_default();
    if !asked.is_empty() && scopes::known(asked).is_empty() {
        return Err(("invalid_scope", "None of the requested scopes exists here."));
    }
    Ok(asked.to_owned())
}

/// How many seconds ago the user may have signed in at most (OpenID Connect Core section 3.1.2.1).
pub(super) fn max_age(params: &Params) -> Result<Option<i64>, Reason> {
    let Some(text) = params.one("max_age").ok().flatten() else {
        return Ok(None);
    };
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 0);
    seconds
        .map(Some)
        .ok_or(("invalid_request", "max_age is not a number of seconds."))
}
