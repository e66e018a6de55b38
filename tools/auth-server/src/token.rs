//! The token endpoint (RFC 6749 section 3.2): a code, a refresh token or a machine's own credentials
//! become tokens.
//!
//! Everything is checked before anything is changed, and all changes are one transaction. So a
//! request that fails costs the client nothing, and of twenty that redeem one code at once
//! exactly one succeeds; the others prove that the code is in two hands, and revoke what it gave.

mod answer;
mod client_credentials;
mod code;
mod context;
mod outcome;
mod refresh;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use self::context::Context;
use crate::client_auth;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::machine;
use crate::params::Form;
use crate::state::AppState;

/// `POST /oauth/token`.
pub(crate) async fn post(
    State(state): State<AppState>,
    form: Form,
) -> Result<Response, OAuthError> {
    let grant_type = form.required("grant_type")?.to_owned();
    // Repeated ones are refused before anything is looked up.
    for name in [
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
        "scope",
    ] {
        form.one(name)?;
    }
    let client = client_auth::authenticate(&state, &form).await?;
    let context = Context::new(&state, client, &form);
    let issued = match grant_type.as_str() {
        "authorization_code" => code::redeem(&state, context, &form).await,
        "refresh_token" => refresh::redeem(&state, context, &form).await,
        machine::GRANT_TYPE => client_credentials::grant(&state, context, &form).await,
        _ => Err(OAuthError::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "Use grant_type authorization_code, refresh_token or client_credentials.",
        )),
    }?;
    let body = issued.body(&state)?;
    Ok(uncached(StatusCode::OK, body))
}
