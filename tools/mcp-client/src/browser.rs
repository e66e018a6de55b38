//! The user's side of the login: a real browser, a pasted URL, or a headless stand-in.
//!
//! The stand-in fills in plain login and consent pages, so that tests and workshops need no
//! browser. It knows the user's password, which a client never may: that is why it is called
//! Browser in the story, and why `--as` is for development only.
//!
//! It fills in forms where the login began and nowhere else. A redirect to another origin, such as a
//! sign-in through an upstream provider, is followed by GET with the cookies of that origin alone,
//! and leads on only where it asks nothing.

use std::fmt;
use std::str::FromStr;
use std::thread;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use url::Url;

use crate::exchange::Note;
use crate::gate::jar::Jar;
use crate::gate::sealed::Field;
use crate::gate::sealed::Sealed;
use crate::gate::secret::Secret;
use crate::gate::trusted::Trusted;
use crate::http::Http;
use crate::http::Reply;
use crate::out;
use crate::page;
use crate::page::Form;
use crate::page::Input;
use crate::redact;
use crate::story;

/// Login, consent and the redirects between them; more is a loop.
const MAX_PAGES: usize = 12;

/// A user name and a password.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    password: Secret,
}

impl FromStr for User {
    type Err = NoUser;

    fn from_str(text: &str) -> Result<Self, NoUser> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                password: Secret::new(password),
            }),
            _ => Err(NoUser),
        }
    }
}

/// A text that is not `user:password`.
#[derive(Debug)]
pub(crate) struct NoUser;

impl fmt::Display for NoUser {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str("expected user:password")
    }
}

impl std::error::Error for NoUser {}

/// Opens the URL in the user's browser; where that is not possible, they have the printed URL.
pub(crate) fn open(url: &Url) {
    out::say("\nLog in in your browser. If it does not open, go to:");
    out::say_url(url);
    if !has_screen(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        out::say(NO_BROWSER);
        return;
    }
    let url = url.to_string();
    // A browser in a terminal runs until its user closes it, so nobody waits for it here.
    thread::spawn(move || {
        if webbrowser::open(&url).is_err() {
            out::say(NO_BROWSER);
        }
    });
}

const NO_BROWSER: &str =
    "(no browser could be opened here: open the address yourself, or use --paste-callback)";

/// Whether a browser has anywhere to show itself. Without a screen, on Linux and its like, what
/// would be started is a browser for terminals, on top of this program.
fn has_screen(is_set: impl Fn(&str) -> bool) -> bool {
    let somewhere = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"];
    cfg!(any(windows, target_os = "macos")) || somewhere.into_iter().any(is_set)
}

/// Asks for the URL that the browser ended up at.
pub(crate) fn paste(url: &Url) -> Result<String> {
    out::say("\nOpen this address in any browser:");
    out::say_url(url);
    out::ask("Log in there. The last page will not load: paste its address here: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let line = line.trim();
    ensure!(!line.is_empty(), "no address was pasted");
    Ok(line.to_owned())
}

/// A stand-in for the browser. It keeps its cookies, so whoever signed in stays signed in.
#[derive(Default)]
pub(crate) struct Headless {
    jar: Jar,
}

/// One login, or one logout: where it began, and who is doing it.
struct Visit<'a> {
    home: &'a Trusted,
    user: Option<&'a User>,
    signed_in: bool,
}

impl Headless {
    /// Plays the browser up to the redirect to the client, which it returns without following it.
    pub(crate) async fn log_in(
        &mut self,
        http: &mut Http,
        request: &Trusted,
        redirect_uri: &str,
        user: &User,
    ) -> Result<String> {
        let mut visit = Visit {
            home: request,
            user: Some(user),
            signed_in: false,
        };
        let mut at = request.url().clone();
        let mut next = self.jar.get(&at)?;
        let mut note = story::OPEN;
        for _ in 0..MAX_PAGES {
            let reply = http.send(note, next).await?;
            self.jar.keep(&at, &reply);
            if let Some(to) = redirect(&reply, &at)? {
                if is_redirect_to(&to, redirect_uri) {
                    return Ok(to.into());
                }
                next = self.jar.get(&to)?;
                (at, note) = (to, story::FOLLOW);
                continue;
            }
            let form = visit.fill_in(&reply, &at)?;
            next = form.post(&self.jar, visit.home)?;
            (at, note) = (form.action, form.note);
        }
        bail!("the login pages lead nowhere: log in with a real browser, without --as")
    }

    /// Ends the session at the authorization server: the page, and the button where it asks.
    pub(crate) async fn log_out(
        &mut self,
        http: &mut Http,
        place: &Trusted,
    ) -> Result<()> {
        let mut visit = Visit {
            home: place,
            user: None,
            signed_in: false,
        };
        let mut at = place.url().clone();
        let mut next = self.jar.get(&at)?;
        let mut pressed = false;
        for _ in 0..MAX_PAGES {
            let reply = http.send(story::QUIET, next).await?;
            self.jar.keep(&at, &reply);
            ensure!(reply.status < 400, "{}", reply.status_text());
            if let Some(to) = redirect(&reply, &at)? {
                next = self.jar.get(&to)?;
                at = to;
                continue;
            }
            if pressed || page::forms(&reply.body).is_empty() {
                return Ok(());
            }
            let form = visit.fill_in(&reply, &at)?;
            next = form.post(&self.jar, visit.home)?;
            (at, pressed) = (form.action, true);
        }
        bail!("the pages lead nowhere")
    }
}

/// Where an answer redirects to, if it does.
fn redirect(
    reply: &Reply,
    at: &Url,
) -> Result<Option<Url>> {
    let location = reply.header("Location");
    if !(300..400).contains(&reply.status) || location.is_empty() {
        return Ok(None);
    }
    let to = at.join(&location).context("the authorization server redirects to no URL")?;
    Ok(Some(to))
}

/// Whether a URL is the redirect URI with an answer in its query.
fn is_redirect_to(
    url: &Url,
    redirect_uri: &str,
) -> bool {
    let mut plain = url.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    plain.as_str() == redirect_uri
}

/// A form as the user filled it in.
struct Filled<'a> {
    form: Form,
    action: Url,
    user: Option<&'a User>,
    note: Note,
}

impl Filled<'_> {
    fn post(
        &self,
        jar: &Jar,
        home: &Trusted,
    ) -> Result<Sealed> {
        let fields = match self.user {
            Some(user) => sign_in(&self.form, user),
            None => press_first(&self.form),
        };
        jar.post(home, &self.action, &fields)
    }
}

impl<'a> Visit<'a> {
    /// What the user does on a page. Where the page is none of the place that the login began at,
    /// nothing.
    fn fill_in(
        &mut self,
        reply: &Reply,
        at: &Url,
    ) -> Result<Filled<'a>> {
        let page = page::summary(&reply.body);
        ensure!(
            self.home.sibling(at.as_str()).is_some(),
            "the login goes on elsewhere, and {} asks for something: log in with a real browser, \
             without --as",
            redact::url(at.as_str())
        );
        let mut forms = page::forms(&reply.body);
        let password = forms.iter().position(Form::asks_password);
        if password.is_some() && self.signed_in {
            let name = self.user.map_or("the user", |user| user.name.as_str());
            bail!("{name} was not let in: wrong user name or password? {page}");
        }
        let status = reply.status_text();
        let nothing = || format!("the authorization server answered {status}: {page}");
        ensure!(!forms.is_empty(), nothing());
        let form = forms.swap_remove(password.unwrap_or(0));
        let action = at.join(&form.action).with_context(nothing)?;
        self.signed_in |= password.is_some();
        let user = if password.is_some() { self.user } else { None };
        let note = match user {
            Some(user) => story::SIGN_IN.titled(format!("{} signs in", user.name)),
            None => story::CONSENT,
        };
        self.check_action(&action, user.is_some())?;
        Ok(Filled {
            form,
            action,
            user,
            note,
        })
    }

    fn check_action(
        &self,
        action: &Url,
        has_password: bool,
    ) -> Result<()> {
        let what = if has_password {
            "the password is asked for elsewhere"
        } else {
            "the form leads elsewhere"
        };
        ensure!(
            self.home.sibling(action.as_str()).is_some(),
            "{what}, at {}: log in with a real browser, without --as",
            redact::url(action.as_str())
        );
        Ok(())
    }
}

/// What is sent when the user signs in.
fn sign_in<'a>(
    form: &'a Form,
    user: &'a User,
) -> Vec<(&'a str, Field<'a>)> {
    let fields = form.fields.iter().filter(|input| input.kind != "submit");
    fields
        .map(|input| match input.kind.as_str() {
            "password" => (input.name.as_str(), Field::Secret(&user.password)),
            "hidden" | "checkbox" => as_it_is(input),
            _ => (input.name.as_str(), Field::Text(&user.name)),
        })
        .collect()
}

/// What is sent when the user presses the first button: the one that goes on.
fn press_first(form: &Form) -> Vec<(&str, Field<'_>)> {
    let is_button = |input: &&Input| input.kind == "submit";
    let (buttons, others): (Vec<_>, Vec<_>) = form.fields.iter().partition(is_button);
    let pressed = buttons.into_iter().take(1);
    others.into_iter().chain(pressed).map(as_it_is).collect()
}

fn as_it_is(input: &Input) -> (&str, Field<'_>) {
    (&input.name, Field::Text(&input.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_without_a_screen_starts_no_browser() {
        assert!(!has_screen(|_| false));
        assert!(has_screen(|name| name == "WAYLAND_DISPLAY"));
        assert!(has_screen(|name| name == "BROWSER"));
    }

    #[test]
    fn only_the_redirect_uri_itself_is_the_way_back() {
        let back = |url: &str| is_redirect_to(&url.parse().unwrap(), "http://127.0.0.1:7/callback");
        assert!(back("http://127.0.0.1:7/callback?code=1&state=2"));
        for url in [
            "http://127.0.0.1:7/callback/other?code=1",
            "http://127.0.0.1:7/callback.evil?code=1",
            "http://127.0.0.1:71/callback?code=1",
            "http://127.0.0.1:7@evil.example/callback?code=1",
        ] {
            assert!(!back(url), "{url}");
        }
    }
}
