//! A client without a user against the real servers: its token, its two proofs, and what it keeps.

// The helpers below are tests as well.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod stack;

use std::fs;
use std::process::Output;

use stack::Fault;
use stack::NONE;
use stack::Stack;
use stack::reply;
use tempfile::TempDir;
use test_support::gen_token;

const SECRET: &str = "machine-secret";

/// Of `SECRET`.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$H+JKu+6TB6OcaoNCPjxGUA$fpTzBN4ePDo5yB0hmhOlbBNk5fBieEzAvX47rwqJ2vY";

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `nightly` has a secret, `backup` and `report` a key each. The keys lie in the folder.
fn clients(folder: &TempDir) -> String {
    let entry = |id: &str, rights: &str, proof: &str| {
        let grant = "grant_types = [\"client_credentials\"]";
        format!("[[clients]]\nclient_id = \"{id}\"\n{grant}\n{rights}\n{proof}\n")
    };
    let key = |name: &str, algorithm: &str| {
        let keys = folder.path().join(name);
        gen_token(&keys, &["--generate-keys", "--algorithm", algorithm]);
        let pem = fs::read_to_string(keys.join("public.pem")).unwrap();
        format!("public_keys = [\"\"\"{pem}\"\"\"]")
    };
    let user = "roles = [\"user\"]\nscope = \"mcp:read mcp:tools\"";
    let admin = "roles = [\"admin\"]\nscope = \"mcp:tools mcp:audit\"";
    [
        entry("nightly", user, &format!("client_secret_hash = \"{HASH}\"")),
        entry("backup", admin, &key("es256", "ES256")),
        entry("report", user, &key("rs256", "RS256")),
    ]
    .concat()
}

fn start(issuer_fault: Fault) -> Stack {
    Stack::with_clients(issuer_fault, clients)
}

/// One command in the name of a client with a secret.
fn by_secret(
    stack: &Stack,
    words: &[&str],
) -> Output {
    let all = [words, &["--client-credentials"]].concat();
    let variables = [("MCP_CLIENT_ID", "nightly"), ("MCP_CLIENT_SECRET", SECRET)];
    stack.client_with(&all, &variables)
}

/// One command in the name of a client whose key lies in that folder of the stack's.
fn by_key(
    stack: &Stack,
    words: &[&str],
    id: &str,
    folder: &str,
) -> Output {
    let file = format!("{folder}/private.pem");
    let key = ["--client-credentials", "--client-key", &file];
    stack.client_with(&[words, &key].concat(), &[("MCP_CLIENT_ID", id)])
}

fn call<'a>(
    stack: &'a Stack,
    tool: &'a str,
) -> [&'a str; 3] {
    ["call", &stack.url, tool]
}

#[test]
fn each_proof_leads_to_the_server_in_the_clients_own_name() {
    let stack = start(NONE);
    for (id, output) in [
        ("nightly", by_secret(&stack, &call(&stack, "whoami"))),
        (
            "backup",
            by_key(&stack, &call(&stack, "whoami"), "backup", "es256"),
        ),
        (
            "report",
            by_key(&stack, &call(&stack, "whoami"), "report", "rs256"),
        ),
    ] {
        assert!(output.status.success(), "{id}: {}", err(&output));
        let user: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
        assert_eq!(user["sub"], id);
        assert_eq!(user["client_id"], id);
    }
    let output = by_secret(&stack, &["tools", &stack.url]);
    assert!(output.status.success(), "{}", err(&output));
}

#[test]
fn more_scopes_are_asked_for_as_far_as_the_client_has_them() {
    let stack = start(NONE);
    let output = by_key(&stack, &call(&stack, "audit_log"), "backup", "es256");
    assert!(output.status.success(), "{}", err(&output));
    let output = by_secret(&stack, &call(&stack, "audit_log"));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("role"), "{}", err(&output));
}

#[test]
fn the_token_is_kept_and_the_secret_is_not() {
    let stack = start(NONE);
    let output = by_secret(&stack, &call(&stack, "whoami"));
    assert!(output.status.success(), "{}", err(&output));
    let kept = fs::read_to_string(stack.folder.path().join("cache/logins.json")).unwrap();
    assert!(kept.contains("access_token"));
    assert!(!kept.contains(SECRET));
    assert!(!kept.contains("refresh_token"));
    // Nobody's login but its own: the user alice starts anew, as another entry.
    let words = [&call(&stack, "whoami")[..], &["--as", "alice:alice"]].concat();
    let user: serde_json::Value = serde_json::from_str(&out(&stack.client(&words))).unwrap();
    assert_eq!(user["sub"], "alice");
}

#[test]
fn the_walk_tells_it_without_the_secret() {
    let stack = start(NONE);
    let walk = ["walk", &stack.url, "--markdown", "walk.md"];
    let output = by_secret(&stack, &walk);
    assert!(output.status.success(), "{}", err(&output));
    let page = fs::read_to_string(stack.folder.path().join("walk.md")).unwrap();
    assert!(page.contains("Ask for a token in the client's own name"));
    assert!(page.contains("io.modelcontextprotocol/oauth-client-credentials\": {}"));
    assert!(!page.contains("Register this client"));
    assert!(!page.contains(SECRET));
    let output = by_key(&stack, &walk, "backup", "es256");
    assert!(output.status.success(), "{}", err(&output));
    let page = fs::read_to_string(stack.folder.path().join("walk.md")).unwrap();
    let assertion = page.split("client_assertion=").nth(1).unwrap();
    let shown = assertion.split_whitespace().next().unwrap();
    assert!(!shown.contains('.'), "{shown}");
}

#[test]
fn nothing_is_proven_to_an_issuer_that_fails_a_check() {
    for (words, fault) in [
        (
            "issuer \"",
            reply(|_, r| r.replace("\"issuer\":\"http://", "\"issuer\":\"http://x.")),
        ),
        (
            "authorization_endpoint and",
            reply(|_, r| {
                r.replace(
                    "\"token_endpoint\":\"http://localhost",
                    "\"token_endpoint\":\"http://attacker.example",
                )
            }),
        ),
    ] {
        let stack = start(fault);
        for output in [
            by_secret(&stack, &["walk", &stack.url]),
            by_key(&stack, &["walk", &stack.url], "backup", "es256"),
        ] {
            assert_eq!(output.status.code(), Some(1), "{words}");
            let expected = format!("this check of the client failed, so it stops: {words}");
            assert!(err(&output).contains(&expected), "{}", err(&output));
            assert!(
                !out(&output).contains("in the client's own name"),
                "{words}"
            );
        }
    }
}

#[test]
fn a_wrong_proof_is_one_clear_sentence() {
    let stack = start(NONE);
    let whoami = call(&stack, "whoami");
    let bare = [&whoami[..], &["--client-credentials"]].concat();
    let nightly = ("MCP_CLIENT_ID", "nightly");
    let file = [&bare[..], &["--client-key", "es256/public.pem"]].concat();
    let missing = [&bare[..], &["--client-key", "nowhere.pem"]].concat();
    let good = [&bare[..], &["--client-key", "es256/private.pem"]].concat();
    for (output, status, words) in [
        (stack.client(&bare), 2, "--client-id"),
        (stack.client_with(&bare, &[nightly]), 1, "one proof"),
        (
            stack.client_with(&good, &[nightly, ("MCP_CLIENT_SECRET", SECRET)]),
            1,
            "one proof",
        ),
        (
            stack.client_with(&bare, &[nightly, ("MCP_CLIENT_SECRET", "no")]),
            1,
            "invalid_client",
        ),
        (stack.client_with(&good, &[nightly]), 1, "invalid_client"),
        (stack.client_with(&file, &[nightly]), 2, "public key"),
        (stack.client_with(&missing, &[nightly]), 2, "cannot be read"),
    ] {
        assert_eq!(output.status.code(), Some(status), "{}", err(&output));
        assert!(err(&output).contains(words), "{}", err(&output));
    }
}

#[test]
fn the_doctor_says_whether_machines_are_served_and_how() {
    let stack = start(NONE);
    let line = "programs without a user: client_credentials is granted, for a secret or a signed";
    let output = stack.client(&["doctor", &stack.url, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let own = checks.iter().find(|check| check["id"] == "as.machines").unwrap();
    assert_eq!(own["outcome"], "pass");
    assert!(own["claim"].as_str().unwrap().starts_with(line), "{own}");
    let stack = Stack::healthy();
    let output = stack.client(&["doctor", &stack.url, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let own = checks.iter().find(|check| check["id"] == "as.machines").unwrap();
    assert_eq!(own["outcome"], "pass");
    assert!(
        own["claim"].as_str().unwrap().contains("is not granted"),
        "{own}"
    );
}
