//! Requests to an upstream provider, within limits.
//!
//! The operator chose the provider, but what it answers comes over a network: five seconds for
//! everything, 64 KiB, no redirect (it would carry a secret elsewhere), no proxy, https or this
//! machine. And never without `User-Agent`, which GitHub refuses.

use std::error::Error;
use std::time::Duration;

use anyhow::Context;
use reqwest::Client;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::upstream::failure::Failure;
use crate::upstream::settings;

/// Waiting for a turn, connection, headers and body together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Of one answer, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Requests in flight at once: a provider that hangs holds up so many, and no more memory.
const PARALLEL: usize = 32;

/// What this server calls itself.
const USER_AGENT: &str = concat!("mcp-auth-steps/", env!("CARGO_PKG_VERSION"));

/// The client for one provider.
pub(crate) struct Http {
    client: Client,
    gate: Semaphore,
}

/// An answer that arrived in whole.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
}

impl Http {
    /// # Errors
    ///
    /// This machine has no certificates to trust.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .user_agent(USER_AGENT)
            .build()
            .context("the HTTP client for the upstream provider cannot be made")?;
        Ok(Self {
            client,
            gate: Semaphore::new(PARALLEL),
        })
    }

    /// A request that asks for JSON.
    pub(crate) fn get(
        &self,
        url: Url,
    ) -> RequestBuilder {
        self.client.get(url).header(header::ACCEPT, "application/json")
    }

    /// The same with a form as its body.
    pub(crate) fn post_form(
        &self,
        url: Url,
        form: &[(&str, &str)],
    ) -> RequestBuilder {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.post(url, "application/x-www-form-urlencoded", body)
    }

    /// The same with JSON as its body.
    pub(crate) fn post_json(
        &self,
        url: Url,
        body: &Value,
    ) -> RequestBuilder {
        self.post(url, "application/json", body.to_string())
    }

    fn post(
        &self,
        url: Url,
        content_type: &'static str,
        body: String,
    ) -> RequestBuilder {
        self.client
            .post(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, content_type)
            .body(body)
    }

    /// Sends it, and waits for the whole answer, whatever its status.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<Reply, Failure> {
        let request = request.build().map_err(|error| broken(&error))?;
        if !settings::is_trusted(request.url()) {
            return Err(Failure::unavailable(
                "only https is trusted beyond this machine",
            ));
        }
        let exchange = async {
            let _turn = self.gate.acquire().await;
            let response = self.client.execute(request).await.map_err(|error| broken(&error))?;
            read(response).await
        };
        timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(Failure::unavailable("no answer within 5 seconds")))
    }
}

impl Reply {
    /// The JSON document of a good answer. A redirect is an answer like any other that is not 200.
    pub(crate) fn document(&self) -> Result<Value, Failure> {
        if self.status != StatusCode::OK {
            return Err(Failure::unavailable(format!("status {}", self.status)));
        }
        self.json()
    }

    /// The JSON document of an answer of whatever status.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        if !is_json(&self.headers) {
            return Err(Failure::unavailable(format!(
                "status {} and a content type that is not JSON",
                self.status
            )));
        }
        // The error would quote what was sent.
        serde_json::from_slice(&self.body)
            .map_err(|_| Failure::unavailable("what came is not a JSON document"))
    }
}

/// The debug form has the cause in it: refused, timed out, an unknown certificate.
fn broken(error: &reqwest::Error) -> Failure {
    let kind = if error.is_timeout() {
        "no answer within 5 seconds: "
    } else {
        ""
    };
    Failure::unavailable(format!("{kind}{:?}", error.source()))
}

async fn read(mut response: Response) -> Result<Reply, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(Failure::unavailable("the answer is larger than 64 KiB"));
        }
    }
    Ok(Reply {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}
