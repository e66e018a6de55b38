//! `/login/oauth/authorize`: a browser arrives with an app's request.

use std::collections::BTreeSet;
use std::collections::HashMap;

use axum::Form;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use url::Host;
use url::Url;

use crate::faults::Fault;
use crate::github::MockGitHub;
use crate::pages;
use crate::world;
use crate::world::App;
use crate::world::Request;
use crate::world::World;

const PATH: &str = "/login/oauth/authorize";

/// Parameters, each once: of several, GitHub takes the last.
type Params = HashMap<String, String>;

pub(crate) fn router() -> Router<MockGitHub> {
    Router::new()
        .route(PATH, get(arrive).post(decide))
        .route("/session", post(choose))
}

async fn arrive(
    State(github): State<MockGitHub>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Response {
    let mut world = github.world();
    let Some(app) = params.get("client_id").and_then(|id| world.app(id)).cloned() else {
        return (StatusCode::NOT_FOUND, pages::not_found()).into_response();
    };
    let request = match read(app, &params) {
        Ok(request) => request,
        Err(refused) => return refused.send(params.get("state").map(String::as_str)),
    };
    let choose = params.get("prompt").is_some_and(|prompt| prompt == "select_account");
    if let Some(login) = world.auto.clone() {
        return grant(&mut world, &login, &request);
    }
    let signed_in = session(&world, &headers).filter(|_| !choose);
    let id = world::random();
    world.requests.insert(id.clone(), request.clone());
    match signed_in {
        Some(login) => go_on(&mut world, &id, &request, &login),
        None => pages::sign_in(&id).into_response(),
    }
}

/// Who has granted once is not asked again: whoever sends the browser here gets a code.
fn go_on(
    world: &mut World,
    id: &str,
    request: &Request,
    login: &str,
) -> Response {
    if world.has_granted(login, request) {
        world.requests.remove(id);
        return grant(world, login, request);
    }
    pages::grant(id, &request.app, login).into_response()
}

/// `POST /session` with `request` and `login`: an account is chosen.
async fn choose(
    State(github): State<MockGitHub>,
    Form(form): Form<Params>,
) -> Response {
    let mut world = github.world();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (id, login) = (field("request"), field("login"));
    let (Some(request), Some(_)) = (world.requests.get(&id).cloned(), world::account(&login))
    else {
        return (StatusCode::NOT_FOUND, pages::not_found()).into_response();
    };
    let cookie = world::random();
    world.sessions.insert(cookie.clone(), login.clone());
    let cookie = format!("user_session={cookie}; Path=/; HttpOnly; SameSite=Lax");
    let answer = go_on(&mut world, &id, &request, &login);
    ([(header::SET_COOKIE, cookie)], answer).into_response()
}

/// `POST` with `request` and `decision`.
async fn decide(
    State(github): State<MockGitHub>,
    headers: HeaderMap,
    Form(form): Form<Params>,
) -> Response {
    let mut world = github.world();
    let id = form.get("request").cloned().unwrap_or_default();
    let (Some(request), Some(login)) = (world.requests.remove(&id), session(&world, &headers))
    else {
        return (StatusCode::NOT_FOUND, pages::not_found()).into_response();
    };
    if form.get("decision").is_some_and(|decision| decision == "authorize") {
        grant(&mut world, &login, &request)
    } else {
        let refused = Refused {
            redirect_uri: request.redirect_uri,
            code: "access_denied",
            text: "The user has denied your application access.",
        };
        refused.send(request.state.as_deref())
    }
}

fn session(
    world: &World,
    headers: &HeaderMap,
) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let value = cookies.split("; ").find_map(|pair| pair.strip_prefix("user_session="))?;
    world.sessions.get(value).cloned()
}

fn read(
    app: App,
    params: &Params,
) -> Result<Request, Refused> {
    let state = params.get("state").cloned();
    let redirect_uri = params.get("redirect_uri").unwrap_or(&app.callback).clone();
    if !is_below(&app.callback, &redirect_uri) {
        let text = "The redirect_uri MUST match the registered callback URL for this application.";
        let code = "redirect_uri_mismatch";
        return Err(Refused {
            redirect_uri: app.callback,
            code,
            text,
        });
    }
    let challenge = params.get("code_challenge").cloned();
    let method = params.get("code_challenge_method").map_or("plain", String::as_str);
    if challenge.is_some() && method != "S256" {
        return Err(Refused {
            redirect_uri,
            code: "invalid_request",
            text: "code_challenge_method must be S256",
        });
    }
    let scopes = params.get("scope").map(String::as_str).unwrap_or_default();
    let scopes: BTreeSet<_> = scopes
        .split([' ', ','])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    Ok(Request {
        app,
        redirect_uri,
        scopes,
        state,
        challenge,
    })
}

/// A path below the registered one, on the same host or below it; a loopback may differ in port.
fn is_below(
    registered: &str,
    requested: &str,
) -> bool {
    let (Ok(registered), Ok(requested)) = (Url::parse(registered), Url::parse(requested)) else {
        return false;
    };
    let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
    let (own, other) = (host(&registered), host(&requested));
    let same_host = own == other || other.ends_with(&format!(".{own}"));
    let loopback = match registered.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let same_port =
        loopback || registered.port_or_known_default() == requested.port_or_known_default();
    let same_path = requested.path().starts_with(registered.path());
    registered.scheme() == requested.scheme() && same_host && same_port && same_path
}

fn grant(
    world: &mut World,
    login: &str,
    request: &Request,
) -> Response {
    let code = world.grant(login, request);
    let lying = world.faults.get(PATH) == Some(&Fault::OtherIssuer);
    let origin = if lying {
        "https://evil.example"
    } else {
        &world.origin
    };
    let issuer = format!("{origin}/login/oauth");
    let mut answer = vec![("code", code.as_str())];
    answer.extend(request.state.as_deref().map(|state| ("state", state)));
    answer.push(("iss", &issuer));
    send(&request.redirect_uri, &answer)
}

/// Why the browser goes back without a code.
struct Refused {
    redirect_uri: String,
    code: &'static str,
    text: &'static str,
}

impl Refused {
    fn send(
        &self,
        state: Option<&str>,
    ) -> Response {
        let mut answer = vec![("error", self.code), ("error_description", self.text)];
        answer.extend(state.map(|state| ("state", state)));
        send(&self.redirect_uri, &answer)
    }
}

fn send(
    redirect_uri: &str,
    answer: &[(&str, &str)],
) -> Response {
    match Url::parse(redirect_uri) {
        Ok(mut url) => {
            url.query_pairs_mut().extend_pairs(answer);
            Redirect::to(url.as_str()).into_response()
        }
        Err(_) => (StatusCode::NOT_FOUND, pages::not_found()).into_response(),
    }
}
