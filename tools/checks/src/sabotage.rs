//! The sabotages, as their patches tell of themselves: what may happen, what it costs, which check stands against it,
//! where in the sources that is, and which claim turns red without it.
//!
//! The place is not written down anywhere. It is where the patch changes something, read in the source of today.
//!
//! Left out: whether the claim does turn red. `scripts/break_it.sh` tries that.

use std::fmt;
use std::fs;
use std::path::Path;

/// One patch of `scripts/sabotage`.
#[derive(Debug)]
pub(crate) struct Sabotage {
    pub(crate) name: String,
    text: String,
}

/// Where a patch breaks something: a file as the workspace names it, and the function or constant in it.
#[derive(Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) item: String,
}

/// What a patch lacks, for who wrote it.
#[derive(Debug, PartialEq)]
pub(crate) enum Flaw {
    Head(&'static str),
    File(String),
    Place(String),
    Claim(String),
}

impl fmt::Display for Flaw {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match self {
            Self::Head(key) => write!(f, "it needs a line `# {key}: ..` at its top"),
            Self::File(file) => write!(f, "there is no {file}"),
            Self::Place(file) => write!(
                f,
                "nothing in {file} is what it takes out, or it is in no function"
            ),
            Self::Claim(claim) => write!(f, "no line of the script makes the claim: {claim}"),
        }
    }
}

/// A run of lines that a patch replaces.
struct Hunk<'text> {
    /// Where it was when the patch was made, from 1.
    begins: usize,
    /// What stands in the file before, context included.
    old: Vec<&'text str>,
    /// Which of these lines is the first that changes, or that something is put behind.
    at: usize,
}

impl Sabotage {
    /// Every patch in this folder, in the order of their names.
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let patches = files.filter(|file| file.extension().is_some_and(|end| end == "patch"));
        let mut all: Vec<_> = patches
            .map(|file| Self {
                name: file.file_stem().unwrap().to_string_lossy().into_owned(),
                text: fs::read_to_string(&file).unwrap(),
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(crate) fn made_up(text: &str) -> Self {
        Self {
            name: "made-up".to_owned(),
            text: text.to_owned(),
        }
    }

    /// The line `# KEY: ..` at the top.
    pub(crate) fn head(
        &self,
        key: &'static str,
    ) -> Result<&str, Flaw> {
        let heads = self.text.lines().map_while(|line| line.strip_prefix("# "));
        let mut values = heads.filter_map(|head| head.strip_prefix(key)?.strip_prefix(": "));
        values.next().ok_or(Flaw::Head(key))
    }

    /// The script that must turn red, as it lies in `scripts/`.
    pub(crate) fn script(&self) -> Result<String, Flaw> {
        match self.head("Step") {
            Ok(step) => Ok(format!("test_step{step}.sh")),
            Err(_) => self.head("Script").map(str::to_owned),
        }
    }

    /// Where the first change lies that is in a function or a constant: one in a `use` says little.
    pub(crate) fn place(
        &self,
        root: &Path,
    ) -> Result<Place, Flaw> {
        let file = self
            .text
            .lines()
            .find_map(|line| line.strip_prefix("+++ b/"))
            .unwrap_or_default();
        let source =
            fs::read_to_string(root.join(file)).map_err(|_| Flaw::File(file.to_owned()))?;
        let lines: Vec<_> = source.lines().collect();
        let items = self.hunks().into_iter().filter_map(|hunk| item(&lines, hunk.find(&lines)?));
        let place = |item| Place {
            file: file.to_owned(),
            item,
        };
        items.map(place).next().ok_or_else(|| Flaw::Place(file.to_owned()))
    }

    /// The hunks of the first file.
    fn hunks(&self) -> Vec<Hunk<'_>> {
        let lines: Vec<_> = self.text.lines().skip_while(|line| !line.starts_with("@@ ")).collect();
        let first_file = lines.split(|line| line.starts_with("diff ")).next().unwrap_or_default();
        let is_head = |line: &&str| line.starts_with("@@ ");
        let bodies = first_file.split(is_head).skip(1);
        let heads = first_file.iter().copied().filter(is_head);
        heads.zip(bodies).map(|(head, body)| Hunk::read(head, body)).collect()
    }
}

impl<'text> Hunk<'text> {
    /// Reads `@@ -205,4 +205,5 @@` and the lines below it.
    fn read(
        head: &str,
        lines: &[&'text str],
    ) -> Self {
        let number = head.trim_start_matches("@@ -").split(',').next().unwrap_or_default();
        let change = lines.iter().position(|line| line.starts_with(['-', '+'])).unwrap_or_default();
        let only_adds = lines[change].starts_with('+');
        let old = lines.iter().filter(|line| !line.starts_with('+'));
        Self {
            begins: number.parse().unwrap_or_default(),
            // A line of context that is empty may have lost its space.
            old: old.map(|line| line.get(1..).unwrap_or_default()).collect(),
            at: if only_adds {
                change.saturating_sub(1)
            } else {
                change
            },
        }
    }

    /// The number of the line that changes, from 0, in a file with these lines. Where they are there twice, the ones
    /// that lie nearer to where they were.
    fn find(
        &self,
        lines: &[&str],
    ) -> Option<usize> {
        let last = lines.len().checked_sub(self.old.len())?;
        let mut places: Vec<_> =
            (0..=last).filter(|begins| lines[*begins..].starts_with(&self.old)).collect();
        places.sort_by_key(|begins| (begins + 1).abs_diff(self.begins));
        Some(places.first()? + self.at)
    }
}

/// The function or constant that a line is in, with the type that it belongs to: `Access::check`. The sources are
/// formatted, so what a line is in stands above it, further to the left.
fn item(
    lines: &[&str],
    line: usize,
) -> Option<String> {
    let mut left = usize::MAX;
    let mut name = None;
    for text in lines[..=line].iter().rev() {
        let indent = text.len() - text.trim_start().len();
        let text = text.trim_start();
        if indent >= left || text.is_empty() || text.starts_with([')', '}', '#', '/']) {
            continue;
        }
        left = indent;
        if name.is_none() {
            name = declared(text).map(str::to_owned);
        } else if let Some(owner) = implemented(text) {
            return name.map(|name| format!("{owner}::{name}"));
        }
    }
    name
}

/// The name of the function or constant that a line declares.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.find(|word| ["fn", "const", "static"].contains(word))?;
    words.find(|word| !["fn", "mut", "unsafe"].contains(word) && !word.is_empty())
}

/// The type of an `impl`, without what is generic of it.
fn implemented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl")?;
    let of_trait = rest.rsplit_once(" for ").map(|(_, target)| target);
    let target =
        of_trait.unwrap_or_else(|| rest.split_once("> ").map_or(rest, |(_, target)| target));
    target.trim().split([' ', '<', '{']).next()
}

/// Whether a script makes this claim, perhaps in a text with parts filled in: `"--break $kind -> 401"`. What was filled in
/// must then stand in the script as well.
pub(crate) fn makes_claim(
    script: &str,
    claim: &str,
) -> bool {
    let lines: Vec<_> = script.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let texts: Vec<_> = lines.iter().flat_map(|line| texts(line)).collect();
    let stands = |part: &str| lines.iter().any(|line| line.contains(part));
    let made = |part: &str| texts.iter().any(|text| text.yields(part, stands));
    texts.iter().any(|text| text.yields(claim, |part| stands(part) || made(part)))
}

/// A quoted text of a shell script, cut where something is filled in.
#[derive(Debug, Default, PartialEq)]
struct Text {
    parts: Vec<String>,
}

impl Text {
    /// Whether this claim can come out of it, if `stands` holds for what is filled in.
    fn yields(
        &self,
        claim: &str,
        stands: impl Fn(&str) -> bool,
    ) -> bool {
        self.filled_in(claim).is_some_and(|parts| parts.into_iter().all(stands))
    }

    /// What is filled in to yield this claim. A text that is filled in entirely says nothing, and yields none.
    fn filled_in<'claim>(
        &self,
        claim: &'claim str,
    ) -> Option<Vec<&'claim str>> {
        let (first, others) = self.parts.split_first()?;
        let mut rest = claim.strip_prefix(first.as_str())?;
        let Some((last, inner)) = others.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        self.parts.iter().find(|part| part.trim().len() > 2)?;
        let mut found = Vec::new();
        for part in inner {
            let (before, behind) = rest.split_once(part.as_str())?;
            found.push(before);
            rest = behind;
        }
        found.push(rest.strip_suffix(last.as_str())?);
        Some(found)
    }
}

/// The quoted texts of one line.
fn texts(line: &str) -> Vec<Text> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(begins) = rest.find(['"', '\'']) {
        let quote = &rest[begins..=begins];
        let inner = &rest[begins + 1..];
        let (text, length) = if quote == "'" {
            plain(inner)
        } else {
            filled_in(inner)
        };
        found.push(text);
        rest = inner.get(length + 1..).unwrap_or_default();
    }
    found
}

/// A text in single quotes: as it stands. With its length.
fn plain(inner: &str) -> (Text, usize) {
    let length = inner.find('\'').unwrap_or(inner.len());
    let parts = vec![inner[..length].to_owned()];
    (
        Text {
            parts,
        },
        length,
    )
}

/// A text in double quotes, up to its end, with its length: cut at `$name`, `${..}` and `$(..)`.
fn filled_in(inner: &str) -> (Text, usize) {
    let mut parts = vec![String::new()];
    let mut at = 0;
    while let Some(c) = inner[at..].chars().next() {
        match c {
            '"' => break,
            '$' => {
                at += variable(&inner[at..]);
                parts.push(String::new());
                continue;
            }
            '\\' => at += 1,
            _ => {}
        }
        let Some(c) = inner[at..].chars().next() else {
            break;
        };
        parts.last_mut().expect("it begins with one part").push(c);
        at += c.len_utf8();
    }
    (
        Text {
            parts,
        },
        at,
    )
}

/// How long the `$..` is that a text begins with.
fn variable(text: &str) -> usize {
    let close = match text.as_bytes().get(1) {
        Some(b'{') => '}',
        Some(b'(') => ')',
        Some(digit) if digit.is_ascii_digit() => return 2,
        _ => {
            let name = text[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
            return 1 + name.unwrap_or(text.len() - 1);
        }
    };
    text.find(close).map_or(text.len(), |end| end + 1)
}

#[test]
fn a_line_is_in_the_function_above_it() {
    let source = "const MOST: &[u8] = &[\n    1,\n];\n\nimpl<'a> Trait<'a> for House {\n    /// Opens.\n    pub(crate) fn open(\n        &self,\n    ) -> bool {\n        if self.a {\n            true\n        }\n    }\n}\n\nasync fn go() {\n    stop()\n}\nuse a::b;\n";
    let lines: Vec<_> = source.lines().collect();
    let of = |text: &str| {
        item(
            &lines,
            lines.iter().position(|line| line.trim() == text).unwrap(),
        )
    };
    assert_eq!(of("1,").as_deref(), Some("MOST"));
    assert_eq!(of("true").as_deref(), Some("House::open"));
    assert_eq!(of("&self,").as_deref(), Some("House::open"));
    assert_eq!(of("stop()").as_deref(), Some("go"));
    assert_eq!(of("use a::b;"), None);
}

#[test]
fn a_claim_is_found_with_what_is_filled_in() {
    let script = r#"
        # expect "no claim" status 1
        for kind in typ cnf; do expect "--break $kind -> 401 ${x:-y} end" status 401; done
        check 'as it stands' true
        refused "a token -> of old"
        expect "$1 -> 403" status 403
        check "$1" true
    "#;
    let made = [
        "--break typ -> 401 cnf end",
        "as it stands",
        "a token -> of old -> 403",
    ];
    for claim in made {
        assert!(makes_claim(script, claim), "{claim}");
    }
    let others = [
        "--break typ -> 402 cnf end",
        "--break alg -> 401 cnf end",
        "as it stands now",
        "no claim",
        "--break",
        "a token of new -> 403",
    ];
    for claim in others {
        assert!(!makes_claim(script, claim), "{claim}");
    }
}

#[test]
fn a_patch_without_a_head_or_a_place_is_told_so() {
    let sabotage = Sabotage::made_up(
        "# Step: 6\n# Red: red\n+++ b/nowhere.rs\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n# Topic: late\n",
    );
    assert_eq!(sabotage.script().as_deref(), Ok("test_step6.sh"));
    assert_eq!(sabotage.head("Red"), Ok("red"));
    assert_eq!(sabotage.head("Topic"), Err(Flaw::Head("Topic")));
    assert_eq!(
        sabotage.place(Path::new("/")),
        Err(Flaw::File("nowhere.rs".to_owned()))
    );
}
