//! The cookies of the stand-in for the browser, each of which goes back to where it came from only.

use anyhow::Context;
use anyhow::Result;
use reqwest::Method;
use reqwest::header::SET_COOKIE;
use url::Origin;
use url::Url;

use crate::gate::sealed::Field;
use crate::gate::sealed::Sealed;
use crate::gate::secret::Secret;
use crate::gate::trusted::Trusted;
use crate::http::Reply;

/// More than any login needs.
const MAX_COOKIES: usize = 50;

struct Cookie {
    /// Scheme, host and port. Browsers share cookies among the ports of a host; this is stricter.
    origin: Origin,
    name: String,
    value: Secret,
}

/// All cookies, origin by origin.
#[derive(Default)]
pub(crate) struct Jar(Vec<Cookie>);

impl Jar {
    /// A GET with the cookies that this origin has set. An error where the address is neither https
    /// nor on this machine.
    pub(crate) fn get(
        &self,
        url: &Url,
    ) -> Result<Sealed> {
        let place = Trusted::checked(url.as_str())?;
        Ok(self.with_cookies(&place, Method::GET))
    }

    /// A form that is posted where the login began, and nowhere else: it may hold the password.
    pub(crate) fn post(
        &self,
        home: &Trusted,
        action: &Url,
        fields: &[(&str, Field<'_>)],
    ) -> Result<Sealed> {
        let place = home
            .sibling(action.as_str())
            .context("the form leads elsewhere: log in with a real browser, without --as")?;
        Ok(self.with_cookies(&place, Method::POST).form(fields))
    }

    fn with_cookies(
        &self,
        place: &Trusted,
        method: Method,
    ) -> Sealed {
        let origin = place.url().origin();
        let cookies = self.0.iter().filter(|cookie| cookie.origin == origin);
        let pairs = cookies.map(|cookie| (cookie.name.as_str(), &cookie.value));
        place.request(method).cookies(pairs)
    }

    /// Keeps what an answer from this address set.
    pub(crate) fn keep(
        &mut self,
        from: &Url,
        reply: &Reply,
    ) {
        for cookie in reply.headers.get_all(SET_COOKIE) {
            let cookie = String::from_utf8_lossy(cookie.as_bytes());
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.set(from.origin(), name.trim(), value.trim());
            }
        }
    }

    fn set(
        &mut self,
        origin: Origin,
        name: &str,
        value: &str,
    ) {
        self.0.retain(|known| known.origin != origin || known.name != name);
        if self.0.len() < MAX_COOKIES {
            self.0.push(Cookie {
                origin,
                name: name.to_owned(),
                value: Secret::new(value),
            });
        }
    }
}
