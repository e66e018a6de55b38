//! Errors of HTTP alone, in the JSON form that OAuth 2.0 has made familiar: a code for programs and
//! a sentence for people.
//!
//! Spec: RFC 6749, section 5.2 (`error` and `error_description`).

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
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
