//! Requests with credentials in them. Their address is trusted, and stays what it is.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use url::Url;
use url::form_urlencoded;

use crate::gate::secret::Secret;
use crate::http::Outgoing;

/// One value of a form.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Secret(&'a Secret),
}

impl Field<'_> {
    fn expose(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// A request that may carry credentials: a [`crate::gate::trusted::Trusted`] address made it.
#[derive(Debug)]
pub(crate) struct Sealed(Outgoing);

impl Sealed {
    pub(super) fn new(
        method: Method,
        url: &Url,
    ) -> Self {
        Self(Outgoing::new(method, url.as_str()))
    }

    pub(crate) fn header(
        self,
        name: &str,
        value: impl Into<String>,
    ) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) fn body(
        self,
        body: String,
    ) -> Self {
        Self(self.0.body(body))
    }

    /// Headers and body of another request.
    pub(crate) fn like(
        self,
        other: &Outgoing,
    ) -> Self {
        Self(self.0.like(other))
    }

    /// An access token, the way that MCP demands (RFC 6750 section 2.1).
    pub(crate) fn bearer(
        self,
        token: &Secret,
    ) -> Self {
        self.header("Authorization", format!("Bearer {}", token.expose()))
    }

    /// A client's id and secret, both form-encoded first (RFC 6749 section 2.3.1).
    pub(crate) fn basic(
        self,
        client_id: &str,
        secret: &Secret,
    ) -> Self {
        let pair = format!("{}:{}", encode(client_id), encode(secret.expose()));
        self.header(
            "Authorization",
            format!("Basic {}", BASE64_STANDARD.encode(pair)),
        )
    }

    pub(crate) fn form(
        self,
        fields: &[(&str, Field<'_>)],
    ) -> Self {
        let pairs = fields.iter().map(|(name, value)| (*name, value.expose()));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    /// Cookies in the order in which they were set.
    pub(super) fn cookies<'a>(
        self,
        cookies: impl Iterator<Item = (&'a str, &'a Secret)>,
    ) -> Self {
        let pairs = cookies.map(|(name, value)| format!("{name}={}", value.expose()));
        let pairs: Vec<_> = pairs.collect();
        if pairs.is_empty() {
            return self;
        }
        self.header("Cookie", pairs.join("; "))
    }
}

impl From<Sealed> for Outgoing {
    fn from(sealed: Sealed) -> Self {
        sealed.0
    }
}

fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
