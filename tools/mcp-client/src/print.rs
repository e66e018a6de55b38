//! The story on the terminal, told while it happens.

use crate::exchange::Check;
use crate::exchange::Event;
use crate::exchange::Exchange;
use crate::exchange::Local;
use crate::exchange::Message;
use crate::out;
use crate::out::Line;
use crate::out::Style;

/// How to print.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    /// Say why, and name the clause.
    explain: bool,
    /// Wait for Enter after each exchange.
    step: bool,
}

impl Printer {
    pub(crate) fn new(
        explain: bool,
        step: bool,
    ) -> Self {
        Self {
            explain,
            step,
        }
    }

    pub(crate) fn show(
        &self,
        event: &Event,
    ) {
        out::print(&match event {
            Event::Chapter(title) => heading('═', title),
            Event::Exchange(exchange) => self.exchange(exchange),
            Event::Local(local) => self.local(local),
            Event::Check(check) => self.check(check),
            Event::Remark(text) => vec![Line::empty(), Line::new(text)],
        });
        if self.step && matches!(event, Event::Exchange(_) | Event::Local(_)) {
            out::ask("    [Enter] ");
            // Without anybody to press it, the walk goes on.
            let _ = std::io::stdin().read_line(&mut String::new());
        }
    }

    fn exchange(
        &self,
        exchange: &Exchange,
    ) -> Vec<Line> {
        let note = &exchange.note;
        let mut lines = heading('─', &format!("{}. {}", exchange.number, note.title));
        let parties = format!("{} → {}", note.from.name(), note.to.name());
        lines.extend(self.reason(note.why, &format!("{parties} · {}", note.clause)));
        lines.extend(message('>', Style::Cyan, &exchange.request));
        lines.push(Line::empty());
        lines.extend(message(
            '<',
            status_style(&exchange.answer),
            &exchange.answer,
        ));
        lines
    }

    fn local(
        &self,
        local: &Local,
    ) -> Vec<Line> {
        let tale = local.tale;
        let mut lines = heading('·', tale.title);
        lines.extend(self.reason(tale.why, &format!("inside the client · {}", tale.clause)));
        lines.extend(local.lines.iter().map(|line| behind("    ", line)));
        lines
    }

    fn check(
        &self,
        check: &Check,
    ) -> Vec<Line> {
        let (mark, style) = if check.passed {
            ("  ✓ ", Style::Green)
        } else {
            ("  ✗ ", Style::Red)
        };
        let mut lines = vec![Line::new(&check.what).marked(mark, style)];
        if self.explain {
            let why = Line::new(check.prevents).marked("      ", Style::Plain);
            lines.push(why.styled(Style::Dim));
        }
        lines
    }

    fn reason(
        &self,
        why: &str,
        clause: &str,
    ) -> Vec<Line> {
        if !self.explain {
            return Vec::new();
        }
        vec![
            Line::new(why),
            Line::new(clause).styled(Style::Dim),
            Line::empty(),
        ]
    }
}

/// A ruler with a title in it, as wide as the terminal.
fn heading(
    ruler: char,
    title: &str,
) -> Vec<Line> {
    let ruler = |count| ruler.to_string().repeat(count);
    let taken = title.chars().count() + 5;
    let rest = out::width().saturating_sub(taken);
    let text = format!("{} {title} {}", ruler(3), ruler(rest));
    vec![Line::empty(), Line::new(text).styled(Style::Bold)]
}

/// One half of an exchange, each line behind a mark.
fn message(
    mark: char,
    style: Style,
    message: &Message,
) -> Vec<Line> {
    let mark = format!("  {mark} ");
    let mut lines = vec![behind(&mark, &message.start).styled(style)];
    for (name, value) in &message.headers {
        lines.push(behind(&mark, &format!("{name}: {value}")));
    }
    lines.extend(message.body.lines().map(|line| behind(&mark, line)));
    lines
}

/// A line behind a mark that its further rows have as well, indented a little more.
fn behind(
    mark: &str,
    line: &str,
) -> Line {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let hang = format!("{mark}{}", " ".repeat(indent + 4));
    Line::new(line).marked(mark, Style::Plain).hanging(hang)
}

fn status_style(answer: &Message) -> Style {
    let code = answer.start.split(' ').nth(1).unwrap_or_default();
    match code.chars().next() {
        Some('2') => Style::Green,
        Some('3') => Style::Cyan,
        Some('4') => Style::Yellow,
        _ => Style::Red,
    }
}
