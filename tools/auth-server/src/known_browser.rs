//! Browsers in which a user has signed in before.
//!
//! Whoever guesses at a name makes that name wait, and with it the user. So a browser that was
//! let in once gets a cookie, and from then on its attempts are counted by themselves: nobody
//! else can use them up (the device cookies of the OWASP project). The cookie proves nothing but
//! that, and a right password is asked for as ever.

use axum::http::HeaderMap;
use axum_extra::extract::cookie::Cookie;

use crate::config::Config;
use crate::cookies;
use crate::secret;
use crate::secret::Sealer;
use crate::throttle::Key;

/// One cookie for each user, so that several can share a browser.
fn name(username: &str) -> String {
    let digest = secret::sha256(username);
    format!("auth_server_known_{}", &digest[..16])
}

fn seal(
    sealer: &Sealer,
    username: &str,
    id: &str,
) -> String {
    sealer.seal(&["known browser", username, id])
}

/// By what this browser's attempts to sign in as that user are counted.
pub(crate) fn key(
    config: &Config,
    sealer: &Sealer,
    headers: &HeaderMap,
    username: &str,
) -> Key {
    let known = cookies::read(config, headers, &name(username)).and_then(|value| {
        let (id, proof) = value.split_once('.')?;
        secret::same(proof, &seal(sealer, username, id)).then(|| id.to_owned())
    });
    known.map_or_else(|| Key::name(username), |id| Key::browser(&id))
}

/// The cookie for a browser in which the user has just signed in.
pub(crate) fn cookie(
    config: &Config,
    sealer: &Sealer,
    username: &str,
) -> Cookie<'static> {
    let id = secret::random();
    let value = format!("{id}.{}", seal(sealer, username, &id));
    let mut cookie = cookies::make(config, &name(username), value);
    // As long as the browser keeps it, which is about a year.
    cookie.make_permanent();
    cookie
}
