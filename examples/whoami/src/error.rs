//! Errors of HTTP alone, in the JSON form that OAuth 2.0 has made familiar: a code for programs and
//! a sentence for people.
//!
//! Spec: RFC 6749, section 5.2 (`error` and `error_description`).

use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

/// An answer that is an error, with a JSON body.
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: String,
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let body = json!({
            "error": self.error,
            "error_description": self.description,
        });
        (self.status, Json(body)).into_response()
    }
}

/// Any path that leads nowhere: 404 in JSON, which a client that expects JSON can read.
pub(crate) async fn not_found(request: Request) -> HttpError {
    HttpError {
        status: StatusCode::NOT_FOUND,
        error: "not_found",
        description: format!("nothing is served at {}", request.uri().path()),
    }
}

/// What an answer needs cannot be had right now, through no fault of the caller: 503. The sentence
/// is a fixed one; what exactly went wrong is for the log.
pub(crate) struct Unavailable {
    pub(crate) description: &'static str,
    pub(crate) retry_in: Duration,
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        // Full seconds, rounded up: whoever comes back then does not come too early.
        let seconds = self.retry_in.as_millis().div_ceil(1000).max(1);
        let error = HttpError {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "temporarily_unavailable",
            description: self.description.to_owned(),
        };
        ([(RETRY_AFTER, seconds.to_string())], error).into_response()
    }
}
