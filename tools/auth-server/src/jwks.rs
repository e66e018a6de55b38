//! The public keys (RFC 7517 section 5): the one that signs, the next one, and old ones whose
//! tokens may still be about.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::state::AppState;

/// `GET /.well-known/jwks.json`. May be kept a minute: much less than the time for which the
/// next key is published before it signs.
pub(crate) async fn get(State(state): State<AppState>) -> Response {
    let cache = [(header::CACHE_CONTROL, "public, max-age=60")];
    let keys = json!({"keys": state.keys.ring().published});
    (cache, Json(keys)).into_response()
}
