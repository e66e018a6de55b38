//! What happened, event by event: the one record that the terminal, the Markdown file and the
//! diagram are all made from.
//!
//! Everything in it is already redacted (see [`crate::redact`]), so no way of showing it can leak
//! a secret. Left out: timing, because an explanation that differs at every run is hard to compare.

use serde::Serialize;

use crate::print::Printer;

/// Who sends and who answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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
    pub(crate) title: String,
    /// One sentence: what, and above all why.
    pub(crate) why: String,
    /// The RFC section or the page of the MCP specification.
    pub(crate) clause: String,
}

impl Note {
    /// A note on a request of the client to the MCP server.
    pub(crate) fn to_server(
        title: impl Into<String>,
        why: impl Into<String>,
        clause: impl Into<String>,
    ) -> Self {
        Self {
            from: Party::Client,
            to: Party::Server,
            title: title.into(),
            why: why.into(),
            clause: clause.into(),
        }
    }

    /// The same with other parties.
    pub(crate) fn between(
        mut self,
        from: Party,
        to: Party,
    ) -> Self {
        self.from = from;
        self.to = to;
        self
    }

    /// A note on a request of the client to the authorization server.
    pub(crate) fn to_issuer(
        title: impl Into<String>,
        why: impl Into<String>,
        clause: impl Into<String>,
    ) -> Self {
        Self::to_server(title, why, clause).between(Party::Client, Party::Issuer)
    }
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
    pub(crate) title: String,
    pub(crate) why: String,
    pub(crate) clause: String,
    pub(crate) lines: Vec<String>,
}

/// A validation that a client owes its user.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) passed: bool,
    /// What was compared with what.
    pub(crate) what: String,
    /// The attack or accident that it prevents.
    pub(crate) prevents: String,
}

/// Anything worth telling.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Chapter(String),
    Exchange(Exchange),
    Local(Local),
    Check(Check),
    Remark(String),
}

/// Keeps the events in order and prints them as they come.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) events: Vec<Event>,
    exchanges: usize,
    printer: Option<Printer>,
}

impl Recorder {
    /// A recorder that prints, or with `None` one that only records.
    pub(crate) fn new(printer: Option<Printer>) -> Self {
        Self {
            printer,
            ..Self::default()
        }
    }

    pub(crate) fn chapter(
        &mut self,
        title: &str,
    ) {
        self.add(Event::Chapter(title.to_owned()));
    }

    pub(crate) fn remark(
        &mut self,
        text: impl Into<String>,
    ) {
        self.add(Event::Remark(text.into()));
    }

    pub(crate) fn local(
        &mut self,
        title: &str,
        why: &str,
        clause: &str,
        lines: Vec<String>,
    ) {
        self.add(Event::Local(Local {
            title: title.to_owned(),
            why: why.to_owned(),
            clause: clause.to_owned(),
            lines,
        }));
    }

    pub(crate) fn exchange(
        &mut self,
        note: Note,
        request: Message,
        answer: Message,
    ) {
        self.exchanges += 1;
        self.add(Event::Exchange(Exchange {
            number: self.exchanges,
            note,
            request,
            answer,
        }));
    }

    /// Records a validation; one that fails ends the flow with its sentence.
    pub(crate) fn check(
        &mut self,
        passed: bool,
        what: impl Into<String>,
        prevents: impl Into<String>,
    ) -> anyhow::Result<()> {
        let what = what.into();
        self.add(Event::Check(Check {
            passed,
            what: what.clone(),
            prevents: prevents.into(),
        }));
        anyhow::ensure!(
            passed,
            "this check of the client failed, so it stops: {what}"
        );
        Ok(())
    }

    fn add(
        &mut self,
        event: Event,
    ) {
        if let Some(printer) = &self.printer {
            printer.show(&event);
        }
        self.events.push(event);
    }
}
