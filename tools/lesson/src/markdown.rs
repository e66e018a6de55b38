//! The difference as a page to read on a forge: `docs/steps/stepN.md`, generated from the sources and the notes.
//!
//! When one is stale, write them all anew:
//!
//! ```sh
//! UPDATE_STEPS=1 cargo test -p lesson
//! ```

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::difference::Line;
use crate::difference::Mark;
use crate::files::Kind;
use crate::files::STEPS;
use crate::reading::Material;
use crate::reading::Piece;
use crate::reading::Reading;
use crate::reading::sum;

/// Writes the pages of all steps.
pub(crate) fn write_all(root: &Path) -> anyhow::Result<()> {
    for name in STEPS {
        let file = path(root, name);
        fs::write(&file, page(&Material::read(root, name, false)?)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn path(
    root: &Path,
    name: &str,
) -> PathBuf {
    root.join(format!("docs/steps/{name}.md"))
}

/// The whole page.
pub(crate) fn page(material: &Material) -> anyhow::Result<String> {
    let readings = material.readings(&[])?;
    let name = &material.package.name;
    let mut text = format!(
        "<!-- Generated from the sources and from {name}.notes.md: UPDATE_STEPS=1 cargo test -p lesson -->\n\n"
    );
    text.push_str(&head(material, &readings, &|reading| {
        format!("../../{}/{}", material.package.place, reading.file.path)
    }));
    for reading in &readings {
        text.push_str(&file_heading(reading));
        for piece in &reading.pieces {
            text.push_str(&words(piece));
            text.push_str(&fenced(reading, piece));
        }
    }
    let _ = writeln!(
        text,
        "\nUnchanged, need not be read again: {}.",
        listed(&material.unchanged())
    );
    Ok(text)
}

/// Title, opening words, and the table of files, each with a link. The other pages begin with the same.
pub(crate) fn head(
    material: &Material,
    readings: &[Reading<'_>],
    link: &dyn Fn(&Reading<'_>) -> String,
) -> String {
    let package = &material.package;
    let mut text = format!(
        "# What {} adds to {}\n\n",
        title(&package.name),
        title(&package.old_name)
    );
    if !material.notes.opening.is_empty() {
        let _ = writeln!(text, "{}\n", material.notes.opening);
    }
    text.push_str("| | file | lines |\n|---|---|---|\n");
    for reading in readings.iter().filter(|reading| !reading.file.is_test()) {
        let path = &reading.file.path;
        let kind = reading.file.kind.word();
        let link = link(reading);
        let _ = writeln!(text, "| {kind} | [`{path}`]({link}) | {} |", reading.size());
    }
    let sources: Vec<_> = readings.iter().filter(|reading| !reading.file.is_test()).collect();
    let (added, removed) = sum_of(&sources);
    let _ = writeln!(
        text,
        "\nTogether +{added} -{removed} in `src/`, tests left out. In a terminal: `scripts/diff_step.sh {}`, with `--tests` for\nthe tests, too.",
        package.name.trim_start_matches("step")
    );
    text
}

fn sum_of(readings: &[&Reading<'_>]) -> (usize, usize) {
    let each = readings.iter().map(|reading| sum(std::slice::from_ref(*reading)));
    each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// `step6` as people say it.
pub(crate) fn title(name: &str) -> String {
    match name.strip_prefix("step") {
        Some(number) => format!("step {number}"),
        None => name.to_owned(),
    }
}

pub(crate) fn file_heading(reading: &Reading<'_>) -> String {
    let kind = match reading.file.kind {
        Kind::New => ", new",
        Kind::Gone => ", gone",
        _ => "",
    };
    let mut text = format!("\n## `{}`{kind}\n", reading.file.path);
    if !reading.opening.is_empty() {
        let _ = writeln!(text, "\n{}", reading.opening);
    }
    text
}

/// What is to be said before a piece.
pub(crate) fn words(piece: &Piece<'_>) -> String {
    let note = |text: String, note: &&crate::notes::Note| {
        format!("{text}\n### `{}`\n\n{}\n", note.item, note.text)
    };
    piece.notes.iter().fold(String::new(), note)
}

fn fenced(
    reading: &Reading<'_>,
    piece: &Piece<'_>,
) -> String {
    let lines = reading.lines_of(piece);
    // A context line is indented by one, which does not keep a fence in it from closing ours.
    let fence = if lines.iter().any(|line| line.text.trim_start().starts_with("```")) {
        "````"
    } else {
        "```"
    };
    let mut text = format!(
        "\n{fence}diff\n{}\n",
        hunk_head(lines, piece.within.as_deref())
    );
    for line in lines {
        let sign = match line.mark {
            Mark::Same => ' ',
            Mark::Removed => '-',
            Mark::Added => '+',
        };
        let _ = writeln!(text, "{}", format!("{sign}{}", line.text).trim_end());
    }
    text.push_str(fence);
    text.push('\n');
    text
}

/// `@@ -10,6 +12,9 @@ fn verify`, as git writes it.
fn hunk_head(
    lines: &[Line<'_>],
    within: Option<&str>,
) -> String {
    let side = |skipped: Mark, number: fn(&Line<'_>) -> usize| {
        let of_side: Vec<_> = lines.iter().filter(|line| line.mark != skipped).collect();
        let first = of_side.first().copied().or(lines.first()).map_or(0, number);
        format!("{first},{}", of_side.len())
    };
    let old = side(Mark::Added, |line| line.old);
    let new = side(Mark::Removed, |line| line.new);
    let head = format!("@@ -{old} +{new} @@ {}", within.unwrap_or_default());
    head.trim_end().to_owned()
}

fn listed(paths: &[&str]) -> String {
    if paths.is_empty() {
        return "nothing".to_owned();
    }
    let quoted: Vec<_> = paths.iter().map(|path| format!("`{path}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
    }

    #[test]
    fn the_pages_of_the_steps_are_those_of_the_sources() {
        if env::var_os("UPDATE_STEPS").is_some() {
            write_all(root()).unwrap();
        }
        for name in STEPS {
            let wanted = page(&Material::read(root(), name, false).unwrap()).unwrap();
            let file = path(root(), name);
            let found = fs::read_to_string(&file).unwrap_or_default();
            let stale = "is stale; run UPDATE_STEPS=1 cargo test -p lesson";
            assert!(found == wanted, "{} {stale}", file.display());
        }
    }

    /// A file that is new without a word on it leaves its reader alone.
    #[test]
    fn every_step_says_something_of_each_file_it_adds() {
        for name in STEPS {
            let material = Material::read(root(), name, false).unwrap();
            assert!(!material.notes.opening.is_empty(), "{name}");
            for reading in material.readings(&[]).unwrap() {
                let is_new = reading.file.kind == Kind::New;
                assert!(
                    !is_new || !reading.opening.is_empty(),
                    "{name}: {}",
                    reading.file.path
                );
            }
        }
    }

    /// The script counts with git, the pages with a library.
    #[test]
    fn the_script_counts_as_the_pages_do() {
        for name in STEPS.into_iter().chain(["whoami"]) {
            let material = Material::read(root(), name, true).unwrap();
            let script = Command::new("bash")
                .arg(root().join("scripts/diff_step.sh"))
                .args([name.trim_start_matches("step"), "--stat", "--tests"])
                .output()
                .unwrap();
            let said = String::from_utf8(script.stdout).unwrap();
            let words: Vec<Vec<_>> =
                said.lines().map(|line| line.split_whitespace().collect()).collect();
            let readings = material.readings(&[]).unwrap();
            for reading in &readings {
                let size = reading.size();
                let mut row = vec![reading.file.kind.word(), &reading.file.path];
                row.extend(size.split(' '));
                assert!(words.contains(&row), "{name}: {row:?}\n{said}");
            }
            let (added, removed) = sum(&readings);
            let total = format!("  lines: +{added} -{removed} in src/, with tests");
            assert!(
                said.lines().any(|line| line == total),
                "{name}: {total}\n{said}"
            );
        }
    }

    /// The overview of the root README says of each step what its page says.
    #[test]
    fn the_overview_counts_as_the_pages_do() {
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        for name in STEPS {
            let material = Material::read(root(), name, false).unwrap();
            let (added, removed) = sum(&material.readings(&[]).unwrap());
            let row = format!(
                "| [{}]({name}/README.md) |",
                name.trim_start_matches("step")
            );
            let row = readme.lines().find(|line| line.starts_with(&row)).unwrap();
            let count = format!("| +{added} -{removed} |");
            assert!(row.contains(&count), "{name}: {count} in {row}");
        }
    }
}
