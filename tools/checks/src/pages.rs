//! The pages of this project: every link leads somewhere, the READMEs have the shape that a reader
//! counts on, and the glossary says of every word where it is and who defines it.
//!
//! Left out: what is on the web, which changes while nothing here does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;

/// Folders without pages of ours: what is built, made or tried there.
const OTHERS: [&str; 8] = [
    ".data",
    ".git",
    "book",
    "exercise",
    "keys",
    "node_modules",
    "src",
    "target",
];

/// Most lines of the first page, and the line by which it shows the parties.
const MOST_IN_THE_ROOT: usize = 170;
const FIRST_PICTURE: usize = 25;

const GLOSSARY: &str = "docs/glossary.md";

/// What a page has, as a forge reads it.
#[derive(Default)]
struct Page {
    /// Where its links and pictures lead, as they are written.
    links: Vec<String>,
    /// The anchors of its headings.
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = read(path);
        let mut page = Self::default();
        let mut heading = None;
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link {
                    dest_url,
                    ..
                })
                | Event::Start(Tag::Image {
                    dest_url,
                    ..
                }) => page.links.push(dest_url.into_string()),
                Event::Start(Tag::Heading {
                    ..
                }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let text = heading.take().unwrap_or_default();
                    page.add_anchor(&anchor(&text));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// Of headings with the same words, the second has `-1` at its end.
    fn add_anchor(
        &mut self,
        anchor: &str,
    ) {
        let mut unique = anchor.to_owned();
        let mut count = 0;
        while !self.anchors.insert(unique.clone()) {
            count += 1;
            unique = format!("{anchor}-{count}");
        }
    }
}

/// The anchor of a heading: letters, digits, hyphens and underscores stay, a space becomes a hyphen.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() && !OTHERS.contains(&name.as_ref()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What is wrong with a link of a page, if anything is.
fn problem(
    page: &Path,
    link: &str,
) -> Option<String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => page.to_owned(),
        _ => page.parent().unwrap().join(path),
    };
    if !target.exists() {
        return Some(format!("{}: {link}: there is no such file", page.display()));
    }
    if anchor.is_empty() || Page::read(&target).anchors.contains(anchor) {
        return None;
    }
    Some(format!(
        "{}: {link}: there is no such heading",
        page.display()
    ))
}

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    for path in pages() {
        for link in Page::read(&path).links {
            let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
            if !is_elsewhere {
                problems.extend(problem(&path, &link));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_readme_leads_to_the_glossary() {
    let docs = root().join("docs");
    for path in pages() {
        let is_readme = path.file_name().is_some_and(|name| name == "README.md");
        if is_readme && !path.starts_with(&docs) {
            let links = Page::read(&path).links;
            let leads = links.iter().any(|link| link.contains("docs/glossary.md"));
            assert!(
                leads,
                "{}: link the first of its words to {GLOSSARY}",
                path.display()
            );
        }
    }
}

#[test]
fn every_word_of_the_glossary_says_where_it_is_and_who_defines_it() {
    let text = read(&root().join(GLOSSARY));
    let entries: Vec<_> = text.split("\n## ").skip(1).collect();
    assert!(!entries.is_empty());
    for entry in entries {
        let word = entry.lines().next().unwrap();
        for part in ["\nCode:", "Source:"] {
            assert!(
                entry.contains(part),
                "{GLOSSARY}: {word} lacks its {}",
                part.trim()
            );
        }
    }
}

/// The first line with this beginning, counted from 1.
fn first_line(
    text: &str,
    beginning: &str,
) -> usize {
    let line = text.lines().position(|line| line.starts_with(beginning));
    line.map_or(usize::MAX, |line| line + 1)
}

#[test]
fn the_first_page_is_short_and_shows_the_parties_at_once() {
    let text = read(&root().join("README.md"));
    let lines = text.lines().count();
    assert!(lines <= MOST_IN_THE_ROOT, "README.md: {lines} lines");
    let picture = first_line(&text, "```mermaid");
    assert!(picture <= FIRST_PICTURE, "README.md: no picture by line 25");
}

#[test]
fn anchors_are_those_of_a_forge() {
    let heading = "A key, a password or a token has leaked: what now";
    assert_eq!(
        anchor(heading),
        "a-key-a-password-or-a-token-has-leaked-what-now"
    );
    assert_eq!(anchor("`kid` & co."), "kid--co");
}
