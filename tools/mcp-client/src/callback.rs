//! Where the browser brings the code: a listener on the loopback interface (RFC 8252 section 7.3).
//!
//! It answers one path. The port is chosen by the system, because any fixed one may be taken. Other
//! programs and pages may call it, too: what brings no `state` ends no login, and a connection that
//! says nothing holds nobody up.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::form_urlencoded;

use crate::http::Reply;

const PATH: &str = "/callback";

/// How long a user may take to log in.
const PATIENCE: Duration = Duration::from_secs(300);

const DONE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Back at \
                    mcp-client</title><p>You can close this window and go back to the terminal.";

const NOTHING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>No answer\
                       </title><p>This address has no <code>state</code>, so it is no answer to the \
                       login that waits. Nothing happened: go on in the other window.";

/// An open listener.
pub(crate) struct Callback {
    port: u16,
    /// Path and query of the calls that brought a `state`.
    answers: mpsc::Receiver<String>,
    server: JoinHandle<()>,
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Callback {
    /// Listens on the port, or on a free one.
    pub(crate) async fn listen(port: Option<u16>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))
            .await
            .context("no port for the callback: choose another --callback-port")?;
        let port = listener.local_addr()?.port();
        let (sender, answers) = mpsc::channel(1);
        let router = Router::new().route(PATH, get(take)).with_state(sender);
        let server = tokio::spawn(async move {
            // It serves until it is aborted; errors of single connections are their own.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            port,
            answers,
            server,
        })
    }

    /// The redirect URI to register and to ask for.
    pub(crate) fn redirect_uri(&self) -> String {
        redirect_uri(self.port)
    }

    /// Forgets what came before a login began, such as a reloaded page of the login before.
    pub(crate) fn forget(&mut self) {
        while self.answers.try_recv().is_ok() {}
    }

    /// Waits for the browser. Returns the URL that it called, and what it was told.
    pub(crate) async fn receive(&mut self) -> Result<(String, Reply)> {
        let target = timeout(PATIENCE, self.answers.recv())
            .await
            .context("nobody logged in within five minutes")?
            .context("the listener for the callback has ended")?;
        Ok((format!("http://127.0.0.1:{}{target}", self.port), done()))
    }
}

pub(crate) fn redirect_uri(port: u16) -> String {
    format!("http://127.0.0.1:{port}{PATH}")
}

async fn take(
    State(answers): State<mpsc::Sender<String>>,
    uri: Uri,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    if !parameters.any(|(name, _)| name == "state") {
        return (StatusCode::BAD_REQUEST, headers, Html(NOTHING)).into_response();
    }
    // One answer is enough; a second one finds the channel full and changes nothing.
    let _ = answers.try_send(uri.to_string());
    (headers, Html(DONE)).into_response()
}

/// What the browser is told, for the record.
fn done() -> Reply {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Reply {
        status: 200,
        headers: HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]),
        body: DONE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn only_an_answer_with_state_ends_the_wait() {
        let mut callback = Callback::listen(None).await.unwrap();
        let silent = TcpStream::connect(("127.0.0.1", callback.port)).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let status = |query: &str| {
            let url = format!("{}{query}", callback.redirect_uri());
            let request = client.get(url).send();
            async { request.await.unwrap().status().as_u16() }
        };
        assert_eq!(status("").await, 400);
        assert_eq!(status("?code=x").await, 400);
        assert_eq!(status("?code=y&state=z").await, 200);
        let (url, _) = callback.receive().await.unwrap();
        assert!(url.ends_with("/callback?code=y&state=z"), "{url}");
        // Nobody waited for the connection that says nothing: it is open still.
        let error = silent.try_read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn what_came_before_is_forgotten() {
        let mut callback = Callback::listen(None).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for state in ["old", "new"] {
            callback.forget();
            let url = format!("{}?state={state}", callback.redirect_uri());
            client.get(url).send().await.unwrap();
        }
        let (url, _) = callback.receive().await.unwrap();
        assert!(url.ends_with("?state=new"), "{url}");
    }
}
