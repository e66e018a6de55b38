//! The difference side by side, in HTML: the same tables for the page of one step and for the book.
//!
//! A table has no blank lines in it, so that it may stand in the middle of Markdown. On a narrow screen its style puts
//! the old line above the new one.

use std::fmt::Write;

use anyhow::bail;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;

use crate::difference::Line;
use crate::difference::Mark;
use crate::files::Kind;
use crate::markdown;
use crate::paint;
use crate::paint::escape;
use crate::reading::Material;
use crate::reading::Piece;
use crate::reading::Reading;

/// The look of the tables.
pub(crate) const STYLE: &str = include_str!("../assets/diff.css");

/// The look of what is around them, where that is no book.
const PAGE_STYLE: &str = include_str!("../assets/page.css");

/// One page, complete in itself.
pub(crate) fn page(
    material: &Material,
    wanted: &[String],
) -> anyhow::Result<String> {
    let readings = material.readings(wanted)?;
    if readings.is_empty() {
        bail!("{}", material.nothing_to_show(wanted));
    }
    let package = &material.package;
    let title = format!("{} and {}, side by side", package.old_name, package.name);
    let mut body = String::new();
    let head = markdown::head(material, &readings, &|reading| {
        format!("#{}", anchor(&package.name, &reading.file.path))
    });
    body.push_str(&to_html(&head));
    for reading in readings.iter().filter(|reading| !reading.file.is_test()) {
        body.push_str(&file(&package.name, reading));
    }
    let tests: Vec<_> = readings.iter().filter(|reading| reading.file.is_test()).collect();
    if !tests.is_empty() {
        body.push_str("<h2>Tests</h2>\n");
    }
    for reading in tests {
        body.push_str(&folded(&package.name, reading));
    }
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    ))
}

fn file(
    step: &str,
    reading: &Reading<'_>,
) -> String {
    let path = &reading.file.path;
    let kind = reading.file.kind.word();
    let mut text = format!(
        "<h2 id=\"{}\"><code>{}</code> <span class=\"kind {kind}\">{kind}</span> <span class=\"size\">{}</span></h2>\n",
        anchor(step, path),
        escape(path),
        reading.size(),
    );
    text.push_str(&to_html(reading.opening));
    for piece in &reading.pieces {
        for note in &piece.notes {
            let _ = writeln!(text, "<h3><code>{}</code></h3>", escape(&note.item));
            text.push_str(&to_html(&note.text));
        }
        text.push_str(&table(step, reading, piece));
    }
    text
}

/// A file that is shown only to those who ask.
pub(crate) fn folded(
    step: &str,
    reading: &Reading<'_>,
) -> String {
    let mut text = format!(
        "<details class=\"diff-tests\"><summary><code>{}</code> <span class=\"size\">{}</span></summary>\n",
        escape(&reading.file.path),
        reading.size(),
    );
    for piece in &reading.pieces {
        text.push_str(&table(step, reading, piece));
    }
    text.push_str("</details>\n");
    text
}

/// Some lines as a table: two columns of code, or one where there is nothing to compare with.
pub(crate) fn table(
    step: &str,
    reading: &Reading<'_>,
    piece: &Piece<'_>,
) -> String {
    let painted = Painted::new(step, reading);
    let lines = reading.lines_of(piece);
    let mut text = String::new();
    if reading.file.kind == Kind::New {
        text.push_str("<table class=\"diff one\">\n");
        for line in lines {
            let _ = writeln!(text, "<tr class=\"added\">{}</tr>", painted.new_cells(line));
        }
    } else {
        text.push_str("<table class=\"diff two\">\n<colgroup><col class=\"number\"><col>");
        text.push_str("<col class=\"number\"><col></colgroup>\n");
        if let Some(within) = &piece.within {
            let _ = writeln!(
                text,
                "<tr class=\"within\"><td colspan=\"4\">{}</td></tr>",
                escape(within)
            );
        }
        for (old, new) in pairs(lines) {
            text.push_str(&painted.row(old, new));
        }
    }
    text.push_str("</table>\n");
    text
}

/// Which line stands beside which: unchanged ones beside themselves, removed ones beside those in their place.
pub(crate) fn pairs<'l, 't>(
    lines: &'l [Line<'t>]
) -> Vec<(Option<&'l Line<'t>>, Option<&'l Line<'t>>)> {
    let mut pairs = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let run =
            |from: usize, mark| lines[from..].iter().take_while(|line| line.mark == mark).count();
        let same = run(at, Mark::Same);
        pairs.extend(lines[at..at + same].iter().map(|line| (Some(line), Some(line))));
        at += same;
        let removed = run(at, Mark::Removed);
        let added = run(at + removed, Mark::Added);
        let (old, new) = (
            &lines[at..at + removed],
            &lines[at + removed..at + removed + added],
        );
        pairs.extend((0..removed.max(added)).map(|beside| (old.get(beside), new.get(beside))));
        at += removed + added;
    }
    pairs
}

/// Both texts of a file in colours, by line, and what its line numbers are called.
struct Painted {
    anchor: String,
    old: Vec<String>,
    new: Vec<String>,
}

impl Painted {
    fn new(
        step: &str,
        reading: &Reading<'_>,
    ) -> Self {
        let file = reading.file;
        Self {
            anchor: anchor(step, &file.path),
            old: paint::lines(&file.path, &file.old),
            new: paint::lines(&file.path, &file.new),
        }
    }

    fn row(
        &self,
        old: Option<&Line<'_>>,
        new: Option<&Line<'_>>,
    ) -> String {
        let class = match (old, new) {
            (Some(old), Some(_)) if old.mark == Mark::Same => "same",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            _ => "added",
        };
        let empty =
            |side| format!("<td class=\"number {side}\"></td><td class=\"code {side}\"></td>");
        let left = old.map_or_else(|| empty("old"), |line| self.old_cells(line));
        let right = new.map_or_else(|| empty("new"), |line| self.new_cells(line));
        format!("<tr class=\"{class}\">{left}{right}</tr>\n")
    }

    fn old_cells(
        &self,
        line: &Line<'_>,
    ) -> String {
        let (number, code) = (line.old, &self.old[line.old - 1]);
        format!("<td class=\"number old\">{number}</td><td class=\"code old\">{code}</td>")
    }

    /// What is in the new file has a number that can be linked to.
    fn new_cells(
        &self,
        line: &Line<'_>,
    ) -> String {
        let (number, code) = (line.new, &self.new[line.new - 1]);
        let id = format!("{}-{number}", self.anchor);
        let link = format!("<a id=\"{id}\" href=\"#{id}\">{number}</a>");
        format!("<td class=\"number new\">{link}</td><td class=\"code new\">{code}</td>")
    }
}

/// `step6-src-auth.rs`: what names a file within a page, and within the book.
pub(crate) fn anchor(
    step: &str,
    path: &str,
) -> String {
    format!("{step}-{}", path.replace('/', "-"))
}

fn to_html(markdown: &str) -> String {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, Parser::new_ext(markdown, Options::ENABLE_TABLES));
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::lines;

    #[test]
    fn removed_lines_stand_beside_those_in_their_place() {
        let all = lines("a\nb\nc\n", "a\nx\ny\nc\n");
        let texts: Vec<_> = pairs(&all)
            .iter()
            .map(|(old, new)| (old.map(|line| line.text), new.map(|line| line.text)))
            .collect();
        let expected = [
            (Some("a"), Some("a")),
            (Some("b"), Some("x")),
            (None, Some("y")),
            (Some("c"), Some("c")),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_table_may_stand_in_markdown() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let material = Material::read(root, "step6", true).unwrap();
        let mut tables = 0;
        for reading in material.readings(&[]).unwrap() {
            for piece in &reading.pieces {
                let table = table("step6", &reading, piece);
                assert!(!table.contains("\n\n"), "{table}");
                tables += 1;
            }
        }
        assert!(tables > 10, "{tables}");
    }

    #[test]
    fn the_page_has_every_line_that_was_added() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let material = Material::read(root, "step6", false).unwrap();
        let page = page(&material, &["auth.rs".to_owned()]).unwrap();
        let last = material
            .files
            .iter()
            .find(|file| file.path == "src/auth.rs")
            .unwrap()
            .new
            .lines()
            .count();
        for number in [1, last] {
            let id = format!("id=\"step6-src-auth.rs-{number}\"");
            assert!(page.contains(&id), "{id}");
        }
        assert!(!page.contains("src-keys.rs"));
        assert!(
            !page.contains("http-equiv") && !page.contains("src=\""),
            "complete in itself"
        );
    }
}
