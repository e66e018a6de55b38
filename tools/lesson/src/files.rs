//! The two packages that are compared, as a reader is to see them: without the package's name, which differs in every
//! step and teaches nothing, and with tests apart.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;

/// The steps that are made from another.
pub(crate) const STEPS: [&str; 7] = [
    "step2", "step3", "step4", "step5", "step6", "step7", "step8",
];

/// What became of a file from one step to the next.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    New,
    Touched,
    Gone,
    Same,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Touched => "touched",
            Self::Gone => "gone",
            Self::Same => "same",
        }
    }
}

/// A file of either package, by its path below the package.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) old: String,
    pub(crate) new: String,
}

impl File {
    /// Whether it holds tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path == "src/tests.rs" || self.path.starts_with("src/tests/")
    }

    /// Whether a reader who writes `keys.rs` or `src/keys.rs` means this one.
    pub(crate) fn is_called(
        &self,
        name: &str,
    ) -> bool {
        ["", "src/", "src/tests/"]
            .iter()
            .any(|folder| self.path == format!("{folder}{name}"))
    }
}

/// A step, or the example that goes on from one.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Where it lies below the root of the workspace, with `/`.
    pub(crate) place: String,
    /// The same of the package that it was made from.
    pub(crate) old_name: String,
    old_place: String,
}

impl Package {
    /// `step2` to `step8`, or `whoami`.
    pub(crate) fn named(name: &str) -> anyhow::Result<Self> {
        let (place, old) = match name {
            "whoami" => ("examples/whoami".to_owned(), 7),
            _ => {
                let number = name.strip_prefix("step").and_then(|number| number.parse::<u8>().ok());
                match number {
                    Some(number @ 2..=8) => (name.to_owned(), number - 1),
                    _ => bail!(
                        "{name} is not made from another step; name step2 to step8, or whoami"
                    ),
                }
            }
        };
        Ok(Self {
            name: name.to_owned(),
            place,
            old_name: format!("step{old}"),
            old_place: format!("step{old}"),
        })
    }

    /// Every file of both packages, by path; Rust sources without their test modules unless `tests`.
    pub(crate) fn files(
        &self,
        root: &Path,
        tests: bool,
    ) -> anyhow::Result<Vec<File>> {
        let old = read_package(&root.join(&self.old_place), &self.old_name, tests)?;
        let new = read_package(&root.join(&self.place), &self.name, tests)?;
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let file = |path: &String| {
            let (old, new) = (old.get(path), new.get(path));
            let kind = match (old, new) {
                (None, _) => Kind::New,
                (_, None) => Kind::Gone,
                (old, new) if old == new => Kind::Same,
                _ => Kind::Touched,
            };
            File {
                path: path.clone(),
                kind,
                old: old.cloned().unwrap_or_default(),
                new: new.cloned().unwrap_or_default(),
            }
        };
        Ok(paths.into_iter().map(file).collect())
    }
}

/// `Cargo.toml` and all sources, by path below the folder.
fn read_package(
    folder: &Path,
    name: &str,
    tests: bool,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let manifest = read(&folder.join("Cargo.toml"))?;
    let own_name = format!("name = \"{name}\"\n");
    files.insert(
        "Cargo.toml".to_owned(),
        manifest.replacen(&own_name, "name = \"stepN\"\n", 1),
    );
    let sources = sources(&folder.join("src"));
    for path in sources.with_context(|| format!("cannot list {}", folder.display()))? {
        let below = path.strip_prefix(folder).expect("it was found in there");
        let below = below.to_string_lossy().replace('\\', "/");
        let text = read(&path)?;
        let text = if tests { text } else { without_tests(&text) };
        files.insert(below, text);
    }
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Every Rust source below a folder.
fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A source without its modules marked `#[cfg(test)]`, and the blank lines before them. A declaration, `mod tests;`, is
/// no module. As rustfmt writes it: the module ends at the next brace that stands alone at the margin.
fn without_tests(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_module = |next: &&str| next.contains("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(opens_module) {
            while lines.next().is_some_and(|line| line != "}") {}
            while kept.last().is_some_and(|line| line.is_empty()) {
                kept.pop();
            }
        } else {
            kept.push(line);
        }
    }
    kept.iter().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_goes_and_a_declaration_stays() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n\nfn c() {}\n";
        assert_eq!(without_tests(text), "fn a() {}\n\nfn c() {}\n");
        let declared = "#[cfg(test)]\nmod tests;\n";
        assert_eq!(without_tests(declared), declared);
    }

    #[test]
    fn only_steps_with_one_before_them_are_compared() {
        for name in ["step1", "step9", "step", "auth-server"] {
            assert!(Package::named(name).is_err(), "{name}");
        }
        assert_eq!(Package::named("step2").unwrap().old_name, "step1");
        assert_eq!(Package::named("whoami").unwrap().old_name, "step7");
    }
}
