//! Who is calling the token, revocation or introspection endpoint (RFC 6749 section 2.3).
//!
//! A client with a secret proves it, in the `Authorization` header or in the form; a public one
//! names itself, and PKCE or the possession of a token proves the rest.

use axum::http::HeaderMap;
use axum::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::audit;
use crate::client_secrets::Verdict;
use crate::clients::Client;
use crate::error::OAuthError;
use crate::params::Form;
use crate::state::AppState;

/// The identifier and secret as presented.
struct Presented {
    id: String,
    secret: Option<String>,
}

/// Finds the client and checks its secret. Every failure is 401 `invalid_client` with one text
/// for "unknown" and "wrong secret", so that nobody can find out which client ids exist; 429 after
/// too many of them.
pub(crate) async fn authenticate(
    state: &AppState,
    form: &Form,
) -> Result<Client, OAuthError> {
    let presented = presented(form)?;
    let client = state.known_client(&presented.id).await?;
    match judge(state, client.as_ref(), &presented).await {
        Verdict::Right => client.ok_or_else(wrong),
        Verdict::Wrong => {
            record(&presented.id, "unknown client or wrong secret");
            Err(wrong())
        }
        Verdict::Wait(seconds) => {
            record(&presented.id, "too many wrong secrets");
            Err(OAuthError::too_many(
                "Too many wrong secrets for this client: wait and try again.",
                seconds,
            ))
        }
    }
}

/// Either of the two ways to send a secret is fine for a client that has one: the secret is the
/// same, and SDKs differ in which they prefer.
async fn judge(
    state: &AppState,
    client: Option<&Client>,
    presented: &Presented,
) -> Verdict {
    match (&presented.secret, client) {
        (None, Some(client)) if client.secret.is_none() => Verdict::Right,
        (None, _) => Verdict::Wrong,
        (Some(secret), client) => {
            let (id, now) = (&presented.id, state.now());
            state.client_secrets.check(id, client, secret, now).await
        }
    }
}

fn wrong() -> OAuthError {
    OAuthError::invalid_client(
        "The client is unknown or its secret is wrong; register again if it was registered here.",
    )
}

fn record(
    client_id: &str,
    detail: &str,
) {
    audit::denied(audit::Entry {
        event: "client.authenticate",
        client: client_id,
        detail,
        ..Default::default()
    });
}

fn presented(form: &Form) -> Result<Presented, OAuthError> {
    let id = form.one("client_id")?;
    let secret = form.one("client_secret")?;
    match basic(&form.headers)? {
        Some(_) if secret.is_some() => Err(OAuthError::invalid_request(
            "Send the client secret once: in the Authorization header or in the form.",
        )),
        Some(basic) if id.is_some_and(|id| id != basic.id) => Err(OAuthError::invalid_request(
            "The client_id in the form is not the one in the Authorization header.",
        )),
        Some(basic) => Ok(basic),
        None => Ok(Presented {
            id: id
                .ok_or_else(|| {
                    OAuthError::invalid_client("Name the client: client_id is missing.")
                })?
                .to_owned(),
            secret: secret.map(str::to_owned),
        }),
    }
}

/// RFC 6749 section 2.3.1: id and secret are form-encoded before they are base64-encoded.
fn basic(headers: &HeaderMap) -> Result<Option<Presented>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request(
            "Send one Authorization header only.",
        ));
    }
    let malformed = || OAuthError::invalid_client("The Authorization header is not HTTP Basic.");
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let pair = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (id, secret) = pair.split_once(':').ok_or_else(malformed)?;
    Ok(Some(Presented {
        id: form_decoded(id),
        secret: Some(form_decoded(secret)).filter(|secret| !secret.is_empty()),
    }))
}

/// Decodes one form-encoded value: it is parsed as the name of a pair without a value.
fn form_decoded(encoded: &str) -> String {
    form_urlencoded::parse(encoded.replace('=', "%3D").replace('&', "%26").as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}
