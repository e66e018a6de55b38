//! The rules that all members share, where no compiler looks: one place for versions and lints, one
//! crypto backend, steps that only ever add.
//!
//! Left out: what `cargo fmt`, `cargo clippy` and `cargo deny` look at.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use toml::Table;
use toml::Value;

use crate::root::root;
use crate::server::name;

/// Most lines of code that a step may take away from the one before it.
const MOST_GONE: usize = 10;

/// The example that goes on from step 7, and the files of that step that it changes.
const WHOAMI: &str = "examples/whoami";
const TOUCHED_BY_WHOAMI: [&str; 10] = [
    "app.rs",
    "auth.rs",
    "config.rs",
    "issuer.rs",
    "main.rs",
    "mcp.rs",
    "metadata.rs",
    "server.rs",
    "tests.rs",
    "tests/bearer.rs",
];

fn manifest(member: &str) -> Table {
    let path = root().join(member).join("Cargo.toml");
    read(&path).parse().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn members() -> Vec<String> {
    let manifest = manifest("");
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let name = |member: &Value| member.as_str().unwrap().to_owned();
    members.iter().map(name).collect()
}

fn steps() -> impl Iterator<Item = u8> {
    1..=8
}

/// Every file below a folder of the workspace, without what is built or stored there.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if ["target", "keys", ".git", ".data"].contains(&name.as_ref()) {
                continue;
            }
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = files(folder);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// The source files of a step: path below `src`, content.
fn step_sources(step: u8) -> BTreeMap<String, String> {
    sources_of(&name(step))
}

/// The same of any member.
fn sources_of(member: &str) -> BTreeMap<String, String> {
    let folder = format!("{member}/src");
    let base = root().join(&folder);
    let below = |path: &Path| path.strip_prefix(&base).unwrap().display().to_string();
    sources(&folder).iter().map(|path| (below(path), read(path))).collect()
}

#[test]
fn every_package_is_a_member() {
    let manifests = files("");
    let found: BTreeSet<_> = manifests
        .iter()
        .filter(|path| path.ends_with("Cargo.toml"))
        .map(|path| path.parent().unwrap().to_owned())
        .filter(|folder| *folder != root())
        // What an exercise begins with goes into a workspace of the reader's.
        .filter(|folder| !folder.starts_with(root().join("scripts/exercises")))
        .collect();
    let members = members().iter().map(|member| root().join(member)).collect();
    assert_eq!(found, members);
}

#[test]
fn members_take_what_they_share_from_the_workspace() {
    for member in members() {
        let manifest = manifest(&member);
        assert_eq!(
            manifest["lints"]["workspace"],
            Value::Boolean(true),
            "{member}"
        );
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let shared = manifest["package"].get(key).and_then(|key| key.get("workspace"));
            assert_eq!(shared, Some(&Value::Boolean(true)), "{member}: {key}");
        }
    }
}

#[test]
fn only_the_root_names_versions_of_dependencies() {
    let mut seen = 0;
    for member in members() {
        for (name, dependency) in dependencies(&manifest(&member)) {
            let shared = dependency.get("workspace").and_then(Value::as_bool);
            assert_eq!(shared, Some(true), "{member}: {name}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

/// What a manifest depends on, for building, running and testing, on any platform.
fn dependencies(manifest: &Table) -> Vec<(String, Value)> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of = |table: &Table| {
        let tables = kinds.iter().filter_map(|kind| table.get(*kind)?.as_table());
        tables.flat_map(Table::clone).collect::<Vec<_>>()
    };
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values);
    let mut all = of(manifest);
    all.extend(targets.filter_map(Value::as_table).flat_map(of));
    all
}

#[test]
fn every_dependency_of_the_workspace_has_a_user() {
    let manifest = manifest("");
    let offered = manifest["workspace"]["dependencies"].as_table().unwrap();
    let members = members();
    let used: BTreeSet<_> = members
        .iter()
        .flat_map(|member| dependencies(&self::manifest(member)))
        .map(|(name, _)| name)
        .collect();
    let unused: Vec<_> = offered.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn unsafe_code_and_unwrap_are_not_for_copying() {
    let manifest = manifest("");
    let lints = &manifest["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for lint in ["unwrap_used", "panic", "todo", "dbg_macro"] {
        assert_eq!(lints["clippy"][lint].as_str(), Some("warn"), "{lint}");
    }
}

#[test]
fn packages_come_from_crates_io_alone() {
    let lock: Table = read(&root().join("Cargo.lock")).parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let foreign: Vec<_> = packages
        .iter()
        .filter_map(|package| package.get("source")?.as_str())
        .filter(|source| *source != "registry+https://github.com/rust-lang/crates.io-index")
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn manifests_of_steps_differ_in_name_and_added_dependencies_only() {
    for (step, next) in steps().zip(steps().skip(1)) {
        let (old, new) = (manifest(&name(step)), manifest(&name(next)));
        assert_eq!(new["package"]["name"].as_str(), Some(name(next).as_str()));
        let (old, new) = (without_name(old), without_name(new));
        for (key, value) in &new {
            let may_grow = key.ends_with("dependencies");
            let same = old.get(key) == Some(value);
            assert!(may_grow || same, "{}: [{key}]", name(next));
        }
        assert!(grows(&old.into(), &new.into()), "{}", name(next));
    }
}

fn without_name(mut manifest: Table) -> Table {
    let package = manifest["package"].as_table_mut().unwrap();
    package.remove("name");
    manifest
}

/// An example is something else than the step that it goes on from.
fn without_description(mut manifest: Table) -> Table {
    let package = manifest["package"].as_table_mut().unwrap();
    package.remove("description");
    manifest
}

/// Whether everything in the old value is still there in the new one.
fn grows(
    old: &Value,
    new: &Value,
) -> bool {
    match (old, new) {
        (Value::Table(old), Value::Table(new)) => {
            old.iter().all(|(key, old)| new.get(key).is_some_and(|new| grows(old, new)))
        }
        (Value::Array(old), Value::Array(new)) => old.iter().all(|item| new.contains(item)),
        // From `name.workspace = true` to a table that adds features.
        (old, new) => old == new,
    }
}

#[test]
fn sources_of_steps_name_no_step() {
    for step in steps() {
        for (file, text) in step_sources(step) {
            for (line, number) in text.lines().zip(1..) {
                assert!(
                    !names_a_step(line),
                    "{}/src/{file}:{number}: {line}",
                    name(step)
                );
            }
        }
    }
}

/// `step`, perhaps a separator, and a number from 1 to 8.
fn names_a_step(line: &str) -> bool {
    let line = line.to_lowercase();
    let rests = line.split("step").skip(1);
    rests
        .map(|rest| rest.strip_prefix([' ', '_', '-']).unwrap_or(rest))
        .any(|rest| rest.starts_with(|digit| ('1'..='8').contains(&digit)))
}

#[test]
fn a_step_is_recognized_by_its_number() {
    for line in [
        "step1",
        "Step 2 adds",
        "STEP_3",
        "see step-8",
        "a step, then step4",
    ] {
        assert!(names_a_step(line), "{line}");
    }
    for line in [
        "step by step",
        "step 9",
        "steps 1",
        "CARGO_PKG_NAME",
        "step  1",
    ] {
        assert!(!names_a_step(line), "{line}");
    }
}

#[test]
fn no_step_drops_a_file() {
    for (step, next) in steps().zip(steps().skip(1)) {
        let (old, new) = (step_sources(step), step_sources(next));
        let dropped: Vec<_> = old.keys().filter(|file| !new.contains_key(*file)).collect();
        assert!(dropped.is_empty(), "{}: {dropped:?}", name(next));
    }
}

#[test]
fn whoami_takes_the_other_files_of_its_step_as_they_are() {
    let (old, new) = (step_sources(7), sources_of(WHOAMI));
    let mut touched: Vec<_> = old.keys().filter(|file| new.get(*file) != old.get(*file)).collect();
    touched.sort();
    assert_eq!(
        touched, TOUCHED_BY_WHOAMI,
        "{WHOAMI}: a fix of the step is carried on"
    );
    let (old, new) = (manifest(&name(7)), manifest(WHOAMI));
    let package = |manifest| without_description(without_name(manifest)).into();
    assert!(grows(&package(old), &package(new)));
}

/// Prints what each step adds (`-- --nocapture` shows it), and holds it to adding.
#[test]
fn steps_add_and_hardly_ever_take_away() {
    println!("         same  touched  new  lines +  lines -");
    for (step, next) in steps().zip(steps().skip(1)) {
        let (old, new) = (step_sources(step), step_sources(next));
        let kept = |file: &&String| new.get(*file) == old.get(*file);
        let same = old.keys().filter(kept).count();
        let mut lines = (0, 0);
        for file in new.keys().filter(|file| !is_test(file)) {
            let (old, new) = (code_lines(old.get(file)), code_lines(new.get(file)));
            let common = common(&old, &new);
            lines.0 += new.len() - common;
            lines.1 += old.len() - common;
        }
        let (touched, added) = (old.len() - same, new.len() - old.len());
        let (plus, minus) = lines;
        println!(
            "-> {}  {same:5}  {touched:7}  {added:3}  {plus:7}  {minus:7}",
            name(next)
        );
        assert!(
            minus <= MOST_GONE,
            "{} takes away {minus} lines",
            name(next)
        );
        assert!(
            plus >= 9 * minus,
            "{} adds {plus}, takes {minus}",
            name(next)
        );
    }
}

/// Whether a file, as its path below `src`, holds tests: `tests.rs` and what lies in `tests/`.
fn is_test(file: &str) -> bool {
    file == "tests.rs" || file.starts_with("tests/")
}

/// The lines that are neither blank nor comments; none, if there is no file.
fn code_lines(text: Option<&String>) -> Vec<&str> {
    let lines = text.map_or("", String::as_str).lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect()
}

/// How many lines two texts have in common, in the same order.
fn common(
    old: &[&str],
    new: &[&str],
) -> usize {
    // The best so far, for each length of the beginning of `new`.
    let mut best = vec![0; new.len() + 1];
    for line in old {
        let mut diagonal = 0;
        for at in 0..new.len() {
            let above = best[at + 1];
            best[at + 1] = match line == &new[at] {
                true => diagonal + 1,
                false => above.max(best[at]),
            };
            diagonal = above;
        }
    }
    best[new.len()]
}

#[test]
fn lines_in_common_keep_their_order() {
    assert_eq!(common(&["a", "b", "c"], &["a", "x", "c"]), 2);
    assert_eq!(common(&["a", "b"], &["b", "a"]), 1);
    assert_eq!(common(&["a", "a"], &["a"]), 1);
    assert_eq!(common(&[], &["a"]), 0);
}

#[test]
fn every_module_says_what_it_is() {
    for member in members() {
        for path in sources(&member) {
            let text = read(&path);
            assert!(text.starts_with("//! "), "{} needs a //!", path.display());
        }
    }
}

#[test]
fn the_project_speaks_of_itself_only() {
    // In halves, because this file is looked at as well.
    let words = [
        ("DESIGN", ".md"),
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("shared/an", "chors"),
    ];
    let words: Vec<_> = words.iter().map(|(a, b)| format!("{a}{b}")).collect();
    for path in files("") {
        // What is not text cannot say anything.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let found: Vec<_> = words.iter().filter(|word| text.contains(*word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

/// A page, not a book: what to run comes early, and the whole, with its picture, fits on three screens.
#[test]
fn every_step_explains_itself_on_a_page() {
    for member in steps().map(name).chain([WHOAMI.to_owned()]) {
        let text = read(&root().join(&member).join("README.md"));
        let lines: Vec<_> = text.lines().collect();
        let length = lines.len();
        assert!((60..=140).contains(&length), "{member}: {length}");
        let package = member.rsplit('/').next().unwrap_or_default();
        let command = format!("cargo run -p {package}");
        let first = lines.iter().position(|line| line.contains(&command));
        assert!(first.is_some_and(|first| first < 15), "{member}: {first:?}");
    }
}

/// Every package that a build or test of the workspace compiles here, with the features it gets.
fn features() -> BTreeMap<String, BTreeSet<String>> {
    let edges = "normal,build,dev";
    let tree = cargo_tree(&["--workspace", "--edges", edges, "--format", "{p};{f}"]);
    let mut packages: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in tree.lines() {
        let (package, list) = line.split_once(';').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap().to_owned();
        let list = list.trim_end_matches(" (*)").split(',');
        packages.entry(name).or_default().extend(list.map(str::to_owned));
    }
    packages
}

/// What `cargo tree` prints, one package a line.
fn cargo_tree(flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none"])
        .args(flags)
        .current_dir(root())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree {flags:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn there_is_one_crypto_backend() {
    let packages = features();
    for other in ["ring", "native-tls", "openssl", "openssl-sys"] {
        assert!(!packages.contains_key(other), "{other} is a second backend");
    }
    let of = |name: &str| &packages[name];
    let tokens = of("jsonwebtoken");
    assert!(
        tokens.contains("aws_lc_rs") && !tokens.contains("rust_crypto"),
        "{tokens:?}"
    );
    let tls = of("rustls");
    assert!(
        tls.contains("aws_lc_rs") && !tls.contains("ring"),
        "{tls:?}"
    );
}

/// A feature that one crate switches on is on for all of them: a client in a test could change how
/// the servers read numbers or order members. (`float_roundtrip`, which the schema validator wants,
/// is about the last bit of a fraction; no server here depends on that.)
#[test]
fn nobody_changes_how_json_is_read() {
    let packages = features();
    let json = &packages["serde_json"];
    for feature in ["arbitrary_precision", "preserve_order", "unbounded_depth"] {
        assert!(!json.contains(feature), "{feature}");
    }
}

#[test]
fn nothing_here_takes_the_rsa_crate() {
    let tree = cargo_tree(&["--workspace", "--edges", "normal,build,dev"]);
    let rsa = tree.lines().find(|line| line.starts_with("rsa "));
    assert_eq!(
        rsa, None,
        "RUSTSEC-2023-0071: aws-lc-rs makes keys and signs"
    );
}
