//! What may be shown: tokens are shortened, secrets are hidden, the rest stays as it was sent.
//!
//! It works on the text itself, not on parsed and re-printed values, so the order and the spelling
//! of what a server sent survive. A token is recognised by the name of its member or parameter,
//! and a JWT also by its shape, wherever it stands.

use serde::de::IgnoredAny;
use url::Url;
use url::form_urlencoded;

use crate::visible;

/// Names whose value is worth stealing: it is shortened to its first characters.
const TOKENS: [&str; 11] = [
    "access_token",
    "client_assertion",
    "code",
    "code_verifier",
    "csrf",
    "id_token",
    "refresh_token",
    "registration_access_token",
    "subject_token",
    "token",
    "xsrf",
];

/// Names whose value is not shown at all.
const SECRETS: [&str; 3] = ["client_secret", "password", "passwd"];

/// An authorization response may come from anybody until its `iss` is checked, so its error must not
/// be shown before (MCP authorization, "Authorization Response Validation").
const UNREAD: [&str; 3] = ["error", "error_description", "error_uri"];

/// Longer lists and objects are broken into lines.
const SHORT: usize = 80;

/// Longer values of a form are cut: the login pages carry a whole request along.
const LONG: usize = 160;

/// The start of a secret, enough to tell two of them apart, and its length.
pub(crate) fn shorten(secret: &str) -> String {
    let shown: String = secret.chars().take(8).collect();
    match secret.len() {
        0 => String::new(),
        24.. => format!("{shown}…({} characters)", secret.len()),
        _ => "***".to_owned(),
    }
}

/// The value of a member or parameter of this name, as it may be shown.
pub(crate) fn value(
    name: &str,
    value: &str,
) -> String {
    if SECRETS.contains(&name) {
        "***".to_owned()
    } else if TOKENS.contains(&name) {
        shorten(value)
    } else {
        text(value)
    }
}

/// Free text: every JWT in it is shortened.
pub(crate) fn text(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let end = rest[at..].find(|c| !is_part(c)).map_or(rest.len(), |n| at + n);
        out.push_str(&rest[..at]);
        let word = &rest[at..end];
        let is_jwt = word.matches('.').count() >= 2;
        out.push_str(&if is_jwt {
            shorten(word)
        } else {
            word.to_owned()
        });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// A header's value: credentials and cookies are shortened, URLs lose their secrets.
pub(crate) fn header(
    name: &str,
    value: &str,
) -> String {
    match name.to_ascii_lowercase().as_str() {
        "authorization" => match value.split_once(' ') {
            Some((scheme, token)) => format!("{scheme} {}", shorten(token)),
            None => shorten(value),
        },
        "cookie" => value.split("; ").map(cookie).collect::<Vec<_>>().join("; "),
        "set-cookie" => cookie(value),
        "location" => url(value),
        "mcp-session-id" => shorten(value),
        _ => text(value),
    }
}

fn cookie(text: &str) -> String {
    let (name, rest) = text.split_once('=').unwrap_or((text, ""));
    let attributes = rest.find(';').map_or("", |at| &rest[at..]);
    format!("{name}=***{attributes}")
}

/// A URL on one line, with the values of its query made fit to be shown.
pub(crate) fn url(text: &str) -> String {
    match text.split_once('?') {
        None => self::text(text),
        Some((base, query)) => format!("{base}?{}", parameters(query).join("&")),
    }
}

/// The parameters of a query or a form, decoded for reading: `name=value`.
pub(crate) fn parameters(encoded: &str) -> Vec<String> {
    let shown = |name: &str, text: &str| {
        if UNREAD.contains(&name) {
            "(not read before iss is checked)".to_owned()
        } else {
            cut(value(name, text))
        }
    };
    form_urlencoded::parse(encoded.as_bytes())
        .map(|(name, text)| format!("{name}={}", shown(&name, &text)))
        .collect()
}

fn cut(text: String) -> String {
    if text.chars().count() <= LONG {
        return text;
    }
    let start: String = text.chars().take(40).collect();
    format!("{start}…({} characters)", text.len())
}

/// A URL as the first line of a request, and its parameters on lines of their own where there are
/// several.
pub(crate) fn target(text: &str) -> (String, String) {
    let many = Url::parse(text).is_ok_and(|url| url.query_pairs().count() > 1);
    match text.split_once('?') {
        Some((base, query)) if many => (format!("{base}?…"), layout('?', query)),
        _ => (url(text), String::new()),
    }
}

/// A form, one parameter a line.
pub(crate) fn form(body: &str) -> String {
    layout(' ', body)
}

fn layout(
    first: char,
    encoded: &str,
) -> String {
    let lines = parameters(encoded).into_iter().enumerate();
    let mark = |index| if index == 0 { first } else { '&' };
    let lines = lines.map(|(index, line)| format!("{}{line}", mark(index)));
    lines.collect::<Vec<_>>().join("\n")
}

/// JSON, indented and redacted; `None` for what is not JSON.
pub(crate) fn json(text: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(Layout::new(EXCHANGE).run(text))
}

/// JSON, indented but otherwise as it is: the result that a user asked for.
pub(crate) fn result_json(text: &str) -> String {
    Layout::new(RESULT).run(text)
}

/// How much of a JSON text is laid out. Indentation can make a megabyte of brackets hundreds of
/// megabytes long.
#[derive(Clone, Copy)]
struct Bounds {
    bytes: usize,
    lines: usize,
    depth: usize,
    redacted: bool,
}

/// Part of a story that people read.
const EXCHANGE: Bounds = Bounds {
    bytes: 16 * 1024,
    lines: 200,
    depth: 24,
    redacted: true,
};

const RESULT: Bounds = Bounds {
    bytes: 1024 * 1024,
    lines: 20_000,
    depth: 24,
    redacted: false,
};

/// A longer string is cut where people read a story, in characters.
const LONGEST: usize = 2000;

/// Indents JSON text without reading it into values, so that nothing is reordered or rewritten.
struct Layout {
    out: String,
    bounds: Bounds,
    depth: usize,
    lines: usize,
    /// The last string that was a name, to judge the value behind it.
    name: String,
}

impl Layout {
    fn new(bounds: Bounds) -> Self {
        Self {
            out: String::new(),
            bounds,
            depth: 0,
            lines: 1,
            name: String::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.out.len() > self.bounds.bytes
            || self.lines > self.bounds.lines
            || self.depth > self.bounds.depth
    }

    fn run(
        mut self,
        text: &str,
    ) -> String {
        let mut rest = text.trim();
        while let Some(c) = rest.chars().next() {
            if self.is_full() {
                self.out.push_str(&format!("\n… ({} more bytes)", rest.len()));
                break;
            }
            rest = match c {
                '"' => self.string(rest),
                '[' | '{' => self.open(rest),
                ']' | '}' => self.close(rest),
                ',' => self.comma(rest),
                ':' => self.push(": ", rest),
                c if c.is_whitespace() => &rest[c.len_utf8()..],
                c => self.push(&rest[..c.len_utf8()], rest),
            };
        }
        self.out
    }

    fn push<'a>(
        &mut self,
        text: &str,
        rest: &'a str,
    ) -> &'a str {
        self.out.push_str(text);
        let first = rest.chars().next().map_or(0, char::len_utf8);
        &rest[first..]
    }

    fn line(&mut self) {
        self.lines += 1;
        self.out.push('\n');
        self.out.push_str(&"  ".repeat(self.depth));
    }

    fn open<'a>(
        &mut self,
        rest: &'a str,
    ) -> &'a str {
        if let Some((line, after)) = one_line(rest, self.bounds.redacted) {
            self.out.push_str(&line);
            return after;
        }
        let after = self.push(&rest[..1], rest).trim_start();
        if after.starts_with([']', '}']) {
            self.out.push_str(&after[..1]);
            return &after[1..];
        }
        self.depth += 1;
        self.line();
        after
    }

    fn close<'a>(
        &mut self,
        rest: &'a str,
    ) -> &'a str {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.push(&rest[..1], rest)
    }

    fn comma<'a>(
        &mut self,
        rest: &'a str,
    ) -> &'a str {
        self.out.push(',');
        self.line();
        &rest[1..]
    }

    fn string<'a>(
        &mut self,
        rest: &'a str,
    ) -> &'a str {
        let end = string_end(rest);
        let (quoted, after) = rest.split_at(end);
        let inner = &quoted[1..end - 1];
        if after.trim_start().starts_with(':') {
            self.name = inner.to_owned();
            self.out.push_str(quoted);
        } else if self.bounds.redacted {
            let shown = value(&self.name, inner);
            let shown = visible::cut(&shown, LONGEST);
            self.out.push_str(&format!("\"{shown}\""));
        } else {
            self.out.push_str(quoted);
        }
        after
    }
}

/// The length of the JSON string that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// A list or object that is short, flat and free of secrets, on one line, and what follows it.
fn one_line(
    text: &str,
    redacted: bool,
) -> Option<(String, &str)> {
    let short = &text.as_bytes()[..text.len().min(SHORT)];
    let is_bracket = |byte: &u8| b"[{]}".contains(byte);
    let flat = short[1..].iter().position(is_bracket)? + 1;
    let (group, after) = text.split_at(flat + 1);
    let closed = group.ends_with([']', '}']) && serde_json::from_str::<IgnoredAny>(group).is_ok();
    // A number is no secret: JSON-RPC errors have a `code`, too.
    let is_text = |name: &str| {
        let behind = group.split_once(&format!("\"{name}\""));
        behind.is_some_and(|(_, rest)| rest.trim_start_matches([' ', ':']).starts_with('"'))
    };
    let has_secret =
        group.contains("eyJ") || TOKENS.iter().chain(&SECRETS).any(|name| is_text(name));
    if !closed || (redacted && has_secret) {
        return None;
    }
    Some((spaced(group), after))
}

/// The same text with one space behind each comma and colon that stands outside of strings.
fn spaced(group: &str) -> String {
    let mut out = String::new();
    let mut rest = group;
    while let Some(c) = rest.chars().next() {
        let end = if c == '"' {
            string_end(rest)
        } else {
            c.len_utf8()
        };
        let (token, after) = rest.split_at(end);
        if !c.is_whitespace() {
            out.push_str(token);
        }
        if matches!(c, ',' | ':') {
            out.push(' ');
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl";

    #[test]
    fn tokens_are_shortened_wherever_they_stand() {
        let json = format!(r#"{{"access_token":"{JWT}","x":["a {JWT} b"],"n":1}}"#);
        for shown in [
            self::json(&json).unwrap(),
            header("Authorization", &format!("Bearer {JWT}")),
            url(&format!("http://localhost/?code={JWT}&state=s")),
            text(JWT),
        ] {
            assert!(!shown.contains("c2lnbmF0dXJl"), "{shown}");
        }
    }

    #[test]
    fn passwords_and_secrets_are_hidden() {
        assert_eq!(
            form("password=hunter2&username=a"),
            " password=***\n&username=a"
        );
        assert_eq!(
            json(r#"{"client_secret":"abc"}"#).unwrap(),
            "{\n  \"client_secret\": \"***\"\n}"
        );
    }

    #[test]
    fn no_nesting_and_no_length_makes_much_of_it() {
        let half = 512 * 1024;
        let deep = format!("{}{}", "[".repeat(half), "]".repeat(half));
        let wide = format!("[{}1]", "1,".repeat(half));
        let long = format!("[\"{}\"]", "x".repeat(half));
        for text in [deep, wide, long] {
            let shown = json(&text).unwrap();
            assert!(shown.len() < 20 * 1024, "{}", shown.len());
            assert!(shown.lines().count() < 210);
            let result = result_json(&text);
            assert!(result.len() <= 2 * 1024 * 1024, "{}", result.len());
        }
    }

    #[test]
    fn a_result_is_not_redacted() {
        let text = r#"{"code":"a-value-of-more-than-24-characters","x":[1,2]}"#;
        assert!(result_json(text).contains("a-value-of-more-than-24-characters"));
    }

    #[test]
    fn json_keeps_its_order_and_spelling() {
        let text = r#"{"b":1.50,"a":["x","y"],"e":{},"q":"\"]}"}"#;
        let shown =
            "{\n  \"b\": 1.50,\n  \"a\": [\"x\", \"y\"],\n  \"e\": {},\n  \"q\": \"\\\"]}\"\n}";
        assert_eq!(json(text).unwrap(), shown);
    }
}
