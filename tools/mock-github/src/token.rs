//! `/login/oauth/access_token`: codes and refresh tokens become tokens.

use std::collections::HashMap;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use url::form_urlencoded;

use crate::faults::Fault;
use crate::github::MockGitHub;
use crate::world;
use crate::world::OTHER_APP;
use crate::world::Token;
use crate::world::World;

const PATH: &str = "/login/oauth/access_token";

pub(crate) fn router() -> Router<MockGitHub> {
    Router::new().route(PATH, post(answer))
}

/// An error code of GitHub's. They come with status 200.
struct Refused(&'static str);

type Params = HashMap<String, String>;

async fn answer(
    State(github): State<MockGitHub>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = without_user_agent(&headers) {
        return refused;
    }
    let params = read(&headers, &body);
    let outcome = exchange(&mut github.world(), &params);
    let members = match outcome {
        Ok(token) => token.members(),
        Err(Refused(error)) => vec![
            ("error", json!(error)),
            ("error_description", json!("see the troubleshooting page")),
            ("error_uri", json!("https://docs.github.com/")),
        ],
    };
    encode(&headers, members)
}

/// The API refuses such requests with a page; so does the stand-in everywhere.
pub(crate) fn without_user_agent(headers: &HeaderMap) -> Option<Response> {
    let missing = headers.get(header::USER_AGENT).is_none_or(|value| value.is_empty());
    let page = "Request forbidden by administrative rules. Please make sure your request has a \
                User-Agent header";
    missing.then(|| (StatusCode::FORBIDDEN, Html(page)).into_response())
}

fn read(
    headers: &HeaderMap,
    body: &[u8],
) -> Params {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if is_json {
        serde_json::from_slice(body).unwrap_or_default()
    } else {
        form_urlencoded::parse(body).into_owned().collect()
    }
}

fn exchange(
    world: &mut World,
    params: &Params,
) -> Result<Token, Refused> {
    let get = |name: &str| params.get(name).map(String::as_str).unwrap_or_default();
    let client_id = get("client_id").to_owned();
    let known = world
        .app(&client_id)
        .is_some_and(|app| app.client_secret == get("client_secret"));
    if !known {
        return Err(Refused("incorrect_client_credentials"));
    }
    match get("grant_type") {
        "refresh_token" => world
            .refresh(&client_id, get("refresh_token"))
            .ok_or(Refused("bad_refresh_token")),
        "" | "authorization_code" => redeem(world, &client_id, params),
        _ => Err(Refused("unsupported_grant_type")),
    }
}

fn redeem(
    world: &mut World,
    client_id: &str,
    params: &Params,
) -> Result<Token, Refused> {
    let bad = || Refused("bad_verification_code");
    let code = params.get("code").and_then(|code| world.codes.remove(code)).ok_or_else(bad)?;
    if code.client_id != client_id || code.expires_at <= world::now() {
        return Err(bad());
    }
    if params.get("redirect_uri").is_some_and(|uri| *uri != code.redirect_uri) {
        return Err(Refused("redirect_uri_mismatch"));
    }
    // PKCE need not be begun, but has to be finished.
    let verifier = params.get("code_verifier").map(String::as_str);
    let proved = match &code.challenge {
        Some(challenge) => verifier.is_some_and(|verifier| world::sha256(verifier) == *challenge),
        None => true,
    };
    if !proved {
        return Err(bad());
    }
    let wrong_app = world.faults.get(PATH) == Some(&Fault::OtherApp);
    let owner = if wrong_app { OTHER_APP } else { client_id };
    Ok(world.issue(owner, &code.login, &code.scopes))
}

/// A form, unless JSON is asked for.
fn encode(
    headers: &HeaderMap,
    members: Vec<(&'static str, Value)>,
) -> Response {
    let wants_json = headers
        .get(header::ACCEPT)
        .is_some_and(|value| value.as_bytes().windows(4).any(|part| part == b"json"));
    if wants_json {
        let members: Map<_, _> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        return Json(members).into_response();
    }
    let pairs = members.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (*name, text)
    });
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], body).into_response()
}
