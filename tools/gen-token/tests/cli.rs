//! The real binary: what it prints where, with which exit status, and what it leaves on disk.
//!
//! Keys are slow to make, so most tests share one pair and copy it into their own directory.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not their helpers in this file"
)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gen_token::keys::KeyPair;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use jsonwebtoken::crypto;
use serde_json::Map;
use serde_json::Value;
use tempfile::TempDir;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

/// A directory that holds the shared pair under `keys`.
fn dir_with_keys() -> TempDir {
    let dir = empty_dir();
    KEY.store(&dir.path().join("keys"), false).unwrap();
    dir
}

fn empty_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn command(
    dir: &TempDir,
    flags: &[&str],
) -> Command {
    let mut command = test_support::command("gen-token");
    command.args(flags).current_dir(dir.path());
    command
}

fn run(
    dir: &TempDir,
    flags: &[&str],
) -> Output {
    test_support::run(&mut command(dir, flags))
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The bare token of a run that must succeed.
fn token(
    dir: &TempDir,
    flags: &[&str],
) -> String {
    let output = run(dir, flags);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    stdout(&output).trim_end().to_owned()
}

/// Header and claims, without looking at the signature.
fn decoded(token: &str) -> (Map<String, Value>, Map<String, Value>) {
    let part = |index| token.split('.').nth(index).unwrap();
    let json =
        |index| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part(index)).unwrap()).unwrap();
    (json(0), json(1))
}

fn claims(token: &str) -> Map<String, Value> {
    decoded(token).1
}

fn verifies(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap()
}

fn public_key() -> DecodingKey {
    DecodingKey::from_rsa_pem(KEY.public_pem().as_bytes()).unwrap()
}

fn read(
    dir: &TempDir,
    name: &str,
) -> String {
    fs::read_to_string(dir.path().join("keys").join(name)).unwrap()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_run_makes_the_keys_and_the_second_uses_them() {
    let dir = empty_dir();
    let (first, _) = decoded(&token(&dir, &["--username", "alice"]));
    #[cfg(unix)]
    assert_eq!(mode(&dir.path().join("keys/private.pem")), 0o600);
    let before = (read(&dir, "private.pem"), read(&dir, "public.pem"));
    let (second, _) = decoded(&token(&dir, &["--username", "bob"]));
    assert_eq!(first["kid"], second["kid"]);
    assert_eq!(
        (read(&dir, "private.pem"), read(&dir, "public.pem")),
        before
    );
}

#[test]
fn eight_first_runs_at_once_agree_on_one_pair() {
    let dir = empty_dir();
    let start = |_| -> Child {
        command(&dir, &["--username", "alice"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..8).map(start).collect();
    let outputs: Vec<_> = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    let kids: BTreeSet<_> = outputs
        .iter()
        .map(|output| {
            assert_eq!(status(output), 0, "{}", stderr(output));
            decoded(stdout(output).trim_end()).0["kid"].to_string()
        })
        .collect();
    assert_eq!(kids.len(), 1, "{kids:?}");
    let pair = KeyPair::load(&dir.path().join("keys")).unwrap().unwrap();
    assert_eq!(kids, BTreeSet::from([Value::from(pair.kid()).to_string()]));
    assert_eq!(fs::read_dir(dir.path().join("keys")).unwrap().count(), 2);
}

#[test]
fn generate_keys_replaces_a_pair_only_with_force() {
    let dir = dir_with_keys();
    let refused = run(&dir, &["--generate-keys"]);
    assert_eq!(status(&refused), 1);
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(read(&dir, "private.pem"), KEY.private_pem());
    assert_eq!(read(&dir, "public.pem"), KEY.public_pem());

    let replaced = run(&dir, &["--generate-keys", "--force"]);
    assert_eq!(status(&replaced), 0, "{}", stderr(&replaced));
    assert_eq!(stdout(&replaced), "");
    let pair = KeyPair::load(&dir.path().join("keys")).unwrap().unwrap();
    assert_ne!(pair.kid(), KEY.kid());
    #[cfg(unix)]
    assert_eq!(mode(&dir.path().join("keys/private.pem")), 0o600);
}

#[test]
fn standard_output_is_the_token_and_a_newline() {
    let dir = dir_with_keys();
    let output = run(&dir, &["--username", "alice"]);
    let token = stdout(&output).strip_suffix('\n').unwrap();
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| !part.is_empty()));
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    assert!(token.bytes().all(alphabet), "{token}");
}

#[test]
fn standard_error_never_holds_a_token() {
    let dir = dir_with_keys();
    for flags in [
        &["--username", "alice"][..],
        &["--demo"],
        &["--username", "alice", "--json"],
    ] {
        let output = run(&dir, flags);
        assert_eq!(status(&output), 0);
        assert!(
            !stderr(&output).contains("eyJ"),
            "{flags:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_good_token_passes_a_strict_check() {
    let dir = dir_with_keys();
    let token = token(&dir, &["--username", "alice"]);
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&["http://localhost:9001"]);
    validation.set_audience(&["http://localhost:9000/mcp"]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = 0;
    let checked =
        jsonwebtoken::decode::<Map<String, Value>>(&token, &public_key(), &validation).unwrap();
    assert_eq!(checked.header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(checked.header.kid.as_deref(), Some(KEY.kid()));
    let claims = checked.claims;
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["preferred_username"], "alice");
    assert_eq!(claims["client_id"], "gen-token");
    assert_eq!(claims["scope"], "mcp:read mcp:tools mcp:prompts");
    assert_eq!(claims["roles"], serde_json::json!(["user"]));
    assert_eq!(claims["iat"], claims["nbf"]);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3600
    );
    assert_eq!(claims.len(), 11);
}

#[test]
fn flags_end_up_in_the_claims() {
    let dir = dir_with_keys();
    let flags = [
        "--username",
        "root",
        "--scopes",
        "mcp:read,mcp:audit",
        "--roles",
        "admin user",
        "--expires-in",
        "15m",
        "--issuer",
        "https://i.example/",
        "--audience",
        "https://r.example",
        "--client-id",
        "c1",
    ];
    let claims = claims(&token(&dir, &flags));
    assert_eq!(claims["sub"], "root");
    assert_eq!(claims["scope"], "mcp:read mcp:audit");
    assert_eq!(claims["roles"], serde_json::json!(["admin", "user"]));
    assert_eq!(claims["iss"], "https://i.example/");
    assert_eq!(claims["aud"], "https://r.example");
    assert_eq!(claims["client_id"], "c1");
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        900
    );
}

#[test]
fn empty_scopes_and_roles_leave_the_claims_out() {
    let dir = dir_with_keys();
    let claims = claims(&token(
        &dir,
        &["--username", "alice", "--scopes", "", "--roles", ""],
    ));
    assert_eq!(claims.get("scope"), None);
    assert_eq!(claims.get("roles"), None);
}

#[test]
fn the_environment_sets_issuer_and_audience_and_flags_win() {
    let dir = dir_with_keys();
    let output = command(&dir, &["--username", "alice", "--issuer", "http://flag"])
        .env("MCP_ISSUER", "http://env")
        .env("MCP_RESOURCE", "http://env/mcp")
        .output()
        .unwrap();
    let claims = claims(stdout(&output).trim_end());
    assert_eq!(claims["iss"], "http://flag");
    assert_eq!(claims["aud"], "http://env/mcp");
}

#[test]
fn keys_dir_is_where_the_keys_are() {
    let dir = empty_dir();
    KEY.store(&dir.path().join("elsewhere"), false).unwrap();
    let (header, _) = decoded(&token(
        &dir,
        &["--username", "alice", "--keys-dir", "elsewhere"],
    ));
    assert_eq!(header["kid"], KEY.kid());
    assert!(!dir.path().join("keys").exists());
}

#[test]
fn json_is_the_token_and_what_is_inside_it() {
    let dir = dir_with_keys();
    let output = run(&dir, &["--username", "alice", "--json"]);
    let json: Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    let members: BTreeSet<_> = json.keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["token", "header", "claims"]));
    let token = json["token"].as_str().unwrap();
    let (header, claims) = decoded(token);
    assert_eq!(json["header"], Value::Object(header));
    assert_eq!(json["claims"], Value::Object(claims));
    assert!(verifies(token, &public_key(), Algorithm::RS256));
}

#[test]
fn demo_prints_four_users_as_shell_assignments() {
    let dir = dir_with_keys();
    let output = run(&dir, &["--demo"]);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let tokens: BTreeMap<_, _> = stdout(&output)
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .collect();
    let basic = "mcp:read mcp:tools mcp:prompts";
    let audit = "mcp:read mcp:tools mcp:prompts mcp:audit";
    let users = [
        ("ALICE", "alice", "user", basic),
        ("BOB", "bob", "user", basic),
        ("ADMIN", "admin", "admin", audit),
        ("GUEST", "guest", "guest", basic),
    ];
    assert_eq!(tokens.len(), users.len());
    for (variable, name, role, scope) in users {
        let claims = claims(tokens[variable]);
        assert!(
            verifies(tokens[variable], &public_key(), Algorithm::RS256),
            "{variable}"
        );
        assert_eq!(claims["sub"], name);
        assert_eq!(claims["roles"], serde_json::json!([role]));
        assert_eq!(claims["scope"], scope);
    }
}

#[cfg(unix)]
#[test]
fn demo_is_fit_for_eval_in_a_shell() {
    let dir = dir_with_keys();
    let script = r#"set -eu; eval "$("$GEN_TOKEN" --demo)"; printf '%s\n' "$ALICE" "$BOB" "$ADMIN" "$GUEST""#;
    let output = Command::new("sh")
        .args(["-c", script])
        .env(
            "GEN_TOKEN",
            test_support::command("gen-token").get_program(),
        )
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let subjects: Vec<_> = stdout(&output)
        .lines()
        .map(|token| claims(token)["sub"].clone())
        .collect();
    assert_eq!(subjects, ["alice", "bob", "admin", "guest"]);
}

/// Header and claims without what differs between any two tokens: times count from `iat`.
fn comparable(token: &str) -> BTreeMap<String, Value> {
    let (header, mut claims) = decoded(token);
    let issued = claims["iat"].as_i64().unwrap();
    for name in ["exp", "nbf", "iat"] {
        if let Some(time) = claims.get(name).and_then(Value::as_i64) {
            claims.insert(name.to_owned(), Value::from(time - issued));
        }
    }
    claims.remove("jti");
    header.into_iter().chain(claims).collect()
}

/// What a kind does to a token.
struct Effect {
    kind: &'static str,
    /// The one member that changes, with its new value; `null` for absent.
    change: Option<(&'static str, Value)>,
    /// Whether the RS256 signature is right all the same.
    signed: bool,
}

fn effects() -> Vec<Effect> {
    let effect = |kind, signed, name, value| Effect {
        kind,
        change: Some((name, value)),
        signed,
    };
    vec![
        Effect {
            kind: "signature",
            change: None,
            signed: false,
        },
        effect("expired", true, "exp", Value::from(-3600)),
        effect("not-yet-valid", true, "nbf", Value::from(3600)),
        effect("no-expiry", true, "exp", Value::Null),
        effect(
            "issuer",
            true,
            "iss",
            Value::from("http://localhost:9001.evil.example"),
        ),
        effect(
            "audience",
            true,
            "aud",
            Value::from("http://localhost:9000/mcp-other"),
        ),
        effect("alg-none", false, "alg", Value::from("none")),
        effect("hs256", false, "alg", Value::from("HS256")),
        effect("kid", true, "kid", Value::from("no-such-key")),
        effect("typ", true, "typ", Value::from("logout+jwt")),
    ]
}

#[test]
fn each_break_kind_differs_from_a_good_token_in_one_thing() {
    let dir = dir_with_keys();
    let good = comparable(&token(&dir, &["--username", "alice"]));
    for Effect {
        kind,
        change,
        signed,
    } in effects()
    {
        let flawed = token(&dir, &["--username", "alice", "--break", kind]);
        let mut expected = good.clone();
        match change {
            None => {}
            Some((name, Value::Null)) => drop(expected.remove(name)),
            Some((name, value)) => drop(expected.insert(name.to_owned(), value)),
        }
        assert_eq!(comparable(&flawed), expected, "{kind}");
        assert_eq!(
            verifies(&flawed, &public_key(), Algorithm::RS256),
            signed,
            "{kind}"
        );
    }
}

#[test]
fn hs256_takes_the_bytes_of_public_pem_as_the_secret() {
    let dir = dir_with_keys();
    let secret = DecodingKey::from_secret(read(&dir, "public.pem").as_bytes());
    let flawed = token(&dir, &["--username", "alice", "--break", "hs256"]);
    assert!(verifies(&flawed, &secret, Algorithm::HS256));
}

#[test]
fn alg_none_ends_in_a_dot() {
    let dir = dir_with_keys();
    assert!(token(&dir, &["--username", "alice", "--break", "alg-none"]).ends_with('.'));
}

#[test]
fn a_wrong_flag_is_exit_status_2_and_one_sentence() {
    let dir = empty_dir();
    let wrong: [&[&str]; 9] = [
        &[],
        &["--username", ""],
        &["--username", "a\nb"],
        &["--username", "alice", "--expires-in", "soon"],
        &["--username", "alice", "--expires-in", "0"],
        &["--username", "alice", "--scopes", "a\"b"],
        &["--username", "alice", "--issuer", ""],
        &["--username", "alice", "--break", "everything"],
        &["--demo", "--username", "alice"],
    ];
    for flags in wrong {
        let output = run(&dir, flags);
        assert_eq!(status(&output), 2, "{flags:?}");
        assert_eq!(stdout(&output), "", "{flags:?}");
        assert!(
            stderr(&output).starts_with("error: "),
            "{flags:?}: {}",
            stderr(&output)
        );
    }
    assert!(
        !dir.path().join("keys").exists(),
        "nothing is made for a call that is refused"
    );
}

#[test]
fn keys_that_cannot_be_used_are_exit_status_1_and_one_line() {
    let broken: [(&str, &str); 2] = [("private.pem", "garbage"), ("public.pem", KEY.public_pem())];
    for (name, text) in broken {
        let dir = empty_dir();
        fs::create_dir(dir.path().join("keys")).unwrap();
        fs::write(dir.path().join("keys").join(name), text).unwrap();
        assert_refused(&run(&dir, &["--username", "alice"]));
        assert_eq!(read(&dir, name), text);
    }
}

#[test]
fn a_keys_dir_that_is_a_file_is_exit_status_1_and_one_line() {
    let dir = empty_dir();
    fs::write(dir.path().join("keys"), "").unwrap();
    assert_refused(&run(&dir, &["--username", "alice"]));
}

fn assert_refused(output: &Output) {
    assert_eq!(status(output), 1);
    assert_eq!(stdout(output), "");
    assert!(stderr(output).starts_with("error: "), "{}", stderr(output));
    assert_eq!(stderr(output).lines().count(), 1, "{}", stderr(output));
}

/// A pipe that nobody reads from, before the child starts: no race.
fn closed_pipe() -> io::PipeWriter {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer
}

#[test]
fn a_closed_standard_output_is_no_failure() {
    let dir = dir_with_keys();
    for flags in [
        &["--username", "alice"][..],
        &["--demo"],
        &["--username", "alice", "--json"],
        &["--help"],
    ] {
        let output = command(&dir, flags).stdout(closed_pipe()).output().unwrap();
        assert_eq!(status(&output), 0, "{flags:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{flags:?}");
    }
}

#[test]
fn a_closed_standard_error_still_gives_the_token() {
    let dir = dir_with_keys();
    let output = command(&dir, &["--username", "alice"])
        .stderr(closed_pipe())
        .output()
        .unwrap();
    assert_eq!(status(&output), 0);
    assert!(verifies(
        stdout(&output).trim_end(),
        &public_key(),
        Algorithm::RS256
    ));
}

#[test]
fn help_names_every_flag_and_every_kind() {
    let dir = empty_dir();
    let output = run(&dir, &["--help"]);
    assert_eq!(status(&output), 0);
    let flags = [
        "username",
        "demo",
        "generate-keys",
        "scopes",
        "roles",
        "expires-in",
        "issuer",
        "audience",
        "resource",
        "client-id",
        "break",
        "json",
        "keys-dir",
        "force",
    ];
    for flag in flags {
        assert!(stdout(&output).contains(&format!("--{flag}")), "{flag}");
    }
    for Effect {
        kind,
        ..
    } in effects()
    {
        assert!(stdout(&output).contains(&format!("- {kind}:")), "{kind}");
    }
}
