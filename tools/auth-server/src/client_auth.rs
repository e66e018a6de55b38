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
use crate::clients::Client;
use crate::clients::SecretHash;
use crate::error::OAuthError;
use crate::params::Form;
use crate::secret;
use crate::state::AppState;

/// The identifier and secret as presented.
struct Presented {
    id: String,
    secret: Option<String>,
}

/// Finds the client and checks its secret. Every failure is 401 `invalid_client` with one text
/// for "unknown" and "wrong secret", so that nobody can find out which client ids exist.
pub(crate) async fn authenticate(
    state: &AppState,
    form: &Form,
) -> Result<Client, OAuthError> {
    let presented = presented(form)?;
    let client = state.known_client(&presented.id).await?;
    match client {
        Some(client) if proves(state, &client, presented.secret.as_deref()).await => Ok(client),
        _ => {
            audit::denied(audit::Entry {
                event: "client.authenticate",
                client: &presented.id,
                detail: "unknown client or wrong secret",
                ..Default::default()
            });
            Err(OAuthError::invalid_client(
                "The client is unknown or its secret is wrong; register again if it was registered here.",
            ))
        }
    }
}

/// Either of the two ways to send a secret is fine for a client that has one: the secret is the
/// same, and SDKs differ in which they prefer.
async fn proves(
    state: &AppState,
    client: &Client,
    secret: Option<&str>,
) -> bool {
    match (&client.secret, secret) {
        (None, None) => true,
        (Some(SecretHash::Sha256(hash)), Some(secret)) => {
            secret::same(hash, &secret::sha256(secret))
        }
        (Some(SecretHash::Argon2(hash)), Some(secret)) => state.secrets.matches(hash, secret).await,
        (None, Some(_)) | (Some(_), None) => false,
    }
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
