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

/// Words of the glossary that are words of every day, too, or mostly appear as code: where they are
/// linked is left to the author.
const EVERYDAY: [&str; 12] = [
    "claim",
    "client",
    "handshake era",
    "kid",
    "leeway",
    "modern era",
    "origin and host",
    "resource",
    "role",
    "state",
    "tool",
    "user",
];

/// What a page has, as a forge reads it.
#[derive(Default)]
struct Page {
    /// Where its links and pictures lead, as they are written.
    links: Vec<String>,
    /// The anchors of its headings.
    anchors: BTreeSet<String>,
    /// Its words in lower case, without headings, code and what is linked.
    prose: String,
    /// The anchors of the glossary that it links, each with the length of the prose before.
    explained: Vec<(String, usize)>,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = read(path);
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut is_apart = false;
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(
                    Tag::Link {
                        dest_url,
                        ..
                    }
                    | Tag::Image {
                        dest_url,
                        ..
                    },
                ) => {
                    page.add_link(dest_url.into_string());
                    is_apart = true;
                }
                Event::Start(Tag::CodeBlock(_)) => is_apart = true,
                Event::End(TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock) => is_apart = false,
                Event::Start(Tag::Heading {
                    ..
                }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    page.add_anchor(&anchor(&heading.take().unwrap_or_default()));
                }
                Event::Text(text) | Event::Code(text) if heading.is_some() => {
                    heading.get_or_insert_default().push_str(&text);
                }
                Event::Text(text) if !is_apart => page.prose.push_str(&text.to_lowercase()),
                Event::Code(_) => page.prose.push('`'),
                Event::SoftBreak | Event::End(_) => page.prose.push(' '),
                _ => {}
            }
        }
        page
    }

    fn add_link(
        &mut self,
        link: String,
    ) {
        if let Some((_, anchor)) = link.split_once("docs/glossary.md#") {
            self.explained.push((anchor.to_owned(), self.prose.len()));
        }
        self.links.push(link);
    }

    /// Whether a word of the glossary stands in the prose before it is linked, or without a link.
    fn lacks(
        &self,
        word: &str,
    ) -> bool {
        let is_letter = |c: char| c.is_alphanumeric() || "-_`".contains(c);
        let first = self.prose.match_indices(word).find(|(at, _)| {
            let after = &self.prose[at + word.len()..];
            let after = after.strip_prefix('s').unwrap_or(after);
            !self.prose[..*at].ends_with(is_letter) && !after.starts_with(is_letter)
        });
        let explained = self.explained.iter().find(|(linked, _)| *linked == anchor(word));
        match (first, explained) {
            (Some((at, _)), Some((_, linked))) => at < *linked,
            (Some(_), None) => true,
            (None, _) => false,
        }
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

/// The words of the glossary, in lower case.
fn words() -> Vec<String> {
    let text = read(&root().join(GLOSSARY));
    let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(str::to_lowercase).collect()
}

#[test]
fn every_readme_explains_a_word_where_it_first_uses_it() {
    let docs = root().join("docs");
    let mut problems = Vec::new();
    for path in pages() {
        let is_readme = path.file_name().is_some_and(|name| name == "README.md");
        if !is_readme || path.starts_with(&docs) {
            continue;
        }
        let page = Page::read(&path);
        let leads = page.links.iter().any(|link| link.contains(GLOSSARY));
        if !leads {
            problems.push(format!("{}: link {GLOSSARY}", path.display()));
        }
        let lacking = words().into_iter().filter(|word| page.lacks(word));
        for word in lacking.filter(|word| !EVERYDAY.contains(&word.as_str())) {
            let link = format!("{GLOSSARY}#{}", anchor(&word));
            problems.push(format!(
                "{}: link the first \"{word}\" to {link}",
                path.display()
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
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
