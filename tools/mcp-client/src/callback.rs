//! Where the browser brings the code: a listener on the loopback interface (RFC 8252 section 7.3).
//!
//! It answers one path, once. The port is chosen by the system, because any fixed one may be taken.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::Reply;

const PATH: &str = "/callback";

/// How long a user may take to log in.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a browser may take to send its request.
const READ: Duration = Duration::from_secs(5);

/// A request line with a code in it has well under a thousand characters.
const MAX_REQUEST: usize = 16 * 1024;

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Back at \
                    mcp-client</title><p>You can close this window and go back to the terminal.";

/// An open listener.
pub(crate) struct Callback {
    listener: TcpListener,
    port: u16,
}

impl Callback {
    /// Listens on the port, or on a free one.
    pub(crate) async fn listen(port: Option<u16>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))
            .await
            .context("no port for the callback: choose another --callback-port")?;
        let port = listener.local_addr()?.port();
        Ok(Self {
            listener,
            port,
        })
    }

    /// The redirect URI to register and to ask for.
    pub(crate) fn redirect_uri(&self) -> String {
        redirect_uri(self.port)
    }

    /// Waits for the browser. Returns the URL that it called, and what it was told.
    pub(crate) async fn receive(&self) -> Result<(String, Reply)> {
        let waiting = timeout(PATIENCE, self.next());
        waiting
            .await
            .context("nobody logged in within five minutes")?
    }

    async fn next(&self) -> Result<(String, Reply)> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let target = timeout(READ, target(&mut stream)).await.ok().flatten();
            match target.filter(|target| is_callback(target)) {
                Some(target) => {
                    answer(&mut stream, "200 OK", PAGE).await;
                    let url = format!("http://127.0.0.1:{}{target}", self.port);
                    return Ok((url, page_reply()));
                }
                // Browsers ask for /favicon.ico as well.
                None => answer(&mut stream, "404 Not Found", "").await,
            }
        }
    }
}

pub(crate) fn redirect_uri(port: u16) -> String {
    format!("http://127.0.0.1:{port}{PATH}")
}

fn is_callback(target: &str) -> bool {
    target.split('?').next() == Some(PATH)
}

fn page_reply() -> Reply {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Reply {
        status: 200,
        headers: HeaderMap::from_iter([(reqwest::header::CONTENT_TYPE, kind)]),
        body: PAGE.to_owned(),
    }
}

/// The target of a GET, once the whole head has arrived.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).await.ok()?;
        head.extend_from_slice(&buffer[..count]);
        if count == 0 || head.len() > MAX_REQUEST {
            return None;
        }
    }
    let line = String::from_utf8_lossy(&head);
    let line = line.lines().next()?.strip_prefix("GET ")?;
    line.split(' ').next().map(str::to_owned)
}

async fn answer(
    stream: &mut TcpStream,
    status: &str,
    body: &str,
) {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
    );
    // A browser that hangs up has lost nothing: the code is here already.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
