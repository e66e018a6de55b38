//! Who is calling the token, revocation or introspection endpoint (RFC 6749 section 2.3).
//!
//! A client with a secret proves it, in the `Authorization` header or in the form; one with a key
//! signs an assertion; a public one names itself, and PKCE or the possession of a token proves the
//! rest.

use axum::http::HeaderMap;
use axum::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::assertion;
use crate::audit;
use crate::client_secrets::Verdict;
use crate::clients::Client;
use crate::error::OAuthError;
use crate::params::Form;
use crate::state::AppState;

/// The identifier and the proof as presented.
struct Presented {
    id: String,
    proof: PresentedProof,
}

enum PresentedProof {
    Nothing,
    Secret(String),
    Assertion(String),
}

/// Finds the client and checks its proof. Every failure is 401 `invalid_client` with one text
/// for "unknown" and "wrong secret", so that nobody can find out which client ids exist; 429 after
/// too many of them.
pub(crate) async fn authenticate(
    state: &AppState,
    form: &Form,
) -> Result<Client, OAuthError> {
    let presented = presented(form)?;
    let client = state.known_client(&presented.id).await?;
    match (&presented.proof, client) {
        // Whoever has a proof has to show it.
        (PresentedProof::Nothing, client) => {
            client.filter(Client::is_public).ok_or_else(|| unproven(&presented.id))
        }
        (PresentedProof::Secret(secret), client) => {
            by_secret(state, &presented.id, client, secret).await
        }
        (PresentedProof::Assertion(assertion), client) => {
            by_assertion(state, &presented.id, client, assertion).await
        }
    }
}

/// Either of the two ways to send a secret is fine for a client that has one: the secret is the
/// same, and SDKs differ in which they prefer.
async fn by_secret(
    state: &AppState,
    id: &str,
    client: Option<Client>,
    secret: &str,
) -> Result<Client, OAuthError> {
    match state.client_secrets.check(id, client.as_ref(), secret, state.now()).await {
        Verdict::Right => client.ok_or_else(wrong),
        Verdict::Wrong => Err(unproven(id)),
        Verdict::Wait(seconds) => {
            record(id, "too many wrong secrets");
            Err(OAuthError::too_many(
                "Too many wrong secrets for this client: wait and try again.",
                seconds,
            ))
        }
    }
}

/// Guesses need no slowing down here: there is no signature to guess.
async fn by_assertion(
    state: &AppState,
    id: &str,
    client: Option<Client>,
    assertion: &str,
) -> Result<Client, OAuthError> {
    let keys = client.as_ref().map_or(&[][..], Client::keys);
    let issuer = &state.config.issuer.text;
    let verified =
        assertion::verify(assertion, id, keys, issuer, state.now()).map_err(|refused| {
            record(id, refused.text());
            OAuthError::invalid_client(refused.text())
        })?;
    assertion::use_up(state, id, verified).await.inspect_err(|error| {
        record(id, &error.description);
    })?;
    client.ok_or_else(wrong)
}

fn unproven(id: &str) -> OAuthError {
    record(id, "unknown client or wrong secret");
    wrong()
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

/// RFC 6749 section 2.3: in one way only, or two servers could disagree on which one counted.
fn presented(form: &Form) -> Result<Presented, OAuthError> {
    let id = form.one("client_id")?;
    let secret = form.one("client_secret")?;
    let assertion = assertion(form)?;
    let basic = basic(&form.headers)?;
    let ways = [basic.is_some(), secret.is_some(), assertion.is_some()];
    if ways.iter().filter(|used| **used).count() > 1 {
        return Err(OAuthError::invalid_request(
            "Prove the client in one way only: by the Authorization header, client_secret or \
             client_assertion.",
        ));
    }
    match (basic, assertion) {
        (Some(basic), _) => {
            let otherwise = "The client_id in the form is not the one in the Authorization header.";
            same_client(id, &basic.id, otherwise)?;
            Ok(basic)
        }
        (None, Some(assertion)) => signed(id, assertion),
        (None, None) => named(id, secret),
    }
}

/// RFC 7523 section 3: the client is the `sub`, and need not be named otherwise.
fn signed(
    id: Option<&str>,
    assertion: &str,
) -> Result<Presented, OAuthError> {
    let claimed = assertion::claimed_id(assertion)
        .ok_or_else(|| OAuthError::invalid_client("The client_assertion is no JWT with a sub."))?;
    let otherwise = "The client_id in the form is not the sub of the client_assertion.";
    same_client(id, &claimed, otherwise)?;
    Ok(Presented {
        id: claimed,
        proof: PresentedProof::Assertion(assertion.to_owned()),
    })
}

fn named(
    id: Option<&str>,
    secret: Option<&str>,
) -> Result<Presented, OAuthError> {
    let missing = || OAuthError::invalid_client("Name the client: client_id is missing.");
    Ok(Presented {
        id: id.ok_or_else(missing)?.to_owned(),
        proof: match secret {
            Some(secret) => PresentedProof::Secret(secret.to_owned()),
            None => PresentedProof::Nothing,
        },
    })
}

fn same_client(
    named: Option<&str>,
    proven: &str,
    otherwise: &'static str,
) -> Result<(), OAuthError> {
    if named.is_some_and(|named| named != proven) {
        return Err(OAuthError::invalid_request(otherwise));
    }
    Ok(())
}

/// The two parameters of RFC 7521 section 4.2, which make sense together only.
fn assertion(form: &Form) -> Result<Option<&str>, OAuthError> {
    match (
        form.one("client_assertion_type")?,
        form.one("client_assertion")?,
    ) {
        (None, None) => Ok(None),
        (Some(assertion::TYPE), Some(assertion)) => Ok(Some(assertion)),
        (Some(_), Some(_)) => Err(OAuthError::invalid_client(
            "Use the client_assertion_type urn:ietf:params:oauth:client-assertion-type:jwt-bearer.",
        )),
        _ => Err(OAuthError::invalid_request(
            "client_assertion and client_assertion_type belong together.",
        )),
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
    let secret = form_decoded(secret);
    Ok(Some(Presented {
        id: form_decoded(id),
        proof: if secret.is_empty() {
            PresentedProof::Nothing
        } else {
            PresentedProof::Secret(secret)
        },
    }))
}

/// Decodes one form-encoded value: it is parsed as the name of a pair without a value.
fn form_decoded(encoded: &str) -> String {
    form_urlencoded::parse(encoded.replace('=', "%3D").replace('&', "%26").as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}
