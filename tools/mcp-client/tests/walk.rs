//! `walk`, `call`, `prompt` and `tools` against the real servers.

// The helpers below are tests as well.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod stack;

use std::fs;
use std::process::Output;

use stack::Fault;
use stack::NONE;
use stack::Stack;
use stack::header;
use stack::reply;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Number, title and status of every exchange on a Markdown page.
fn exchanges(page: &str) -> Vec<(usize, String, u16)> {
    let sections = page.split("\n### ").skip(1);
    let numbered = sections.filter_map(|section| {
        let (number, rest) = section.split_once(". ")?;
        let number = number.parse().ok()?;
        let status = rest.split("\nHTTP/1.1 ").nth(1)?.get(..3)?.parse().ok()?;
        Some((number, rest.lines().next()?.to_owned(), status))
    });
    numbered.collect()
}

fn has_jwt(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut words = text.split(|c| !is_part(c));
    words.any(|word| word.starts_with("eyJ") && word.matches('.').count() >= 2)
}

#[test]
fn the_walk_shows_every_exchange_and_no_secret() {
    let stack = Stack::healthy();
    let files = ["--markdown", "walk.md", "--mermaid", "walk.mmd"];
    let walk = [&["walk", &stack.url, "--as", "alice:alice"][..], &files].concat();
    let output = stack.client(&walk);
    assert!(output.status.success(), "{}", err(&output));
    let page = fs::read_to_string(stack.folder.path().join("walk.md")).unwrap();
    let exchanges = exchanges(&page);
    let numbers: Vec<_> = exchanges.iter().map(|exchange| exchange.0).collect();
    assert_eq!(numbers, (1..=18).collect::<Vec<_>>());
    let of = |number: usize| (exchanges[number - 1].1.as_str(), exchanges[number - 1].2);
    assert_eq!(of(1), ("Call without a token", 401));
    assert_eq!(of(4), ("Register this client", 201));
    assert_eq!(of(10), ("Exchange the code for tokens", 200));
    assert_eq!(of(13), ("Call the tool whoami", 403));
    assert_eq!(of(18), ("Call the tool whoami again", 200));
    let diagram = fs::read_to_string(stack.folder.path().join("walk.mmd")).unwrap();
    assert_eq!(diagram.matches("->>").count(), 2 * exchanges.len());
    for text in [out(&output), page, diagram] {
        assert!(!has_jwt(&text));
        assert!(!text.contains("password=alice"));
        // Nobody's terminal: no colours.
        assert!(!text.contains('\x1b'));
    }
}

#[test]
fn without_explanations_the_exchanges_stay() {
    let stack = Stack::healthy();
    let output = stack.client(&["walk", &stack.url, "--as", "alice:alice", "--no-explain"]);
    let text = out(&output);
    assert!(text.contains("─── 18. "));
    assert!(!text.contains("RFC 7636"));
}

#[test]
fn a_wrong_password_ends_the_walk() {
    let stack = Stack::healthy();
    let output = stack.client(&["walk", &stack.url, "--as", "alice:wrong"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("alice was not let in"));
}

fn edit_location(
    request: &str,
    reply: String,
    from: &str,
    to: &str,
) -> String {
    let back = header(&reply, "location").filter(|location| location.contains("/callback?"));
    match back {
        Some(location) if request.starts_with("POST /oauth/consent") => {
            stack::with(&reply, "location", &location.replace(from, to))
        }
        _ => reply,
    }
}

/// What a hostile or broken authorization server may do, and the words of the check that stops it.
const HOSTILE: [(&str, Fault); 7] = [
    (
        "iss",
        reply(|q, r| edit_location(q, r, "iss=http", "iss=https")),
    ),
    (
        "iss is there",
        reply(|q, r| edit_location(q, r, "&iss=", "&not_iss=")),
    ),
    (
        "state is",
        reply(|q, r| edit_location(q, r, "state=", "state=x")),
    ),
    (
        "code_challenge_methods_supported has S256",
        reply(|_, r| r.replace("\"S256\"", "\"plain\"")),
    ),
    (
        "issuer \"",
        reply(|_, r| r.replace("\"issuer\":\"http://", "\"issuer\":\"http://x.")),
    ),
    (
        "token_type",
        reply(|_, r| r.replace("\"Bearer\"", "\"mac\"")),
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
];

#[test]
fn the_client_stops_at_a_hostile_authorization_server() {
    for (check, fault) in HOSTILE {
        let stack = Stack::start(8, NONE, fault);
        let output = stack.client(&["walk", &stack.url, "--as", "alice:alice"]);
        assert_eq!(output.status.code(), Some(1), "{check}");
        let sentence = err(&output);
        let expected = format!("this check of the client failed, so it stops: {check}");
        assert!(sentence.contains(&expected), "{check}: {sentence}");
        let redeemed = out(&output).contains("Exchange the code");
        assert_eq!(redeemed, check == "token_type", "{check}");
    }
}

#[test]
fn every_step_can_be_walked() {
    for step in 2..=7 {
        let stack = Stack::start(step, NONE, NONE);
        let token = stack.token(&["--scopes", "mcp:read mcp:tools"]);
        let mut walk = vec!["walk", &stack.url, "--markdown", "walk.md"];
        match step {
            6 => walk.extend(["--token", &token]),
            7 => walk.extend(["--as", "alice:alice"]),
            _ => {}
        }
        let output = stack.client(&walk);
        assert!(output.status.success(), "step{step}: {}", err(&output));
        let page = fs::read_to_string(stack.folder.path().join("walk.md")).unwrap();
        let first = if step < 6 { 200 } else { 401 };
        assert_eq!(exchanges(&page)[0].2, first, "step{step}");
        let called = exchanges(&page).iter().any(|e| e.1 == "Call the tool whoami" && e.2 == 200);
        assert_eq!(called, step >= 4, "step{step}");
    }
}

#[test]
fn a_server_that_names_no_issuer_is_a_clear_error() {
    let stack = Stack::start(6, NONE, NONE);
    let output = stack.client(&["walk", &stack.url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("does not say where to get one"));
}

#[test]
fn a_call_logs_in_once_and_remembers_privately() {
    let stack = Stack::healthy();
    let call = |user: &str| {
        stack.client(&[
            "call",
            &stack.url,
            "echo",
            "message=hi",
            "repeat_count=2",
            "--as",
            user,
        ])
    };
    let first = call("alice:alice");
    assert_eq!(
        (first.status.code(), out(&first).as_str()),
        (Some(0), "hi hi\n"),
        "{}",
        err(&first)
    );
    // The password is wrong, but nobody asks for it any more.
    let second = call("alice:wrong");
    assert_eq!(out(&second), "hi hi\n", "{}", err(&second));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = stack.folder.path().join("cache/logins.json");
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn admin_is_served_where_bob_is_refused() {
    let stack = Stack::healthy();
    let audit = |user: &str| stack.client(&["call", &stack.url, "audit_log", "--as", user]);
    let admin = audit("admin:admin");
    assert!(admin.status.success(), "{}", err(&admin));
    assert!(out(&admin).contains("tools/call audit_log"));
    let bob = audit("bob:bob");
    assert_eq!((bob.status.code(), out(&bob).as_str()), (Some(1), ""));
    assert!(err(&bob).contains("your role does not permit this"));
}

#[test]
fn prompts_and_tools_need_no_more_than_a_token() {
    let stack = Stack::healthy();
    let token = stack.token(&["--scopes", "mcp:read"]);
    let prompt = stack.client(&[
        "prompt", &stack.url, "greeting", "name=7", "--token", &token,
    ]);
    assert!(
        out(&prompt).starts_with("user: ") && out(&prompt).contains('7'),
        "{}",
        err(&prompt)
    );
    let tools = stack.client(&["tools", &stack.url, "--token", &token]);
    assert!(out(&tools).starts_with("echo message=string [repeat_count=integer]\n"));
    let call = stack.client(&["call", &stack.url, "whoami", "--token", &token]);
    assert_eq!(call.status.code(), Some(1));
    assert!(err(&call).contains("lacks a scope"));
}

/// A server from before 2026-07-28: it does not know the probe.
const OLD: Fault = reply(|request, reply| {
    match request.contains("server/discover") && header(request, "authorization").is_some() {
        true => "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_owned(),
        false => reply,
    }
});

#[test]
fn an_older_server_is_greeted_first() {
    let stack = Stack::start(8, OLD, NONE);
    let output = stack.client(&[
        "walk",
        &stack.url,
        "--as",
        "alice:alice",
        "--markdown",
        "walk.md",
    ]);
    assert!(output.status.success(), "{}", err(&output));
    let page = fs::read_to_string(stack.folder.path().join("walk.md")).unwrap();
    let exchanges = exchanges(&page);
    let status = |title: &str| exchanges.iter().find(|e| e.1 == title).map(|e| e.2);
    assert_eq!(status("Shake hands"), Some(200));
    assert_eq!(status("Say that we are ready"), Some(202));
    assert_eq!(status("Call the tool whoami again"), Some(200));
    let call = stack.client(&[
        "call",
        &stack.url,
        "echo",
        "message=hi",
        "--as",
        "alice:alice",
    ]);
    assert_eq!(out(&call), "hi\n", "{}", err(&call));
}

#[test]
fn an_expired_login_is_refreshed_without_the_user() {
    let stack = Stack::healthy();
    let call = |user: &str| stack.client(&["call", &stack.url, "echo", "message=hi", "--as", user]);
    assert_eq!(out(&call("alice:alice")), "hi\n");
    let file = stack.folder.path().join("cache/logins.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut logins: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (_, login) in logins.as_object_mut().unwrap() {
        login["expires_at"] = 0.into();
        login["access_token"] = "expired".into();
    }
    fs::write(&file, logins.to_string()).unwrap();
    // With this password nobody could log in.
    let again = call("alice:wrong");
    assert_eq!(out(&again), "hi\n", "{}", err(&again));
    assert!(!fs::read_to_string(&file).unwrap().contains("\"expired\""));
}

#[test]
fn a_registered_client_is_used_as_it_is() {
    let stack = Stack::healthy();
    let first = stack.client(&["walk", &stack.url, "--as", "alice:alice", "--no-explain"]);
    let text = out(&first);
    let id = text.split("\"client_id\": \"").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let walk = ["walk", &stack.url, "--as", "alice:alice", "--client-id", id];
    let second = stack.client(&walk);
    assert!(second.status.success(), "{}", err(&second));
    assert!(out(&second).contains("─── 17. "));
    assert!(!out(&second).contains("/oauth/register\n"));
}

/// The login form sends the password to somebody else.
const PHISHING: Fault = reply(|_, reply| {
    reply.replace(
        "action=\"/oauth/login",
        "action=\"http://127.0.0.1:9/oauth/login",
    )
});

#[test]
fn the_password_goes_nowhere_else() {
    let stack = Stack::start(8, NONE, PHISHING);
    let output = stack.client(&["walk", &stack.url, "--as", "alice:alice"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("the password is asked for elsewhere"),
        "{}",
        err(&output)
    );
}
