//! The middleware that lets a path go wrong.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::time::interval;

use crate::faults::Fault;
use crate::github::MockGitHub;

/// Gives the fault of the path instead of its answer. The last three are made by the handlers.
pub(crate) async fn inject(
    State(github): State<MockGitHub>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let fault = github.world().faults.get(&path).copied();
    match fault {
        None | Some(Fault::OtherApp | Fault::OtherUser | Fault::OtherIssuer) => {
            next.run(request).await
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Hold) => {
            released(&github, &path).await;
            next.run(request).await
        }
        Some(Fault::Redirect) => ([(header::LOCATION, path)], StatusCode::FOUND).into_response(),
        Some(fault) => broken(fault),
    }
}

async fn released(
    github: &MockGitHub,
    path: &str,
) {
    let mut ticks = interval(Duration::from_millis(20));
    while github.world().faults.get(path) == Some(&Fault::Hold) {
        ticks.tick().await;
    }
}

fn broken(fault: Fault) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    match fault {
        Fault::Drip => (json, drip()).into_response(),
        Fault::Huge => {
            let filler = "x".repeat(1024 * 1024);
            Json(json!({"access_token": "gho_x", "token_type": "bearer", "filler": filler}))
                .into_response()
        }
        Fault::Html => Html("<html>OK</html>").into_response(),
        Fault::NotJson => (json, "{\"access_token\": ").into_response(),
        Fault::Error => {
            Json(json!({"error": "bad_verification_code", "error_description": "made to fail"}))
                .into_response()
        }
        Fault::Form => "access_token=gho_x&scope=&token_type=bearer".into_response(),
        Fault::Forbidden => (StatusCode::FORBIDDEN, Html("<html>Forbidden</html>")).into_response(),
        Fault::RateLimit => rate_limited(),
        Fault::SecondaryLimit => {
            let body = Json(json!({"message": "You have exceeded a secondary rate limit."}));
            (
                StatusCode::TOO_MANY_REQUESTS,
                [(header::RETRY_AFTER, "42")],
                body,
            )
                .into_response()
        }
        Fault::Unauthorized => {
            let body = Json(json!({"message": "Bad credentials"}));
            (StatusCode::UNAUTHORIZED, body).into_response()
        }
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Html("<html>Unicorn!</html>"),
        )
            .into_response(),
    }
}

fn rate_limited() -> Response {
    let reset = (jiff::Timestamp::now().as_second() + 90).to_string();
    let headers = [
        ("x-ratelimit-limit", "5000".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", reset),
    ];
    let body = Json(json!({"message": "API rate limit exceeded"}));
    (StatusCode::FORBIDDEN, headers, body).into_response()
}

/// A space every tenth of a second, until nobody reads on: good JSON, as far as it goes.
fn drip() -> Body {
    let spaces = unfold(interval(Duration::from_millis(100)), async |mut ticks| {
        ticks.tick().await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ticks))
    });
    Body::from_stream(spaces)
}
