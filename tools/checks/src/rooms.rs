//! The rooms of a house: which file uses which, without a circle, and the picture of it in every step's README.
//!
//! The pictures are generated. When one is stale, write them all anew:
//!
//! ```sh
//! UPDATE_ROOMS=1 cargo test -p checks rooms
//! ```

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::graph::Graph;
use crate::root::root;
use crate::server::name;

/// Between these lines of a README lies its picture.
const BEGIN: &str = "<!-- rooms -->";
const END: &str = "<!-- /rooms -->";

const COMMAND: &str = "UPDATE_ROOMS=1 cargo test -p checks rooms";

fn step(number: u8) -> PathBuf {
    root().join(name(number))
}

/// Every package in a folder of the workspace, such as `examples` or `tools`, if there are any.
fn packages(folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|package| package.join("Cargo.toml").is_file());
    found.sort();
    found
}

fn assert_no_circle(folder: &Path) {
    let circle = Graph::of_package(folder).circle();
    assert_eq!(circle, None, "{} has a circle", folder.display());
}

#[test]
fn no_step_has_a_circle() {
    for number in 1..=8 {
        assert_no_circle(&step(number));
    }
}

#[test]
fn no_example_has_a_circle() {
    for folder in packages("examples") {
        assert_no_circle(&folder);
    }
}

#[test]
fn no_tool_has_a_circle() {
    let tools = packages("tools");
    assert!(!tools.is_empty(), "there are tools");
    for folder in tools {
        assert_no_circle(&folder);
    }
}

/// Everything that has a picture, each with what it was made from: all steps, and the example that goes on from one.
fn houses() -> Vec<(PathBuf, Option<PathBuf>)> {
    let mut houses = vec![(step(1), None)];
    houses.extend((2..=8).map(|number| (step(number), Some(step(number - 1)))));
    houses.push((root().join("examples/whoami"), Some(step(7))));
    houses
}

/// The picture of a house: from the program down to what uses nothing, the rooms that the one before has not marked.
fn picture(
    house: &Path,
    before: Option<&Path>,
) -> String {
    let graph = Graph::of_package(house);
    let is_first = before.is_none();
    let before = before.map(Graph::of_package).unwrap_or_default();
    let new: Vec<_> = graph
        .uses
        .keys()
        .filter(|room| !before.uses.contains_key(*room))
        .map(|room| id(room))
        .collect();
    let mut text = String::from("```mermaid\nflowchart TD\n");
    for (room, used) in lines(&graph) {
        writeln!(text, "    {room} --> {}", used.join(" & ")).unwrap();
    }
    // The first step is all new: there is nothing to tell apart.
    if !is_first && !new.is_empty() {
        writeln!(
            text,
            "    classDef new fill:#ffe8a3,stroke:#b58900,color:#000"
        )
        .unwrap();
        writeln!(text, "    class {} new", new.join(",")).unwrap();
    }
    text.push_str("```\n");
    text
}

/// What each room uses, without what a longer way says already; breadth first from `main` on, so that the lines come
/// in the order in which they are drawn.
fn lines(graph: &Graph) -> Vec<(String, Vec<String>)> {
    let reduced = graph.reduced();
    let mut order = vec!["main"];
    let mut seen = BTreeSet::from(["main"]);
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(room) = order.get(at).copied() {
        at += 1;
        let used = &reduced[room];
        order.extend(used.iter().filter(|next| seen.insert(*next)));
        if !used.is_empty() {
            let names = used.iter().map(|next| id(next)).collect();
            lines.push((id(room), names));
        }
    }
    lines
}

/// A room as the picture names it, by its file. Bare names would not do: `call` and `end` are words of Mermaid.
fn id(room: &str) -> String {
    format!("{}.rs", room.replace("::", "/"))
}

/// The part of a README between the marks, with everything before and behind it.
fn around_picture<'text>(
    readme: &'text str,
    file: &Path,
) -> (&'text str, &'text str, &'text str) {
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| {
        let (inner, after) = rest.split_once(END)?;
        Some((before, inner, after))
    });
    parts.unwrap_or_else(|| panic!("{}: no {BEGIN} .. {END}", file.display()))
}

#[test]
fn the_pictures_in_the_readmes_are_those_of_the_sources() {
    let update = env::var_os("UPDATE_ROOMS").is_some();
    for (house, earlier) in houses() {
        let file = house.join("README.md");
        let readme = fs::read_to_string(&file).unwrap();
        let (before, inner, after) = around_picture(&readme, &file);
        let wanted = format!("\n{}", picture(&house, earlier.as_deref()));
        if update {
            fs::write(&file, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        } else {
            let stale = format!("{}: the picture is stale; run {COMMAND}", file.display());
            assert_eq!(inner, wanted, "{stale}");
        }
    }
}
