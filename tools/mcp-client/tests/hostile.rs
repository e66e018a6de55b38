//! Hostile servers against every command: none of them ever gets a credential.
//!
//! The world of these tests is an MCP server with an authorization server on one origin, and a
//! second origin that nobody may send anything to. Without a flaw it logs users in like any other,
//! which is a test as well: what a flaw keeps back would otherwise have arrived.

// The helpers below are tests as well.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod world;

use std::fs;
use std::net::TcpStream;
use std::process::Output;

use tempfile::TempDir;
use test_support::command;
use world::Flaw;
use world::World;

/// What the user would lose.
const PASSWORD: &str = "correct-horse-battery";
const TOKEN: &str = "a-token-that-was-given-by-hand";

/// Every command, with what it needs besides the URL.
const COMMANDS: [&[&str]; 5] = [
    &["walk"],
    &["doctor"],
    &["call", "whoami"],
    &["tools"],
    &["prompt", "greeting"],
];

fn run(
    words: &[&str],
    url: &str,
    options: &[&str],
) -> Output {
    let cache = TempDir::new().unwrap();
    let mut command = command("mcp-client");
    command
        .arg(words[0])
        .arg(url)
        .args(&words[1..])
        .args(options)
        .env("MCP_CLIENT_CACHE", cache.path())
        .current_dir(cache.path());
    test_support::run(&mut command)
}

fn as_alice() -> [String; 2] {
    ["--as".to_owned(), format!("alice:{PASSWORD}")]
}

fn log_in(
    words: &[&str],
    url: &str,
) -> Output {
    let options = as_alice();
    run(words, url, &[&options[0], &options[1]])
}

#[test]
fn without_a_flaw_the_same_world_gets_password_and_token() {
    for words in COMMANDS {
        let world = World::start(Flaw::None);
        let output = log_in(words, &world.url());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(world.credentials_with(PASSWORD), 1, "{words:?}: {error}");
        assert!(world.bearers() > 0, "{words:?}: {error}");
    }
}

#[test]
fn a_server_that_fails_a_check_gets_no_credential() {
    let flaws = [
        Flaw::OtherResource,
        Flaw::SiblingResource,
        Flaw::NoResource,
        Flaw::NoMetadata,
        Flaw::OtherIssuer,
        Flaw::NoS256,
        Flaw::PlainTokenEndpoint,
        Flaw::PlainIssuer,
        Flaw::ForeignMetadata,
        Flaw::RedirectedMetadata,
    ];
    for flaw in flaws {
        for words in COMMANDS {
            let world = World::start(flaw);
            let output = log_in(words, &world.url());
            assert_eq!(output.status.code(), Some(1), "{flaw:?} {words:?}");
            assert_eq!(
                world.credentials(),
                Vec::<String>::new(),
                "{flaw:?} {words:?}"
            );
            assert_eq!(world.foreign_requests(), 0, "{flaw:?} {words:?}");
        }
    }
}

#[test]
fn the_user_may_name_the_issuer_where_the_server_has_no_metadata() {
    for words in COMMANDS {
        let world = World::start(Flaw::NoMetadata);
        let [flag, alice] = as_alice();
        let output = run(
            words,
            &world.url(),
            &[&flag, &alice, "--issuer", &world.issuer()],
        );
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(world.credentials_with(PASSWORD), 1, "{words:?}: {error}");
        assert!(world.bearers() > 0, "{words:?}: {error}");
    }
}

#[test]
fn a_server_that_names_another_issuer_than_the_user_gets_no_credential() {
    for words in COMMANDS {
        let (world, other) = (World::start(Flaw::None), World::start(Flaw::None));
        let [flag, alice] = as_alice();
        let output = run(
            words,
            &world.url(),
            &[&flag, &alice, "--issuer", &other.issuer()],
        );
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        for world in [world, other] {
            assert_eq!(world.credentials(), Vec::<String>::new(), "{words:?}");
        }
    }
}

#[test]
fn plain_http_beyond_this_machine_gets_no_credential() {
    for words in COMMANDS {
        for options in [as_alice(), ["--token".to_owned(), TOKEN.to_owned()]] {
            let world = World::start(Flaw::None);
            let output = run(words, &world.plain_url(), &[&options[0], &options[1]]);
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            assert_eq!(world.credentials(), Vec::<String>::new(), "{words:?}");
        }
    }
}

#[test]
fn a_given_token_does_not_follow_a_redirect() {
    for words in COMMANDS {
        let world = World::start(Flaw::RedirectedCall);
        let output = run(words, &world.url(), &["--token", TOKEN]);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert_eq!(world.foreign_requests(), 0, "{words:?}");
    }
}

#[test]
fn the_doctor_keeps_a_given_token_from_a_server_that_fails_a_check() {
    for flaw in [
        Flaw::OtherResource,
        Flaw::OtherIssuer,
        Flaw::ForeignMetadata,
    ] {
        let world = World::start(flaw);
        let options = ["--token", TOKEN, "--foreign-token", TOKEN, "--json"];
        let output = run(&["doctor"], &world.url(), &options);
        assert_eq!(world.credentials(), Vec::<String>::new(), "{flaw:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let accepted = checks.iter().find(|c| c["id"] == "token.accepted").unwrap();
        assert_eq!(accepted["outcome"], "skip");
        let why = accepted["seen"].as_str().unwrap();
        assert!(
            why.starts_with("no password and no token goes there"),
            "{why}"
        );
    }
}

#[test]
fn a_sign_in_elsewhere_that_asks_nothing_is_followed_with_cookies_kept_apart() {
    let world = World::start(Flaw::Upstream);
    let output = log_in(&["tools"], &world.url());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(world.foreign_methods(), ["GET", "GET"]);
    assert_eq!(world.cookies_abroad(), ["", "upstream=1"]);
    assert_eq!(world.cookies_at_home("/finish"), ["home=1"]);
}

#[test]
fn a_form_elsewhere_is_never_filled_in() {
    for flaw in [
        Flaw::UpstreamForm,
        Flaw::UpstreamButton,
        Flaw::UpstreamAction,
    ] {
        let world = World::start(flaw);
        let output = log_in(&["tools"], &world.url());
        assert_eq!(output.status.code(), Some(1), "{flaw:?}");
        assert_eq!(world.credentials_with(PASSWORD), 0, "{flaw:?}");
        let methods = world.foreign_methods();
        assert!(methods.iter().all(|method| method == "GET"), "{flaw:?}");
    }
}

#[test]
fn a_kept_login_goes_to_its_own_server_only() {
    let world = World::start(Flaw::None);
    let cache = TempDir::new().unwrap();
    let call = |url: &str| {
        let mut command = command("mcp-client");
        command
            .args(["tools", url])
            .env("MCP_CLIENT_CACHE", cache.path())
            .current_dir(cache.path());
        command
    };
    let options = as_alice();
    let output = test_support::run(call(&world.url()).args(&options));
    assert_eq!(output.status.code(), Some(0));
    // Whoever can write the cache could as well read it, but a mistake must not send it elsewhere.
    let file = cache.path().join("logins.json");
    let text = fs::read_to_string(&file).unwrap();
    let other = World::start(Flaw::OtherResource);
    fs::write(
        &file,
        text.replace(
            &format!("alice {}", world.url()),
            &format!("alice {}", other.url()),
        ),
    )
    .unwrap();
    let output = test_support::run(call(&other.url()).args(&options));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(other.credentials(), Vec::<String>::new());
    assert!(TcpStream::connect(other.address()).is_ok());
}
