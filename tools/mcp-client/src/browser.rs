//! The user's side of the login: a real browser, a pasted URL, or a headless stand-in.
//!
//! The stand-in fills in plain login and consent pages, so that tests and workshops need no
//! browser. It knows the user's password, which a client never may: that is why it is called
//! Browser in the story, and why `--as` is for development only.

use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use reqwest::header::SET_COOKIE;
use url::Url;

use crate::discovery;
use crate::exchange::Note;
use crate::exchange::Party;
use crate::http::Http;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::page;
use crate::page::Form;

/// Login, consent and the redirects between them; more is a loop.
const MAX_PAGES: usize = 12;

/// A user name and a password.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    password: String,
}

impl std::str::FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err("expected user:password".to_owned()),
        }
    }
}

/// Opens the URL in the user's browser; where that is not possible, they have the printed URL.
pub(crate) fn open(url: &str) {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let started = Command::new(program)
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        eprintln!(
            "(no browser could be opened here: open the URL yourself, or use --paste-callback)"
        );
    }
}

/// Asks for the URL that the browser ended up at.
pub(crate) fn paste() -> Result<String> {
    eprint!("Log in there. The last page will not load: paste its address here: ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let line = line.trim();
    anyhow::ensure!(!line.is_empty(), "no address was pasted");
    Ok(line.to_owned())
}

/// A stand-in for the browser. It keeps its cookies, so whoever signed in stays signed in.
#[derive(Default)]
pub(crate) struct Headless {
    cookies: Vec<(String, String)>,
    signed_in: bool,
    /// Where the login began: the only place that may see the password.
    origin: String,
}

impl Headless {
    /// Plays the browser up to the redirect to the client, which it returns without following it.
    pub(crate) async fn play(
        &mut self,
        http: &mut Http,
        url: &str,
        redirect_uri: &str,
        user: &User,
    ) -> Result<String> {
        let mut request = Outgoing::get(url);
        let mut note = first_note();
        self.signed_in = false;
        self.origin = discovery::split(url).0.to_owned();
        for _ in 0..MAX_PAGES {
            let from = request.url.clone();
            let reply = http.send(note, self.with_cookies(request)).await?;
            self.keep_cookies(&reply);
            let location = reply.header("Location");
            if location.starts_with(redirect_uri) {
                return Ok(location);
            }
            (request, note) = match reply.status {
                300..400 => (
                    Outgoing::get(Url::parse(&from)?.join(&location)?),
                    follow_note(),
                ),
                _ => self.next(&reply, &from, user)?,
            };
        }
        bail!("the login pages lead nowhere: log in with a real browser, without --as")
    }

    /// What the user does on a page.
    fn next(
        &mut self,
        reply: &Reply,
        url: &str,
        user: &User,
    ) -> Result<(Outgoing, Note)> {
        let forms = page::forms(&reply.body);
        let page = page::summary(&reply.body);
        let sign_in = forms.iter().find(|form| form.asks_password());
        if let Some(form) = sign_in {
            if self.signed_in {
                bail!(
                    "{} was not let in: wrong user name or password? {page}",
                    user.name
                );
            }
            self.signed_in = true;
            let action = Url::parse(url)?.join(&form.action)?;
            if discovery::split(action.as_str()).0 != self.origin {
                bail!(
                    "the password is asked for elsewhere, at {action}: log in with a real browser"
                );
            }
            let fields = form.sign_in(&user.name, &user.password);
            return Ok((post(form, url, &fields)?, sign_in_note(&user.name)));
        }
        let form = forms.first().with_context(|| {
            format!(
                "the authorization server answered {}: {page}",
                reply.status_text()
            )
        })?;
        Ok((post(form, url, &form.press_first())?, consent_note()))
    }

    fn with_cookies(
        &self,
        request: Outgoing,
    ) -> Outgoing {
        let cookies = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        match cookies.collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => request,
            cookies => request.header("Cookie", cookies),
        }
    }

    fn keep_cookies(
        &mut self,
        reply: &Reply,
    ) {
        for cookie in reply.headers.get_all(SET_COOKIE) {
            let cookie = String::from_utf8_lossy(cookie.as_bytes());
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.retain(|(known, _)| known != name);
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

fn post(
    form: &Form,
    page: &str,
    fields: &[(String, String)],
) -> Result<Outgoing> {
    let action = Url::parse(page)?.join(&form.action)?;
    let fields: Vec<_> = fields
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    Ok(Outgoing::form(action, &fields))
}

fn note(
    title: &str,
    why: &str,
    clause: &str,
) -> Note {
    Note::to_server(title, why, clause).between(Party::Browser, Party::Issuer)
}

fn first_note() -> Note {
    note(
        "The browser opens the authorization URL",
        "From here on the user deals with the authorization server alone; the client sees neither \
         the page nor the password.",
        "RFC 6749 section 4.1.1; OAuth 2.1 section 4.1.1",
    )
}

fn follow_note() -> Note {
    note(
        "The browser follows the redirect",
        "Signed in now, it comes back to the same request, whose parameters are checked again.",
        "RFC 6749 section 3.1",
    )
}

fn sign_in_note(user: &str) -> Note {
    note(
        &format!("{user} signs in"),
        "The password goes to the authorization server and to nobody else: that is the point of \
         OAuth.",
        "RFC 6749 section 1",
    )
}

fn consent_note() -> Note {
    note(
        "The user allows it",
        "Consent names the client, the scopes and where the answer goes, so that nobody can lend \
         access without noticing. The answer is a redirect with the code.",
        "RFC 6749 sections 3.1 and 4.1.2; MCP security best practices, \"Confused Deputy Problem\"",
    )
}
