//! What a reader gets to see of a step, in which order: its files, each in pieces, with the words before each piece.
//!
//! New files come first, then touched ones, both in the order of the notes. A hunk is cut where an item begins that has
//! a note, so that the words stand right before the lines they are about.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;

use crate::difference;
use crate::difference::Line;
use crate::difference::Mark;
use crate::files::File;
use crate::files::Kind;
use crate::files::Package;
use crate::items;
use crate::items::Item;
use crate::notes::FileNotes;
use crate::notes::Note;
use crate::notes::Notes;

/// What was read from the disk: the files of both packages, and the notes.
pub(crate) struct Material {
    pub(crate) package: Package,
    pub(crate) files: Vec<File>,
    pub(crate) notes: Notes,
}

/// A new or touched file.
pub(crate) struct Reading<'m> {
    pub(crate) file: &'m File,
    pub(crate) opening: &'m str,
    pub(crate) lines: Vec<Line<'m>>,
    pub(crate) pieces: Vec<Piece<'m>>,
}

/// Some lines in a row, and what is to be said before them.
pub(crate) struct Piece<'m> {
    pub(crate) notes: Vec<&'m Note>,
    /// Of the file's lines.
    pub(crate) range: Range<usize>,
    /// The function or type that goes on here, if it began before.
    pub(crate) within: Option<String>,
}

/// A note that is about nothing that changed.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Lost {
    File(String),
    Item { path: String, item: String },
}

impl fmt::Display for Lost {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match self {
            Self::File(path) => write!(
                f,
                "`## {path}`: this step neither adds nor touches such a file"
            ),
            Self::Item {
                path,
                item,
            } => {
                write!(
                    f,
                    "`### {item}` of {path}: this step neither adds nor touches such a function or type"
                )
            }
        }
    }
}

/// Where the words on a step lie.
pub(crate) fn notes_path(
    root: &Path,
    name: &str,
) -> PathBuf {
    root.join(format!("docs/steps/{name}.notes.md"))
}

impl Material {
    /// Reads both packages, with tests or without, and the notes if there are any.
    pub(crate) fn read(
        root: &Path,
        name: &str,
        tests: bool,
    ) -> anyhow::Result<Self> {
        let package = Package::named(name)?;
        let mut files = package.files(root, tests)?;
        files.retain(|file| tests || !file.is_test());
        let notes = fs::read_to_string(notes_path(root, name)).unwrap_or_default();
        Ok(Self {
            package,
            files,
            notes: Notes::parse(&notes),
        })
    }

    /// What to read, in order: the files called so, or all that changed; tests at the end.
    pub(crate) fn readings(
        &self,
        wanted: &[String],
    ) -> anyhow::Result<Vec<Reading<'_>>> {
        for name in wanted {
            if !self.files.iter().any(|file| file.is_called(name)) {
                bail!("there is no {name} in {}", self.package.name);
            }
        }
        let is_wanted =
            |file: &File| wanted.is_empty() || wanted.iter().any(|name| file.is_called(name));
        let mut files: Vec<_> = self
            .files
            .iter()
            .filter(|file| file.kind != Kind::Same && is_wanted(file))
            .collect();
        let place = |path: &str| self.notes.files.iter().position(|notes| notes.path == path);
        files.sort_by_key(|file| {
            (
                file.is_test(),
                file.kind,
                place(&file.path).unwrap_or(usize::MAX),
            )
        });
        let mut lost = self.lost_files();
        let readings = files.into_iter().map(|file| self.reading(file, &mut lost)).collect();
        if !lost.is_empty() {
            let lost: Vec<_> = lost.iter().map(Lost::to_string).collect();
            bail!(
                "docs/steps/{}.notes.md: {}",
                self.package.name,
                lost.join("; ")
            );
        }
        Ok(readings)
    }

    /// Said where none of the files that were asked for has changed.
    pub(crate) fn nothing_to_show(
        &self,
        wanted: &[String],
    ) -> String {
        let package = &self.package;
        format!(
            "{}: the same in {} and {}",
            wanted.join(", "),
            package.old_name,
            package.name
        )
    }

    fn lost_files(&self) -> Vec<Lost> {
        let changed =
            |path: &str| self.files.iter().any(|file| file.path == path && file.kind != Kind::Same);
        let paths = self.notes.files.iter().map(|notes| &notes.path);
        paths
            .filter(|path| !changed(path))
            .map(|path| Lost::File(path.clone()))
            .collect()
    }

    fn reading<'m>(
        &'m self,
        file: &'m File,
        lost: &mut Vec<Lost>,
    ) -> Reading<'m> {
        let lines = difference::lines(&file.old, &file.new);
        let items = items::items(&file.new);
        let notes = self.notes.of(&file.path);
        let pieces = pieces(&lines, &items, notes, lost);
        Reading {
            file,
            opening: notes.map_or("", |notes| &notes.opening),
            lines,
            pieces,
        }
    }

    /// The files that need not be read again.
    pub(crate) fn unchanged(&self) -> Vec<&str> {
        let same = |file: &&File| file.kind == Kind::Same && !file.is_test();
        self.files.iter().filter(same).map(|file| file.path.as_str()).collect()
    }
}

impl<'m> Reading<'m> {
    pub(crate) fn lines_of(
        &self,
        piece: &Piece<'_>,
    ) -> &[Line<'m>] {
        &self.lines[piece.range.clone()]
    }

    /// `+14 -1`, and for a new file only `+265`.
    pub(crate) fn size(&self) -> String {
        let (added, removed) = difference::count(&self.lines);
        match self.file.kind {
            Kind::New => format!("+{added}"),
            Kind::Gone => format!("-{removed}"),
            _ => format!("+{added} -{removed}"),
        }
    }
}

/// The lines added and removed in `src/`, as the overview counts them.
pub(crate) fn sum(readings: &[Reading<'_>]) -> (usize, usize) {
    let sources = readings.iter().filter(|reading| reading.file.path.starts_with("src/"));
    sources
        .map(|reading| difference::count(&reading.lines))
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// The hunks of a file, cut where a note has to stand.
fn pieces<'m>(
    lines: &[Line<'_>],
    items: &[Item],
    notes: Option<&'m FileNotes>,
    lost: &mut Vec<Lost>,
) -> Vec<Piece<'m>> {
    let hunks = difference::hunks(lines);
    let mut placed: Vec<(usize, &Note)> = Vec::new();
    for (notes, note) in
        notes.iter().flat_map(|notes| notes.items.iter().map(move |note| (notes, note)))
    {
        match place(lines, &hunks, items, &note.item) {
            Some(at) => placed.push((at, note)),
            None => lost.push(Lost::Item {
                path: notes.path.clone(),
                item: note.item.clone(),
            }),
        }
    }
    let mut pieces = Vec::new();
    for hunk in hunks {
        let mut cuts: Vec<_> =
            placed.iter().map(|(at, _)| *at).filter(|at| hunk.contains(at)).collect();
        cuts.extend([hunk.start, hunk.end]);
        cuts.sort_unstable();
        cuts.dedup();
        for cut in cuts.windows(2) {
            let notes = placed.iter().filter(|(at, _)| *at == cut[0]).map(|(_, note)| *note);
            pieces.push(Piece {
                notes: notes.collect(),
                range: cut[0]..cut[1],
                within: within(items, &lines[cut[0]..cut[1]]),
            });
        }
    }
    pieces
}

/// The line before which a note on an item stands: the item's first, or that of the hunk which changes it.
fn place(
    lines: &[Line<'_>],
    hunks: &[Range<usize>],
    items: &[Item],
    name: &str,
) -> Option<usize> {
    items.iter().filter(|item| item.name == name).find_map(|item| {
        let first = lines.iter().position(|line| line.new >= item.start)?;
        // What its first lines take the place of.
        let replaced = lines[..first].iter().rev().take_while(|line| line.mark == Mark::Removed);
        let from = first - replaced.count();
        let to = lines.iter().rposition(|line| line.new <= item.end)? + 1;
        let change = (from..to).find(|at| lines[*at].is_change())?;
        let hunk = hunks.iter().find(|hunk| hunk.contains(&change))?;
        let is_first = !lines[hunk.start..from.max(hunk.start)].iter().any(Line::is_change);
        Some(if is_first { hunk.start } else { from })
    })
}

/// The innermost item that is changed here first, if it began before these lines.
fn within(
    items: &[Item],
    lines: &[Line<'_>],
) -> Option<String> {
    let change = lines.iter().find(|line| line.is_change())?;
    let around = items.iter().filter(|item| (item.start..=item.end).contains(&change.new));
    let item = around.min_by_key(|item| item.end - item.start)?;
    (item.start < lines[0].new).then(|| item.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(
        old: &str,
        new: &str,
        notes: &str,
    ) -> Material {
        let file = File {
            path: "src/a.rs".to_owned(),
            kind: if old.is_empty() {
                Kind::New
            } else {
                Kind::Touched
            },
            old: old.to_owned(),
            new: new.to_owned(),
        };
        Material {
            package: Package::named("step2").unwrap(),
            files: vec![file],
            notes: Notes::parse(notes),
        }
    }

    const NEW: &str = "use a;\n\nfn one() {\n    1\n}\n\n/// Two.\nfn two() {\n    2\n}\n";

    #[test]
    fn a_new_file_is_cut_before_what_has_a_note() {
        let material = material("", NEW, "## src/a.rs\n\nA.\n\n### two\n\nWhy.\n");
        let readings = material.readings(&[]).unwrap();
        let ranges: Vec<_> = readings[0].pieces.iter().map(|piece| piece.range.clone()).collect();
        assert_eq!(ranges, [0..6, 6..10]);
        assert_eq!(readings[0].opening, "A.");
        assert_eq!(readings[0].pieces[1].notes[0].text, "Why.");
    }

    #[test]
    fn a_note_on_a_touched_function_stands_before_its_hunk() {
        let new = NEW.replace("    2\n", "    22\n");
        let material = material(NEW, &new, "## src/a.rs\n\n### two\n\nWhy.\n");
        let readings = material.readings(&[]).unwrap();
        assert_eq!(readings[0].pieces.len(), 1);
        assert_eq!(readings[0].pieces[0].notes[0].item, "two");
    }

    #[test]
    fn a_line_that_is_replaced_stands_with_the_note_on_what_takes_its_place() {
        let new = NEW.replace("use a;", "use b;").replace("/// Two.", "/// Zwei.");
        let material = material(NEW, &new, "## src/a.rs\n\n### two\n\nWhy.\n");
        let readings = material.readings(&[]).unwrap();
        let lines = readings[0].lines_of(&readings[0].pieces[1]);
        let texts: Vec<_> = lines[..2].iter().map(|line| line.text).collect();
        assert_eq!(texts, ["/// Two.", "/// Zwei."]);
    }

    /// Else neither side could show them beside each other.
    #[test]
    fn no_cut_parts_a_line_from_what_takes_its_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        for name in crate::files::STEPS {
            let material = Material::read(root, name, false).unwrap();
            for reading in material.readings(&[]).unwrap() {
                for piece in reading.pieces.iter().filter(|piece| piece.range.start > 0) {
                    let at = piece.range.start;
                    let (before, after) = (reading.lines[at - 1].mark, reading.lines[at].mark);
                    let is_parted = before == Mark::Removed && after != Mark::Same;
                    let path = &reading.file.path;
                    assert!(!is_parted, "{name}, {path}: a cut before line {at}");
                }
            }
        }
    }

    #[test]
    fn a_note_on_what_did_not_change_is_an_error() {
        let new = NEW.replace("    2\n", "    22\n");
        for (notes, wrong) in [
            ("## src/a.rs\n### one\nWhy.\n", "`### one` of src/a.rs"),
            ("## src/a.rs\n### three\nWhy.\n", "`### three` of src/a.rs"),
            ("## src/b.rs\nWhy.\n", "`## src/b.rs`"),
        ] {
            let material = material(NEW, &new, notes);
            let error = material.readings(&[]).err().expect("it is lost").to_string();
            assert!(
                error.starts_with(&format!("docs/steps/step2.notes.md: {wrong}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let material = material("", NEW, "");
        assert!(material.readings(&["a.rs".to_owned()]).is_ok());
        let error = material.readings(&["c.rs".to_owned()]).err().expect("there is none");
        assert_eq!(error.to_string(), "there is no c.rs in step2");
    }
}
