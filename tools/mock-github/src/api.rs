//! The part of the REST API that is needed to know who somebody is, and whose token one is.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::delete;
use axum::routing::get;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;

use crate::faults::Fault;
use crate::github::MockGitHub;
use crate::token;
use crate::world;
use crate::world::App;
use crate::world::Token;
use crate::world::World;

/// What its paths of the API begin with, as at a GitHub of one's own.
pub const API: &str = "/api/v3";

/// Members that only the user's own token with `read:user` shows.
const PRIVATE: &[&str] = &[
    "private_gists",
    "total_private_repos",
    "disk_usage",
    "two_factor_authentication",
    "plan",
];

pub(crate) fn router() -> Router<MockGitHub> {
    let api = Router::new()
        .route("/user", get(user))
        .route("/user/emails", get(emails))
        .route(
            "/applications/{client_id}/token",
            post(check_token).delete(delete_token),
        )
        .route("/applications/{client_id}/grant", delete(delete_grant));
    Router::new().nest(API, api).layer(from_fn(manners))
}

/// `User-Agent` before anything else.
async fn manners(
    request: Request,
    next: Next,
) -> Response {
    match token::without_user_agent(request.headers()) {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

/// A status and GitHub's sentence for it.
struct Refused(StatusCode, &'static str);

const UNAUTHORIZED: Refused = Refused(StatusCode::UNAUTHORIZED, "Bad credentials");

const NOT_FOUND: Refused = Refused(StatusCode::NOT_FOUND, "Not Found");

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        let url = "https://docs.github.com/rest";
        let body = json!({
            "message": message,
            "documentation_url": url,
            "status": status.as_str(),
        });
        (status, Json(body)).into_response()
    }
}

/// The token of `Authorization: Bearer ..` or `token ..`.
fn bearer(
    world: &World,
    headers: &HeaderMap,
) -> Option<Token> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    world.token(token).filter(|_| known).cloned()
}

fn with_scopes(
    token: &Token,
    body: Value,
) -> Response {
    let scopes: Vec<_> = token.scopes.iter().map(String::as_str).collect();
    let headers = [
        ("x-oauth-scopes", scopes.join(", ")),
        ("x-ratelimit-limit", "5000".to_owned()),
        ("x-ratelimit-remaining", "4999".to_owned()),
    ];
    (headers, Json(body)).into_response()
}

async fn user(
    State(github): State<MockGitHub>,
    headers: HeaderMap,
) -> Response {
    let world = github.world();
    let Some(token) = bearer(&world, &headers) else {
        return UNAUTHORIZED.into_response();
    };
    let lying = world.faults.get(&format!("{API}/user")) == Some(&Fault::OtherUser);
    let login = if lying { "monalisa" } else { &token.login };
    let Some(mut account) = world::account(login) else {
        return UNAUTHORIZED.into_response();
    };
    if !token.scopes.contains("read:user")
        && let Some(members) = account.as_object_mut()
    {
        members.retain(|name, _| !PRIVATE.contains(&name.as_str()));
    }
    with_scopes(&token, account)
}

/// Without the scope it is as if there were no such thing.
async fn emails(
    State(github): State<MockGitHub>,
    headers: HeaderMap,
) -> Response {
    let world = github.world();
    let Some(token) = bearer(&world, &headers) else {
        return UNAUTHORIZED.into_response();
    };
    if !token.scopes.contains("user:email") {
        return NOT_FOUND.into_response();
    }
    let address = format!("{}@github.example", token.login);
    let list = json!([
        {"email": "spare@github.example", "primary": false, "verified": true, "visibility": null},
        {"email": address, "primary": true, "verified": true, "visibility": "private"},
    ]);
    with_scopes(&token, list)
}

/// The app that the Basic header proves, if it is the one of the path.
fn app(
    world: &World,
    headers: &HeaderMap,
    client_id: &str,
) -> Result<App, Refused> {
    let basic = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let pair = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (id, secret) = pair.split_once(':')?;
        world.app(id).filter(|app| app.client_secret == secret).cloned()
    };
    let app = basic().ok_or(UNAUTHORIZED)?;
    if app.client_id == client_id {
        Ok(app)
    } else {
        Err(NOT_FOUND)
    }
}

/// The one that the body names, if it was issued to that app.
fn named_token(
    world: &World,
    app: &App,
    body: &[u8],
) -> Result<Token, Refused> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(access) = body["access_token"].as_str() else {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Refused(status, "Invalid request. access_token is missing."));
    };
    let token = world.token(access).filter(|token| token.client_id == app.client_id);
    token.cloned().ok_or(NOT_FOUND)
}

async fn check_token(
    State(github): State<MockGitHub>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let world = github.world();
    let app = app(&world, &headers, &client_id)?;
    let token = named_token(&world, &app, &body)?;
    let user = world::account(&token.login).unwrap_or_default();
    let scopes: Vec<_> = token.scopes.iter().collect();
    Ok(Json(json!({
        "id": 1,
        "scopes": scopes,
        "token": token.access,
        "app": {"name": app.name, "client_id": app.client_id},
        "user": {"login": user["login"], "id": user["id"]},
    }))
    .into_response())
}

async fn delete_token(
    State(github): State<MockGitHub>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    let mut world = github.world();
    let app = app(&world, &headers, &client_id)?;
    let token = named_token(&world, &app, &body)?;
    world.tokens.retain(|other| other.access != token.access);
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_grant(
    State(github): State<MockGitHub>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    let mut world = github.world();
    let app = app(&world, &headers, &client_id)?;
    let token = named_token(&world, &app, &body)?;
    let same = |other: &Token| (&other.login, &other.client_id) == (&token.login, &token.client_id);
    world.tokens.retain(|other| !same(other));
    world.revoke_grant(&token.login, &token.client_id);
    Ok(StatusCode::NO_CONTENT)
}
