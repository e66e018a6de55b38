//! Each member by itself gets its dependencies with the features that the whole workspace gives them.
//!
//! Cargo chooses the features of a dependency by what is built together, and compiles it once for each choice. So
//! without this, `cargo run -p step1` after a build of the workspace would compile dependencies once more, `aws-lc-sys`
//! for a minute among them. Asked is `cargo tree`, which chooses as a build of the same packages does: dependencies of
//! tests do not count, and a package may have other features where it runs while others are compiled (build scripts and
//! derive macros) than where it becomes a part of the program.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use toml::Table;

use crate::root::root;

/// A package as one compiles it: name and version, and whether it runs at compile time.
type Unit = (String, bool);

/// The features of each.
type Features = BTreeMap<Unit, BTreeSet<String>>;

const BUILD: &str = "[build-dependencies]";

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a build of these packages compiles of others.
fn features(packages: &[&str]) -> Features {
    let rustc = cargo(&["-vV"]);
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let mut arguments = vec![
        "tree",
        "--locked",
        "--offline",
        "--charset",
        "ascii",
        "--edges",
        "normal,build",
        "--format",
        "{p};{f}",
        // Named, the target is told apart from the machine that compiles, though it is the same.
        "--target",
        host.unwrap(),
    ];
    arguments.extend_from_slice(packages);
    read(&cargo(&arguments))
}

/// Reads a tree that `cargo tree` has drawn in ASCII, as `|   |-- name v1.0.0;feature,feature (*)`.
fn read(tree: &str) -> Features {
    let mut found = Features::new();
    // From the root down to the line before: whether it runs at compile time, and whether what follows below does.
    let mut above: Vec<(bool, bool)> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let text = line.trim_start_matches(['|', '`', '-', ' ']);
        let depth = (line.len() - text.len()) / 4;
        if text == BUILD {
            above.truncate(depth + 1);
            above[depth].1 = true;
            continue;
        }
        above.truncate(depth);
        let (package, features) = text.split_once(';').unwrap();
        let below = above.last().is_some_and(|(_, below)| *below);
        let runs_now = below || package.contains("(proc-macro)");
        above.push((runs_now, runs_now));
        // A path in brackets is one of ours; those are compiled anew when they change, and by nothing else.
        if package.contains("(/") || package.contains(":\\") {
            continue;
        }
        let mut words = package.split(' ');
        let name = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        let features = features.trim_end_matches(" (*)").split(',');
        let known = found.entry((name, runs_now)).or_default();
        known.extend(features.filter(|one| !one.is_empty()).map(str::to_owned));
    }
    found
}

/// A line for each package that this member gets with fewer features than the workspace has for it.
fn differences(
    member: &str,
    own: &Features,
    workspace: &Features,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (unit, features) in own {
        let missing: Vec<_> = workspace[unit].difference(features).cloned().collect();
        if !missing.is_empty() {
            let (package, runs_now) = unit;
            let when = if *runs_now { " (at compile time)" } else { "" };
            lines.push(format!(
                "{member} gets {package}{when} without: {}",
                missing.join(", ")
            ));
        }
    }
    lines
}

/// The packages of the workspace that become programs.
fn programs() -> Vec<String> {
    let manifest: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let folders = members.iter().map(|member| member.as_str().unwrap());
    folders
        .filter(|folder| root().join(folder).join("src/main.rs").is_file())
        .map(|folder| folder.rsplit('/').next().unwrap().to_owned())
        .collect()
}

#[test]
fn no_dependency_is_compiled_twice() {
    let workspace = features(&["--workspace"]);
    let mut lines = Vec::new();
    let programs = programs();
    assert!(programs.contains(&"step8".to_owned()), "{programs:?}");
    for member in &programs {
        let own = features(&["--package", member]);
        assert!(own.len() > 20, "{member}: {own:?}");
        lines.extend(differences(member, &own, &workspace));
    }
    assert!(
        lines.is_empty(),
        "{}\nAdd what is missing to tools/workspace-hack/Cargo.toml, or drop what brings it: \
         cargo tree --workspace --edges features --invert PACKAGE",
        lines.join("\n")
    );
}

#[test]
fn a_feature_that_only_the_workspace_has_is_named() {
    let member = "member v0.1.0 (/here/member);\n|-- a v1.0.0;std\n`-- b v1.0.0;";
    let workspace = "member v0.1.0 (/here/member);x\n|-- a v1.0.0;alloc,std\n`-- b v1.0.0;";
    assert_eq!(
        differences("member", &read(member), &read(workspace)),
        ["member gets a v1.0.0 without: alloc"]
    );
    assert!(differences("member", &read(workspace), &read(workspace)).is_empty());
}

#[test]
fn what_runs_at_compile_time_is_told_apart() {
    let tree = "member v0.1.0 (/here/member);
|-- a v1.0.0;std
|   |-- b v1.0.0;x
|   [build-dependencies]
|   `-- b v1.0.0;y
|       `-- c v1.0.0;
|-- d v1.0.0 (proc-macro);
|   `-- e v1.0.0;
`-- c v1.0.0;std (*)
[build-dependencies]
`-- f v1.0.0;";
    let found = read(tree);
    let of = |name: &str, runs_now| found.get(&(format!("{name} v1.0.0"), runs_now)).cloned();
    let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(of("b", false), set(&["x"]));
    assert_eq!(of("b", true), set(&["y"]));
    assert_eq!(of("c", true), set(&[]));
    assert_eq!(of("c", false), set(&["std"]));
    assert_eq!(of("d", true), set(&[]));
    assert_eq!(of("e", true), set(&[]));
    assert_eq!(of("f", true), set(&[]));
    assert_eq!(of("a", true), None);
}
