//! Where credentials may go, and what every such address has in common: https, or this machine.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use reqwest::Method;
use url::Url;

use crate::gate::sealed::Sealed;
use crate::urls::is_safe;

/// An address that passed the checks. Nothing outside of the gate can make one.
#[derive(Clone, Debug)]
pub(crate) struct Trusted(Url);

impl Trusted {
    /// For the checks of the gate alone. An error where the address is neither https nor on this
    /// machine.
    pub(super) fn checked(url: &str) -> Result<Self> {
        let parsed = Url::parse(url).with_context(|| format!("{url:?} is no URL"))?;
        ensure!(
            is_safe(parsed.as_str()),
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

#[cfg(test)]
mod tests {
    use super::*;

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
