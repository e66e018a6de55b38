//! `kill -9` in the middle of traffic, again and again: what was answered is still true afterwards.
//!
//! Several clients log in, redeem, refresh and revoke against the real program, each keeping a
//! ledger of what it was told. Once enough has been answered the program is killed and started
//! on the same file, and every line of every ledger is checked. A request that was cut off may or
//! may not have happened; what the protocol says about retrying it is checked instead.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use reqwest::Client;
use reqwest::Response;
use reqwest::header;
use serde_json::Value;
use test_support::Server;
use tokio::sync::Notify;
use url::Url;
use url::form_urlencoded;

const CALLBACK: &str = "http://127.0.0.1:5000/callback";
const VERIFIER: &str = "a-verifier-of-at-least-43-characters-0123456789";
const CHALLENGE: &str = "wZL8MkZejwdzHh4jB2kh79_6EBNURpiMV6pTtCVALSs";

/// Answers after which each round ends: early, in the middle, late.
const ROUNDS: &[usize] = &[1, 40, 7, 90, 23, 55, 3, 70];

const WORKERS: usize = 4;

/// The program under test, with its state in this folder.
fn start(dir: &Path) -> Server {
    let mut command = test_support::command("auth-server");
    command
        .args(["--issuer", "http://localhost:9001"])
        .args(["--refresh-grace", "3600", "--code-ttl", "600"])
        .args(["--resource", "http://localhost:9000/mcp"])
        .args(["--registrations-per-minute", "100000"])
        .args(["--logins-per-minute", "100000"])
        .arg("--keys-dir")
        .arg(dir.join("keys"))
        .arg("--data")
        .arg(dir.join("state.db"));
    Server::start(command)
}

/// How far a round has come.
#[derive(Default)]
struct Progress {
    answers: AtomicUsize,
    changed: Notify,
}

impl Progress {
    fn count(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    async fn reach(
        &self,
        wanted: usize,
    ) {
        while self.answers.load(Ordering::Relaxed) < wanted {
            self.changed.notified().await;
        }
    }
}

/// One client with its user's browser, and what it was told.
#[derive(Default)]
struct Worker {
    client_id: String,
    cookies: Vec<String>,
    /// Refresh tokens that must work.
    live: Vec<String>,
    /// Refresh tokens that must not.
    revoked: Vec<String>,
    /// Codes that were redeemed, with what they gave; a second use must fail.
    used: Vec<String>,
}

/// The connection broke: the server is gone.
struct Cut;

impl From<reqwest::Error> for Cut {
    fn from(_: reqwest::Error) -> Self {
        Self
    }
}

fn http() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

impl Worker {
    async fn post(
        &self,
        http: &Client,
        url: String,
        form: &[(&str, &str)],
    ) -> Result<Response, Cut> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let response = http
            .post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, self.cookies.join("; "))
            .body(body)
            .send()
            .await?;
        Ok(response)
    }

    fn keep_cookies(
        &mut self,
        response: &Response,
    ) {
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.cookies.push(pair.to_owned());
        }
    }

    async fn register(
        &mut self,
        http: &Client,
        url: &str,
    ) -> Result<(), Cut> {
        let response = http
            .post(format!("{url}/oauth/register"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(format!(r#"{{"redirect_uris":["{CALLBACK}"]}}"#))
            .send()
            .await?;
        self.client_id = json(response).await?["client_id"].as_str().unwrap().to_owned();
        Ok(())
    }

    async fn authorize(
        &mut self,
        http: &Client,
        url: &str,
    ) -> Result<String, Cut> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let response = http
            .get(format!("{url}/oauth/authorize?{query}"))
            .header(header::COOKIE, self.cookies.join("; "))
            .send()
            .await?;
        self.keep_cookies(&response);
        Ok(response.text().await?)
    }

    async fn sign_in(
        &mut self,
        http: &Client,
        url: &str,
    ) -> Result<(), Cut> {
        let page = self.authorize(http, url).await?;
        let (request, csrf) = (hidden(&page, "request"), hidden(&page, "csrf"));
        let form = [
            ("username", "alice"),
            ("password", "alice"),
            ("request", request.as_str()),
            ("csrf", csrf.as_str()),
        ];
        let response = self.post(http, format!("{url}/oauth/login"), &form).await?;
        assert_eq!(response.status(), 303);
        self.keep_cookies(&response);
        Ok(())
    }

    async fn code(
        &mut self,
        http: &Client,
        url: &str,
    ) -> Result<String, Cut> {
        let page = self.authorize(http, url).await?;
        let (request, csrf) = (hidden(&page, "request"), hidden(&page, "csrf"));
        let form = [
            ("decision", "approve"),
            ("request", request.as_str()),
            ("csrf", csrf.as_str()),
        ];
        let response = self.post(http, format!("{url}/oauth/consent"), &form).await?;
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        let location = Url::parse(location).unwrap();
        let code = location.query_pairs().find(|(name, _)| name == "code");
        Ok(code.expect("a code").1.into_owned())
    }

    async fn redeem(
        &self,
        http: &Client,
        url: &str,
        code: &str,
    ) -> Result<Response, Cut> {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &self.client_id),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.post(http, format!("{url}/oauth/token"), &form).await
    }

    async fn refresh(
        &self,
        http: &Client,
        url: &str,
        token: &str,
    ) -> Result<Response, Cut> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("refresh_token", token),
        ];
        self.post(http, format!("{url}/oauth/token"), &form).await
    }

    async fn revoke(
        &self,
        http: &Client,
        url: &str,
        token: &str,
    ) -> Result<(), Cut> {
        let form = [("client_id", self.client_id.as_str()), ("token", token)];
        let response = self.post(http, format!("{url}/oauth/revoke"), &form).await?;
        assert_eq!(response.status(), 200);
        Ok(())
    }

    /// Works until the server is gone, and writes down only what was answered.
    async fn traffic(
        &mut self,
        url: &str,
        progress: &Progress,
    ) -> Result<(), Cut> {
        let http = http();
        if self.client_id.is_empty() {
            self.register(&http, url).await?;
            progress.count();
        }
        if !self.cookies.iter().any(|cookie| cookie.contains("session")) {
            self.sign_in(&http, url).await?;
            progress.count();
        }
        loop {
            let code = self.code(&http, url).await?;
            progress.count();
            let body = json(self.redeem(&http, url, &code).await?).await?;
            self.used.push(code);
            self.live.push(token_of(&body));
            progress.count();
            let token = self.live.last().unwrap().clone();
            let body = json(self.refresh(&http, url, &token).await?).await?;
            *self.live.last_mut().unwrap() = token_of(&body);
            progress.count();
            // In doubt from the moment it is sent, so it leaves the ledger before.
            let token = self.live.swap_remove(0);
            self.revoke(&http, url, &token).await?;
            self.revoked.push(token);
            progress.count();
            let body = json(self.redeem_new(&http, url).await?).await?;
            self.live.push(token_of(&body));
            progress.count();
        }
    }

    async fn redeem_new(
        &mut self,
        http: &Client,
        url: &str,
    ) -> Result<Response, Cut> {
        let code = self.code(http, url).await?;
        self.redeem(http, url, &code).await
    }

    /// Every line of the ledger, against the restarted server.
    async fn verify(
        &mut self,
        url: &str,
    ) {
        let http = http();
        if self.client_id.is_empty() {
            return;
        }
        for token in &self.revoked {
            let response = self.refresh(&http, url, token).await.ok().unwrap();
            assert_eq!(response.status(), 400, "a revoked token came back to life");
            let body = json(response).await.ok().unwrap();
            assert_eq!(body["error"], "invalid_grant", "the client was forgotten");
        }
        for at in 0..self.live.len() {
            let response = self.refresh(&http, url, &self.live[at]).await.ok().unwrap();
            assert_eq!(response.status(), 200, "a refresh token was lost");
            self.live[at] = token_of(&json(response).await.ok().unwrap());
        }
        if self.cookies.iter().any(|cookie| cookie.contains("session")) {
            let page = self.authorize(&http, url).await.ok().unwrap();
            assert!(page.contains("Allow access?"), "a session was lost");
        }
    }

    /// Last of all, because a second use revokes.
    async fn reuse(
        &self,
        url: &str,
    ) {
        let http = http();
        for code in &self.used {
            let response = self.redeem(&http, url, code).await.ok().unwrap();
            assert_eq!(response.status(), 400, "a used code worked again");
        }
    }
}

async fn json(response: Response) -> Result<Value, Cut> {
    let body = response.bytes().await?;
    Ok(serde_json::from_slice(&body).unwrap())
}

fn token_of(body: &Value) -> String {
    let token = body["refresh_token"].as_str();
    token.unwrap_or_else(|| panic!("no refresh token in {body}")).to_owned()
}

fn hidden(
    page: &str,
    name: &str,
) -> String {
    let marker = format!(r#"name="{name}" value=""#);
    let value = page.split_once(&marker).expect("a form").1;
    value.split('"').next().unwrap().replace("&#38;", "&")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_at_any_moment_loses_nothing_and_revives_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut workers: Vec<Worker> = Vec::new();
    workers.resize_with(WORKERS, Worker::default);
    let mut server = start(dir.path());
    for wanted in ROUNDS {
        for worker in &mut workers {
            worker.verify(&server.url("")).await;
        }
        workers = traffic_until_killed(&mut server, workers, *wanted).await;
        server.restart();
    }
    let lines: usize = workers.iter().map(|w| w.live.len() + w.revoked.len() + w.used.len()).sum();
    assert!(lines > 50, "too little happened to prove anything: {lines}");
    for worker in &mut workers {
        worker.verify(&server.url("")).await;
        worker.reuse(&server.url("")).await;
    }
}

/// Lets all workers work, kills the server after so many answers, and gives the workers back.
async fn traffic_until_killed(
    server: &mut Server,
    workers: Vec<Worker>,
    wanted: usize,
) -> Vec<Worker> {
    let progress = Arc::new(Progress::default());
    let mut tasks = Vec::new();
    for mut worker in workers {
        let (url, progress) = (server.url(""), progress.clone());
        tasks.push(tokio::spawn(async move {
            let ended = worker.traffic(&url, &progress).await;
            assert!(ended.is_err(), "traffic ends when the server does");
            worker
        }));
    }
    progress.reach(wanted).await;
    server.kill();
    let mut workers = Vec::new();
    for task in tasks {
        workers.push(task.await.unwrap());
    }
    workers
}
