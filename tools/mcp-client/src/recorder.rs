//! Keeps what happened, in order, and shows it while it happens.

use std::fmt;

use anyhow::Result;
use anyhow::ensure;

use crate::exchange::Check;
use crate::exchange::Event;
use crate::exchange::Exchange;
use crate::exchange::Local;
use crate::exchange::Message;
use crate::exchange::Note;
use crate::exchange::Tale;
use crate::print::Printer;

/// The record of a walk. Commands that tell no story have one that keeps nothing.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) events: Vec<Event>,
    exchanges: usize,
    printer: Option<Printer>,
}

impl Recorder {
    /// A recorder that prints and keeps every event.
    pub(crate) fn telling(printer: Printer) -> Self {
        Self {
            printer: Some(printer),
            ..Self::default()
        }
    }

    /// A recorder for commands whose exchanges nobody reads.
    pub(crate) fn silent() -> Self {
        Self::default()
    }

    pub(crate) fn chapter(
        &mut self,
        title: &'static str,
    ) {
        self.add(Event::Chapter(title));
    }

    pub(crate) fn remark(
        &mut self,
        text: impl Into<String>,
    ) {
        self.add(Event::Remark(text.into()));
    }

    pub(crate) fn local(
        &mut self,
        tale: Tale,
        lines: Vec<String>,
    ) {
        self.add(Event::Local(Local {
            tale,
            lines,
        }));
    }

    /// Whether anybody reads the exchanges, so that it is worth laying them out.
    pub(crate) fn is_telling(&self) -> bool {
        self.printer.is_some()
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
        prevents: &'static str,
    ) -> Result<()> {
        let what = what.into();
        self.add(Event::Check(Check {
            passed,
            what: what.clone(),
            prevents,
        }));
        ensure!(passed, FailedCheck(what));
        Ok(())
    }

    fn add(
        &mut self,
        event: Event,
    ) {
        if let Some(printer) = &self.printer {
            printer.show(&event);
            self.events.push(event);
        }
    }
}

/// A check of the client that failed: what should have been so.
#[derive(Debug)]
pub(crate) struct FailedCheck(pub(crate) String);

impl fmt::Display for FailedCheck {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        write!(
            f,
            "this check of the client failed, so it stops: {}",
            self.0
        )
    }
}

impl std::error::Error for FailedCheck {}
