//! Every manifest says what its package is, and takes what all have in common from the workspace.

use std::fs;
use std::path::Path;

use toml::Table;
use toml::Value;

use crate::root::root;

/// Longer ones are cut where they are listed.
const LONGEST: usize = 120;

fn manifest(folder: &Path) -> Table {
    let file = folder.join("Cargo.toml");
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.parse().unwrap()
}

/// Everything that is wrong with the part `[package]` of a member.
fn flaws(
    package: &Table,
    shared: &Table,
) -> Vec<String> {
    let mut flaws = Vec::new();
    let description = package.get("description").and_then(Value::as_str).unwrap_or_default();
    if description.is_empty() || description.len() > LONGEST || description.ends_with('.') {
        flaws.push(format!(
            "description: one phrase of at most {LONGEST} characters, without a full stop"
        ));
    }
    for key in shared.keys() {
        let inherited = package.get(key).and_then(|value| value.get("workspace"));
        if inherited != Some(&Value::Boolean(true)) {
            flaws.push(format!("{key}: write `{key}.workspace = true`"));
        }
    }
    flaws
}

#[test]
fn every_package_says_what_it_is() {
    let workspace = manifest(&root());
    let shared = workspace["workspace"]["package"].as_table().unwrap();
    assert!(
        shared.contains_key("license"),
        "the workspace names its license"
    );
    let members = workspace["workspace"]["members"].as_array().unwrap();
    for member in members.iter().filter_map(Value::as_str) {
        let manifest = manifest(&root().join(member));
        let flaws = flaws(manifest["package"].as_table().unwrap(), shared);
        assert!(flaws.is_empty(), "{member}/Cargo.toml: {flaws:?}");
    }
}

#[test]
fn what_is_missing_in_a_manifest_is_named() {
    let shared: Table = "license = 'MIT'\nedition = '2024'".parse().unwrap();
    let flaws_of = |text: &str| flaws(&text.parse().unwrap(), &shared).len();
    let inherits = "license.workspace = true\nedition.workspace = true";
    assert_eq!(
        flaws_of(&format!("description = 'What it is'\n{inherits}")),
        0
    );
    assert_eq!(flaws_of(inherits), 1);
    assert_eq!(flaws_of(&format!("description = 'It is.'\n{inherits}")), 1);
    assert_eq!(
        flaws_of("description = 'What it is'\nlicense = 'MIT'\nedition.workspace = true"),
        1
    );
    assert_eq!(flaws_of("description = 'What it is'"), 2);
}
