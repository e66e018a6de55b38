//! Whether every link of a built book leads somewhere: to a file of the book, and to the very place in it. And whether
//! the book loads anything from elsewhere, which it must not.
//!
//! Links to other sites are not followed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use html5gum::Token;
use html5gum::Tokenizer;

/// What a page has that can be linked to, and what it links to.
#[derive(Default)]
struct Page {
    places: BTreeSet<String>,
    links: Vec<String>,
    /// What a browser loads by itself: scripts, styles, pictures.
    loaded: Vec<String>,
}

/// Looks at every page below a folder and says of each whether it is in order; the last line is the sum. An error, if
/// any is not.
pub(crate) fn check(folder: &Path) -> anyhow::Result<()> {
    let mut pages = BTreeMap::new();
    for file in html_files(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        pages.insert(file, read(&text));
    }
    if pages.is_empty() {
        bail!("there is no page in {}", folder.display());
    }
    let (mut passed, mut failed) = (0, 0);
    for (file, page) in &pages {
        let name = file.strip_prefix(folder).unwrap_or(file).display();
        let problems = problems(folder, file, page, &pages);
        let count = page.links.len();
        if problems.is_empty() {
            passed += 1;
            println!(
                "ok {} - {name}: {count} links lead somewhere",
                passed + failed
            );
        } else {
            failed += 1;
            println!("not ok {} - {name}", passed + failed);
            problems.iter().for_each(|problem| println!("    {problem}"));
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("some links of {} lead nowhere", folder.display());
    }
    Ok(())
}

/// Every page, but for the one that a web server shows for what is missing: its links are from the root of a site.
fn html_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(html_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html")
            && !path.ends_with("404.html")
        {
            found.push(path);
        }
    }
    Ok(found)
}

fn read(text: &str) -> Page {
    let mut page = Page::default();
    for Ok(token) in Tokenizer::new(text) {
        let Token::StartTag(tag) = token else {
            continue;
        };
        let attribute = |name: &str| {
            let value = tag.attributes.get(name.as_bytes())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        page.places.extend(attribute("id"));
        if tag.name.as_slice() == b"a" {
            page.places.extend(attribute("name"));
            page.links.extend(attribute("href"));
        } else if tag.name.as_slice() == b"link" {
            page.loaded.extend(attribute("href"));
        } else {
            page.loaded.extend(attribute("src"));
        }
    }
    page
}

fn problems(
    folder: &Path,
    file: &Path,
    page: &Page,
    pages: &BTreeMap<PathBuf, Page>,
) -> Vec<String> {
    let foreign = page.loaded.iter().filter(|link| is_foreign(link));
    let mut problems: Vec<_> =
        foreign.map(|link| format!("{link}: loaded from elsewhere")).collect();
    let own = page.links.iter().chain(&page.loaded).filter(|link| !is_foreign(link));
    problems.extend(own.filter_map(|link| problem(folder, file, page, pages, link)));
    problems
}

fn is_foreign(link: &str) -> bool {
    link.contains("://")
        || link.starts_with("//")
        || link.starts_with("mailto:")
        || link.starts_with("data:")
}

fn problem(
    folder: &Path,
    file: &Path,
    page: &Page,
    pages: &BTreeMap<PathBuf, Page>,
    link: &str,
) -> Option<String> {
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let path = decoded(path.split('?').next().unwrap_or_default());
    let goal = if path.is_empty() {
        file.to_owned()
    } else {
        joined(file, &path)?
    };
    if !goal.starts_with(folder) {
        return Some(format!("{link}: leads out of the book"));
    }
    let target = if path.is_empty() {
        Some(page)
    } else {
        pages.get(&goal)
    };
    match target {
        None if goal.is_file() => None,
        None => Some(format!("{link}: there is no such file")),
        Some(_) if fragment.is_empty() => None,
        Some(target) if target.places.contains(&decoded(fragment)) => None,
        Some(_) => Some(format!("{link}: there is no such place in it")),
    }
}

/// Where a relative path leads to from a file, without `..` in it.
fn joined(
    file: &Path,
    path: &str,
) -> Option<PathBuf> {
    let mut goal = file.parent()?.to_owned();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                goal.pop();
            }
            part => goal.push(part),
        }
    }
    if goal.is_dir() {
        goal.push("index.html");
    }
    Some(goal)
}

/// Percent signs and what they stand for (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(index: &str) -> anyhow::Result<()> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b.html"), "<h1 id=\"über\">x</h1>").unwrap();
        fs::write(folder.path().join("a/index.html"), "").unwrap();
        fs::write(folder.path().join("x.js"), "").unwrap();
        fs::write(folder.path().join("index.html"), index).unwrap();
        check(folder.path())
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for good in [
            "<a href=\"a/b.html\">",
            "<a href=\"a/b.html#%C3%BCber\">",
            "<a href=\"a/\">",
            "<p id=\"c\"><a href=\"#c\">",
            "<a href=\"https://example.com/none\">",
            "<script src=\"x.js\"></script>",
            "<pre>&lt;a href=\"none\"&gt;</pre>",
        ] {
            assert!(book(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_fail() {
        for bad in [
            "<a href=\"a/c.html\">",
            "<a href=\"a/b.html#uber\">",
            "<a href=\"#c\">",
            "<a href=\"../../etc/hosts\">",
            "<img src=\"none.png\">",
            "<script src=\"y.js\"></script>",
            "<script src=\"https://cdn.example.com/mermaid.js\"></script>",
            "<link rel=\"stylesheet\" href=\"//fonts.example.com/x.css\">",
        ] {
            assert!(book(bad).is_err(), "{bad}");
        }
    }
}
