//! What `scripts/diff_step.sh` shows, and in which order: what a reader gets who types it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// Where the binary is that is tested.
fn binaries() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lesson")).parent().unwrap()
}

/// Runs the script with the binary that is tested, so that it builds none.
fn diff_step(arguments: &[&str]) -> Output {
    Command::new("bash")
        .arg(root().join("scripts/diff_step.sh"))
        .args(arguments)
        .env("CHECKS_BIN", binaries())
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

fn said(arguments: &[&str]) -> String {
    let output = diff_step(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// The files of which lines are shown, in order.
fn files(said: &str) -> Vec<&str> {
    let heads = said.lines().filter_map(|line| line.strip_prefix("diff --git a/"));
    heads
        .map(|head| head.split(' ').next().unwrap())
        .map(|path| path.split_once('/').unwrap().1)
        .collect()
}

#[test]
fn a_step_fits_on_its_pages_without_its_tests() {
    let text = said(&["6"]);
    let length = text.lines().count();
    assert!(length <= 700, "{length} lines");
    assert!(files(&text).iter().all(|file| !file.starts_with("src/tests")));
    assert!(!text.contains('\x1b'), "colours in a pipe");
}

#[test]
fn new_files_come_first_in_the_order_of_the_notes() {
    let two = said(&["2"]);
    let (new, touched) = files(&two).into_iter().partition::<Vec<_>, _>(|file| is_new(&two, file));
    let expected = [
        "src/jsonrpc.rs",
        "src/call.rs",
        "src/mcp.rs",
        "src/headers.rs",
        "src/transport.rs",
    ];
    assert_eq!(new, expected);
    assert_eq!(files(&two)[..5], expected);
    assert!(touched.contains(&"src/app.rs"), "{touched:?}");
}

fn is_new(
    said: &str,
    file: &str,
) -> bool {
    said.contains(&format!("--- /dev/null\n+++ b/step2/{file}\n"))
}

#[test]
fn tests_are_shown_to_those_who_ask() {
    assert!(files(&said(&["6", "--tests"])).contains(&"src/tests/bearer.rs"));
    assert_eq!(files(&said(&["6", "bearer.rs"])), ["src/tests/bearer.rs"]);
}

#[test]
fn one_file_is_shown_alone() {
    let text = said(&["6", "keys.rs"]);
    assert_eq!(files(&text), ["src/keys.rs"]);
    assert!(text.contains("  lines: +37 -1 in these files\n"), "{text}");
    assert_eq!(files(&said(&["6", "src/app.rs", "call.rs"])).len(), 2);
}

#[test]
fn a_file_may_be_called_as_the_difference_prints_it() {
    for name in [
        "step6/src/keys.rs",
        "step5/src/keys.rs",
        "b/step6/src/keys.rs",
    ] {
        assert_eq!(files(&said(&["6", name])), ["src/keys.rs"], "{name}");
    }
    let whoami = said(&["whoami", "examples/whoami/src/main.rs"]);
    assert_eq!(files(&whoami), ["src/main.rs"]);
    let columns = said(&["6", "step6/src/keys.rs", "--side-by-side"]);
    assert!(columns.starts_with("src/keys.rs (touched"), "{columns}");
}

#[test]
fn a_file_that_did_not_change_is_called_so() {
    assert_eq!(
        said(&["6", "body.rs"]),
        "src/body.rs: the same in step5 and step6\n"
    );
    let columns = said(&["6", "body.rs", "--side-by-side"]);
    assert_eq!(columns, "body.rs: the same in step5 and step6\n");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("same.html");
    let output = diff_step(&["6", "body.rs", "--html", page.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!page.exists());
}

#[test]
fn the_columns_are_as_wide_as_the_reader_says() {
    for width in [80, 100] {
        let output = Command::new("bash")
            .arg(root().join("scripts/diff_step.sh"))
            .args(["6", "keys.rs", "--side-by-side"])
            .env("CHECKS_BIN", binaries())
            .env("COLUMNS", width.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert_eq!(widest, Some(width));
    }
}

#[test]
fn help_is_no_error() {
    let help = said(&["--help"]);
    assert!(help.starts_with("What step N adds to step N-1"), "{help}");
    assert!(help.contains("--side-by-side") && !help.contains("set -u"));
}

#[test]
fn what_cannot_be_understood_is_named() {
    for (arguments, named) in [
        (vec!["6", "--bogus"], "there is no option --bogus"),
        (vec!["6", "7"], "7: one step at a time"),
        (
            vec!["6", "--html", "/x.html", "--stat"],
            "--stat does not go together",
        ),
        (
            vec!["6", "--stat", "--side-by-side"],
            "--side-by-side does not go together",
        ),
        (vec!["6", "--html="], "--html needs the file"),
        (vec!["1"], "step 1 is the first"),
        (vec!["6", "auth"], "'auth' is no step"),
    ] {
        let output = diff_step(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.starts_with(named), "{arguments:?}: {complaint}");
    }
}

#[test]
fn the_sum_is_that_of_the_overview() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for step in 2..=8 {
        let text = said(&[&step.to_string(), "--stat"]);
        let sum = text.lines().find_map(|line| line.strip_prefix("  lines: ")).unwrap();
        let count = sum.strip_suffix(" in src/, without tests").unwrap();
        let row = format!("| [{step}](step{step}/README.md) |");
        let row = readme.lines().find(|line| line.starts_with(&row)).unwrap();
        assert!(row.contains(&format!("| {count} |")), "{count}: {row}");
    }
}

#[test]
fn old_and_new_stand_side_by_side() {
    let text = said(&["6", "tools.rs", "--side-by-side"]);
    let row = text.lines().find(|line| line.contains("- ") && line.contains("+ ")).unwrap();
    let (old, new) = row.split_once('│').unwrap();
    assert!(
        old.contains("_call: &Call,") && new.contains(" call: &Call,"),
        "{row}"
    );
}

#[test]
fn the_page_is_complete_in_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("six.html");
    let path = file.to_str().unwrap();
    assert_eq!(said(&["6", &format!("--html={path}")]).trim(), path);
    assert_eq!(said(&["6", "--html", path]).trim(), path);
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.contains("prefers-color-scheme: dark"));
    assert!(page.contains("<a id=\"step6-src-auth.rs-40\" href=\"#step6-src-auth.rs-40\">40</a>"));
    for foreign in ["src=\"", "<link", "http://", "@import"] {
        assert!(
            !page.replace("http://localhost", "").contains(foreign),
            "{foreign}"
        );
    }
}

#[test]
fn what_is_not_there_is_named() {
    for (arguments, status) in [
        (vec!["6", "nix.rs"], 1),
        (vec!["6", "nix.rs", "--side-by-side"], 1),
        (vec!["6", "--html"], 2),
        (vec!["1"], 2),
        (vec!["auth.rs"], 2),
        (vec!["6", "--colour"], 2),
    ] {
        let output = diff_step(&arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// The steps have none today; who adds one need not hide it.
#[test]
fn tests_within_a_file_are_left_out_and_declarations_stay() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#[cfg(test)]\nmod tests;\n\nfn main() {}\n";
    let grown = format!(
        "{source}\nfn two() {{}}\n\n#[cfg(test)]\nmod inside {{\n    fn three() {{}}\n}}\n"
    );
    for (step, text) in [("step1", source), ("step2", &grown)] {
        fs::create_dir_all(folder.path().join(step).join("src")).unwrap();
        fs::write(
            folder.path().join(step).join("Cargo.toml"),
            format!("name = \"{step}\"\n"),
        )
        .unwrap();
        fs::write(folder.path().join(step).join("src/main.rs"), text).unwrap();
    }
    let in_folder = |arguments: &[&str]| {
        let script = root().join("scripts/diff_step.sh");
        let output = Command::new("bash")
            .arg(script)
            .args(arguments)
            .env("ROOT", folder.path())
            .env("CHECKS_BIN", binaries())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let without = in_folder(&["2"]);
    assert!(
        without.contains("+fn two() {}") && !without.contains("three"),
        "{without}"
    );
    assert!(
        without.contains("  lines: +2 -0 in src/, without tests"),
        "{without}"
    );
    assert!(in_folder(&["2", "--tests"]).contains("+    fn three() {}"));
    let columns = in_folder(&["2", "--side-by-side"]);
    assert!(
        columns.contains("fn two() {}") && !columns.contains("three"),
        "{columns}"
    );
}

/// On a terminal it would wait for a key. Here it must not, and an answer cut short is no error.
#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let command = format!(
        "'{}' 6 | head -n 1",
        root().join("scripts/diff_step.sh").display()
    );
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}
