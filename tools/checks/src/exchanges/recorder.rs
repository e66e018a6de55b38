//! A recorder: doors through which all requests pass on their way to a server, and the list of what
//! passed.
//!
//! A door has an address before its server runs, so servers can be told it as their own name
//! (`--resource`, `--issuer`), and what they say about themselves leads through the door again. It
//! changes nothing. Left out: answers that come in pieces; the servers here have none.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

/// The longest body that passes, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Who sends or answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Party {
    Client,
    Browser,
    Page,
    Server,
    Issuer,
}

/// What happened, in its order: a server may ask another one before it answers.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Request(Arc<Sent>),
    Answer(Arc<Sent>, Arc<Got>),
    /// What happens beside the network, said by whoever made it happen.
    Note(String),
}

/// A request as it passed.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) from: Party,
    pub(super) to: Party,
    /// `POST`
    pub(super) method: String,
    pub(super) path: String,
    /// Of the query and of a form.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    /// A JSON body, or null.
    pub(super) json: Value,
}

/// The answer to it.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// A JSON body, or null.
    pub(super) json: Value,
}

/// The list that all doors share.
#[derive(Clone, Default)]
pub(super) struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
}

/// One door, with nothing behind it yet.
pub(super) struct Door {
    party: Party,
    listener: TcpListener,
    recorder: Recorder,
}

/// A door and the server behind it.
struct Passage {
    party: Party,
    behind: String,
    http: Client,
    recorder: Recorder,
}

impl Recorder {
    pub(super) async fn door(
        &self,
        party: Party,
    ) -> Door {
        Door {
            party,
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            recorder: self.clone(),
        }
    }

    pub(super) fn note(
        &self,
        text: impl Into<String>,
    ) {
        self.push(Event::Note(text.into()));
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    fn push(
        &self,
        event: Event,
    ) {
        self.events.lock().unwrap().push(event);
    }
}

impl Door {
    /// What the server behind it is called by everybody.
    pub(super) fn origin(&self) -> String {
        let port = self.listener.local_addr().unwrap().port();
        format!("http://localhost:{port}")
    }

    /// Lets requests pass to this origin from now on.
    pub(super) fn open(
        self,
        behind: String,
    ) {
        let passage = Passage {
            party: self.party,
            behind,
            http: http(),
            recorder: self.recorder,
        };
        let router = Router::new().fallback(pass).with_state(Arc::new(passage));
        tokio::spawn(async move { axum::serve(self.listener, router).await });
    }
}

/// A client that sends what it is told, and nothing else.
pub(super) fn http() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

/// Hands one request on, and its answer back.
async fn pass(
    State(passage): State<Arc<Passage>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap();
    let url = format!("{}{}", passage.behind, head.uri);
    let sent = Arc::new(Sent {
        from: sender(&head.headers, head.uri.path()),
        to: passage.party,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        parameters: parameters(&url, &head.headers, &body),
        json: json(&body),
        headers: head.headers.clone(),
    });
    passage.recorder.push(Event::Request(sent.clone()));
    let request = passage.http.request(head.method, url).headers(head.headers).body(body);
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    let got = Got {
        status,
        headers: headers.clone(),
        json: json(&body),
    };
    passage.recorder.push(Event::Answer(sent, Arc::new(got)));
    handed_on(status, headers, body)
}

/// The answer without what belongs to one connection alone.
fn handed_on(
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    for hop in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(hop);
    }
    (status, headers, Body::from(body)).into_response()
}

/// Who sent it: pages are opened by a browser, `Origin` tells of a web page, our client says its
/// name, and the servers do not.
fn sender(
    headers: &HeaderMap,
    path: &str,
) -> Party {
    let opened = ["/oauth/authorize", "/oauth/login", "/oauth/consent"];
    if opened.contains(&path) {
        Party::Browser
    } else if headers.contains_key(header::ORIGIN) {
        Party::Page
    } else if headers.contains_key(header::USER_AGENT) {
        Party::Client
    } else {
        Party::Server
    }
}

fn parameters(
    url: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Vec<(String, String)> {
    let url = Url::parse(url).unwrap();
    let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let kind = headers.get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded")) {
        pairs.extend(url::form_urlencoded::parse(body).into_owned());
    }
    pairs
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}
