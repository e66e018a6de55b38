//! Which flags and values are taken, and which are not.

use clap::CommandFactory;
use clap::ValueEnum;
use clap::error::ErrorKind;

use super::*;

fn parse(flags: &[&str]) -> Result<Args, ErrorKind> {
    let all = ["gen-token"].iter().chain(flags);
    Args::try_parse_from(all).map_err(|error| error.kind())
}

fn list(text: &str) -> Vec<String> {
    words(text).unwrap().0
}

#[test]
fn the_flags_are_consistent() {
    Args::command().debug_assert();
}

#[test]
fn times_are_read_in_every_unit() {
    let good = [
        ("30s", 30),
        ("15m", 900),
        ("1h", 3600),
        ("7d", 604_800),
        ("90", 90),
        ("3650d", LONGEST_LIFE),
    ];
    for (text, seconds) in good {
        assert_eq!(lifetime(text), Ok(seconds), "{text}");
    }
}

#[test]
fn odd_times_are_refused() {
    let bad = [
        "",
        "h",
        "1.5h",
        "-1h",
        "+1h",
        "1 h",
        "1w",
        "1h30m",
        "0",
        "0s",
        "3651d",
        "99999999999999999999",
        "9999999999999999d",
    ];
    for text in bad {
        assert!(lifetime(text).is_err(), "{text:?}");
    }
}

#[test]
fn lists_take_commas_and_spaces_and_drop_repetitions() {
    assert_eq!(list("mcp:read,mcp:tools"), ["mcp:read", "mcp:tools"]);
    assert_eq!(
        list(" mcp:read  mcp:tools, mcp:read "),
        ["mcp:read", "mcp:tools"]
    );
    assert_eq!(list(""), Vec::<String>::new());
}

#[test]
fn a_scope_cannot_hold_quotes_backslashes_or_other_scripts() {
    for text in ["a\"b", "a\\b", "a\tb", "ä"] {
        assert!(words(text).is_err(), "{text:?}");
    }
}

#[test]
fn names_are_not_empty_and_hold_no_control_characters() {
    assert_eq!(username("Zoë O'Neil"), Ok("Zoë O'Neil".to_owned()));
    for text in ["", "  ", "a\nb", "a\u{1b}[31m"] {
        assert!(username(text).is_err(), "{text:?}");
    }
    assert!(username(&"x".repeat(255)).is_ok());
    assert!(username(&"x".repeat(256)).is_err());
}

#[test]
fn identifiers_are_kept_byte_for_byte() {
    assert_eq!(
        identifier("http://LOCALHOST:9001/"),
        Ok("http://LOCALHOST:9001/".to_owned())
    );
    for text in ["", "a b", "a\n"] {
        assert!(identifier(text).is_err(), "{text:?}");
    }
}

#[test]
fn one_thing_is_made_at_a_time() {
    assert_eq!(parse(&[]).unwrap_err(), ErrorKind::MissingRequiredArgument);
    let conflicts: [&[&str]; 9] = [
        &["--jwks", "--demo"],
        &["--jwks", "--json"],
        &["--jwks", "--expires-in", "1h"],
        &["--username", "alice", "--demo"],
        &["--demo", "--generate-keys"],
        &["--demo", "--scopes", "mcp:read"],
        &["--demo", "--break", "kid"],
        &["--generate-keys", "--json"],
        &["--username", "alice", "--force"],
    ];
    for flags in conflicts {
        assert_eq!(
            parse(flags).unwrap_err(),
            ErrorKind::ArgumentConflict,
            "{flags:?}"
        );
    }
}

#[test]
fn the_role_does_not_follow_from_the_name() {
    assert_eq!(parse(&["--username", "admin"]).unwrap().roles.0, ["user"]);
}

fn algorithm(name: &str) -> Result<Algorithm, ErrorKind> {
    parse(&["--jwks", "--algorithm", name]).map(|args| args.algorithm)
}

#[test]
fn an_algorithm_is_named_as_in_a_header_in_any_case() {
    for known in Algorithm::value_variants() {
        assert_eq!(algorithm(&known.to_string()), Ok(*known));
        assert_eq!(algorithm(&known.to_string().to_lowercase()), Ok(*known));
    }
    // The servers accept neither.
    for name in ["RS384", "HS256"] {
        assert_eq!(algorithm(name), Err(ErrorKind::InvalidValue), "{name}");
    }
    assert_eq!(parse(&["--jwks"]).unwrap().algorithm, Algorithm::Rs256);
}

#[test]
fn resource_is_another_word_for_audience() {
    let args = parse(&["--username", "alice", "--resource", "http://h/mcp"]).unwrap();
    assert_eq!(args.audience, "http://h/mcp");
}
