//! What the issuer says about a token: whether it is active and for whom (introspection), or who its
//! user is (userinfo).
//!
//! A token is shown to the issuer alone, and an answer has a limit in time and size. Only a plain no
//! sends the user to log in again; that an issuer cannot say is no fault of theirs.
//!
//! Spec: RFC 7662 (introspection), OpenID Connect Core 1.0, section 5.3 (userinfo). Left out: signed
//! answers (`application/jwt`, RFC 9701), other ways to show who we are than a client secret.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::RequestBuilder;
use reqwest::StatusCode;
use reqwest::header;
use secrecy::ExposeSecret;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use thiserror::Error;
use tracing::warn;
use url::Url;
use url::form_urlencoded::Serializer;
use url::form_urlencoded::byte_serialize;

use crate::answers::Answers;
use crate::cache::Cached;
use crate::issuer;
use crate::issuer::Issuer;
use crate::issuer::MAX_DOCUMENT;
use crate::provider::Provider;
use crate::provider::Verify;
use crate::provider::without_nulls;

/// How long a good answer counts.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// How long a refusal counts.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// When to come back if the issuer could not say.
pub(crate) const RETRY_IN: Duration = Duration::from_secs(10);

/// Some providers refuse who does not say its name.
const NAME: &str = env!("CARGO_PKG_NAME");

/// The only form of an answer that is read.
const JSON: &str = "application/json";

/// The questions, whom to ask, and who a token must be for.
pub(crate) struct Lookup {
    pub(crate) issuer: Arc<Cached<Issuer>>,
    pub(crate) resource: String,
    pub(crate) answers: Answers<Result<Value, LookupError>>,
}

/// Why there are no claims. All texts but the first are for the operator.
#[derive(Clone, Debug, Error)]
pub(crate) enum LookupError {
    #[error("{0}")]
    Refused(&'static str),
    #[error("{0}")]
    NoAnswer(String),
    #[error("{0}")]
    Setting(String),
}

/// Most problems are that there is no answer.
impl From<String> for LookupError {
    fn from(problem: String) -> Self {
        Self::NoAnswer(problem)
    }
}

impl Lookup {
    fn provider(&self) -> &Provider {
        &self.issuer.source.provider
    }

    /// Says in the log what is trusted, and looks whether the settings can work at all. An issuer that is
    /// not there yet may come later.
    pub(crate) async fn start(&self) -> Result<(), LookupError> {
        for warning in self.provider().warnings() {
            warn!("{warning}");
        }
        let by_hand = self.provider().issuer_metadata.as_deref();
        if by_hand.is_some_and(|place| !place.contains("://")) {
            let metadata = self.issuer.get(|_| true).await;
            metadata.map_err(|missing| LookupError::Setting(missing.error.to_string()))?;
        }
        // Nobody is waited for whose answer is not needed.
        if self.provider().verify == Verify::Jwt {
            return Ok(());
        }
        match self.question("").await {
            Err(LookupError::Setting(problem)) => Err(LookupError::Setting(problem)),
            _ => Ok(()),
        }
    }

    /// The claims of a token that the issuer is to check; none, if it is to be checked here.
    pub(crate) async fn claims(
        &self,
        token: &str,
    ) -> Result<Option<Value>, LookupError> {
        if self.provider().verify == Verify::Jwt {
            return Ok(None);
        }
        let claims = self.answers.get(token, self.ask(token)).await?;
        // No answer outlives its token (RFC 7662, section 4).
        let now = Timestamp::now().as_second() as f64;
        if claims["exp"].as_f64().is_some_and(|exp| exp <= now) {
            return Err(LookupError::Refused("the token has expired (exp)"));
        }
        Ok(Some(claims))
    }

    /// What else the issuer knows about the user of a verified token. If that is another user, it does
    /// not count (OpenID Connect Core, section 5.3.2), and without any, there is the token.
    pub(crate) async fn profile(
        &self,
        token: &str,
        sub: &str,
    ) -> Map<String, Value> {
        match self.answers.get(token, self.ask(token)).await {
            Ok(Value::Object(profile)) if profile["sub"] == sub => return profile,
            Ok(_) => warn!("userinfo is left aside: it is about another user than the token"),
            // Said when it came.
            Err(_) => {}
        }
        Map::new()
    }

    /// Asks, and says how long the answer counts.
    async fn ask(
        &self,
        token: &str,
    ) -> (Result<Value, LookupError>, Duration) {
        let answer = match self.question(token).await {
            Ok(request) => self.send(request).await.and_then(|claims| self.check(claims)),
            Err(problem) => Err(problem),
        };
        let is_needed = self.provider().verify != Verify::Jwt;
        let counts_for = match &answer {
            Ok(_) => GOOD_FOR,
            // Who is asked again and again, and cannot say, is not waited for where that is not needed.
            Err(LookupError::NoAnswer(_)) if is_needed => Duration::ZERO,
            Err(_) => REFUSED_FOR,
        };
        if let Err(problem) = &answer {
            warn!("about a token: {problem}");
        }
        (answer, counts_for)
    }

    /// The request that asks about a token.
    async fn question(
        &self,
        token: &str,
    ) -> Result<RequestBuilder, LookupError> {
        let provider = self.provider();
        let client = issuer::client().map_err(no_answer)?;
        if provider.verify != Verify::Introspection {
            let by_hand = provider.userinfo.as_deref();
            let url = self.endpoint("userinfo_endpoint", by_hand).await?;
            return Ok(client.get(url).bearer_auth(token));
        }
        let id = provider.introspection_client_id.as_deref().unwrap_or_default();
        let secret = provider.introspection_client_secret.expose_secret();
        if secret.is_empty() {
            let problem = "MCP_INTROSPECTION_CLIENT_SECRET is not set".to_owned();
            return Err(LookupError::Setting(problem));
        }
        let url = self.endpoint("introspection_endpoint", None).await?;
        let hint = "token_type_hint=access_token".to_owned();
        let form = Serializer::new(hint).append_pair("token", token).finish();
        // Both are encoded once more, says RFC 6749, section 2.3.1.
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let request = client.post(url).basic_auth(encode(id), Some(encode(secret))).body(form);
        Ok(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
    }

    /// Sends a question. From userinfo, which the token itself is shown to, 401 and 403 are a plain no.
    /// Introspection says so with status 200, and 401 where it does not know us (RFC 7662, section 2.3).
    async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<Value, LookupError> {
        let request = request.header(header::ACCEPT, JSON).header(header::USER_AGENT, NAME);
        let mut response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            if self.provider().verify == Verify::Introspection {
                let problem = format!("status {status}: our client is refused, or its secret");
                return Err(problem.into());
            }
            return Err(LookupError::Refused(
                "the issuer refuses to tell about this token",
            ));
        }
        let body = issuer::body(&mut response).await.map_err(no_answer)?;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_json = media_type.to_ascii_lowercase().split(';').next() == Some(JSON);
        let length = body.len();
        if (status == StatusCode::OK && is_json && length <= MAX_DOCUMENT)
            && let Ok(claims @ Value::Object(_)) = serde_json::from_slice(&body)
            && claims.get("error").is_none()
        {
            return Ok(without_nulls(&claims));
        }
        let problem =
            format!("status {status}, {length} bytes of {media_type:?}: no claims in JSON");
        Err(problem.into())
    }

    /// Where to ask: as the settings say, or else the metadata of the issuer.
    async fn endpoint(
        &self,
        name: &str,
        by_hand: Option<&str>,
    ) -> Result<Url, LookupError> {
        if let Some(url) = by_hand {
            let trusted = issuer::trusted(self.provider(), url);
            return trusted.map_err(|why| LookupError::Setting(format!("--userinfo {url}: {why}")));
        }
        let metadata = self.issuer.get(|_| true).await;
        let metadata = metadata.map_err(|missing| missing.error.to_string())?;
        let Some(url) = metadata[name].as_str() else {
            let problem = format!("the metadata names no {name}; --set-metadata or --userinfo can");
            return Err(LookupError::Setting(problem));
        };
        Ok(issuer::trusted(self.provider(), url)?)
    }

    /// The claims of an answer, with the user in `sub`, as a text.
    fn check(
        &self,
        mut claims: Value,
    ) -> Result<Value, LookupError> {
        let provider = self.provider();
        if provider.verify == Verify::Introspection {
            check_introspected(&claims, &self.resource)?;
        }
        let subject = match &claims[&provider.subject_claim] {
            Value::Number(number) => number.to_string(),
            subject => subject.as_str().unwrap_or_default().to_owned(),
        };
        if subject.is_empty() {
            return Err("the answer names no user".to_owned().into());
        }
        let other_issuer = |iss: &Value| *iss != *self.issuer.source.name;
        if claims.get("iss").is_some_and(other_issuer) {
            return Err(LookupError::Refused(
                "the answer is of another issuer (iss)",
            ));
        }
        claims["sub"] = json!(subject);
        Ok(claims)
    }
}

/// That a token is active means that some server may take it. Is it for us, and does it open doors by
/// itself? A refresh token does not, which some issuers tell about as well.
fn check_introspected(
    claims: &Value,
    resource: &str,
) -> Result<(), LookupError> {
    let is_for_us = match &claims["aud"] {
        Value::Array(list) => list.iter().any(|one| one == resource),
        one => one == resource,
    };
    let kind = claims.get("token_use").or(claims.get("token_type")).and_then(Value::as_str);
    let kind = kind.unwrap_or("Bearer").to_ascii_lowercase();
    let refused = match claims["active"].as_bool() {
        None => return Err("it is no introspection".to_owned().into()),
        Some(false) => "the issuer says that the token is not active",
        Some(true) if !is_for_us => "the token is for another audience (aud)",
        Some(true) if !["bearer", "access_token", "access"].contains(&&*kind) => {
            "this is not an access token that its bearer may use"
        }
        Some(true) => return Ok(()),
    };
    Err(LookupError::Refused(refused))
}

/// The debug form has the cause in it: refused, timed out, an unknown certificate.
fn no_answer(error: reqwest::Error) -> LookupError {
    LookupError::NoAnswer(format!("{:?}", error.without_url()))
}
