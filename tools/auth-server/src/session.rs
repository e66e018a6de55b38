//! Who is signed in in this browser, and how a form proves that this server's page sent it.
//!
//! Two cookies, both `HttpOnly` and `SameSite=Lax`: one names the session, the other an anonymous
//! browser that is about to sign in. Every form carries a token that only this server can derive
//! from the cookie (and, for consent, from the very request that the page showed). So a form
//! forged on another site lacks the cookie, one prepared in another browser carries a token for
//! another cookie, and what was approved is what was shown.

use axum::http::HeaderMap;
use axum::http::header;
use axum_extra::extract::cookie::Cookie;
use axum_extra::extract::cookie::CookieJar;
use axum_extra::extract::cookie::SameSite;

use crate::config::Config;
use crate::net;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::store::StoreError;
use crate::users::User;
use std::sync::Arc;
use url::Url;

const SESSION: &str = "auth_server_session";
const BROWSER: &str = "auth_server_browser";

/// A signed-in browser.
#[derive(Clone)]
pub(crate) struct Session {
    /// The cookie's value; a secret.
    id: String,
    pub(crate) user: Arc<User>,
    pub(crate) signed_in_at: i64,
}

impl Session {
    /// The token that ties the consent form to this browser and to this request.
    pub(crate) fn consent_token(
        &self,
        state: &AppState,
        request: &str,
    ) -> String {
        state.sealer.seal(&["consent", &self.id, request])
    }
}

/// The session of the browser that sent these headers.
pub(crate) async fn find(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<Option<Session>, StoreError> {
    let Some(id) = cookie(&state.config, headers, SESSION) else {
        return Ok(None);
    };
    let (hash, now) = (secret::sha256(&id), state.now());
    let row = state.store.run(move |tx| store::sessions::find(tx, &hash, now)).await?;
    // A user who is no longer in the file has no session either.
    Ok(row.and_then(|row| {
        Some(Session {
            id,
            user: state.users.get(&row.username)?,
            signed_in_at: row.signed_in_at,
        })
    }))
}

/// Starts a session under a fresh id (a known id from before the login would let whoever planted
/// it share the session) and returns its cookie.
pub(crate) async fn start(
    state: &AppState,
    username: &str,
) -> Result<Cookie<'static>, StoreError> {
    let id = secret::random();
    let (hash, name, now) = (secret::sha256(&id), username.to_owned(), state.now());
    let expires_at = now + state.config.settings.session_ttl;
    state
        .store
        .run(move |tx| store::sessions::insert(tx, &hash, &name, now, expires_at))
        .await?;
    Ok(make(&state.config, SESSION, id))
}

/// Ends the session, if there is one, and returns the cookie that clears the browser's.
pub(crate) async fn end(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<Cookie<'static>, StoreError> {
    if let Some(id) = cookie(&state.config, headers, SESSION) {
        let hash = secret::sha256(&id);
        state.store.run(move |tx| store::sessions::delete(tx, &hash)).await?;
    }
    let mut cookie = make(&state.config, SESSION, String::new());
    cookie.make_removal();
    Ok(cookie)
}

/// An anonymous browser on its way to sign in.
pub(crate) struct Browser {
    id: String,
    /// To be set where the browser had none yet.
    pub(crate) new_cookie: Option<Cookie<'static>>,
}

impl Browser {
    /// The browser's own id, or a new one. It stays the same over reloads and tabs, so that no
    /// open login form goes stale.
    pub(crate) fn of(
        config: &Config,
        headers: &HeaderMap,
    ) -> Self {
        if let Some(id) = cookie(config, headers, BROWSER) {
            return Self {
                id,
                new_cookie: None,
            };
        }
        let id = secret::random();
        Self {
            new_cookie: Some(make(config, BROWSER, id.clone())),
            id,
        }
    }

    /// The token that ties the login form to this browser.
    pub(crate) fn login_token(
        &self,
        state: &AppState,
    ) -> String {
        state.sealer.seal(&["login", &self.id])
    }
}

/// The cookie's value, unless it is empty.
fn cookie(
    config: &Config,
    headers: &HeaderMap,
    name: &str,
) -> Option<String> {
    CookieJar::from_headers(headers)
        .get(&full_name(config, name))
        .map(|cookie| cookie.value().to_owned())
        .filter(|value| !value.is_empty())
}

/// On https the `__Host-` prefix keeps other hosts and plain http from planting the cookie.
fn full_name(
    config: &Config,
    name: &str,
) -> String {
    let prefix = if config.issuer.https { "__Host-" } else { "" };
    format!("{prefix}{name}")
}

fn make(
    config: &Config,
    name: &str,
    value: String,
) -> Cookie<'static> {
    Cookie::build((full_name(config, name), value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(config.issuer.https)
        .build()
}

/// Whether the browser believes to be where we are: on this machine, or at the issuer's host.
///
/// Otherwise a page of a name that suddenly resolves to this address (DNS rebinding) would be of
/// one origin with ours, could read the login form, and the demo users' passwords are known.
pub(crate) fn is_own_host(
    config: &Config,
    headers: &HeaderMap,
) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let url = host.to_str().ok().and_then(|host| Url::parse(&format!("http://{host}")).ok());
    url.is_some_and(|url| {
        net::has_loopback_host(&url) || url.host_str() == config.issuer.host.as_deref()
    })
}

/// Whether a form may come from where the browser says it comes from.
///
/// Our own origin, or `null`: under `Referrer-Policy: no-referrer` browsers hide the origin of
/// our own pages as well. `Sec-Fetch-Site`, which no page can forge, tells those two apart.
pub(crate) fn is_own_form(
    config: &Config,
    headers: &HeaderMap,
) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text(header::ORIGIN.as_str());
    let site = text("sec-fetch-site");
    origin.is_none_or(|origin| origin == "null" || origin == config.issuer.origin)
        && site.is_none_or(|site| matches!(site, "same-origin" | "none"))
}
