//! A token together with the one server that may get it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use anyhow::ensure;
use reqwest::Method;
use url::Url;

use crate::gate::sealed::Sealed;
use crate::gate::secret::Secret;
use crate::gate::trusted::Trusted;
use crate::urls::covers;
use crate::urls::is_loopback;

/// The URL of the MCP endpoint, as the user typed it: what `resource` and `aud` are compared with.
#[derive(Clone, Debug)]
pub(crate) struct ServerUrl(String);

impl ServerUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerUrl {
    type Err = NoServerUrl;

    fn from_str(text: &str) -> Result<Self, NoServerUrl> {
        let parsed = Url::parse(text).ok().filter(Url::has_host);
        let Some(url) = parsed.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return Err(without_scheme(text));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoServerUrl::Userinfo);
        }
        if url.fragment().is_some() {
            return Err(NoServerUrl::Fragment);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a text is not the URL of an MCP endpoint.
#[derive(Debug)]
pub(crate) enum NoServerUrl {
    /// Such as `localhost:9000/mcp`; with what was probably meant.
    NoScheme(String),
    OtherScheme,
    Userinfo,
    Fragment,
    NoUrl,
}

impl fmt::Display for NoServerUrl {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme(meant) => {
                return write!(f, "the scheme is missing: did you mean {meant} ?");
            }
            Self::OtherScheme => "an MCP server is reached over http or https",
            Self::Userinfo => "a user name or a password has no place in the URL",
            Self::Fragment => "leave out what begins with #: it is not sent to the server",
            Self::NoUrl => "this is no URL: write http://localhost:9000/mcp",
        })
    }
}

impl std::error::Error for NoServerUrl {}

fn without_scheme(text: &str) -> NoServerUrl {
    if text.contains("://") {
        return NoServerUrl::OtherScheme;
    }
    let local = format!("http://{text}");
    match Url::parse(&local) {
        Ok(url) if is_loopback(&url) => NoServerUrl::NoScheme(local),
        Ok(_) => NoServerUrl::NoScheme(format!("https://{text}")),
        Err(_) => NoServerUrl::NoUrl,
    }
}

/// A token that the user gave by hand. No token that was issued to this client can become one.
#[derive(Clone, Debug)]
pub(crate) struct GivenToken(Secret);

impl FromStr for GivenToken {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Secret::new(text)))
    }
}

/// A token and where it may go.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    token: Secret,
    to: Trusted,
}

impl Pass {
    /// For the checks of the gate alone.
    pub(super) fn new(
        to: Trusted,
        token: Secret,
    ) -> Self {
        Self {
            token,
            to,
        }
    }

    /// The user named the server and the token in one command. That is trust enough, but for one
    /// thing: over plain http everybody on the way could read the token.
    pub(crate) fn by_user(
        server: &ServerUrl,
        token: &GivenToken,
    ) -> Result<Self> {
        let to = Trusted::checked(server.as_str())?;
        Ok(Self::new(to, token.0.clone()))
    }

    /// A token that was issued for `resource` in an earlier run, after the checks.
    pub(crate) fn kept(
        server: &ServerUrl,
        resource: &str,
        token: &Secret,
    ) -> Result<Self> {
        ensure!(
            covers(resource, server.as_str()),
            "the kept login is for {resource}, not for {}",
            server.as_str()
        );
        let to = Trusted::checked(server.as_str())?;
        Ok(Self::new(to, token.clone()))
    }

    /// Another token for the same server, such as a forged one.
    pub(crate) fn swapped(
        &self,
        token: Secret,
    ) -> Self {
        Self::new(self.to.clone(), token)
    }

    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// A request to the server with the token in its header, the only place for it.
    pub(crate) fn request(
        &self,
        method: Method,
    ) -> Sealed {
        self.to.request(method).bearer(&self.token)
    }

    /// A request with the token in the query, where it counts for nothing. URLs end up in logs: only
    /// for a token that is revoked right after.
    pub(crate) fn request_with_query(
        &self,
        method: Method,
    ) -> Sealed {
        let query = [("access_token", self.token.expose())];
        self.to.with_query(&query).request(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        url.parse::<ServerUrl>().unwrap_err().to_string()
    }

    #[test]
    fn a_missing_scheme_is_suggested() {
        assert!(problem("localhost:9000/mcp").contains("http://localhost:9000/mcp ?"));
        assert!(problem("127.0.0.1:9000/mcp").contains("http://127.0.0.1:9000/mcp ?"));
        assert!(problem("a.example/mcp").contains("https://a.example/mcp ?"));
        assert!(problem("ftp://a.example/").contains("http or https"));
        assert!(problem("http://u:p@a.example/").contains("no place in the URL"));
    }

    #[test]
    fn a_given_token_stays_off_plain_http() {
        let token = "t".parse().unwrap();
        let pass = |url: &str| Pass::by_user(&url.parse().unwrap(), &token);
        assert!(pass("http://localhost:1/mcp").is_ok());
        assert!(pass("https://a.example/mcp").is_ok());
        assert!(pass("http://a.example/mcp").is_err());
        assert!(pass("http://0.0.0.0:9000/mcp").is_err());
    }

    #[test]
    fn a_kept_token_stays_at_its_server() {
        let token = Secret::new("t");
        let server = "https://a.example/mcp".parse().unwrap();
        assert!(Pass::kept(&server, "https://a.example/mcp", &token).is_ok());
        assert!(Pass::kept(&server, "https://b.example/mcp", &token).is_err());
    }
}
