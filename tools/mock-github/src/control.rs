//! What only a stand-in has: `/health`, and `POST /_mock` to change its mind while it runs.
//!
//! Fields of the form, each optional: `auto=LOGIN` (empty: show the pages), `fault=PATH KIND` (no
//! kind: heal it), `expires_in=SECONDS` (empty: never), `revoke=all`. `GET /_mock` tells what has
//! happened.

use std::collections::HashMap;

use axum::Form;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::Value;
use serde_json::json;

use crate::github::MockGitHub;
use crate::world;

pub(crate) fn router() -> Router<MockGitHub> {
    Router::new()
        .route("/health", get(health))
        .route("/_mock", get(told).post(change))
}

async fn health() -> Json<Value> {
    Json(json!({"status": "healthy", "service": env!("CARGO_PKG_NAME")}))
}

async fn told(State(github): State<MockGitHub>) -> Json<Value> {
    let world = github.world();
    Json(json!({"refreshes": world.refreshes, "tokens": world.tokens.len()}))
}

async fn change(
    State(github): State<MockGitHub>,
    Form(form): Form<HashMap<String, String>>,
) -> Result<StatusCode, (StatusCode, String)> {
    for (field, value) in &form {
        set(&github, field, value).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn set(
    github: &MockGitHub,
    field: &str,
    value: &str,
) -> Result<(), String> {
    match (field, value) {
        ("auto", "") => github.sign_in_as(None),
        ("auto", login) => {
            world::account(login).ok_or("there is no such account")?;
            github.sign_in_as(Some(login));
        }
        ("fault", value) => {
            let (path, kind) = value.split_once(' ').unwrap_or((value, ""));
            let fault = match kind {
                "" => None,
                kind => Some(
                    kind.parse().map_err(|error: crate::faults::UnknownFault| error.to_string())?,
                ),
            };
            github.set_fault(path, fault);
        }
        ("expires_in", "") => github.set_expiry(None),
        ("expires_in", seconds) => {
            let seconds = seconds.parse().map_err(|_| "expires_in is a number of seconds")?;
            github.set_expiry(Some(seconds));
        }
        ("revoke", "all") => github.revoke_all(),
        _ => return Err(format!("there is no {field}={value}")),
    }
    Ok(())
}
