//! Where credentials may go, and what every such address has in common: https, or this machine.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use reqwest::Method;
use url::Url;

use crate::gate::sealed::Sealed;

/// An address that passed the checks. Nothing outside of the gate can make one.
#[derive(Clone, Debug)]
pub(crate) struct Trusted(Url);

impl Trusted {
    /// For the checks of the gate alone. An error where the address is neither https nor on this
    /// machine.
    pub(super) fn checked(url: &str) -> Result<Self> {
        let parsed = Url::parse(url).with_context(|| format!("{url:?} is no URL"))?;
        ensure!(
            is_safe_url(&parsed),
            "{url} is neither https nor on this machine, so no credential goes there"
        );
        Ok(Self(parsed))
    }

    /// Another address at the same scheme, host and port; `None` for any other, and for no URL.
    pub(crate) fn sibling(
        &self,
        url: &str,
    ) -> Option<Self> {
        let other = self.0.join(url).ok()?;
        (other.origin() == self.0.origin()).then_some(Self(other))
    }

    /// The same address with these parameters behind those that it has.
    pub(crate) fn with_query(
        &self,
        parameters: &[(&str, &str)],
    ) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        Self(url)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// A request to this address, which may carry credentials.
    pub(crate) fn request(
        &self,
        method: Method,
    ) -> Sealed {
        Sealed::new(method, &self.0)
    }
}

/// Whether a URL points to this machine. Names below `.localhost` do not count: not every resolver
/// keeps them on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a URL may carry credentials: https, or http on this machine (OAuth 2.1, section 1.5).
pub(crate) fn is_safe(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_safe_url(&url))
}

fn is_safe_url(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Whether two URLs have the same scheme, host and port, as the request that would be sent has them.
pub(crate) fn is_same_origin(
    a: &str,
    b: &str,
) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin().is_tuple() && a.origin() == b.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_safe() {
        for good in [
            "https://a.example/mcp",
            "http://localhost:9000/mcp",
            "http://127.0.0.1/",
            "http://[::1]:9000/",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://a.example/mcp",
            "http://0.0.0.0:9000/mcp",
            "http://192.168.0.1/mcp",
            "http://localhost.a.example/",
            "http://localhost@a.example/",
            "file:///etc/passwd",
            "localhost:9000/mcp",
        ] {
            assert!(!is_safe(bad), "{bad}");
            assert!(Trusted::checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sibling_has_the_same_scheme_host_and_port() {
        let place = Trusted::checked("https://a.example/login?x=1").unwrap();
        for good in ["/sign-in", "?y=2", "https://A.example:443/z"] {
            assert!(place.sibling(good).is_some(), "{good}");
        }
        for bad in [
            "//b.example/",
            "http://a.example/",
            "https://a.example:444/",
            "https://a.example@b.example/",
        ] {
            assert!(place.sibling(bad).is_none(), "{bad}");
        }
    }
}
