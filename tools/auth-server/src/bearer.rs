//! Tokens in the `Authorization` header, and what is said when one is missing or bad (RFC 6750).

use axum::Json;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

/// A refusal with its challenge. Without credentials there is no error code (section 3.1).
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) status: StatusCode,
    pub(crate) code: Option<&'static str>,
    pub(crate) description: &'static str,
    /// What the token would need.
    pub(crate) scope: Option<&'static str>,
}

impl Challenge {
    /// 401 `invalid_token`.
    pub(crate) fn invalid_token(description: &'static str) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: Some("invalid_token"),
            description,
            scope: None,
        }
    }

    fn header(&self) -> HeaderValue {
        let mut challenge = r#"Bearer realm="auth-server""#.to_owned();
        if let Some(code) = self.code {
            challenge += &format!(
                r#", error="{code}", error_description="{}""#,
                self.description
            );
        }
        if let Some(scope) = self.scope {
            challenge += &format!(r#", scope="{scope}""#);
        }
        HeaderValue::try_from(challenge).expect("fixed ASCII texts")
    }
}

impl IntoResponse for Challenge {
    fn into_response(self) -> Response {
        let headers = [
            (header::WWW_AUTHENTICATE, self.header()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let error = self.code.unwrap_or("invalid_token");
        let body = json!({"error": error, "error_description": self.description});
        (self.status, headers, Json(body)).into_response()
    }
}

/// Exactly one header with the scheme `Bearer`; a token anywhere else counts for nothing.
pub(crate) fn token(headers: &HeaderMap) -> Result<&str, Challenge> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() {
        return Err(Challenge {
            status: StatusCode::BAD_REQUEST,
            code: Some("invalid_request"),
            description: "Send one Authorization header only.",
            scope: None,
        });
    }
    first
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Challenge {
            status: StatusCode::UNAUTHORIZED,
            code: None,
            description: "Send a token in the Authorization header.",
            scope: None,
        })
}
