//! The bearer check: no valid token, no entry.
//!
//! It runs on every method of `/mcp`, before the body is read. What it lets through carries a
//! [`User`], and a handler takes that `User` (`Extension<Arc<User>>`) instead of headers. So it cannot
//! forget the check: on a route without the middleware there is no user to take, and axum says 500.
//!
//! Spec: RFC 6750 (bearer tokens), RFC 9068 (JWT access tokens), RFC 8725 (JWT best practices), MCP
//! 2026-07-28, basic/authorization, "Access Token Usage". Deviation: `typ: JWT` is accepted beside
//! `at+jwt`, because widespread issuers send it. A token that is not read here is asked about ([`lookup`]).

use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use jsonwebtoken as jwt;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use tracing::info;

use crate::config::Config;
use crate::error::HttpError;
use crate::error::Unavailable;
use crate::keys::Keys;
use crate::lookup;
use crate::lookup::Lookup;
use crate::lookup::LookupError;
use crate::provider::without_nulls;

/// A longer token is not even parsed, in bytes. Real ones have one or two thousand.
const MAX_TOKEN: usize = 8 * 1024;

/// The end of the year 9999, in seconds since 1970: a later `exp` is no expiry at all.
const MAX_EXP: f64 = 253_402_300_799.0;

/// The types of an access token (RFC 9068, section 2.1), and the one of any JWT.
const TYPES: [&str; 3] = ["at+jwt", "application/at+jwt", "jwt"];

/// Where issuers put scopes and roles; the first place that exists counts. The last is Keycloak's.
const SCOPES: [&str; 3] = ["/scope", "/scp", "/scopes"];
const ROLES: [&str; 2] = ["/roles", "/realm_access/roles"];

/// Who calls, as a verified token says. Serialized, it is the answer of `whoami`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct User {
    /// All claims. As a value of JSON (a text would have some names twice), a field below counts more.
    #[serde(flatten, skip_deserializing)]
    claims: Map<String, Value>,
    pub(crate) sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preferred_username: Option<String>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing)]
    jti: Option<String>,
    #[serde(skip_deserializing)]
    pub(crate) scope: String,
    #[serde(skip_deserializing)]
    pub(crate) roles: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    iss: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    aud: Value,
    #[serde(default = "endless", skip_serializing)]
    exp: serde_json::Number,
}

/// What is asked about again and again needs no end.
fn endless() -> serde_json::Number {
    0.into()
}

/// Why a request does not get in.
enum Refusal {
    NoCredentials,
    InvalidRequest,
    InvalidToken(&'static str),
    Unavailable(Unavailable),
}

/// Most refusals are for the token itself.
impl From<&'static str> for Refusal {
    fn from(failed_check: &'static str) -> Self {
        Self::InvalidToken(failed_check)
    }
}

/// What the issuer did not say for certain is no reason to log in again.
impl From<LookupError> for Refusal {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Refused(why) => Self::InvalidToken(why),
            _ => Self::Unavailable(Unavailable {
                description: "the issuer cannot be asked about this token",
                retry_in: lookup::RETRY_IN,
            }),
        }
    }
}

/// The check, and what it compares tokens with.
pub(crate) struct Auth {
    keys: Arc<Keys>,
    lookup: Arc<Lookup>,
    validation: jwt::Validation,
    accept_untyped: bool,
    resource_metadata: String,
    scope: String,
}

/// The middleware: a verified user goes along with the request, anybody else gets the refusal.
pub(crate) async fn authenticate(
    State(auth): State<Arc<Auth>>,
    mut request: Request,
    next: Next,
) -> Response {
    // Browsers send the CORS preflight without a token; it reaches nothing worth protecting.
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    match auth.verify(request.headers()).await {
        Ok(user) => {
            info!(sub = ?user.sub, jti = ?user.jti, "token accepted");
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(refusal) => auth.refuse(refusal),
    }
}

impl Auth {
    /// The `scope` is what a 401 tells clients to ask for.
    pub(crate) fn new(
        config: &Config,
        keys: Arc<Keys>,
        lookup: Arc<Lookup>,
        scope: &str,
    ) -> Self {
        Self {
            accept_untyped: config.accept_untyped,
            resource_metadata: config.resource_metadata_url(),
            scope: scope.to_owned(),
            validation: validation(config),
            lookup,
            keys,
        }
    }

    /// From the headers of a request to the user, or to the reason why not.
    async fn verify(
        &self,
        headers: &HeaderMap,
    ) -> Result<Arc<User>, Refusal> {
        let token = bearer_token(headers)?;
        if let Some(claims) = self.lookup.claims(token).await? {
            return Ok(Arc::new(user(&claims)?));
        }
        let mut header = jwt::decode_header(token).map_err(|error| explain(&error))?;
        let is_untyped = header.typ.is_none() && self.accept_untyped;
        if is_untyped {
            header.typ = Some("JWT".to_owned());
        }
        let kid = key_id(&header)?;
        let set = self.keys.for_kid(kid).await.map_err(Refusal::Unavailable)?;
        let key = set.find(kid).ok_or("the token is signed with an unknown key")?;
        let mut validation = self.validation.clone();
        // The algorithm is the key's: what the token says is compared with it, never obeyed.
        validation.algorithms = vec![key.algorithm];
        let verified = jwt::decode::<Value>(token, &key.decoding, &validation);
        let claims = verified.map_err(|error| explain(&error))?.claims;
        // What only ID tokens have (OpenID Connect Core, section 2; the last is Cognito's).
        let is_id_token =
            claims.get("nonce").or(claims.get("at_hash")).is_some() || claims["token_use"] == "id";
        if is_untyped && is_id_token {
            return Err("this is an ID token, not an access token".into());
        }
        let mut user = user(&claims)?;
        // Without this scope, userinfo is not meant for the token.
        if user.scope.split(' ').any(|scope| scope == "openid") {
            let mut all = self.lookup.profile(token, &user.sub).await;
            // What the token says counts more, and what the user may do is for the token alone to say.
            all.append(&mut user.claims);
            let name = all.get("preferred_username").and_then(Value::as_str);
            user.preferred_username = name.map(str::to_owned);
            user.claims = all;
        }
        Ok(Arc::new(user))
    }

    fn refuse(
        &self,
        refusal: Refusal,
    ) -> Response {
        let usage = "send one header Authorization: Bearer TOKEN";
        let (status, error, description) = match refusal {
            Refusal::NoCredentials => (StatusCode::UNAUTHORIZED, None, "send a bearer token"),
            Refusal::InvalidRequest => (StatusCode::BAD_REQUEST, Some("invalid_request"), usage),
            Refusal::InvalidToken(why) => (StatusCode::UNAUTHORIZED, Some("invalid_token"), why),
            Refusal::Unavailable(unavailable) => return unavailable.into_response(),
        };
        info!("refused: {description}");
        let mut parameters = vec![("realm", "mcp")];
        // Without credentials there is no error to report (RFC 6750, section 3.1).
        if let Some(error) = error {
            parameters.extend([("error", error), ("error_description", description)]);
        }
        // Where to find the way in, and what to ask for there.
        if status == StatusCode::UNAUTHORIZED {
            parameters.push(("resource_metadata", &self.resource_metadata));
            parameters.push(("scope", &self.scope));
        }
        let body = HttpError {
            status,
            error: error.unwrap_or("unauthorized"),
            description: description.to_owned(),
        };
        ([(header::WWW_AUTHENTICATE, challenge(&parameters))], body).into_response()
    }
}

/// The token of the one `Authorization: Bearer` header. A token anywhere else, in the query or in a
/// form, counts for nothing: URLs end up in logs.
fn bearer_token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoCredentials)?;
    // What is not ASCII is as malformed as a scheme without a token.
    let value = value.to_str().unwrap_or("Bearer");
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = token.trim_start();
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer");
    // Of two headers a gateway may have checked the one, and we would believe the other.
    if values.next().is_some() || is_bearer && token.is_empty() {
        Err(Refusal::InvalidRequest)
    } else if !is_bearer {
        Err(Refusal::NoCredentials)
    } else if token.len() > MAX_TOKEN {
        Err("the token is too long".into())
    } else {
        Ok(token)
    }
}

/// Checks the token's header and returns the key id in it. A key that the token brings along (`jwk`,
/// `jku`, `x5u`) is never looked at.
fn key_id(header: &jwt::Header) -> Result<&str, &'static str> {
    let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
    if !TYPES.contains(&typ.as_str()) {
        return Err("the typ of the token is not at+jwt");
    }
    if header.crit.is_some() {
        return Err("the token has a crit header that we do not know");
    }
    header.kid.as_deref().ok_or("the token does not name its key (kid)")
}

/// What the claims of every token are compared with. Issuer and audience always are,
/// and all four claims must be there.
fn validation(config: &Config) -> jwt::Validation {
    let mut validation = jwt::Validation::default();
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&[config.resource()]);
    validation.validate_nbf = true;
    // Two clocks may differ by so many seconds.
    validation.leeway = 30;
    validation
}

/// The failed check in a sentence of ours: the library's own may quote the token.
fn explain(error: &jwt::errors::Error) -> &'static str {
    match error.kind() {
        // The JWT library does not know the newer name of EdDSA (RFC 9864) yet.
        ErrorKind::Json(error) if error.to_string().contains("variant `Ed25519`") => {
            "the token names its algorithm Ed25519, known here only as EdDSA"
        }
        ErrorKind::InvalidAlgorithm => "the token is signed with another algorithm than its key's",
        ErrorKind::InvalidSignature => "the signature does not match",
        ErrorKind::ExpiredSignature => "the token has expired (exp)",
        ErrorKind::ImmatureSignature => "the token is not valid yet (nbf)",
        ErrorKind::InvalidIssuer => "the token is from another issuer (iss)",
        ErrorKind::InvalidAudience => "the token is for another audience (aud)",
        ErrorKind::MissingRequiredClaim(_) => "one of exp, iss, aud and sub is missing",
        _ => "the token is not a JWT that we know",
    }
}

/// The user of verified claims. Refuses what the JWT library lets pass: a list of issuers, an empty
/// subject, an expiry in a billion years, what is no access token, or not one for a mere bearer.
fn user(claims: &Value) -> Result<User, &'static str> {
    let mut user = User::deserialize(claims).map_err(|_| "a claim has the wrong type")?;
    let client = claims.get("client_id").or(claims.get("azp"));
    user.client_id = client.and_then(Value::as_str).map(str::to_owned);
    user.scope = words(claims, &SCOPES).join(" ");
    user.roles = words(claims, &ROLES);
    if let Value::Object(claims) = without_nulls(claims) {
        user.claims = claims;
    }
    if user.sub.is_empty() {
        Err("the sub claim is empty")
    } else if user.exp.as_f64().is_none_or(|exp| exp > MAX_EXP) {
        Err("the exp claim is too far away")
    } else if claims.get("typ").is_some_and(|typ| typ != "Bearer") {
        // Keycloak says so in its ID tokens, refresh tokens and tokens for offline use.
        Err("this is not an access token (typ)")
    } else if claims.get("cnf").is_some() {
        // The sender would have to prove that a key is theirs (RFC 7800), and nobody here asks.
        Err("the token is bound to a key whose proof is not checked here (cnf)")
    } else {
        Ok(user)
    }
}

/// A list that comes as one space-separated string or as an array of strings.
fn words(
    claims: &Value,
    places: &[impl AsRef<str>],
) -> Vec<String> {
    match places.iter().find_map(|place| claims.pointer(place.as_ref())) {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(list) => Vec::deserialize(list).unwrap_or_default(),
        None => Vec::new(),
    }
}

/// The `WWW-Authenticate` header with these parameters, in this order. None may have a quote in it:
/// all are sentences of ours or URLs that were checked at the start.
pub(crate) fn challenge(parameters: &[(&str, &str)]) -> String {
    let quote = |(name, value): &(&str, &str)| format!(r#"{name}="{value}""#);
    let parameters: Vec<_> = parameters.iter().map(quote).collect();
    format!("Bearer {}", parameters.join(", "))
}
