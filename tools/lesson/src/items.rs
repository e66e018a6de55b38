//! The functions and types of a Rust source, with the lines that they take: so that a note on one finds its place.
//!
//! Read is the text, as rustfmt leaves it: an item begins at the margin (or one step in, within an `impl` or a `trait`)
//! and ends with a brace at the same indent. Left out: sources that rustfmt has not seen.

/// An item and its lines, which count from 1. Its comments and attributes belong to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Item {
    /// As a note names it: `verify`, `Auth::verify`, `impl Load for Source`.
    pub(crate) name: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

const KINDS: [&str; 8] = [
    "fn ", "struct ", "enum ", "trait ", "type ", "const ", "static ", "mod ",
];

/// Every item, in the order of the text; those within an `impl` come after it.
pub(crate) fn items(text: &str) -> Vec<Item> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    let mut container: Option<(String, usize, Item)> = None;
    for at in 0..lines.len() {
        let indent = indent(lines[at]);
        let inner = container.as_ref().filter(|(_, _, item)| at < item.end);
        let Some(name) = name(lines[at].trim_start()) else {
            continue;
        };
        let mut item = Item {
            name,
            start: start(&lines, at),
            end: end(&lines, at),
        };
        if indent == 0 {
            if let Some(owner) = owner(lines[at]) {
                container = Some((owner, at + 1, item.clone()));
            }
            found.push(item);
        } else if let Some((owner, header, outer)) = inner.filter(|_| indent == 4) {
            item.name = format!("{owner}::{}", item.name);
            // The head of the `impl` goes along with its first function.
            if item.start == header + 1 {
                item.start = outer.start;
            }
            found.push(item);
        }
    }
    found
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What a line declares, if it declares an item.
fn name(line: &str) -> Option<String> {
    if line.starts_with("impl") && line.ends_with('{') {
        return Some(line.trim_end_matches('{').trim_end().to_owned());
    }
    let mut rest = line;
    for word in ["pub(crate) ", "pub ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest = rest
        .strip_prefix("const ")
        .filter(|rest| rest.starts_with("fn "))
        .unwrap_or(rest);
    let rest = KINDS.iter().find_map(|kind| rest.strip_prefix(kind))?;
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let name: String = rest.chars().take_while(|letter| is_letter(*letter)).collect();
    (!name.is_empty()).then_some(name)
}

/// The type whose functions follow, where a line opens an `impl` or a `trait`.
fn owner(line: &str) -> Option<String> {
    if let Some(rest) = line.strip_prefix("impl") {
        let rest = after_generics(rest).trim_start();
        let own = rest.split_once(" for ").map_or(rest, |(_, own)| own);
        return Some(identifier(own));
    }
    let rest = line.split_once("trait ").map(|(_, rest)| rest)?;
    line.ends_with('{').then(|| identifier(rest))
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

/// What is behind `<..>`, if that comes first.
fn after_generics(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { text } else { &text[at + 1..] };
        }
    }
    text
}

/// The first line of an item that is declared in line `at`, which counts from 0 as the lines do.
fn start(
    lines: &[&str],
    at: usize,
) -> usize {
    let own = indent(lines[at]);
    let belongs = |line: &str| {
        let text = line.trim_start();
        indent(line) == own && (text.starts_with("///") || text.starts_with("#["))
    };
    let above = lines[..at].iter().rev().take_while(|line| belongs(line)).count();
    at - above + 1
}

/// The last line of an item that is declared in line `at`.
fn end(
    lines: &[&str],
    at: usize,
) -> usize {
    let head = lines[at];
    if head.ends_with(';') || head.ends_with('}') {
        return at + 1;
    }
    let own = indent(head);
    let closes = |line: &str| {
        let text = line.trim_start();
        let same = indent(line) == own && !text.is_empty();
        let is_value = head.ends_with('=') && line.ends_with(';');
        is_value || same && (text.starts_with('}') || line.ends_with(';'))
    };
    let below = lines[at + 1..].iter().position(|line| closes(line));
    below.map_or(lines.len(), |below| at + 1 + below + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"//! A module.

use std::io;

/// A limit.
pub(crate) const LIMIT: usize = 8;

const WORDS: &str =
    "first; and last";

const LIST: [&str; 2] = [
    "a",
    "b",
];

#[derive(Debug)]
pub(crate) struct Auth {
    keys: usize,
}

impl<S: Load> Load for Auth<S> {
    /// The first.
    fn first(&self) {
        let x = 1;
    }

    pub(crate) async fn second(
        &self,
        name: &str,
    ) -> bool {
        true
    }
}

pub(crate) trait Load {
    fn load(&self);
}

fn last() {}
"#;

    fn lines_of(name: &str) -> (usize, usize) {
        let items = items(TEXT);
        let item = items
            .iter()
            .find(|item| item.name == name)
            .unwrap_or_else(|| panic!("{name}: {items:?}"));
        (item.start, item.end)
    }

    #[test]
    fn items_are_found_with_their_comments() {
        assert_eq!(lines_of("LIMIT"), (5, 6));
        assert_eq!(lines_of("WORDS"), (8, 9));
        assert_eq!(lines_of("LIST"), (11, 14));
        assert_eq!(lines_of("Auth"), (16, 19));
        assert_eq!(lines_of("impl<S: Load> Load for Auth<S>"), (21, 33));
        assert_eq!(lines_of("Auth::first"), (21, 25));
        assert_eq!(lines_of("Auth::second"), (27, 32));
        assert_eq!(lines_of("Load::load"), (35, 36));
        assert_eq!(lines_of("last"), (39, 39));
    }
}
