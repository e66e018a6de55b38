//! The source of the book, put together from the Markdown of the workspace: no page is written twice.
//!
//! Every page keeps its place (`step6/README.md`), so the links between them hold. A link to a file that is no page gets
//! a copy of it to lead to, as text, so that the book needs neither a network nor the workspace. What the book has and
//! the workspace has not is the difference side by side, in the place of `docs/steps/stepN.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;

use crate::attacks;
use crate::exercise;
use crate::files::STEPS;
use crate::html;
use crate::markdown;
use crate::reading::Material;
use crate::reading::Reading;

const SETTINGS: &str = include_str!("../assets/book.toml");
const LOOK: &str = include_str!("../assets/book.css");
const SCRIPT: &str = include_str!("../assets/book.js");

/// Pages in `docs/` in the order in which they read best; others come behind them.
const DOCS: [&str; 8] = [
    "docs/glossary.md",
    "docs/threats.md",
    "docs/providers.md",
    "docs/connect.md",
    "docs/adapt.md",
    "docs/production.md",
    "docs/workshop.md",
    "docs/exercises.md",
];

/// Pages of the workspace itself, if they are there.
const HOUSE: [&str; 6] = [
    "docs/steps/README.md",
    "scripts/README.md",
    "deploy/README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

/// The book as it grows: its table of contents, and its pages by path.
#[derive(Default)]
struct Book {
    contents: String,
    pages: BTreeMap<String, String>,
}

/// Writes the source of the book to a folder. What is there and right already is left as it is.
pub(crate) fn assemble(
    root: &Path,
    output: &Path,
) -> anyhow::Result<()> {
    let mut book = Book::default();
    book.contents.push_str("# Summary\n\n");
    book.add(root, "README.md", 0, Some("Overview"))?;
    book.part("The steps");
    book.steps(root)?;
    book.part("Examples");
    book.all(root, "examples")?;
    book.part("Look up");
    book.docs(root)?;
    book.part("Tools and house");
    book.all(root, "tools")?;
    for path in HOUSE {
        book.add(root, path, 0, None)?;
    }
    book.write(root, output)
}

impl Book {
    fn part(
        &mut self,
        title: &str,
    ) {
        let _ = write!(self.contents, "\n# {title}\n\n");
    }

    /// Adds a page of the workspace, if it is there; with its own title unless another is given.
    fn add(
        &mut self,
        root: &Path,
        path: &str,
        depth: usize,
        title: Option<&str>,
    ) -> anyhow::Result<()> {
        let file = root.join(path);
        if self.pages.contains_key(path) || !file.is_file() {
            return Ok(());
        }
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {path}"))?;
        let own = own_title(&text);
        self.insert(path, depth, title.unwrap_or(&own), text.clone());
        Ok(())
    }

    fn insert(
        &mut self,
        path: &str,
        depth: usize,
        title: &str,
        text: String,
    ) {
        // A page before the first part has no bullet.
        let bullet = if self.pages.is_empty() { "" } else { "- " };
        let _ = writeln!(
            self.contents,
            "{}{bullet}[{title}]({path})",
            "    ".repeat(depth)
        );
        self.pages.insert(path.to_owned(), text);
    }

    /// Each step with what belongs to it.
    fn steps(
        &mut self,
        root: &Path,
    ) -> anyhow::Result<()> {
        self.add(root, "step1/README.md", 0, None)?;
        for name in STEPS {
            let number = name.trim_start_matches("step");
            let page = format!("{name}/README.md");
            self.add(root, &page, 0, None)?;
            let mut inside = vec![("line by line", format!("docs/steps/{name}.md"))];
            let material = Material::read(root, name, true)?;
            self.insert(&inside[0].1, 1, "Line by line", difference(&material)?);
            let exercise = format!("scripts/exercises/{number}.md");
            if self.exercise(root, &exercise, 1)? {
                inside.push(("the exercise", exercise));
            }
            if let Some(text) = attacks::page(root, name)? {
                let path = format!("{name}/attacks.md");
                self.insert(&path, 1, "Attacks", text);
                inside.push(("its attacks", path));
            }
            if let Some(text) = self.pages.get_mut(&page) {
                *text = with_chapters(text, &inside);
            }
        }
        self.further_exercises(root)
    }

    /// The exercises that belong to no step.
    fn further_exercises(
        &mut self,
        root: &Path,
    ) -> anyhow::Result<()> {
        for name in ["tool", "rmcp", "issuer"] {
            self.exercise(root, &format!("scripts/exercises/{name}.md"), 0)?;
        }
        Ok(())
    }

    /// Adds an exercise, if it is there, with hints that unfold.
    fn exercise(
        &mut self,
        root: &Path,
        path: &str,
        depth: usize,
    ) -> anyhow::Result<bool> {
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            return Ok(false);
        };
        let title = own_title(&text);
        let title = if depth > 0 { "Exercise" } else { &title };
        let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.insert(path, depth, title, exercise::page(&text, &name));
        Ok(true)
    }

    /// Every package in a folder that has a README.
    fn all(
        &mut self,
        root: &Path,
        folder: &str,
    ) -> anyhow::Result<()> {
        for name in names(&root.join(folder))? {
            self.add(root, &format!("{folder}/{name}/README.md"), 0, Some(&name))?;
            if name == "whoami" {
                let material = Material::read(root, &name, true)?;
                self.insert(
                    "docs/steps/whoami.md",
                    1,
                    "Line by line",
                    difference(&material)?,
                );
            }
        }
        Ok(())
    }

    fn docs(
        &mut self,
        root: &Path,
    ) -> anyhow::Result<()> {
        for path in DOCS {
            self.add(root, path, 0, None)?;
        }
        for name in names(&root.join("docs"))?.iter().filter(|name| name.ends_with(".md")) {
            self.add(root, &format!("docs/{name}"), 0, None)?;
        }
        Ok(())
    }

    fn write(
        &self,
        root: &Path,
        output: &Path,
    ) -> anyhow::Result<()> {
        let source = output.join("src");
        write(&output.join("book.toml"), SETTINGS.as_bytes())?;
        write(
            &output.join("theme/lesson.css"),
            format!("{LOOK}{}", html::STYLE).as_bytes(),
        )?;
        write(&output.join("theme/lesson.js"), SCRIPT.as_bytes())?;
        write(&source.join("SUMMARY.md"), self.contents.as_bytes())?;
        for (path, text) in &self.pages {
            let text = self.with_links(root, &source, path, text)?;
            write(&source.join(path), text.as_bytes())?;
        }
        Ok(())
    }

    /// A page whose links lead to where the book has what they mean.
    fn with_links(
        &self,
        root: &Path,
        source: &Path,
        path: &str,
        text: &str,
    ) -> anyhow::Result<String> {
        let mut changed = text.to_owned();
        // From the end, so that the places before stay what they are.
        for (place, target) in links(text).into_iter().rev() {
            let Some(goal) = Goal::of(path, &target) else {
                continue;
            };
            match self.lead(root, source, &goal) {
                Some(Lead::Stay) => {}
                Some(Lead::To(new)) => {
                    let link =
                        text[place.clone()].replacen(&format!("({target}"), &format!("({new}"), 1);
                    changed.replace_range(place, &link);
                }
                Some(Lead::Nowhere) => changed.replace_range(place.clone(), label(&text[place])),
                None => bail!("{path}: the link to {target} leads nowhere"),
            }
        }
        Ok(changed)
    }

    /// Where a link has to lead in the book; nothing, if there is no such file at all.
    fn lead(
        &self,
        root: &Path,
        source: &Path,
        goal: &Goal,
    ) -> Option<Lead> {
        let up = "../".repeat(goal.depth);
        let file = root.join(&goal.path);
        let mut path = goal.path.clone();
        if file.is_dir() {
            path = format!("{path}/README.md").trim_start_matches('/').to_owned();
            if !self.pages.contains_key(&path) {
                return Some(Lead::Nowhere);
            }
        }
        if self.pages.contains_key(&path) {
            // mdBook calls it so.
            let path = path.replace("README.md", "index.md");
            return Some(Lead::To(format!("{up}{path}{}", goal.fragment)));
        }
        let content = fs::read(&file).ok()?;
        let is_image = [".png", ".svg", ".jpg"].iter().any(|ending| goal.path.ends_with(ending));
        let copy = if is_image {
            goal.path.clone()
        } else {
            format!("{}.txt", goal.path)
        };
        write(&source.join(&copy), &content).ok()?;
        Some(if is_image {
            Lead::Stay
        } else {
            Lead::To(format!("{up}{copy}"))
        })
    }
}

/// What becomes of a link.
enum Lead {
    Stay,
    To(String),
    /// To a folder, which a book cannot show: the words stay.
    Nowhere,
}

/// What a link means: a place in the workspace.
struct Goal {
    path: String,
    /// With its `#`, or empty.
    fragment: String,
    /// How deep below the root the page lies that has the link.
    depth: usize,
}

impl Goal {
    /// Nothing, if the link leads out of the workspace or stays on its page.
    fn of(
        page: &str,
        target: &str,
    ) -> Option<Self> {
        if target.starts_with('#') || target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, fragment) = target.split_at(target.find('#').unwrap_or(target.len()));
        let mut parts: Vec<_> = page.split('/').collect();
        parts.pop();
        let depth = parts.len();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                part => parts.push(part),
            }
        }
        Some(Self {
            path: parts.join("/"),
            fragment: fragment.to_owned(),
            depth,
        })
    }
}

/// The links and pictures of a page, with where they stand.
fn links(text: &str) -> Vec<(Range<usize>, String)> {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    let target = |(event, place)| match event {
        Event::Start(
            Tag::Link {
                dest_url,
                ..
            }
            | Tag::Image {
                dest_url,
                ..
            },
        ) => Some((place, dest_url.into_string())),
        _ => None,
    };
    events.filter_map(target).collect()
}

/// `words` of `[words](target)`.
fn label(link: &str) -> &str {
    link.trim_start_matches('!')
        .strip_prefix('[')
        .and_then(|rest| Some(rest.rsplit_once("](")?.0))
        .unwrap_or(link)
}

/// The first heading of a page, without what is code in it.
fn own_title(text: &str) -> String {
    let heading = text.lines().find_map(|line| line.strip_prefix("# "));
    heading.unwrap_or("Untitled").replace(['`', '[', ']'], "")
}

/// The page of a step, with the way to its parts below its title.
fn with_chapters(
    text: &str,
    chapters: &[(&str, String)],
) -> String {
    let links: Vec<_> =
        chapters.iter().map(|(title, path)| format!("[{title}](../{path})")).collect();
    let way = format!(
        "\n<p class=\"way\">\n\nRead on: {}\n\n</p>\n",
        links.join(" · ")
    );
    match text.split_once('\n') {
        Some((title, rest)) => format!("{title}\n{way}{rest}"),
        None => format!("{text}\n{way}"),
    }
}

/// The difference to the step before, side by side, with its words; tests are folded.
fn difference(material: &Material) -> anyhow::Result<String> {
    let step = &material.package.name;
    let readings = material.readings(&[])?;
    let (tests, sources): (Vec<Reading<'_>>, _) =
        readings.into_iter().partition(|reading| reading.file.is_test());
    let mut text = markdown::head(material, &sources, &|reading| {
        format!("#{}", html::anchor(step, &reading.file.path))
    });
    for reading in &sources {
        let _ = writeln!(
            text,
            "\n<a id=\"{}\"></a>",
            html::anchor(step, &reading.file.path)
        );
        text.push_str(&markdown::file_heading(reading));
        for piece in &reading.pieces {
            text.push_str(&markdown::words(piece));
            let _ = write!(text, "\n{}", html::table(step, reading, piece));
        }
    }
    text.push_str("\n## Tests\n\n");
    for reading in &tests {
        let _ = writeln!(text, "{}", html::folded(step, reading));
    }
    Ok(text)
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Writes a file unless it has this content: who watches the folder sees only what is new.
fn write(
    file: &Path,
    content: &[u8],
) -> anyhow::Result<()> {
    if fs::read(file).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let folder = file.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
    }

    #[test]
    fn every_step_has_its_chapters() {
        let folder = tempfile::tempdir().unwrap();
        assemble(root(), folder.path()).unwrap();
        let contents = fs::read_to_string(folder.path().join("src/SUMMARY.md")).unwrap();
        for step in 1..=8 {
            assert!(
                contents.contains(&format!("](step{step}/README.md)")),
                "{contents}"
            );
        }
        for (_, path) in links(&contents) {
            assert!(folder.path().join("src").join(&path).is_file(), "{path}");
        }
        let difference = fs::read_to_string(folder.path().join("src/docs/steps/step6.md")).unwrap();
        assert!(difference.contains("<table class=\"diff two\">"));
        assert!(
            difference.contains(
                "<details class=\"diff-tests\"><summary><code>src/tests/bearer.rs</code>"
            )
        );
    }

    fn small_book() -> Book {
        let mut book = Book::default();
        book.insert("README.md", 0, "Overview", String::new());
        book.insert("tools/a/README.md", 0, "a", String::new());
        book
    }

    #[test]
    fn links_lead_to_pages_and_to_copies() {
        let folder = tempfile::tempdir().unwrap();
        let (root, source) = (folder.path(), folder.path().join("out"));
        fs::create_dir_all(root.join("tools/a/src")).unwrap();
        fs::write(root.join("run.sh"), "echo").unwrap();
        let book = small_book();
        let text = "[a](../../README.md#b) [b](../../run.sh) [c](src) [d](../a) [e](https://x.example) [f](#g)";
        let changed = book.with_links(root, &source, "tools/a/README.md", text).unwrap();
        assert_eq!(
            changed,
            "[a](../../index.md#b) [b](../../run.sh.txt) c [d](../../tools/a/index.md) [e](https://x.example) [f](#g)"
        );
        assert_eq!(
            fs::read_to_string(source.join("run.sh.txt")).unwrap(),
            "echo"
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = small_book()
            .with_links(folder.path(), folder.path(), "README.md", "[a](b.md)")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "README.md: the link to b.md leads nowhere"
        );
    }

    #[test]
    fn code_is_no_link() {
        assert_eq!(links("```\n[a](b)\n```\n`[a](b)`\n"), []);
    }
}
