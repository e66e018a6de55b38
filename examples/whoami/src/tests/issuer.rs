//! An authorization server on a socket of its own, for the tests to play with.
//!
//! Its tests run on a paused clock, which moves in [`later`] alone: so they are the same on a machine
//! that is slow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;

use aws_lc_rs::rsa::KeyPair;
use axum::extract::State;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use tokio::sync::watch;

use super::*;

/// Where clients look for the metadata first (RFC 8414).
pub(super) const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";

/// It shows what it is told to show, counts its visitors, and keeps them waiting if told so.
pub(super) struct Issuer {
    pub(super) url: String,
    pages: Mutex<BTreeMap<String, Page>>,
    visits: watch::Sender<Vec<String>>,
    held: watch::Sender<bool>,
    _clock: mpsc::Sender<()>,
}

type Page = (StatusCode, [(&'static str, String); 1], String);

impl Issuer {
    /// One that publishes [`KEY`].
    pub(super) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Arc::new(Self {
            url,
            pages: Mutex::default(),
            visits: watch::Sender::default(),
            held: watch::Sender::default(),
            _clock: hold_clock(),
        });
        issuer.come_up(&[&KEY]);
        let routes = Router::new().fallback(Self::answer).with_state(issuer.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        issuer
    }

    async fn answer(
        State(issuer): State<Arc<Self>>,
        uri: Uri,
    ) -> Response {
        let path = uri.path();
        issuer.visits.send_modify(|visits| visits.push(path.to_owned()));
        let mut held = issuer.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
        let page = issuer.pages.lock().unwrap().get(path).cloned();
        page.ok_or(StatusCode::NOT_FOUND).into_response()
    }

    pub(super) fn metadata(&self) -> Value {
        json!({"issuer": self.url, "jwks_uri": self.url_of("/keys")})
    }

    pub(super) fn url_of(
        &self,
        path: &str,
    ) -> String {
        format!("{}{path}", self.url)
    }

    pub(super) fn show(
        &self,
        path: &str,
        document: &Value,
    ) {
        self.show_page(path, 200, document.to_string());
    }

    /// A page with any status and body, and a redirect for who would follow it.
    pub(super) fn show_page(
        &self,
        path: &str,
        status: u16,
        body: String,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let location = ("location", self.url_of("/elsewhere"));
        let page = (status, [location], body);
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// Publishes these keys and no others.
    pub(super) fn rotate(
        &self,
        keys: &[&KeyPair],
    ) {
        let keys: Vec<_> = keys.iter().map(|key| jwk(key)).collect();
        self.show("/keys", &json!({"keys": keys}));
    }

    /// Shows its metadata and these keys.
    pub(super) fn come_up(
        &self,
        keys: &[&KeyPair],
    ) {
        self.show(SERVER_METADATA, &self.metadata());
        self.rotate(keys);
    }

    /// From now on nothing is found there.
    pub(super) fn go_down(&self) {
        self.pages.lock().unwrap().clear();
    }

    /// From now on visitors wait, or no longer.
    pub(super) fn hold(
        &self,
        held: bool,
    ) {
        self.held.send_replace(held);
    }

    /// The paths that were asked for, in their order.
    pub(super) fn visits(&self) -> Vec<String> {
        self.visits.borrow().clone()
    }

    /// How often this path was asked for.
    pub(super) fn visits_of(
        &self,
        path: &str,
    ) -> usize {
        count(&self.visits.borrow(), path)
    }

    /// Waits until this path has been asked for so often.
    pub(super) async fn visited(
        &self,
        path: &str,
        times: usize,
    ) {
        let mut visits = self.visits.subscribe();
        let often = visits.wait_for(|visits| count(visits, path) >= times);
        soon(often).await.unwrap();
    }

    /// A server that trusts this issuer and takes its keys from there.
    pub(super) fn server(&self) -> Router {
        serving(with_issuer(&self.url))
    }

    /// A new server is sent a good token of this issuer, and cannot check it.
    pub(super) async fn assert_unusable(
        &self,
        case: impl Display,
    ) {
        let answer = send_to(self.server(), ping(&self.token())).await;
        assert_unavailable(case, &answer);
    }

    /// A good token of this issuer.
    pub(super) fn token(&self) -> String {
        sign(&jose(), self.claims())
    }

    /// A token of this issuer, signed with the other key.
    pub(super) fn other_token(&self) -> String {
        other_token(self.claims())
    }

    pub(super) fn claims(&self) -> Value {
        with(claims(), "iss", json!(self.url))
    }
}

fn count(
    visits: &[String],
    path: &str,
) -> usize {
    visits.iter().filter(|visit| *visit == path).count()
}

/// The issuer cannot be asked: that is nobody's fault, and no reason to log in again.
pub(super) fn assert_unavailable(
    case: impl Display,
    answer: &Answer,
) {
    assert_unavailable_for(10, case, answer);
}

/// The same, and so many seconds are left until the issuer is asked again.
pub(super) fn assert_unavailable_for(
    seconds: u64,
    case: impl Display,
    answer: &Answer,
) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{case}");
    assert_eq!(answer.header("retry-after"), seconds.to_string(), "{case}");
    assert_eq!(answer.headers.get("www-authenticate"), None, "{case}");
    let body = answer.json();
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(!description.is_empty(), "{case}");
    // A fixed sentence: no URL, no path and no error of a socket.
    assert!(
        !description.contains(['/', ':', '(', '"']),
        "{case}: {body}"
    );
}

/// Keeps a paused clock from jumping to the next timeout while all there is to do is to wait for a
/// socket: it does not jump while a blocking task runs. This one ends with what is returned, or in a
/// minute, so that a test that hangs comes to its end.
fn hold_clock() -> mpsc::Sender<()> {
    let (sender, receiver) = mpsc::channel();
    tokio::task::spawn_blocking(move || receiver.recv_timeout(Duration::from_secs(60)));
    sender
}

/// Lets so much time go by without waiting for it.
pub(super) async fn later(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}
