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
        for piece in &reading.pieces {
            text.push_str(&part(reading, piece, look));
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

fn part(
    reading: &Reading<'_>,
    piece: &Piece<'_>,
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
    let within = piece.within.as_deref().unwrap_or_default();
    let _ = writeln!(
        text,
        "{}",
        look.paint(format!("@@ {within}").trim_end(), "36")
    );
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
    let letters: Vec<_> = line.text.chars().collect();
    let mut rows: Vec<String> = letters.chunks(width).map(|row| row.iter().collect()).collect();
    if rows.is_empty() {
        rows.push(String::new());
    }
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
