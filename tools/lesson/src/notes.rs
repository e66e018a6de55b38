//! The words between the hunks, which people write: `docs/steps/stepN.notes.md`.
//!
//! What stands before the first heading opens the page. `## src/auth.rs` begins the notes on a file, `### verify` or
//! `### Auth::verify` a note on a function or type of it. The order of the files is the order in which to read them.

/// The words for one step.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) opening: String,
    pub(crate) files: Vec<FileNotes>,
}

/// The words on one file.
#[derive(Debug, Default)]
pub(crate) struct FileNotes {
    pub(crate) path: String,
    pub(crate) opening: String,
    pub(crate) items: Vec<Note>,
}

/// The words on one function or type.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Note {
    pub(crate) item: String,
    pub(crate) text: String,
}

impl Notes {
    pub(crate) fn parse(text: &str) -> Self {
        let mut notes = Self::default();
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("## ") {
                notes.files.push(FileNotes {
                    path: path.trim().trim_matches('`').to_owned(),
                    ..FileNotes::default()
                });
            } else if let (Some(item), Some(file)) =
                (line.strip_prefix("### "), notes.files.last_mut())
            {
                file.items.push(Note {
                    item: item.trim().trim_matches('`').to_owned(),
                    text: String::new(),
                });
            } else {
                let text = notes.last_text();
                text.push_str(line);
                text.push('\n');
            }
        }
        notes.trim();
        notes
    }

    /// What was begun last.
    fn last_text(&mut self) -> &mut String {
        match self.files.last_mut() {
            None => &mut self.opening,
            Some(file) => match file.items.last_mut() {
                None => &mut file.opening,
                Some(note) => &mut note.text,
            },
        }
    }

    fn trim(&mut self) {
        let trim = |text: &mut String| *text = text.trim().to_owned();
        trim(&mut self.opening);
        for file in &mut self.files {
            trim(&mut file.opening);
            file.items.iter_mut().for_each(|note| trim(&mut note.text));
        }
    }

    pub(crate) fn of(
        &self,
        path: &str,
    ) -> Option<&FileNotes> {
        self.files.iter().find(|file| file.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_keyed_by_file_and_item() {
        let notes = Notes::parse(
            "Hello.\n\n## src/a.rs\n\nA file.\n\n### A::b\n\nWhy.\nBecause.\n\n## src/c.rs\n",
        );
        assert_eq!(notes.opening, "Hello.");
        let file = notes.of("src/a.rs").unwrap();
        assert_eq!(file.opening, "A file.");
        let note = Note {
            item: "A::b".to_owned(),
            text: "Why.\nBecause.".to_owned(),
        };
        assert_eq!(file.items, [note]);
        assert!(notes.of("src/c.rs").unwrap().items.is_empty());
        assert!(notes.of("src/b.rs").is_none());
    }
}
