//! Parameters of a query or a form, read the way RFC 6749 section 3.1 asks for.
//!
//! An empty parameter counts as omitted, unknown ones are ignored, and none may come twice
//! (two servers that disagree on which of two values counts are an attack waiting to happen).
//! `resource` alone may be repeated (RFC 8707 section 2).

use axum::body::to_bytes;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use url::form_urlencoded;

use crate::error::OAuthError;

/// The largest body that any endpoint reads, in bytes. The longest honest one is a registration.
pub(crate) const MAX_BODY: usize = 16 * 1024;

/// Decoded name and value pairs in the order sent, without the empty ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// A parameter came twice; its name is one of ours, so it is safe to show.
#[derive(Debug)]
pub(crate) struct Repeated(pub(crate) &'static str);

impl Params {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(
            form_urlencoded::parse(encoded)
                .into_owned()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        )
    }

    /// The value of a parameter that may come once.
    pub(crate) fn one(
        &self,
        name: &'static str,
    ) -> Result<Option<&str>, Repeated> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Repeated(name));
        }
        Ok(first)
    }

    pub(crate) fn all(
        &self,
        name: &str,
    ) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The same parameters without the named one.
    pub(crate) fn without(
        mut self,
        name: &str,
    ) -> Self {
        self.0.retain(|(key, _)| key != name);
        self
    }

    /// Back to `a=1&b=2`, every character that could mean something percent-encoded.
    pub(crate) fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

impl From<Repeated> for OAuthError {
    fn from(Repeated(name): Repeated) -> Self {
        Self::invalid_request(format!("Send the parameter {name} once only."))
    }
}

/// A form post: its parameters and the headers it came with.
///
/// Reads the body itself, because axum's own extractors answer in plain text and every refusal
/// here has to be OAuth JSON.
pub(crate) struct Form {
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
}

impl Form {
    /// The value of a parameter, refusing a repeated one.
    pub(crate) fn one(
        &self,
        name: &'static str,
    ) -> Result<Option<&str>, OAuthError> {
        Ok(self.params.one(name)?)
    }

    /// The value of a parameter that has to be there.
    pub(crate) fn required(
        &self,
        name: &'static str,
    ) -> Result<&str, OAuthError> {
        self.one(name)?
            .ok_or_else(|| OAuthError::invalid_request(format!("The parameter {name} is missing.")))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(
        request: Request,
        _state: &S,
    ) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        if !has_type(&parts.headers, "application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request(
                "Send the parameters as application/x-www-form-urlencoded.",
            ));
        }
        let body = read(body).await?;
        Ok(Self {
            params: Params::parse(&body),
            headers: parts.headers,
        })
    }
}

/// Reads a body of at most [`MAX_BODY`] bytes.
pub(crate) async fn read(body: axum::body::Body) -> Result<axum::body::Bytes, OAuthError> {
    to_bytes(body, MAX_BODY).await.map_err(|_| {
        OAuthError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            "The body is larger than 16 KB or could not be read.",
        )
    })
}

/// Whether the content type is `wanted`, whatever parameters (`; charset=..`) follow it.
pub(crate) fn has_type(
    headers: &HeaderMap,
    wanted: &str,
) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(wanted))
}
