//! How the client behaves towards servers that mean well: what it takes back, what it does not ask
//! twice, and what it asks the user instead.

// The helpers below are tests as well.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod world;

use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use test_support::command;
use world::Flaw;
use world::World;

fn run(arguments: &[&str]) -> Output {
    let cache = TempDir::new().unwrap();
    let mut command = command("mcp-client");
    command
        .args(arguments)
        .env("MCP_CLIENT_CACHE", cache.path())
        .env("COLUMNS", "120")
        .current_dir(cache.path());
    test_support::run(&mut command)
}

fn doctor(world: &World) -> Value {
    let output = run(&["doctor", &world.url(), "--as", "alice:pw", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn outcome<'a>(
    report: &'a Value,
    id: &str,
) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id).unwrap();
    check["outcome"].as_str().unwrap()
}

fn said(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    // However it was wrapped.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_doctor_takes_back_what_it_left() {
    let world = World::start(Flaw::CleanUp);
    let report = doctor(&world);
    assert_eq!(report["left_behind"], serde_json::json!([]));
    assert_eq!(outcome(&report, "refuse.query"), "pass");
    let story = world.story();
    let at = |start: &str| {
        let found = story.iter().position(|(line, _)| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in {story:?}"))
    };
    let last_call = story.iter().rposition(|(line, _)| line.starts_with("POST /mcp"));
    // The token in the query is the last thing that the server hears, and then it is revoked.
    assert_eq!(last_call, Some(at("POST /mcp?access_token=")));
    assert_eq!(at("POST /revoke"), at("POST /mcp?access_token=") + 1);
    assert!(at("GET /end?") > at("POST /revoke"));
    assert!(at("DELETE /manage/c") > at("GET /end?"));
    for token in ["refresher", "issued"] {
        let body = format!("token={token}&");
        let is_revoked =
            |(line, text): &(String, String)| line == "POST /revoke" && text.starts_with(&body);
        assert!(story.iter().any(is_revoked), "{token}");
    }
    let count = |start: &str| story.iter().filter(|(line, _)| line.starts_with(start)).count();
    assert_eq!(count("DELETE /manage/c"), count("POST /register"));
}

#[test]
fn the_doctor_lists_what_it_cannot_take_back() {
    let world = World::start(Flaw::None);
    let report = doctor(&world);
    let left: Vec<_> = report["left_behind"].as_array().unwrap().iter().collect();
    let names = |word: &str| left.iter().filter(|l| l.as_str().unwrap().contains(word)).count();
    assert_eq!(
        names("the client c:"),
        world.story().iter().filter(|(l, _)| l == "POST /register").count()
    );
    assert_eq!((names("the tokens of"), names("the session of")), (1, 1));
    // Where a token cannot be revoked it is not put into a query.
    assert_eq!(outcome(&report, "refuse.query"), "skip");
    assert_eq!(world.credentials_with("?access_token="), 0);
}

#[test]
fn a_registration_is_not_managed_elsewhere() {
    let world = World::start(Flaw::ForeignManagement);
    let report = doctor(&world);
    assert_eq!(world.foreign_requests(), 0);
    let left = report["left_behind"].as_array().unwrap();
    assert!(left.iter().any(|what| what.as_str().unwrap().starts_with("the client c:")));
}

#[test]
fn a_scope_that_the_issuer_drops_is_asked_for_once() {
    for words in [&["walk"][..], &["tools"], &["call", "whoami"]] {
        let world = World::start(Flaw::DropsScope);
        let mut arguments = vec![words[0]];
        let url = world.url();
        arguments.push(&url);
        arguments.extend(&words[1..]);
        arguments.extend(["--as", "alice:pw"]);
        let output = run(&arguments);
        let error = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
        assert!(
            error.contains("the issuer granted only a, and not b"),
            "{words:?}: {error}"
        );
        let logins = world
            .story()
            .iter()
            .filter(|(line, _)| line.starts_with("GET /authorize"))
            .count();
        assert_eq!(logins, 2, "{words:?}: the login, and one try");
    }
}

#[test]
fn a_404_is_a_question_of_the_path() {
    for words in [&["doctor"][..], &["walk"], &["tools"]] {
        let world = World::start(Flaw::NotFound);
        for (url, hint) in [
            (world.url(), "mostly end in /mcp".to_owned()),
            (
                world.url().replace("/mcp", "/"),
                format!("did you mean {} ?", world.url()),
            ),
        ] {
            let output = run(&[words[0], &url]);
            let error = said(&output);
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            assert!(error.contains("is the path right?"), "{words:?}: {error}");
            assert!(error.contains(&hint), "{words:?}: {error}");
        }
    }
}

#[test]
fn a_url_without_scheme_is_completed() {
    for command in ["walk", "doctor", "tools"] {
        let output = run(&[command, "localhost:9000/mcp"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let error = said(&output);
        assert!(
            error.contains("did you mean http://localhost:9000/mcp ?"),
            "{error}"
        );
    }
}
