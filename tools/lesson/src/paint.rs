//! Rust in colours, line by line, as HTML. The words are told apart by the compiler's own lexer.

use ra_ap_rustc_lexer::FrontmatterAllowed;
use ra_ap_rustc_lexer::LiteralKind;
use ra_ap_rustc_lexer::TokenKind;
use ra_ap_rustc_lexer::tokenize;

const KEYWORDS: [&str; 34] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "false",
    "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "type", "use", "where",
];

/// The lines of a file. What is no Rust stays as it is.
pub(crate) fn lines(
    path: &str,
    text: &str,
) -> Vec<String> {
    if !path.ends_with(".rs") {
        return text.lines().map(escape).collect();
    }
    let mut lines = vec![String::new()];
    let mut at = 0;
    for token in tokenize(text, FrontmatterAllowed::No) {
        let word = &text[at..at + token.len as usize];
        at += token.len as usize;
        let class = class(token.kind, word);
        // A string or a comment may take several lines.
        for (number, part) in word.split('\n').enumerate() {
            if number > 0 {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push_str(&span(class, part));
            }
        }
    }
    lines
}

fn span(
    class: Option<&str>,
    text: &str,
) -> String {
    match class {
        Some(class) if !text.is_empty() => {
            format!("<span class=\"{class}\">{}</span>", escape(text))
        }
        _ => escape(text),
    }
}

/// What a word is: a comment, a keyword, a string, a number, a type.
fn class(
    kind: TokenKind,
    word: &str,
) -> Option<&'static str> {
    match kind {
        TokenKind::LineComment {
            ..
        }
        | TokenKind::BlockComment {
            ..
        } => Some("c"),
        TokenKind::Literal {
            kind:
                LiteralKind::Int {
                    ..
                }
                | LiteralKind::Float {
                    ..
                },
            ..
        } => Some("n"),
        TokenKind::Literal {
            ..
        } => Some("s"),
        TokenKind::Ident if KEYWORDS.contains(&word) => Some("k"),
        TokenKind::Ident if word.starts_with(char::is_uppercase) => Some("t"),
        _ => None,
    }
}

/// Text that cannot become markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let painted = lines("a.rs", "let x = 1; // <b>\n");
        let expected = "<span class=\"k\">let</span> x = <span class=\"n\">1</span>; <span class=\"c\">// &lt;b&gt;</span>";
        assert_eq!(painted[0], expected);
    }

    #[test]
    fn a_string_may_take_several_lines() {
        let painted = lines("a.rs", "a(\"b \\\n  // c\", D)\n");
        assert_eq!(
            painted[1],
            "<span class=\"s\">  // c&quot;</span>, <span class=\"t\">D</span>)"
        );
    }

    #[test]
    fn what_is_no_rust_stays_as_it_is() {
        assert_eq!(
            lines("Cargo.toml", "[a]\nb = \"<c>\"\n"),
            ["[a]", "b = &quot;&lt;c&gt;&quot;"]
        );
    }
}
