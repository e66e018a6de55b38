//! A server in a temporary directory, a browser with cookies, and a client that knows the flow.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use clap::Parser;
use gen_token::keys::KeyPair;
use http_body_util::BodyExt;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tower::ServiceExt;
use url::Url;
use url::form_urlencoded;

use crate::app::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::Settings;
use crate::secret;
use crate::state::AppState;
use crate::upstream::settings::GitHub;

pub(crate) const ISSUER: &str = "http://localhost:9001";
pub(crate) const RESOURCE: &str = "http://localhost:9000/mcp";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:5000/callback";
pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-43-characters-0123456789";

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

/// A server of its own, with its own files.
pub(crate) struct Server {
    pub(crate) app: Router,
    pub(crate) state: AppState,
    pub(crate) dir: TempDir,
    flags: Vec<String>,
    github: Option<GitHub>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With extra flags; `{dir}` in them stands for the server's directory.
    pub(crate) fn with(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        KEY.store(&dir.path().join("keys"), false).unwrap();
        Self::start(dir, flags)
    }

    /// In a directory prepared by the test.
    pub(crate) fn start(
        dir: TempDir,
        flags: &[&str],
    ) -> Self {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::start_at(dir, flags, None, Clock::default().now())
    }

    /// One whose users sign in at GitHub.
    pub(crate) fn with_github(github: GitHub) -> Self {
        let dir = tempfile::tempdir().unwrap();
        KEY.store(&dir.path().join("keys"), false).unwrap();
        Self::start_at(dir, Vec::new(), Some(github), Clock::default().now())
    }

    fn start_at(
        dir: TempDir,
        flags: Vec<String>,
        github: Option<GitHub>,
        now: i64,
    ) -> Self {
        let mut settings = settings(&dir, &flags);
        settings.github = github.clone();
        let address = SocketAddr::from(([127, 0, 0, 1], 9001));
        let config = Config::new(settings, address).unwrap();
        let state = AppState::open(config, Clock::stopped_at(now)).unwrap();
        Self {
            app: app(&state),
            state,
            dir,
            flags,
            github,
        }
    }

    /// Stops the server and starts another one on the same files, at the same time of day.
    pub(crate) fn restart(self) -> Self {
        let Self {
            app: old,
            state,
            dir,
            flags,
            github,
        } = self;
        let now = state.now();
        drop(old);
        drop(state);
        Self::start_at(dir, flags, github, now)
    }

    /// The same with more flags.
    pub(crate) fn restart_with(
        mut self,
        flags: &[&str],
    ) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self.restart()
    }

    pub(crate) fn advance(
        &self,
        seconds: i64,
    ) {
        self.state.clock.advance(seconds);
    }

    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Answer {
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub(crate) async fn get(
        &self,
        path: &str,
    ) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post_json(
        &self,
        path: &str,
        body: &Value,
    ) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn post_form(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> Answer {
        self.send(form_request(path, form)).await
    }

    pub(crate) async fn post_form_as(
        &self,
        path: &str,
        form: &[(&str, &str)],
        id: &str,
        secret: &str,
    ) -> Answer {
        use base64::Engine;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        let mut request = form_request(path, form);
        let value = format!("Basic {pair}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        self.send(request).await
    }

    pub(crate) async fn get_with_token(
        &self,
        path: &str,
        token: &str,
    ) -> Answer {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        self.send(request).await
    }

    /// Registers a public client and returns its id.
    pub(crate) async fn register(&self) -> String {
        let body = json!({"redirect_uris": [CALLBACK], "client_name": "Test client"});
        let answer = self.post_json("/oauth/register", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.text("client_id")
    }

    /// Registers a client with a secret.
    pub(crate) async fn register_confidential(&self) -> (String, String) {
        let body = json!({
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "client_secret_basic",
        });
        let answer = self.post_json("/oauth/register", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        (answer.text("client_id"), answer.text("client_secret"))
    }

    /// Signs in and approves; returns the code.
    pub(crate) async fn code(
        &self,
        user: &str,
        client_id: &str,
        extra: &[(&str, &str)],
    ) -> String {
        let browser = Browser::signed_in(self, user, client_id).await;
        let query = request(client_id, extra);
        let answer = browser.decide(self, &query, "approve").await;
        let location = answer.location();
        param(&location, "code").unwrap_or_else(|| panic!("no code in {location}"))
    }

    pub(crate) async fn redeem(
        &self,
        client_id: &str,
        code: &str,
    ) -> Answer {
        self.post_form("/oauth/token", &code_form(client_id, code)).await
    }

    /// The whole flow; returns the token answer.
    pub(crate) async fn login(
        &self,
        user: &str,
        client_id: &str,
        extra: &[(&str, &str)],
    ) -> Value {
        let code = self.code(user, client_id, extra).await;
        let answer = self.redeem(client_id, &code).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
        answer.json()
    }

    pub(crate) async fn refresh(
        &self,
        client_id: &str,
        token: &str,
        extra: &[(&str, &str)],
    ) -> Answer {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", token),
        ];
        form.extend_from_slice(extra);
        self.post_form("/oauth/token", &form).await
    }
}

/// Opens the state with the test's flags, or says why not.
pub(crate) fn open(
    dir: &TempDir,
    flags: &[String],
) -> anyhow::Result<AppState> {
    let address = SocketAddr::from(([127, 0, 0, 1], 9001));
    let config = Config::new(settings(dir, flags), address)?;
    AppState::open(config, Clock::stopped_at(Clock::default().now()))
}

pub(crate) fn settings(
    dir: &TempDir,
    flags: &[String],
) -> Settings {
    let path = dir.path().display().to_string();
    let mut all = vec!["test".to_owned()];
    for (name, default) in [
        ("--keys-dir", "{dir}/keys"),
        ("--data", "{dir}/state.db"),
        ("--issuer", ISSUER),
        ("--resource", RESOURCE),
    ] {
        if !flags.iter().any(|flag| flag.starts_with(name)) {
            all.extend([name.to_owned(), default.to_owned()]);
        }
    }
    all.extend_from_slice(flags);
    let all = all.iter().map(|flag| flag.replace("{dir}", &path));
    Flags::try_parse_from(all).unwrap().settings
}

/// Writes a file into the server's directory-to-be.
pub(crate) fn write(
    dir: &TempDir,
    name: &str,
    text: &str,
) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

pub(crate) fn form_request(
    path: &str,
    form: &[(&str, &str)],
) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(encode(form)))
        .unwrap()
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

pub(crate) fn code_form<'a>(
    client_id: &'a str,
    code: &'a str,
) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("resource", RESOURCE),
    ]
}

/// The query of a good request; an extra of the same name replaces, an empty one removes.
pub(crate) fn request(
    client_id: &str,
    extra: &[(&str, &str)],
) -> String {
    let challenge = secret::sha256(VERIFIER);
    let mut params = vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", RESOURCE),
        ("state", "a state/with?odd&characters"),
    ];
    params.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    params.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
    encode(&params)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A string member that has to be there.
    pub(crate) fn text(
        &self,
        member: &str,
    ) -> String {
        let json = self.json();
        json[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member} in {json}"))
            .to_owned()
    }

    pub(crate) fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(
        &self,
        name: &str,
    ) -> String {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    pub(crate) fn location(&self) -> String {
        self.header("location")
    }

    /// Asserts an OAuth error answer.
    pub(crate) fn assert_error(
        &self,
        status: u16,
        error: &str,
    ) {
        assert_eq!(self.status, status, "{}", self.body_text());
        assert_eq!(self.json()["error"], error);
        assert_eq!(self.header("cache-control"), "no-store");
        assert!(self.header("content-type").starts_with("application/json"));
    }

    /// Asserts an error in JSON that may be cached.
    pub(crate) fn assert_error_json(
        &self,
        status: u16,
        error: &str,
    ) {
        assert_eq!(self.status, status, "{}", self.body_text());
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.json()["error"], error);
    }

    /// Asserts a page, from which nobody is redirected.
    pub(crate) fn assert_page(
        &self,
        status: u16,
    ) {
        assert_eq!(self.status, status, "{}", self.body_text());
        assert!(self.header("content-type").starts_with("text/html"));
        assert_eq!(self.header("location"), "");
    }

    /// Asserts a redirect to the client with this error, and `iss` and `state` (RFC 9207).
    pub(crate) fn assert_sent_back(
        &self,
        error: &str,
    ) {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body_text());
        let location = self.location();
        assert!(location.starts_with(CALLBACK), "{location}");
        assert_eq!(param(&location, "error").as_deref(), Some(error));
        assert_eq!(param(&location, "iss").as_deref(), Some(ISSUER));
        assert_eq!(param(&location, "code"), None);
    }
}

/// A parameter of a URL's query.
pub(crate) fn param(
    url: &str,
    name: &str,
) -> Option<String> {
    Url::parse(url)
        .unwrap()
        .query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// The value of a hidden input on a page.
pub(crate) fn hidden(
    page: &str,
    name: &str,
) -> String {
    let marker = format!(r#"name="{name}" value=""#);
    let after = page.split_once(&marker).unwrap_or_else(|| panic!("no {name} in {page}")).1;
    let value = after.split('"').next().unwrap();
    [
        ("&#38;", "&"),
        ("&amp;", "&"),
        ("&#39;", "'"),
        ("&#34;", "\""),
    ]
    .iter()
    .fold(value.to_owned(), |value, (from, to)| {
        value.replace(from, to)
    })
}

/// A browser: keeps cookies, fills in forms.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: Mutex<HashMap<String, String>>,
}

impl Browser {
    pub(crate) async fn signed_in(
        server: &Server,
        user: &str,
        client_id: &str,
    ) -> Self {
        Self::signed_in_at(server, user, client_id, RESOURCE).await
    }

    /// One that somebody has given a cookie.
    pub(crate) fn with_cookie(
        name: &str,
        value: &str,
    ) -> Self {
        let cookies = HashMap::from([(name.to_owned(), value.to_owned())]);
        Self {
            cookies: Mutex::new(cookies),
        }
    }

    pub(crate) async fn signed_in_at(
        server: &Server,
        user: &str,
        client_id: &str,
        resource: &str,
    ) -> Self {
        let browser = Self::default();
        let query = request(client_id, &[("resource", resource)]);
        let answer = browser.sign_in(server, &query, user, user).await;
        assert_eq!(
            answer.status,
            StatusCode::SEE_OTHER,
            "{}",
            answer.body_text()
        );
        browser
    }

    pub(crate) async fn send(
        &self,
        server: &Server,
        mut request: Request<Body>,
    ) -> Answer {
        let cookies = self.cookie_header();
        if !cookies.is_empty() {
            let value = cookies.parse().unwrap();
            request.headers_mut().insert(header::COOKIE, value);
        }
        let answer = server.send(request).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    pub(crate) fn cookie_header(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<_> = cookies
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    pub(crate) async fn open(
        &self,
        server: &Server,
        query: &str,
    ) -> Answer {
        let uri = format!("/oauth/authorize?{query}");
        let request = Request::get(uri).body(Body::empty()).unwrap();
        self.send(server, request).await
    }

    pub(crate) async fn sign_in(
        &self,
        server: &Server,
        query: &str,
        user: &str,
        password: &str,
    ) -> Answer {
        let page = self.open(server, query).await.body_text();
        let form = [
            ("username", user),
            ("password", password),
            ("request", &hidden(&page, "request")),
            ("csrf", &hidden(&page, "csrf")),
        ];
        self.send(server, form_request("/oauth/login", &form)).await
    }

    pub(crate) async fn decide(
        &self,
        server: &Server,
        query: &str,
        decision: &str,
    ) -> Answer {
        let page = self.open(server, query).await.body_text();
        let form = [
            ("decision", decision),
            ("request", &hidden(&page, "request")),
            ("csrf", &hidden(&page, "csrf")),
        ];
        self.send(server, form_request("/oauth/consent", &form)).await
    }
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a JWT.
pub(crate) fn token_header(token: &str) -> Value {
    part(token, 0)
}

fn part(
    token: &str,
    index: usize,
) -> Value {
    use base64::Engine;
    let text = token.split('.').nth(index).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
