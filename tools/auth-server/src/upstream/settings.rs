//! What the operator says about an upstream provider, and the places that may be asked at all.

use std::fmt;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use url::Url;

use crate::net;

/// Where the secret comes from. Never a flag: everybody on the machine can read those (`ps`).
const SECRET: &str = "MCP_UPSTREAM_CLIENT_SECRET";

/// The secret that a provider gave this server. Shows itself to nobody, in no log.
#[derive(Clone, Default)]
pub struct ClientSecret(Option<String>);

impl ClientSecret {
    /// An empty text is no secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Some(secret.into()).filter(|secret| !secret.is_empty()))
    }

    /// What `MCP_UPSTREAM_CLIENT_SECRET` says.
    pub(crate) fn from_environment() -> Self {
        Self::new(std::env::var(SECRET).unwrap_or_default())
    }

    /// The secret itself, for a request to the provider.
    pub(crate) fn reveal(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "ClientSecret(..)"
        } else {
            "ClientSecret(none)"
        })
    }
}

/// An OAuth app at GitHub, or at a stand-in for it.
#[derive(Clone, Debug)]
pub struct GitHub {
    /// What GitHub calls "Client ID".
    pub client_id: String,
    /// What GitHub shows once.
    pub client_secret: ClientSecret,
    /// Where users are sent to, [`GitHub::AUTH_URL`].
    pub auth_url: String,
    /// Where codes become tokens, [`GitHub::TOKEN_URL`].
    pub token_url: String,
    /// What the paths of the API are put behind, [`GitHub::API_URL`].
    pub api_url: String,
}

impl GitHub {
    /// Of the real one.
    pub const AUTH_URL: &str = "https://github.com/login/oauth/authorize";
    /// Of the real one.
    pub const TOKEN_URL: &str = "https://github.com/login/oauth/access_token";
    /// Of the real one.
    pub const API_URL: &str = "https://api.github.com";
}

/// A URL that this server may send a secret to: https, or http on this machine.
///
/// # Errors
///
/// One sentence that begins with `what`, the name of the setting.
pub(crate) fn endpoint(
    what: &str,
    text: &str,
) -> Result<Url> {
    let url = Url::parse(text).with_context(|| format!("{what} {text:?} is not a URL"))?;
    ensure!(
        is_trusted(&url),
        "{what} {text:?} must be https (http only for localhost), without user name and fragment"
    );
    Ok(url)
}

/// Whether what is sent there cannot be read on the way, and goes where the text says.
pub(crate) fn is_trusted(url: &Url) -> bool {
    let safe = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => net::has_loopback_host(url),
        _ => false,
    };
    safe && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// Letters, digits, dot and hyphen: it stands before the colon in the `sub` of every user who comes
/// from there.
///
/// # Errors
///
/// One sentence that names the setting to change.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    ensure!(
        !name.is_empty() && name.bytes().all(plain),
        "the upstream provider cannot be called {name:?}: give an --upstream-name of letters, \
         digits, dots and hyphens"
    );
    ensure!(
        !name.eq_ignore_ascii_case(GITHUB),
        "the upstream provider cannot be called {name:?}, which is GitHub's: give another \
         --upstream-name"
    );
    Ok(())
}

/// What GitHub is called in the `sub` of its users.
pub(crate) const GITHUB: &str = "github";

#[cfg(test)]
mod tests {
    use crate::upstream::settings::ClientSecret;
    use crate::upstream::settings::check_name;
    use crate::upstream::settings::endpoint;

    #[test]
    fn secrets_go_to_https_or_stay_on_this_machine() {
        for good in [
            "https://github.com/login/oauth/authorize",
            "http://localhost:9100/token",
            "http://127.0.0.1:9100",
            "http://[::1]:9100/",
        ] {
            assert!(endpoint("it", good).is_ok(), "{good}");
        }
        for bad in [
            "http://github.com/",
            "http://localhost.evil.example/",
            "http://127.0.0.1@evil.example/",
            "https://me:secret@example.com/",
            "https://example.com/#part",
            "file:///etc/passwd",
            "example.com",
        ] {
            assert!(endpoint("it", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_plain_and_not_that_of_github() {
        for good in ["accounts.example.com", "corp-1", "127.0.0.1"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "github", "GitHub", "a:b", "a b", "[::1]", "ü"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = ClientSecret::new("hush");
        assert_eq!(format!("{secret:?}"), "ClientSecret(..)");
        assert_eq!(secret.reveal(), Some("hush"));
        assert_eq!(ClientSecret::new("").reveal(), None);
    }
}
