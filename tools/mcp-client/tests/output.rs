//! What hostile servers can make of the terminal, the Markdown page and the diagram: nothing but
//! text, and not too much of it.

// The helpers below are tests as well.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod world;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use tempfile::TempDir;
use test_support::command;
use world::Flaw;
use world::World;

/// One of every class: a sequence for a terminal, its C1 form, a bidirectional override, a
/// zero-width space, a tag character.
const EVIL: [char; 5] = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}', '\u{e0041}'];

struct Client {
    folder: TempDir,
}

impl Client {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn command(
        &self,
        arguments: &[&str],
    ) -> Command {
        let mut command = command("mcp-client");
        command
            .args(arguments)
            .env("MCP_CLIENT_CACHE", self.folder.path().join("cache"))
            .env("COLUMNS", "80")
            .current_dir(self.folder.path());
        command
    }

    fn run(
        &self,
        arguments: &[&str],
    ) -> Output {
        test_support::run(&mut self.command(arguments))
    }

    fn file(
        &self,
        name: &str,
    ) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

/// Every command against a server whose every text is evil.
fn outputs(flaw: Flaw) -> Vec<(String, String)> {
    let client = Client::new();
    let mut all = Vec::new();
    let files = ["--markdown", "walk.md", "--mermaid", "walk.mmd"];
    for words in [
        &["walk"][..],
        &["doctor"],
        &["doctor", "--json"],
        &["call", "whoami"],
        &["tools"],
        &["prompt", "greeting"],
    ] {
        let world = World::start(flaw);
        let url = world.url();
        let mut arguments = vec![words[0], &url, "--as", "alice:pw"];
        arguments.extend(&words[1..]);
        if words[0] == "walk" {
            arguments.extend(files);
        }
        let output = client.run(&arguments);
        all.push((
            format!("{words:?} out"),
            String::from_utf8(output.stdout).unwrap(),
        ));
        all.push((
            format!("{words:?} err"),
            String::from_utf8(output.stderr).unwrap(),
        ));
    }
    for name in ["walk.md", "walk.mmd"] {
        all.push((name.to_owned(), client.file(name)));
    }
    all
}

#[test]
fn control_characters_of_servers_are_made_visible() {
    for flaw in [Flaw::EvilText, Flaw::EvilError, Flaw::EvilRefusal] {
        let all = outputs(flaw);
        for (what, text) in &all {
            let hidden = text.chars().find(|c| EVIL.contains(c));
            assert_eq!(hidden, None, "{flaw:?} {what}: {text}");
        }
        let shown = |text: &str| text.contains("\\u{1b}") || text.contains("\\u001b");
        assert!(all.iter().any(|(_, text)| shown(text)), "{flaw:?}");
    }
}

#[test]
fn a_server_writes_no_markup_into_the_page() {
    let all = outputs(Flaw::EvilText);
    let of = |name: &str| &all.iter().find(|(what, _)| what == name).unwrap().1;
    let outside_of_blocks = of("walk.md").split("```").step_by(2).collect::<String>();
    assert!(!outside_of_blocks.contains("<img"), "{outside_of_blocks}");
    assert!(!of("walk.mmd").contains("<img"), "{}", of("walk.mmd"));
}

#[test]
fn output_is_bounded_however_nested_or_long_an_answer_is() {
    for flaw in [
        Flaw::Nested,
        Flaw::Wide,
        Flaw::ManyObjects,
        Flaw::NestedResult,
    ] {
        for (what, text) in outputs(flaw) {
            assert!(
                text.len() < 1200 * 1024,
                "{flaw:?} {what}: {} bytes",
                text.len()
            );
            assert!(text.lines().count() < 21_000, "{flaw:?} {what}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_too() {
    for flaw in [
        Flaw::Nested,
        Flaw::Wide,
        Flaw::ManyObjects,
        Flaw::NestedResult,
    ] {
        for words in [&["walk"][..], &["doctor"], &["call", "whoami"]] {
            let (client, world) = (Client::new(), World::start(flaw));
            let url = world.url();
            // `ulimit -d` counts what a program has asked for; 64 MiB. Without bounds it took 500.
            let program = client.command(&[]);
            let mut limited = Command::new("sh");
            limited
                .args(["-c", "ulimit -d 65536; exec \"$@\"", "sh"])
                .arg(program.get_program())
                .args([words[0], &url, "--as", "alice:pw"])
                .args(&words[1..])
                .env("MCP_CLIENT_CACHE", client.folder.path().join("cache"));
            let output = test_support::run(&mut limited);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{flaw:?} {words:?}: {} {error}",
                output.status
            );
        }
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_program_with_141() {
    for words in [&["walk"][..], &["doctor"], &["call", "whoami"], &["tools"]] {
        let (client, world) = (Client::new(), World::start(Flaw::NestedResult));
        let url = world.url();
        let mut arguments = vec![words[0], &url, "--as", "alice:pw"];
        arguments.extend(&words[1..]);
        let mut child = client
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything is written.
        drop(child.stdout.take());
        let mut said = String::new();
        let _ = BufReader::new(child.stderr.take().unwrap()).read_line(&mut said);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(141), "{words:?}: {said}");
        assert_eq!(said, "", "{words:?}");
    }
}

#[test]
fn every_line_fits_the_terminal() {
    for columns in ["60", "80", "120"] {
        let (client, world) = (Client::new(), World::start(Flaw::None));
        for command in ["walk", "doctor", "tools"] {
            let url = world.url();
            let mut command = client.command(&[command, &url, "--as", "alice:pw"]);
            let output = test_support::run(command.env("COLUMNS", columns));
            let text = String::from_utf8(output.stdout).unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            let columns: usize = columns.parse().unwrap();
            assert!(widest <= columns, "{command:?}: {widest}");
            // What is wide enough uses the room.
            assert!(
                widest < 23 || widest > columns - 10,
                "{command:?}: {widest}"
            );
        }
    }
}

#[test]
fn nothing_is_printed_but_by_one_file() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![sources];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("out.rs") {
                let text = fs::read_to_string(&path).unwrap();
                for word in ["print!(", "println!(", "stdout()", "stderr()"] {
                    assert!(!text.contains(word), "{} has {word}", path.display());
                }
            }
        }
    }
}
