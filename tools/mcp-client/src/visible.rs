//! Text of others, made safe to look at: what a terminal or a reader would not see is written out.
//!
//! ESC and its C1 relatives steer a terminal; bidirectional controls and zero-width characters make
//! a text look like another one; tag characters and variation selectors carry text that nobody sees.
//! Nothing is left out: `ESC` becomes `\u{1b}`.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character has no look of its own, so that it must be written out.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, grapheme joiner, Arabic letter mark, fillers, Mongolian selectors.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            // Zero-width characters and marks, line separators, embeddings and overrides, isolates.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // More fillers, variation selectors, the byte order mark, annotations.
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            // Beamed music, tags and the other invisible characters of that plane.
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// One line: line breaks and tabs are written out as well.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Several lines, which stay lines.
pub(crate) fn page(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(
    text: &str,
    is_layout: fn(char) -> bool,
) -> Cow<'_, str> {
    let is_wrong = |c: char| is_hidden(c) && !is_layout(c);
    if !text.contains(is_wrong) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_wrong(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// JSON text that means the same: hidden characters stand inside of strings only, where JSON has
/// escapes of its own.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// The beginning of a text that is too long, and how long it was.
pub(crate) fn cut(
    text: &str,
    most: usize,
) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}… ({} bytes)", &text[..at], text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_written_out() {
        for (hidden, shown) in [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}\r\u{8}", "\\u{7f}\\u{d}\\u{8}"),
            ("user\u{202e}nimda", "user\\u{202e}nimda"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("ad\u{200b}min\u{feff}", "ad\\u{200b}min\\u{feff}"),
            ("\u{e0041}\u{e007f}", "\\u{e0041}\\u{e007f}"),
            ("\u{3164}\u{ad}", "\\u{3164}\\u{ad}"),
        ] {
            assert_eq!(line(hidden), shown);
            assert_eq!(page(hidden), shown);
        }
    }

    #[test]
    fn what_can_be_seen_stays() {
        for text in ["plain", "grüße, 世界, 🦀", "a\\u{1b}b", "…─═✓"] {
            assert_eq!(line(text), text);
        }
        assert_eq!(page("a\n\tb"), "a\n\tb");
        assert_eq!(line("a\n\tb"), "a\\u{a}\\u{9}b");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"a": "x\u{9b}\u{202e}\u{e0041}\n"});
        let text = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !is_hidden(c)), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
