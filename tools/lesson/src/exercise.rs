//! Exercises as chapters of the book.

use std::fmt::Write;

/// An exercise with what gives away a part of it folded: in its source, below `## Hints`, lists with bullets are claims
/// and lists with numbers are hints, each of which unfolds by itself.
pub(crate) fn page(
    text: &str,
    name: &str,
) -> String {
    let mut page = String::new();
    let mut is_hints = false;
    let mut open = None;
    for line in text.lines() {
        if line.starts_with('#') {
            is_hints = line == "## Hints" || is_hints && line.starts_with("###");
        }
        let fold = Fold::begun_by(line).filter(|_| is_hints);
        // It goes on while its lines are indented, or claims follow each other.
        let goes_on =
            line.is_empty() || line.starts_with(' ') || fold == Some(Fold::Claims) && open == fold;
        if open.is_some() && !goes_on {
            page.push_str("\n</details>\n\n");
            open = None;
        }
        match fold {
            Some(fold) if open.is_none() => {
                page.push_str(&fold.head(line));
                open = Some(fold);
            }
            _ => {
                let line = if open == Some(Fold::Hint) {
                    line.trim_start()
                } else {
                    line
                };
                let _ = writeln!(page, "{line}");
            }
        }
    }
    if open.is_some() {
        page.push_str("\n</details>\n");
    }
    let commands = format!("scripts/exercise.sh start {name}\nscripts/exercise.sh check");
    let _ = write!(page, "\n## Do it\n\n```sh\n{commands}\n```\n");
    page
}

/// What is folded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fold {
    Claims,
    Hint,
}

impl Fold {
    fn begun_by(line: &str) -> Option<Self> {
        if line.starts_with("- `") {
            return Some(Self::Claims);
        }
        numbered(line).map(|_| Self::Hint)
    }

    /// How it begins, with its first line.
    fn head(
        self,
        line: &str,
    ) -> String {
        match (self, numbered(line)) {
            (Self::Hint, Some((number, words))) => {
                format!("<details class=\"hint\"><summary>Hint {number}</summary>\n\n{words}\n")
            }
            _ => {
                format!("<details class=\"claims\"><summary>What is checked</summary>\n\n{line}\n")
            }
        }
    }
}

/// `1. words`.
fn numbered(line: &str) -> Option<(&str, &str)> {
    let (number, words) = line.split_once(". ")?;
    number.parse::<u8>().is_ok().then_some((number, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_unfold_one_by_one() {
        let text = "# Exercise\n\n1. Not a hint.\n\n## Hints\n\n### A claim\n\n- `one *`\n- `two`\n\nRead: [a](b)\n\n1. One\n   goes on.\n2. Two.\n\n### Next\n";
        let page = page(text, "6");
        let hints = page.matches("<details class=\"hint\">").count();
        assert_eq!(
            (hints, page.matches("</details>").count()),
            (2, 3),
            "{page}"
        );
        assert!(
            page.contains("<summary>Hint 1</summary>\n\nOne\ngoes on.\n\n</details>\n"),
            "{page}"
        );
        let claims = "<summary>What is checked</summary>\n\n- `one *`\n- `two`\n\n\n</details>\n\nRead: [a](b)\n";
        assert!(page.contains(claims), "{page}");
        assert!(page.contains("1. Not a hint."), "{page}");
        assert!(page.contains("scripts/exercise.sh start 6\n"), "{page}");
    }
}
