//! The story on the terminal, told while it happens.
//!
//! Colours only where a terminal shows them (and `NO_COLOR` is not set), so a pipe or a file gets
//! plain text.

use std::io::IsTerminal;
use std::io::Write;

use crate::exchange::Check;
use crate::exchange::Event;
use crate::exchange::Exchange;
use crate::exchange::Local;
use crate::exchange::Message;

const WIDTH: usize = 100;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// How to print.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    /// Say why, and name the clause.
    pub(crate) explain: bool,
    /// Wait for Enter after each exchange.
    pub(crate) step: bool,
    colours: bool,
}

impl Printer {
    pub(crate) fn new(
        explain: bool,
        step: bool,
    ) -> Self {
        Self {
            explain,
            step,
            colours: colours_on_stdout(),
        }
    }

    pub(crate) fn show(
        &self,
        event: &Event,
    ) {
        let text = match event {
            Event::Chapter(title) => format!("\n{}", self.paint(BOLD, &heading('═', title))),
            Event::Exchange(exchange) => self.exchange(exchange),
            Event::Local(local) => self.local(local),
            Event::Check(check) => self.check(check),
            Event::Remark(text) => format!("\n{}", wrap(text, "")),
        };
        // A reader that went away (`| head`) is no reason to panic.
        let _ = writeln!(std::io::stdout(), "{text}");
        if self.step && matches!(event, Event::Exchange(_) | Event::Local(_)) {
            self.wait();
        }
    }

    fn wait(&self) {
        eprint!("{}", self.paint(DIM, "    [Enter] "));
        let _ = std::io::stdin().read_line(&mut String::new());
    }

    fn exchange(
        &self,
        exchange: &Exchange,
    ) -> String {
        let note = &exchange.note;
        let title = format!("{}. {}", exchange.number, note.title);
        let mut text = format!("\n{}", self.paint(BOLD, &heading('─', &title)));
        let parties = format!("{} → {}", note.from.name(), note.to.name());
        text.push_str(&self.reason(note.why, &format!("{parties} · {}", note.clause)));
        text.push_str(&self.message('>', CYAN, &exchange.request));
        text.push('\n');
        text.push_str(&self.message('<', self.status_colour(&exchange.answer), &exchange.answer));
        text
    }

    fn local(
        &self,
        local: &Local,
    ) -> String {
        let mut text = format!("\n{}", self.paint(BOLD, &heading('·', local.tale.title)));
        text.push_str(&self.reason(
            local.tale.why,
            &format!("inside the client · {}", local.tale.clause),
        ));
        for line in &local.lines {
            text.push_str(&format!("\n    {line}"));
        }
        text
    }

    fn check(
        &self,
        check: &Check,
    ) -> String {
        let (mark, colour) = if check.passed {
            ("✓", GREEN)
        } else {
            ("✗", RED)
        };
        let line = format!("  {} {}", self.paint(colour, mark), check.what);
        match self.explain {
            true => format!("{line}\n{}", self.paint(DIM, &wrap(check.prevents, "    "))),
            false => line,
        }
    }

    fn reason(
        &self,
        why: &str,
        clause: &str,
    ) -> String {
        match self.explain {
            true => format!(
                "\n{}\n{}\n",
                wrap(why, ""),
                self.paint(DIM, &wrap(clause, ""))
            ),
            false => String::new(),
        }
    }

    fn message(
        &self,
        mark: char,
        colour: &str,
        message: &Message,
    ) -> String {
        let mut lines = vec![self.paint(colour, &message.start)];
        lines.extend(
            message
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        lines.extend(message.body.lines().map(str::to_owned));
        let lines = lines.iter().map(|line| format!("\n  {mark} {line}"));
        lines.collect()
    }

    fn status_colour(
        &self,
        answer: &Message,
    ) -> &'static str {
        match answer
            .start
            .split(' ')
            .nth(1)
            .and_then(|code| code.chars().next())
        {
            Some('2') => GREEN,
            Some('3') => CYAN,
            Some('4') => YELLOW,
            _ => RED,
        }
    }

    fn paint(
        &self,
        code: &str,
        text: &str,
    ) -> String {
        match self.colours {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Whether standard output is a terminal whose user has not asked for plain text.
pub(crate) fn colours_on_stdout() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn heading(
    line: char,
    title: &str,
) -> String {
    let rest = WIDTH.saturating_sub(title.chars().count() + 5);
    let (start, end) = (line.to_string().repeat(3), line.to_string().repeat(rest));
    format!("{start} {title} {end}")
}

/// Breaks a paragraph into lines, each behind `indent`.
pub(crate) fn wrap(
    text: &str,
    indent: &str,
) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it starts with one line");
        if line.chars().count() + word.chars().count() >= WIDTH && line.len() > indent.len() {
            lines.push(format!("{indent}{word}"));
        } else if line.len() > indent.len() {
            line.push_str(&format!(" {word}"));
        } else {
            line.push_str(word);
        }
    }
    lines.join("\n")
}
