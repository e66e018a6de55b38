//! One request, one answer, both recorded.
//!
//! Redirects are never followed by themselves: each one is an exchange to look at, and a client
//! that follows them blindly carries tokens to places nobody checked. Left out: connection reuse
//! as something to see, HTTP/2, compression.

use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use crate::exchange::Message;
use crate::exchange::Note;
use crate::page;
use crate::recorder::Recorder;
use crate::redact;
use crate::urls::is_loopback;
use crate::visible;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Metadata documents have a few kilobytes, tool results rarely more; in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Lists and objects in one answer.
const MAX_CONTAINERS: usize = 20_000;

/// What is shown of a text or a header, in characters.
const MAX_SHOWN: usize = 1500;

/// The headers of an answer that are part of the story.
const SHOWN: [&str; 8] = [
    "WWW-Authenticate",
    "Location",
    "Content-Type",
    "Retry-After",
    "Allow",
    "Set-Cookie",
    "Mcp-Session-Id",
    "Cache-Control",
];

/// A request to be sent. It carries no credentials of ours, unless [`crate::gate`] made it.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Outgoing {
    pub(crate) fn new(
        method: Method,
        url: impl Into<String>,
    ) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A GET that asks for JSON, as clients ask for metadata.
    pub(crate) fn get_json(url: impl Into<String>) -> Self {
        Self::get(url).header("Accept", "application/json")
    }

    pub(crate) fn form(
        url: impl Into<String>,
        parameters: &[(&str, &str)],
    ) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        Self::new(Method::POST, url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
    }

    pub(crate) fn json(
        url: impl Into<String>,
        body: &Value,
    ) -> Self {
        Self::new(Method::POST, url)
            .header("Content-Type", "application/json")
            .body(body.to_string())
    }

    pub(crate) fn header(
        mut self,
        name: &str,
        value: impl Into<String>,
    ) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(
        mut self,
        body: String,
    ) -> Self {
        self.body = Some(body);
        self
    }

    /// The same request with a text in its headers and its body replaced by another.
    pub(crate) fn replaced(
        mut self,
        from: &str,
        to: &str,
    ) -> Self {
        for (_, value) in &mut self.headers {
            *value = value.replace(from, to);
        }
        self.body = self.body.map(|body| body.replace(from, to));
        self
    }

    /// This method and address with the headers and the body of another request.
    pub(crate) fn like(
        self,
        other: &Self,
    ) -> Self {
        Self {
            headers: other.headers.clone(),
            body: other.body.clone(),
            ..self
        }
    }

    /// The value of a header that is to be sent.
    fn find(
        &self,
        name: &str,
    ) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn shown(&self) -> Message {
        let (target, mut lines) = redact::target(&self.url);
        if let Some(body) = &self.body {
            let form = self.find("Content-Type").is_some_and(|t| t.contains("urlencoded"));
            let body = if form {
                redact::form(body)
            } else {
                redact::json(body).unwrap_or_else(|| redact::text(body))
            };
            lines = format!("{lines}\n{body}").trim_start_matches('\n').to_owned();
        }
        let header = |(name, value): &(String, String)| (name.clone(), redact::header(name, value));
        Message {
            start: format!("{} {target}", self.method),
            headers: self.headers.iter().map(header).collect(),
            body: lines,
        }
    }
}

/// An answer, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    /// The header's value, several joined by commas; empty when absent.
    pub(crate) fn header(
        &self,
        name: &str,
    ) -> String {
        let values = self.headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(", ")
    }

    /// The body as JSON: `null` where it is none, or more than any answer needs. From an event
    /// stream, the last message.
    pub(crate) fn json(&self) -> Value {
        if !self.is_stream() {
            return parse(&self.body);
        }
        last_message(&self.body)
    }

    fn is_stream(&self) -> bool {
        self.header("Content-Type").starts_with("text/event-stream")
    }

    /// `401 Unauthorized`.
    pub(crate) fn status_text(&self) -> String {
        let name = reqwest::StatusCode::from_u16(self.status).ok();
        let name = name.and_then(|code| code.canonical_reason()).unwrap_or_default();
        format!("{} {name}", self.status).trim_end().to_owned()
    }

    fn shown(&self) -> Message {
        let mut headers = Vec::new();
        for name in SHOWN {
            for value in self.headers.get_all(name) {
                let value = String::from_utf8_lossy(value.as_bytes());
                let value = redact::header(name, &value);
                headers.push((name.to_owned(), shortened(&value)));
            }
        }
        let is_page = self.header("Content-Type").starts_with("text/html");
        let body = if is_page {
            shortened(&page::summary(&self.body))
        } else {
            redact::json(&self.body).unwrap_or_else(|| shortened(&redact::text(&self.body)))
        };
        Message {
            start: format!("HTTP/1.1 {}", self.status_text()),
            headers,
            body,
        }
    }
}

/// The last message of an event stream; `null` where it has none.
fn last_message(stream: &str) -> Value {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    let messages = data.map(|data| parse(data.trim()));
    let mut messages = messages.filter(|message| !message.is_null());
    messages.next_back().unwrap_or_default()
}

fn shortened(text: &str) -> String {
    visible::cut(text, MAX_SHOWN).into_owned()
}

/// JSON of a modest size. Small brackets make large values: a megabyte of them takes a hundred in
/// memory.
fn parse(text: &str) -> Value {
    let mut containers = 0;
    let mut quoted = false;
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => containers += 1,
            _ => {}
        }
    }
    if containers > MAX_CONTAINERS {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_default()
}

/// The HTTP client and the record of what it did.
pub(crate) struct Http {
    client: reqwest::Client,
    pub(crate) recorder: Recorder,
}

impl Http {
    /// `target` is the server that will be talked to: where it lies on this machine, no proxy of
    /// the environment comes in between.
    pub(crate) fn new(
        recorder: Recorder,
        target: &str,
    ) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("mcp-client/", env!("CARGO_PKG_VERSION")));
        if Url::parse(target).is_ok_and(|url| is_loopback(&url)) {
            builder = builder.no_proxy();
        }
        let client = builder.build().context("no HTTP client could be made")?;
        Ok(Self {
            client,
            recorder,
        })
    }

    /// Sends a request and records the exchange.
    pub(crate) async fn send(
        &mut self,
        note: Note,
        request: impl Into<Outgoing>,
    ) -> Result<Reply> {
        let request = request.into();
        let reply = self.quiet(&request).await?;
        self.note(note, &request, &reply);
        Ok(reply)
    }

    /// Sends a request that is no part of the story.
    pub(crate) async fn quiet(
        &self,
        request: &Outgoing,
    ) -> Result<Reply> {
        let mut builder = self.client.request(request.method.clone(), &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let sent = builder.send().await.map_err(|error| unreachable(&request.url, error));
        read(sent?).await
    }

    /// Records what another connection saw: the browser's call at our own listener.
    pub(crate) fn note(
        &mut self,
        note: Note,
        request: &Outgoing,
        reply: &Reply,
    ) {
        if self.recorder.is_telling() {
            self.recorder.exchange(note, request.shown(), reply.shown());
        }
    }
}

/// One sentence that ends with the innermost cause.
fn unreachable(
    url: &str,
    error: reqwest::Error,
) -> anyhow::Error {
    let error = error.without_url();
    let cause = anyhow::Error::new(error).root_cause().to_string();
    anyhow!("no answer from {}: {cause}", redact::url(url))
}

/// Reads the body up to a limit, and an event stream only up to the answer: servers may leave it
/// open.
async fn read(mut response: reqwest::Response) -> Result<Reply> {
    let mut reply = Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: String::new(),
    };
    let stream = reply.is_stream();
    let mut bytes = Vec::new();
    // Where the events begin that nobody has looked into yet.
    let mut fresh = 0;
    while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
        bytes.extend_from_slice(&chunk);
        anyhow::ensure!(bytes.len() <= MAX_BODY, "the answer is larger than 1 MiB");
        if stream && (bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n")) {
            let message = last_message(&String::from_utf8_lossy(&bytes[fresh..]));
            if message.get("result").is_some() || message.get("error").is_some() {
                break;
            }
            fresh = bytes.len();
        }
    }
    reply.body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_of_a_stream_counts() {
        let stream = "event: a\ndata: {\"n\":1}\n\ndata: {\"n\":2}\n\n: a comment\n\n";
        assert_eq!(last_message(stream)["n"], 2);
        assert_eq!(last_message(": nothing yet\n\n"), Value::Null);
    }

    #[test]
    fn small_brackets_make_no_large_value() {
        let many = format!("[{}1]", "{},".repeat(MAX_CONTAINERS));
        assert_eq!(parse(&many), Value::Null);
        let quoted = format!("[\"{}\"]", "{".repeat(MAX_CONTAINERS + 1));
        assert!(parse(&quoted).is_array());
    }
}
