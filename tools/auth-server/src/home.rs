//! The start page, for somebody who opens the issuer in a browser.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::pages;
use crate::state::AppState;
use crate::users::DEMO;

/// What this is and where to go.
#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    base: &'a str,
    issuer: &'a str,
    resources: &'a [String],
    demo_users: &'a [(&'static str, &'static str)],
}

/// `GET /`.
pub(crate) async fn get(State(state): State<AppState>) -> Response {
    let config = &state.config;
    let demo = if config.has_demo_users() { DEMO } else { &[] };
    pages::show(
        StatusCode::OK,
        &Home {
            base: &config.issuer.path,
            issuer: &config.issuer.text,
            resources: &config.settings.resource,
            demo_users: demo,
        },
    )
}
