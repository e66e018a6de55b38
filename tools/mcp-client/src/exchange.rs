//! What happened, event by event: the data that the terminal, the Markdown file and the diagram are
//! all made from.
//!
//! Everything in it is already redacted (see [`crate::redact`]), so no way of showing it can leak
//! a secret. Left out: timing, because an explanation that differs at every run is hard to compare.

use std::borrow::Cow;

/// Who sends and who answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Party {
    /// This program.
    Client,
    /// The user's browser, or what plays it under `--as`.
    Browser,
    /// The MCP server, in OAuth's words the resource server.
    Server,
    /// The authorization server.
    Issuer,
}

impl Party {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "Client",
            Self::Browser => "Browser",
            Self::Server => "MCP server",
            Self::Issuer => "Authorization server",
        }
    }
}

/// What an exchange is for.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) from: Party,
    pub(crate) to: Party,
    /// A few words, in the imperative.
    pub(crate) title: Cow<'static, str>,
    /// One sentence: what, and above all why.
    pub(crate) why: &'static str,
    /// The RFC section or the page of the MCP specification.
    pub(crate) clause: &'static str,
}

impl Note {
    /// The same with another title, such as one that names the tool.
    pub(crate) fn titled(
        &self,
        title: String,
    ) -> Self {
        Self {
            title: Cow::Owned(title),
            ..self.clone()
        }
    }

    /// The same request for the second time.
    pub(crate) fn again(&self) -> Self {
        Self {
            title: Cow::Owned(format!("{} again", self.title)),
            why: "The very same request, with the new token.",
            ..self.clone()
        }
    }
}

/// What a step inside the client is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tale {
    pub(crate) title: &'static str,
    pub(crate) why: &'static str,
    pub(crate) clause: &'static str,
}

/// One half of an exchange, redacted and laid out for reading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// `POST http://localhost:9000/mcp` or `HTTP/1.1 401 Unauthorized`.
    pub(crate) start: String,
    /// Only the headers that matter to the story.
    pub(crate) headers: Vec<(String, String)>,
    /// Indented JSON, one form parameter a line, or a summary of a page.
    pub(crate) body: String,
}

/// A request that really went out and the answer that really came back.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) note: Note,
    pub(crate) request: Message,
    pub(crate) answer: Message,
}

/// A thing that happens inside the client, without the network.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) tale: Tale,
    pub(crate) lines: Vec<String>,
}

/// A validation that a client owes its user.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) passed: bool,
    /// What was compared with what.
    pub(crate) what: String,
    /// The attack or accident that it prevents.
    pub(crate) prevents: &'static str,
}

/// Anything worth telling.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Chapter(&'static str),
    Exchange(Exchange),
    Local(Local),
    Check(Check),
    Remark(String),
}
