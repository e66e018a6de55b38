//! Why a request of a browser does not go on, and how the user is told.
//!
//! Either a page, or a redirect to the client with `error`, `state` and `iss` (RFC 6749 section
//! 4.1.2.1, RFC 9207). A redirect is only for a way back that is known to be the client's; and
//! where the client merely registered itself and nobody has signed in, not even then: anybody
//! could send people to any site through this one (RFC 9700 section 4.11.2). Those get a page
//! with a link.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::audit;
use crate::clients::Client;
use crate::clients::Source;
use crate::config::Issuer;
use crate::pages;
use crate::params::Params;
use crate::params::Repeated;
use crate::redirect;
use crate::store::StoreError;

/// Seconds to wait before a page that was refused with 429 is worth another try.
const PAGE_WAIT: u64 = 60;

/// The verified way back to the client.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    /// The place is this machine, or the operator vouches for the client.
    trusted: bool,
}

impl Back {
    /// `redirect_uri` must be one that the client may use.
    pub(crate) fn new(
        client: &Client,
        redirect_uri: String,
        state: Option<String>,
    ) -> Self {
        let vouched_for = match client.source {
            Source::File => true,
            Source::Registration | Source::Document => false,
        };
        Self {
            trusted: vouched_for || redirect::is_loopback(&redirect_uri),
            redirect_uri,
            state,
        }
    }

    /// The client's URL with these parameters, `state` and `iss`.
    fn url(
        &self,
        issuer: &Issuer,
        params: &[(&str, &str)],
    ) -> String {
        let mut all = params.to_vec();
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.push(("iss", &issuer.text));
        redirect::with_params(&self.redirect_uri, &all)
    }

    /// Whether the browser may be sent there although nobody has signed in.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The host, for people to read.
    pub(crate) fn shown_host(&self) -> String {
        redirect::shown_host(&self.redirect_uri)
    }

    /// The client's URL with `state` alone, for where no answer is due (after signing out).
    pub(crate) fn plain_url(&self) -> String {
        match &self.state {
            Some(state) => redirect::with_params(&self.redirect_uri, &[("state", state)]),
            None => self.redirect_uri.clone(),
        }
    }

    /// Redirects the browser to the client.
    ///
    /// 303, so that the browser turns a post into a get and never sends a password on.
    pub(crate) fn send(
        &self,
        issuer: &Issuer,
        params: &[(&str, &str)],
    ) -> Response {
        Redirect::to(&self.url(issuer, params)).into_response()
    }
}

/// Why a request does not go on.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The way back is not known to be safe, or there is nobody to go back to.
    Page {
        status: StatusCode,
        title: &'static str,
        text: String,
        hints: &'static [&'static str],
    },
    /// To the client.
    Back {
        back: Box<Back>,
        code: &'static str,
        description: &'static str,
    },
}

impl Refusal {
    pub(crate) fn page(
        title: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self::Page {
            status: StatusCode::BAD_REQUEST,
            title,
            text: text.into(),
            hints: &[],
        }
    }

    /// The answer, and its line in the audit log.
    pub(crate) fn answer(
        self,
        issuer: &Issuer,
        who: Who<'_>,
    ) -> Response {
        match self {
            Self::Page {
                status,
                title,
                text,
                hints,
            } => {
                who.denied("page", title);
                let problem = pages::Problem {
                    base: &issuer.path,
                    title,
                    text: &text,
                    hints,
                    way_on: None,
                };
                show(status, &problem)
            }
            Self::Back {
                back,
                code,
                description,
            } => {
                who.denied(code, description);
                let safe = back.trusted || who.is_signed_in();
                let params = [("error", code), ("error_description", description)];
                if safe {
                    back.send(issuer, &params)
                } else {
                    ask_first(issuer, &back, &params)
                }
            }
        }
    }
}

/// With the time to wait, where waiting helps.
fn show(
    status: StatusCode,
    problem: &pages::Problem<'_>,
) -> Response {
    let wait = (status == StatusCode::TOO_MANY_REQUESTS)
        .then_some((header::RETRY_AFTER, PAGE_WAIT.to_string()));
    (AppendHeaders(wait), pages::show(status, problem)).into_response()
}

/// The page instead of the redirect: where it would lead, and a link for who wants to go there.
fn ask_first(
    issuer: &Issuer,
    back: &Back,
    params: &[(&str, &str)],
) -> Response {
    let url = back.url(issuer, params);
    let problem = pages::Problem {
        base: &issuer.path,
        title: "This request cannot go on",
        text: params.last().map_or("", |(_, description)| description),
        hints: &[],
        way_on: Some(pages::WayOn {
            host: &back.shown_host(),
            url: &url,
        }),
    };
    pages::show(StatusCode::BAD_REQUEST, &problem)
}

/// Whose request is refused, for the audit log.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    event: &'static str,
    /// Whose browser it is, once somebody has signed in there.
    user: Option<&'a str>,
    client: &'a str,
}

impl<'a> Who<'a> {
    /// Nobody is signed in. The client is the one that the request's parameters name, true or not.
    pub(crate) fn nobody(
        event: &'static str,
        params: &'a Params,
    ) -> Self {
        Self {
            event,
            user: None,
            client: params.all("client_id").next().unwrap_or_default(),
        }
    }

    /// The same with the user whose browser it is, if any.
    pub(crate) fn user(
        self,
        username: Option<&'a str>,
    ) -> Self {
        Self {
            user: username,
            ..self
        }
    }

    fn is_signed_in(self) -> bool {
        self.user.is_some()
    }

    fn denied(
        self,
        code: &str,
        description: &str,
    ) {
        audit::denied(audit::Entry {
            event: self.event,
            user: self.user.unwrap_or_default(),
            client: self.client,
            detail: &format!("{code}: {description}"),
        });
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a page failed");
        Self::Page {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "The server failed",
            text: "Its log says why. Nothing was granted.".to_owned(),
            hints: &[],
        }
    }
}

impl From<Repeated> for Refusal {
    fn from(Repeated(name): Repeated) -> Self {
        Self::page(
            "This request is ambiguous",
            format!("It names {name} more than once."),
        )
    }
}
