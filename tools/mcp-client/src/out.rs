//! The one place where anything is printed.
//!
//! Here the text of others is made visible (`visible.rs`), lines are fitted to the terminal, and
//! the whole of it is bounded, however large or nested an answer is. The only control sequences
//! that come out are those of [`Style`], and only on a terminal that wants them (`NO_COLOR`).
//!
//! A reader that went away, such as `| head`, ends the program quietly.

use std::borrow::Cow;
use std::io;
use std::io::ErrorKind;
use std::io::IsTerminal;
use std::io::Write;
use std::process;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::Value;
use textwrap::Options;
use textwrap::WordSeparator;
use textwrap::WordSplitter;
use textwrap::core::Word;
use textwrap::core::display_width;

use crate::visible;

/// What a shell reports for a program that a closed pipe has ended: 128 and the number of SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// Where the width of the terminal is unknown, and the widest text that is easy to read, in columns.
const NARROWEST: usize = 20;
const WIDEST: usize = 120;

/// What one run may print, in bytes and in lines.
const MOST_BYTES: usize = 1024 * 1024;
const MOST_LINES: usize = 20_000;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static LINES: AtomicUsize = AtomicUsize::new(0);

/// The look of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    /// The parameter of the control sequence (ECMA-48, SGR).
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

/// One line to print, which may need several rows.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What it begins with, in a style of its own.
    mark: String,
    mark_style: Style,
    text: String,
    style: Style,
    /// What every further row begins with.
    hang: String,
}

impl Line {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            mark: String::new(),
            mark_style: Style::Plain,
            text: text.into(),
            style: Style::Plain,
            hang: String::new(),
        }
    }

    pub(crate) fn empty() -> Self {
        Self::new("")
    }

    pub(crate) fn styled(
        mut self,
        style: Style,
    ) -> Self {
        self.style = style;
        self
    }

    /// Begins with this mark; further rows begin below the text.
    pub(crate) fn marked(
        mut self,
        mark: impl Into<String>,
        style: Style,
    ) -> Self {
        self.mark = mark.into();
        self.mark_style = style;
        let columns = display_width(&visible::line(&self.mark));
        self.hanging(" ".repeat(columns))
    }

    pub(crate) fn hanging(
        mut self,
        hang: impl Into<String>,
    ) -> Self {
        self.hang = hang.into();
        self
    }

    /// The rows, no wider than `width`.
    fn rows(
        &self,
        width: usize,
        colours: bool,
    ) -> Vec<String> {
        let mark = visible::line(&self.mark);
        let text = visible::line(&self.text);
        let whole = format!("{mark}{text}");
        let rows = textwrap::wrap(&whole, options(width).subsequent_indent(&self.hang));
        let paint = |(index, row): (usize, &Cow<'_, str>)| {
            let start = if index == 0 {
                mark.len()
            } else {
                self.hang.len()
            };
            // A mark that is wider than the terminal is wrapped itself.
            match row.split_at_checked(start) {
                Some((start, rest)) => {
                    let style = if index == 0 {
                        self.mark_style
                    } else {
                        Style::Plain
                    };
                    format!(
                        "{}{}",
                        paint(style, start, colours),
                        paint(self.style, rest, colours)
                    )
                }
                None => row.clone().into_owned(),
            }
        };
        rows.iter().enumerate().map(paint).collect()
    }
}

/// Lines are broken at spaces, and URLs where a part of them begins.
fn options<'a>(width: usize) -> Options<'a> {
    Options::new(width)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
}

fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let words = WordSeparator::AsciiSpace.find_words(line);
    Box::new(words.flat_map(|word| parts(word)))
}

/// A longer URL is broken where a part of it begins; a shorter one moves to the next row as a whole.
const LONG_URL: usize = 50;

/// A long URL in its parts: before `/`, `?` and `&`. Anything else as one.
fn parts(word: Word<'_>) -> Vec<Word<'_>> {
    let text = word.word;
    let is_url = text.contains("://") || text.starts_with('/');
    if text.len() < LONG_URL || !is_url {
        return vec![word];
    }
    let bytes = text.as_bytes();
    let starts = |at: &usize| match bytes[*at] {
        b'?' | b'&' => true,
        b'/' => bytes[at - 1] != b'/' && bytes.get(at + 1) != Some(&b'/'),
        _ => false,
    };
    let mut parts = Vec::new();
    let mut from = 0;
    for at in (1..bytes.len()).filter(starts) {
        parts.push(Word::from(&text[from..at]));
        from = at;
    }
    let mut last = Word::from(&text[from..]);
    last.whitespace = word.whitespace;
    parts.push(last);
    parts
}

fn paint(
    style: Style,
    text: &str,
    colours: bool,
) -> String {
    if !colours || style == Style::Plain || text.is_empty() {
        return text.to_owned();
    }
    format!("\x1b[{}m{text}\x1b[0m", style.code())
}

/// How many columns a line may have: those of the terminal (or of `COLUMNS`), 80 where it is
/// unknown.
pub(crate) fn width() -> usize {
    let named = std::env::var("COLUMNS").ok();
    let columns = named.and_then(|text| text.parse().ok());
    columns.unwrap_or_else(textwrap::termwidth).clamp(NARROWEST, WIDEST)
}

/// Prints lines, fitted to the terminal.
pub(crate) fn print(lines: &[Line]) {
    let (width, colours) = (width(), colours());
    for line in lines {
        for row in line.rows(width, colours) {
            stdout(&row);
        }
    }
}

/// Prints what a server gave as a result: as it is, but for what cannot be seen. Only a terminal has
/// it wrapped.
pub(crate) fn print_data(text: &str) {
    let rows = fitted(text, io::stdout().is_terminal());
    rows.iter().for_each(|row| stdout(row));
}

/// The lines of a text, wrapped where a terminal shows them; elsewhere somebody may look for words.
fn fitted(
    text: &str,
    on_terminal: bool,
) -> Vec<String> {
    let text = visible::page(text);
    if !on_terminal {
        return text.lines().map(str::to_owned).collect();
    }
    let options = options(width());
    let rows = text.lines().flat_map(|line| textwrap::wrap(line, &options));
    rows.map(Cow::into_owned).collect()
}

/// Prints JSON for machines.
pub(crate) fn print_json(value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    write(
        &mut io::stdout().lock(),
        &format!("{}\n", visible::json(&text)),
    );
}

/// Says something besides the result, on standard error.
pub(crate) fn say(text: &str) {
    for row in fitted(text, io::stderr().is_terminal()) {
        stderr(&format!("{row}\n"));
    }
}

/// Says an address that is to be copied: in one piece, however long it is.
pub(crate) fn say_url(url: &url::Url) {
    stderr(&format!("\n{}\n\n", visible::line(url.as_str())));
}

/// Asks for something, whose answer stands on the same line.
pub(crate) fn ask(question: &str) {
    stderr(&visible::line(question));
}

/// Whether standard output is a terminal whose user has not asked for plain text.
fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn stderr(text: &str) {
    write(&mut io::stderr().lock(), text);
}

/// One row, or as much of it as there is room for.
fn stdout(row: &str) {
    let before = BYTES.fetch_add(row.len() + 1, Ordering::Relaxed);
    let lines = LINES.fetch_add(1, Ordering::Relaxed) + 1;
    if before > MOST_BYTES || lines > MOST_LINES + 1 {
        return;
    }
    let (shown, is_all) = fitting(row, MOST_BYTES - before);
    if is_all && lines <= MOST_LINES {
        write(&mut io::stdout().lock(), &format!("{row}\n"));
    } else {
        let end = format!("{shown}\n… (there is more than this program prints)\n");
        write(&mut io::stdout().lock(), &end);
    }
}

/// The beginning of a text that has at most so many bytes, and whether that is all of it.
fn fitting(
    text: &str,
    most: usize,
) -> (&str, bool) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], end == text.len())
}

/// Ends the program where the reader has gone. Any other error of an output has nobody to be told
/// to.
fn write(
    to: &mut impl Write,
    text: &str,
) {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        process::exit(CLOSED_PIPE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_and_hang() {
        let line = Line::new("one two three four five six").marked("pass  ", Style::Green);
        let rows = line.rows(20, false);
        assert_eq!(rows, ["pass  one two three", "      four five six"]);
        let rows = Line::new("x".repeat(50)).rows(20, false);
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn urls_break_where_a_part_begins() {
        let url = "http://localhost:9001/oauth/authorize?to=http://localhost:9000/mcp&state=2";
        let line = Line::new(format!("Location: {url} end")).hanging("  ");
        let expected = [
            "Location: http://localhost:9001/oauth",
            "  /authorize?to=http://localhost:9000",
            "  /mcp&state=2 end",
        ];
        assert_eq!(line.rows(40, false), expected);
        assert_eq!(
            Line::new("now http://localhost/mcp").rows(22, false),
            ["now", "http://localhost/mcp"]
        );
        assert_eq!(Line::new("and/or").rows(20, false), ["and/or"]);
    }

    #[test]
    fn only_our_own_sequences_come_out() {
        let line = Line::new("\u{1b}[31mred").marked("\u{9b}", Style::Bold).styled(Style::Dim);
        assert_eq!(line.rows(80, false), ["\\u{9b}\\u{1b}[31mred"]);
        let expected = "\u{1b}[1m\\u{9b}\u{1b}[0m\u{1b}[2m\\u{1b}[31mred\u{1b}[0m";
        assert_eq!(line.rows(80, true), [expected]);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(fitting("grüße", 3), ("gr", false));
        assert_eq!(fitting("grüße", 7), ("grüße", true));
    }

    #[test]
    fn a_wide_mark_is_no_accident() {
        let line = Line::new("text").marked("m".repeat(30), Style::Bold);
        assert!(line.rows(20, true).iter().all(|row| row.len() < 40));
    }
}
