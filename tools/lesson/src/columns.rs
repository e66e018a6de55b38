//! The difference side by side, in a terminal.

use std::fmt::Write;

use crate::difference::Line;
use crate::difference::Mark;
use crate::files::Kind;
use crate::html::pairs;
use crate::reading::Material;
use crate::reading::Piece;
use crate::reading::Reading;
use crate::reading::sum;

/// Narrower, two columns hold no line of code.
const NARROWEST: usize = 80;

/// How wide a line number is.
const NUMBER: usize = 4;

/// How to paint.
pub(crate) struct Look {
    /// In characters; less than 80 counts as 80.
    pub(crate) width: usize,
    pub(crate) color: bool,
}

impl Look {
    fn paint(
        &self,
        text: &str,
        code: &str,
    ) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn width(&self) -> usize {
        self.width.max(NARROWEST)
    }
}

/// All files, and the sum.
pub(crate) fn page(
    material: &Material,
    wanted: &[String],
    look: &Look,
) -> anyhow::Result<String> {
    let readings = material.readings(wanted)?;
    if readings.is_empty() {
        return Ok(material.nothing_to_show(wanted));
    }
    let mut text = String::new();
    for reading in &readings {
        let head = format!(
            "{} ({}, {})",
            reading.file.path,
            reading.file.kind.word(),
            reading.size()
        );
        let _ = writeln!(
            text,
            "{}\n{}",
            look.paint(&head, "1"),
            "─".repeat(look.width())
        );
        let mut end = None;
        for piece in &reading.pieces {
            // Nothing is left out where a hunk was only cut for the sake of a note.
            let goes_on = end == Some(piece.range.start);
            text.push_str(&part(reading, piece, goes_on, look));
            end = Some(piece.range.end);
        }
        text.push('\n');
    }
    let (added, removed) = sum(&readings);
    let package = &material.package;
    let _ = write!(
        text,
        "{} -> {}: +{added} -{removed} in src/",
        package.old_name, package.name
    );
    Ok(text)
}

/// The lines of a piece, below a line that says so if something was left out before them.
fn part(
    reading: &Reading<'_>,
    piece: &Piece<'_>,
    goes_on: bool,
    look: &Look,
) -> String {
    let lines = reading.lines_of(piece);
    let mut text = String::new();
    if reading.file.kind == Kind::New {
        let width = look.width() - NUMBER - 3;
        for line in lines {
            for row in cell(Some(line), false, width) {
                let _ = writeln!(text, "{}", look.paint(row.trim_end(), "32"));
            }
        }
        return text;
    }
    if !goes_on {
        let within = piece.within.as_deref().unwrap_or_default();
        let head = format!("@@ {within}");
        let _ = writeln!(text, "{}", look.paint(head.trim_end(), "36"));
    }
    let width = (look.width() - 3) / 2 - NUMBER - 3;
    for (old, new) in pairs(lines) {
        text.push_str(&row(old, new, width, look));
    }
    text
}

/// One pair of lines, which may take several rows.
fn row(
    old: Option<&Line<'_>>,
    new: Option<&Line<'_>>,
    width: usize,
    look: &Look,
) -> String {
    let (left, right) = (cell(old, true, width), cell(new, false, width));
    let blank = " ".repeat(width + NUMBER + 3);
    let color = |line: Option<&Line<'_>>| match line.map(|line| line.mark) {
        Some(Mark::Removed) => "31",
        Some(Mark::Added) => "32",
        _ => "0",
    };
    let mut text = String::new();
    for at in 0..left.len().max(right.len()) {
        let left = left.get(at).unwrap_or(&blank);
        let right = right.get(at).unwrap_or(&blank);
        let (left, right) = (
            look.paint(left, color(old)),
            look.paint(right.trim_end(), color(new)),
        );
        let _ = writeln!(text, "{}", format!("{left} │ {right}").trim_end());
    }
    text
}

/// Number, sign and text of a line, cut into rows of the same width.
fn cell(
    line: Option<&Line<'_>>,
    is_old: bool,
    width: usize,
) -> Vec<String> {
    let Some(line) = line else {
        return Vec::new();
    };
    let sign = match line.mark {
        Mark::Same => ' ',
        Mark::Removed => '-',
        Mark::Added => '+',
    };
    let number = if is_old { line.old } else { line.new };
    let rows = wrapped(line.text, width);
    let head = |at: usize| {
        if at == 0 {
            format!("{number:NUMBER$} {sign} ")
        } else {
            " ".repeat(NUMBER + 3)
        }
    };
    rows.iter()
        .enumerate()
        .map(|(at, row)| format!("{}{row:width$}", head(at)))
        .collect()
}

/// A line in rows that are not wider than `width`; all its letters, and at least one row.
fn wrapped(
    text: &str,
    width: usize,
) -> Vec<String> {
    let letters: Vec<_> = text.chars().collect();
    let mut rest = &letters[..];
    let mut rows = Vec::new();
    while rest.len() > width {
        let (row, below) = rest.split_at(end_of_row(rest, width));
        rows.push(row.iter().collect());
        rest = below;
    }
    rows.push(rest.iter().collect());
    rows
}

/// Where to end a row: behind the last space of its second half, else behind the last punctuation there, else where it
/// is full.
fn end_of_row(
    letters: &[char],
    width: usize,
) -> usize {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_between_words = |at: &usize| !is_word(letters[at - 1]) && is_word(letters[*at]);
    let ends = || (width / 2 + 1..=width).rev();
    ends()
        .find(|at| letters[at - 1] == ' ')
        .or_else(|| ends().find(is_between_words))
        .unwrap_or(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::lines;

    const LOOK: Look = Look {
        width: 80,
        color: false,
    };

    #[test]
    fn old_and_new_stand_side_by_side() {
        let all = lines("a\nb\n", "a\nx\n");
        let rows: String =
            pairs(&all).into_iter().map(|(old, new)| row(old, new, 10, &LOOK)).collect();
        assert_eq!(
            rows,
            "   1   a          │    1   a\n   2 - b          │    2 + x\n"
        );
    }

    #[test]
    fn a_long_line_goes_on_below() {
        let all = lines("", "abcdefghijkl\n");
        let rows = cell(Some(&all[0]), false, 10);
        assert_eq!(rows, ["   1 + abcdefghij", "       kl        "]);
    }

    #[test]
    fn a_row_ends_between_words_where_it_can() {
        for (text, rows) in [
            ("one two three", vec!["one two ", "three"]),
            ("key.find(kid)", vec!["key.find(", "kid)"]),
            ("a_very_long_name", vec!["a_very_lon", "g_name"]),
            ("", vec![""]),
        ] {
            assert_eq!(wrapped(text, 10), rows, "{text}");
        }
    }

    #[test]
    fn a_cut_for_a_note_leaves_nothing_out() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        for name in crate::files::STEPS {
            let material = Material::read(root, name, false).unwrap();
            let text = page(&material, &[], &LOOK).unwrap();
            let heads = text.lines().filter(|line| line.starts_with("@@")).count();
            let readings = material.readings(&[]).unwrap();
            let touched = readings.iter().filter(|reading| reading.file.kind != Kind::New);
            let hunks: usize =
                touched.map(|reading| crate::difference::hunks(&reading.lines).len()).sum();
            assert_eq!(heads, hunks, "{name}");
        }
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let material = Material::read(root, "step7", false).unwrap();
        for width in [80, 121] {
            let look = Look {
                width,
                color: false,
            };
            let text = page(&material, &[], &look).unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} in {width}");
        }
    }
}
