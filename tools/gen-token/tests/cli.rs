//! The real binary: what it prints where, with which exit status, and what it leaves on disk.
//!
//! Keys are slow to make, so most tests share one pair and copy it into their own directory.

#![expect(
    clippy::panic,
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

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ValueEnum;
use gen_token::keys::KeyPair;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use jsonwebtoken::crypto;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
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

#[cfg(unix)]
#[test]
fn a_private_key_that_others_may_read_is_used_with_a_warning_and_kept_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir_with_keys();
    let path = dir.path().join("keys/private.pem");
    for (bits, warned) in [(0o600, false), (0o640, true), (0o604, true), (0o400, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        for what in [&["--username", "alice"][..], &["--demo"], &["--jwks"]] {
            let output = run(&dir, what);
            assert_eq!(status(&output), 0, "{}", stderr(&output));
            let warnings = stderr(&output).lines().filter(|line| line.contains("WARNING"));
            let named = warnings.filter(|line| line.contains(&format!("{bits:04o}"))).count();
            assert_eq!(named, usize::from(warned), "{bits:o}: {}", stderr(&output));
            assert_eq!(mode(&path), bits);
        }
    }
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
    let outputs: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
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
    assert_eq!(claims["roles"], json!(["user"]));
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
    assert_eq!(claims["roles"], json!(["admin", "user"]));
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
    let tokens: BTreeMap<_, _> =
        stdout(&output).lines().map(|line| line.split_once('=').unwrap()).collect();
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
        assert_eq!(claims["roles"], json!([role]));
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
    let subjects: Vec<_> =
        stdout(&output).lines().map(|token| claims(token)["sub"].clone()).collect();
    assert_eq!(subjects, ["alice", "bob", "admin", "guest"]);
}

/// One key pair for each algorithm.
static KEYS: LazyLock<Vec<KeyPair>> = LazyLock::new(|| {
    let kinds = gen_token::algorithm::Algorithm::value_variants();
    let make = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    kinds.iter().copied().map(make).collect()
});

/// A key of a set, as a server reads it, with the algorithm that it names.
fn verifier(jwk: &Value) -> (DecodingKey, Algorithm) {
    let key = DecodingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap()).unwrap();
    (key, jwk["alg"].as_str().unwrap().parse().unwrap())
}

/// RFC 7638 section 3.2 and RFC 8037 section 2: what of a key makes its thumbprint.
fn thumbprint(jwk: &Map<String, Value>) -> String {
    let members: &[&str] = match jwk["kty"].as_str().unwrap() {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        other => panic!("no such kty: {other}"),
    };
    // A map of serde_json is sorted by name, as the RFC wants it.
    let map: Map<_, _> =
        members.iter().map(|name| ((*name).to_owned(), jwk[*name].clone())).collect();
    let text = serde_json::to_vec(&map).unwrap();
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &text))
}

/// The only key of the set that `--jwks` prints.
fn published(
    dir: &TempDir,
    algorithm: &str,
) -> Map<String, Value> {
    let output = run(dir, &["--jwks", "--algorithm", algorithm]);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let set: Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(set.keys().collect::<Vec<_>>(), ["keys"]);
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    keys[0].as_object().unwrap().clone()
}

#[test]
fn a_key_set_has_the_public_members_and_names_its_key_by_the_thumbprint() {
    let members = [
        ("RS256", "RSA", &["n", "e"][..]),
        ("PS256", "RSA", &["n", "e"]),
        ("ES256", "EC", &["crv", "x", "y"]),
        ("ES384", "EC", &["crv", "x", "y"]),
        ("EdDSA", "OKP", &["crv", "x"]),
    ];
    for (algorithm, kty, members) in members {
        let jwk = published(&empty_dir(), algorithm);
        let common = ["kty", "use", "alg", "kid"];
        let expected: BTreeSet<_> = common.iter().chain(members).copied().collect();
        assert_eq!(
            jwk.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            expected
        );
        assert_eq!(jwk["kty"], kty);
        assert_eq!(jwk["use"], "sig");
        assert_eq!(jwk["alg"], algorithm);
        assert_eq!(jwk["kid"], thumbprint(&jwk));
    }
}

#[test]
fn every_algorithm_signs_what_its_key_set_verifies() {
    let lengths = [
        ("RS256", 256),
        ("PS256", 256),
        ("ES256", 64),
        ("ES384", 96),
        ("EdDSA", 64),
    ];
    for (name, length) in lengths {
        let dir = empty_dir();
        let token = token(&dir, &["--username", "alice", "--algorithm", name]);
        #[cfg(unix)]
        assert_eq!(mode(&dir.path().join("keys/private.pem")), 0o600);
        let jwk = published(&dir, name);
        let (header, claims) = decoded(&token);
        assert_eq!(header["alg"], name);
        assert_eq!(header["kid"], jwk["kid"]);
        assert_eq!(claims["sub"], "alice");
        let (key, algorithm) = verifier(&jwk.into());
        assert!(verifies(&token, &key, algorithm), "{name}");
        let signature = token.rsplit('.').next().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(signature).unwrap().len(), length);
    }
}

#[test]
fn a_directory_with_a_key_of_another_kind_is_left_alone() {
    let kinds = ["RS256", "ES256", "ES384", "EdDSA"];
    for (there, wanted) in kinds.iter().flat_map(|one| kinds.map(|other| (*one, other))) {
        if there == wanted {
            continue;
        }
        let pair = KEYS.iter().find(|pair| pair.algorithm().to_string() == there);
        let dir = empty_dir();
        pair.unwrap().store(&dir.path().join("keys"), false).unwrap();
        let before = (read(&dir, "private.pem"), read(&dir, "public.pem"));
        for what in [
            &["--username", "alice"][..],
            &["--jwks"],
            &["--demo"],
            &["--generate-keys"],
        ] {
            let output = run(&dir, &[what, &["--algorithm", wanted]].concat());
            assert_refused(&output);
            assert_eq!(
                (read(&dir, "private.pem"), read(&dir, "public.pem")),
                before
            );
        }
        let output = run(&dir, &["--jwks", "--algorithm", wanted]);
        assert!(stderr(&output).contains(there) && stderr(&output).contains(wanted));
    }
}

#[test]
fn force_replaces_a_key_of_another_kind() {
    let dir = dir_with_keys();
    let es256 = ["--algorithm", "ES256"];
    let replaced = run(
        &dir,
        &[&["--generate-keys", "--force"], &es256[..]].concat(),
    );
    assert_eq!(status(&replaced), 0, "{}", stderr(&replaced));
    let (header, _) = decoded(&token(
        &dir,
        &[&["--username", "alice"], &es256[..]].concat(),
    ));
    assert_eq!(header["alg"], "ES256");
    assert_refused(&run(&dir, &["--username", "alice"]));
}

/// Header and claims without what differs between any two tokens: times count from `iat`, and of
/// what is random only the length is left.
fn comparable(token: &str) -> BTreeMap<String, Value> {
    let (header, mut claims) = decoded(token);
    let issued = claims["iat"].as_i64().unwrap();
    for name in ["exp", "nbf", "iat"] {
        if let Some(time) = claims.get(name).and_then(Value::as_i64) {
            claims.insert(name.to_owned(), Value::from(time - issued));
        }
    }
    claims.remove("jti");
    let mut claims = Value::Object(claims);
    for random in ["/nonce", "/at_hash", "/cnf/jkt"] {
        if let Some(value) = claims.pointer_mut(random) {
            *value = Value::from(value.as_str().unwrap().len());
        }
    }
    let named = |part: &'static str, value: Value| {
        let members = value.as_object().unwrap().clone();
        members.into_iter().map(move |(name, value)| (format!("{part} {name}"), value))
    };
    named("header", Value::Object(header)).chain(named("payload", claims)).collect()
}

/// What a kind does to a token.
struct Effect {
    kind: &'static str,
    /// The members that change, with their new values; `null` for absent.
    changes: Vec<(&'static str, Value)>,
    /// Whether the signature is right all the same.
    signed: bool,
}

fn effects() -> Vec<Effect> {
    let unsigned = |kind, changes| Effect {
        kind,
        changes,
        signed: false,
    };
    let content = |kind, changes| Effect {
        kind,
        changes,
        signed: true,
    };
    let other_issuer = json!("http://localhost:9001.evil.example");
    let other_audience = json!("http://localhost:9000/mcp-other");
    let id_token = vec![
        ("header typ", json!("JWT")),
        ("payload typ", json!("ID")),
        ("payload nonce", json!(22)),
        ("payload at_hash", json!(22)),
    ];
    vec![
        unsigned("signature", vec![]),
        unsigned("alg-none", vec![("header alg", json!("none"))]),
        unsigned("hs256", vec![("header alg", json!("HS256"))]),
        content("expired", vec![("payload exp", json!(-3600))]),
        content("not-yet-valid", vec![("payload nbf", json!(3600))]),
        content("no-expiry", vec![("payload exp", Value::Null)]),
        content("issuer", vec![("payload iss", other_issuer)]),
        content("audience", vec![("payload aud", other_audience)]),
        content("kid", vec![("header kid", json!("no-such-key"))]),
        content("typ", vec![("header typ", json!("logout+jwt"))]),
        content("untyped", vec![("header typ", Value::Null)]),
        content("id-token", id_token),
        content("cnf", vec![("payload cnf", json!({"jkt": 43}))]),
    ]
}

#[test]
fn each_break_kind_differs_from_a_good_token_in_its_flaw_alone() {
    for pair in &*KEYS {
        let dir = empty_dir();
        pair.store(&dir.path().join("keys"), false).unwrap();
        let algorithm = pair.algorithm().to_string();
        let alice = ["--username", "alice", "--algorithm", &algorithm];
        let good = comparable(&token(&dir, &alice));
        let (key, jws) = verifier(&json!(pair.public_jwk()));
        for effect in effects() {
            let context = format!("{algorithm}, {}", effect.kind);
            let flawed = token(&dir, &[&alice[..], &["--break", effect.kind]].concat());
            let mut expected = good.clone();
            for (name, value) in effect.changes {
                match value {
                    Value::Null => drop(expected.remove(name)),
                    value => drop(expected.insert(name.to_owned(), value)),
                }
            }
            assert_eq!(comparable(&flawed), expected, "{context}");
            assert_eq!(verifies(&flawed, &key, jws), effect.signed, "{context}");
        }
    }
}

#[test]
fn hs256_takes_the_bytes_of_public_pem_as_the_secret() {
    for pair in &*KEYS {
        let dir = empty_dir();
        pair.store(&dir.path().join("keys"), false).unwrap();
        let algorithm = pair.algorithm().to_string();
        let secret = DecodingKey::from_secret(read(&dir, "public.pem").as_bytes());
        let flags = [
            "--username",
            "alice",
            "--break",
            "hs256",
            "--algorithm",
            &algorithm,
        ];
        assert!(
            verifies(&token(&dir, &flags), &secret, Algorithm::HS256),
            "{algorithm}"
        );
    }
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
    let output = command(&dir, &["--username", "alice"]).stderr(closed_pipe()).output().unwrap();
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
        "jwks",
        "algorithm",
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
