//! Who is signed in in this browser, and how a form proves that this server's page sent it.
//!
//! Two cookies, both `HttpOnly` and `SameSite=Lax`: one names the session, the other an anonymous
//! browser that is about to sign in. Every form carries a token that only this server can derive
//! from the cookie (and, for consent, from the very request that the page showed). So a form
//! forged on another site lacks the cookie, one prepared in another browser carries a token for
//! another cookie, and what was approved is what was shown.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header;
use axum_extra::extract::cookie::Cookie;
use url::Url;

use crate::config::Config;
use crate::cookies;
use crate::net;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::store::StoreError;
use crate::store::sessions::Row;
use crate::users::User;

const SESSION: &str = "auth_server_session";
const BROWSER: &str = "auth_server_browser";

/// A signed-in browser.
#[derive(Clone)]
pub(crate) struct Session {
    /// The cookie's value; a secret.
    id: String,
    /// Its name in ID tokens; opens nothing.
    pub(crate) sid: String,
    pub(crate) user: Arc<User>,
    pub(crate) signed_in_at: i64,
}

impl Session {
    /// Whose session it is.
    pub(crate) fn username(&self) -> &str {
        &self.user.username
    }

    /// The token that ties a form to this browser, to what its page asks, and to this request.
    pub(crate) fn form_token(
        &self,
        state: &AppState,
        purpose: &str,
        request: &str,
    ) -> String {
        state.sealer.seal(&[purpose, &self.id, request])
    }
}

/// The session of the browser that sent these headers.
pub(crate) async fn find(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<Option<Session>, StoreError> {
    let Some(id) = cookies::read(&state.config, headers, SESSION) else {
        return Ok(None);
    };
    let (hash, now) = (secret::sha256(&id), state.now());
    let row = state.store.run(move |tx| store::sessions::find(tx, &hash, now)).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let user = owner(state, &row);
    Ok(user.map(|user| Session {
        id,
        sid: row.sid,
        user,
        signed_in_at: row.signed_in_at,
    }))
}

/// Whose session it is. A user who is no longer in the file, or has another password, has none.
fn owner(
    state: &AppState,
    row: &Row,
) -> Option<Arc<User>> {
    let user = state.users.get(&row.username)?;
    (user.credential == row.credential).then_some(user)
}

/// The user name of the session that an ID token names, in whatever browser it is.
pub(crate) async fn user_of(
    state: &AppState,
    sid: &str,
) -> Result<Option<String>, StoreError> {
    let (sid, now) = (sid.to_owned(), state.now());
    let row = state.store.run(move |tx| store::sessions::find_by_sid(tx, &sid, now)).await?;
    Ok(row.map(|row| row.username))
}

/// Starts a session under a fresh id (a known id from before the login would let whoever planted
/// it share the session) and returns its cookie. The browser's session until now is over.
pub(crate) async fn start(
    state: &AppState,
    headers: &HeaderMap,
    user: &User,
) -> Result<Cookie<'static>, StoreError> {
    let before = cookies::read(&state.config, headers, SESSION).map(|id| secret::sha256(&id));
    let id = secret::random();
    let (hash, now) = (secret::sha256(&id), state.now());
    let expires_at = now + state.config.settings.session_ttl;
    let row = Row {
        sid: secret::random(),
        username: user.username.clone(),
        credential: user.credential.clone(),
        signed_in_at: now,
    };
    state
        .store
        .run(move |tx| {
            if let Some(before) = before {
                store::sessions::delete(tx, &before)?;
            }
            store::sessions::insert(tx, &hash, &row, expires_at)
        })
        .await?;
    Ok(cookies::make(&state.config, SESSION, id))
}

/// Ends the session of that name and returns the cookie that clears its browser's.
pub(crate) async fn end(
    state: &AppState,
    sid: &str,
) -> Result<Cookie<'static>, StoreError> {
    let sid = sid.to_owned();
    state.store.run(move |tx| store::sessions::delete_by_sid(tx, &sid)).await?;
    let mut cookie = cookies::make(&state.config, SESSION, String::new());
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
        if let Some(id) = cookies::read(config, headers, BROWSER) {
            return Self {
                id,
                new_cookie: None,
            };
        }
        let id = secret::random();
        Self {
            new_cookie: Some(cookies::make(config, BROWSER, id.clone())),
            id,
        }
    }

    /// By what a sign-in elsewhere is tied to this browser.
    pub(crate) fn hash(&self) -> String {
        secret::sha256(&self.id)
    }

    /// The token that ties the login form to this browser.
    pub(crate) fn login_token(
        &self,
        state: &AppState,
    ) -> String {
        state.sealer.seal(&["login", &self.id])
    }
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
    let Some(host) = host.to_str().ok().filter(|host| is_authority(host)) else {
        return false;
    };
    Url::parse(&format!("http://{host}")).is_ok_and(|url| {
        net::has_loopback_host(&url) || url.host_str() == config.issuer.host.as_deref()
    })
}

/// A host and a port and nothing else: no `evil@localhost`, no `localhost/..`.
fn is_authority(host: &str) -> bool {
    !host.contains(['@', '/', '\\', '?', '#'])
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
