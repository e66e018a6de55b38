//! The record as a Markdown page and as a sequence diagram.
//!
//! Both say what really happened, in the same words as the terminal, and hold as little that is
//! secret: the record was redacted before. Left out: the values that the diagram has no room for.

use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;

use crate::exchange::Check;
use crate::exchange::Event;
use crate::exchange::Exchange;
use crate::exchange::Message;
use crate::exchange::Party;
use crate::urls::split;
use crate::visible;

/// Longer labels make a diagram that nobody can read.
const LABEL: usize = 80;

/// Files to write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) mermaid: Option<PathBuf>,
}

impl Files {
    /// Writes those that were asked for, also when the walk ended early.
    pub(crate) fn write(
        &self,
        url: &str,
        events: &[Event],
    ) -> Result<()> {
        let texts = [
            (&self.markdown, markdown(url, events)),
            (&self.mermaid, mermaid(events)),
        ];
        for (file, text) in texts {
            if let Some(file) = file {
                let failed = || format!("{} cannot be written", file.display());
                // Whatever a server put into it can be seen in it.
                let text = visible::page(&text);
                std::fs::write(file, text.as_bytes()).with_context(failed)?;
            }
        }
        Ok(())
    }
}

/// A page with a diagram on top and every exchange below.
fn markdown(
    url: &str,
    events: &[Event],
) -> String {
    let mut page = format!(
        "# Walking to {}\n\n```mermaid\n{}```\n",
        inline(url),
        mermaid(events)
    );
    for event in events {
        page.push_str(&match event {
            Event::Chapter(title) => format!("\n## {title}\n"),
            Event::Exchange(exchange) => section(exchange),
            Event::Local(local) => format!(
                "\n### {}\n\n{}\n\n*{}*\n\n{}",
                local.tale.title,
                local.tale.why,
                local.tale.clause,
                fence("text", &local.lines.join("\n"))
            ),
            Event::Check(check) => format!("\n- {}\n", checked(check)),
            Event::Remark(text) => format!("\n> {}\n", inline(text)),
        });
    }
    page
}

fn checked(check: &Check) -> String {
    let mark = if check.passed { "✓" } else { "✗" };
    format!("{mark} {} — *{}*", inline(&check.what), check.prevents)
}

fn section(exchange: &Exchange) -> String {
    let note = &exchange.note;
    format!(
        "\n### {}. {}\n\n{}\n\n*{} → {}: {}*\n\n{}\n{}",
        exchange.number,
        inline(&note.title),
        note.why,
        note.from.name(),
        note.to.name(),
        note.clause,
        fence("http", &whole(&exchange.request)),
        fence("http", &whole(&exchange.answer))
    )
}

fn whole(message: &Message) -> String {
    let mut text = message.start.clone();
    for (name, value) in &message.headers {
        text.push_str(&format!("\n{name}: {value}"));
    }
    if !message.body.is_empty() {
        text.push_str(&format!("\n\n{}", message.body));
    }
    text
}

/// A code block whose fence is longer than any run of backticks in it: servers choose the content.
fn fence(
    language: &str,
    text: &str,
) -> String {
    let mut ticks = "```".to_owned();
    while text.contains(&ticks) {
        ticks.push('`');
    }
    format!("{ticks}{language}\n{text}\n{ticks}\n")
}

/// A Mermaid sequence diagram.
fn mermaid(events: &[Event]) -> String {
    let mut diagram = String::from("sequenceDiagram\n");
    for party in [Party::Browser, Party::Client, Party::Server, Party::Issuer] {
        diagram.push_str(&format!(
            "    participant {} as {}\n",
            id(party),
            party.name()
        ));
    }
    for event in events {
        diagram.push_str(&match event {
            Event::Exchange(exchange) => arrows(exchange),
            Event::Local(local) => format!("    Note over C: {}\n", label(local.tale.title)),
            Event::Check(check) if !check.passed => {
                format!("    Note over C: refused: {}\n", label(&check.what))
            }
            Event::Check(_) | Event::Chapter(_) | Event::Remark(_) => String::new(),
        });
    }
    diagram
}

fn arrows(exchange: &Exchange) -> String {
    let (from, to) = (id(exchange.note.from), id(exchange.note.to));
    let request = label(&format!(
        "{}. {}",
        exchange.number,
        short(&exchange.request)
    ));
    let answer = label(exchange.answer.start.trim_start_matches("HTTP/1.1 "));
    format!("    {from}->>{to}: {request}\n    {to}-->>{from}: {answer}\n")
}

/// Method and path, with the MCP method where there is one.
fn short(request: &Message) -> String {
    let (method, url) = request.start.split_once(' ').unwrap_or((&request.start, ""));
    let path = split(url).1;
    let header = |name: &str| request.headers.iter().find(|(n, _)| n == name);
    let rpc = [header("Mcp-Method"), header("Mcp-Name")];
    let words = rpc.into_iter().flatten().map(|(_, value)| format!(" {value}"));
    format!("{method} {path}{}", words.collect::<String>())
}

fn id(party: Party) -> &'static str {
    match party {
        Party::Client => "C",
        Party::Browser => "B",
        Party::Server => "M",
        Party::Issuer => "A",
    }
}

/// Text that cannot end the statement or start another one, each such character as Mermaid writes
/// it: `#59;`.
fn label(text: &str) -> String {
    let text = visible::line(text);
    let mut out = String::new();
    for c in visible::cut(&text, LABEL).chars() {
        if ";#<>{}%\"\\".contains(c) {
            out.push_str(&format!("#{};", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text in a line of Markdown that is text and nothing else: no markup, no link, no picture.
fn inline(text: &str) -> String {
    let text = visible::line(text);
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '[' | ']' | '!' | '|' | '~' | '#' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_cannot_leave_its_block() {
        let block = fence("text", "a ``` b ```` c");
        assert!(block.starts_with("`````text\n") && block.ends_with("\n`````\n"));
    }

    #[test]
    fn text_stays_text() {
        let evil = "![x](http://e.example/)<img src=x>`a`\n# b";
        let safe = "\\!\\[x\\](http://e.example/)&lt;img src=x&gt;\\`a\\`\\\\u{a}\\# b";
        assert_eq!(inline(evil), safe);
        assert_eq!(inline("authorization_servers"), "authorization_servers");
    }

    #[test]
    fn labels_are_one_line() {
        assert_eq!(label("a;b\n#c"), "a#59;b#92;u#123;a#125;#35;c");
        assert_eq!(label("GET /mcp"), "GET /mcp");
    }
}
