//! The error answer of every endpoint that a program (not a browser) talks to.
//!
//! RFC 6749 section 5.2: a JSON object with `error` and `error_description`, never cached. The
//! descriptions are fixed sentences that say what to do; they quote nothing the client sent.

use std::borrow::Cow;

use axum::Json;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::store::StoreError;

/// One refusal: status, OAuth error code, a sentence, and the headers that belong to it.
#[derive(Debug)]
pub(crate) struct OAuthError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) description: Cow<'static, str>,
    challenge: Option<&'static str>,
    retry_after: Option<u64>,
}

impl OAuthError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            description: description.into(),
            challenge: None,
            retry_after: None,
        }
    }

    fn bad(
        code: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, description)
    }

    pub(crate) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_request", description)
    }

    pub(crate) fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_grant", description)
    }

    pub(crate) fn unauthorized_client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("unauthorized_client", description)
    }

    pub(crate) fn invalid_scope(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_scope", description)
    }

    pub(crate) fn invalid_target(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_target", description)
    }

    /// RFC 7591 section 3.2.2.
    pub(crate) fn invalid_client_metadata(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_client_metadata", description)
    }

    /// RFC 7591 section 3.2.2.
    pub(crate) fn invalid_redirect_uri(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_redirect_uri", description)
    }

    /// 401 `invalid_client`. RFC 9110 section 11.6.1 wants a challenge on every 401, and RFC 6749
    /// section 5.2 wants it to name the scheme that the client used.
    ///
    /// Clients forget a dead registration and register again on exactly this answer.
    pub(crate) fn invalid_client(description: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description);
        error.challenge = Some(r#"Basic realm="auth-server", charset="UTF-8""#);
        error
    }

    pub(crate) fn too_many(
        description: &'static str,
        retry_after: u64,
    ) -> Self {
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "temporarily_unavailable",
            description,
        );
        error.retry_after = Some(retry_after);
        error
    }

    pub(crate) fn unavailable(
        description: &'static str,
        retry_after: u64,
    ) -> Self {
        let mut error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            description,
        );
        error.retry_after = Some(retry_after);
        error
    }

    /// 500. The cause goes to the log and stays there.
    pub(crate) fn server(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "The server failed; its log says why.",
        )
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::server(&error)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.code, "error_description": self.description});
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Answers 200 with JSON that must not be kept: tokens and secrets (RFC 6749 section 5.1).
pub(crate) fn uncached(
    status: StatusCode,
    body: serde_json::Value,
) -> Response {
    let no_store = [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ];
    (status, no_store, Json(body)).into_response()
}
