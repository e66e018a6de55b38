//! `doctor` against the real servers: silent where all is well, and right where it is not.

// The helpers below are tests as well.
#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code)]
mod stack;

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use stack::Fault;
use stack::NONE;
use stack::Stack;
use stack::header;
use stack::reply;
use stack::request;
use stack::with;
use stack::without;

struct Report {
    exit: Option<i32>,
    json: Value,
}

impl Report {
    fn of(
        stack: &Stack,
        arguments: &[&str],
    ) -> Self {
        let doctor = [&["doctor", &stack.url, "--json"][..], arguments].concat();
        let output = stack.client(&doctor);
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        Self {
            exit: output.status.code(),
            json,
        }
    }

    fn ids(
        &self,
        outcome: &str,
    ) -> BTreeSet<&str> {
        let checks = self.json["checks"].as_array().unwrap().iter();
        let found = checks.filter(|check| check["outcome"] == outcome);
        found.map(|check| check["id"].as_str().unwrap()).collect()
    }
}

#[test]
fn step8_is_healthy() {
    let stack = Stack::healthy();
    let foreign = stack.token(&["--audience", "http://localhost:1/other"]);
    let report = Report::of(
        &stack,
        &["--as", "alice:alice", "--foreign-token", &foreign],
    );
    assert_eq!(report.ids("fail"), BTreeSet::new());
    assert_eq!(report.ids("warn"), BTreeSet::new());
    assert_eq!(report.ids("skip"), BTreeSet::new());
    assert!(report.ids("pass").len() >= 25);
    let checks = report.json["checks"].as_array().unwrap();
    assert_eq!(
        report.ids("pass").len(),
        checks.len(),
        "every id is there once"
    );
    assert_eq!(report.exit, Some(0));
}

#[test]
fn step5_hears_plainly_what_is_missing() {
    let stack = Stack::start(5, NONE, NONE);
    let report = Report::of(&stack, &[]);
    let failed = report.ids("fail");
    for id in [
        "auth.required",
        "challenge.bearer",
        "prm.at-path",
        "as.metadata",
        "cors.preflight",
    ] {
        assert!(failed.contains(id), "{id}");
    }
    assert!(report.ids("pass").contains("era.modern"));
    assert_eq!(report.exit, Some(1));
}

#[test]
fn the_steps_get_better() {
    let count = |step| {
        let stack = Stack::start(step, NONE, NONE);
        let token = stack.token(&["--scopes", "mcp:read mcp:tools"]);
        let arguments = if step < 6 {
            vec![]
        } else {
            vec!["--token", token.as_str()]
        };
        Report::of(&stack, &arguments).ids("pass").len()
    };
    let counts: Vec<_> = (2..=8).map(count).collect();
    assert!(counts.is_sorted(), "{counts:?}");
    assert!(counts[6] > counts[0] + 25, "{counts:?}");
}

#[test]
fn no_server_is_an_error_and_no_report() {
    let stack = Stack::start(2, NONE, NONE);
    let output = stack.client(&["doctor", "http://127.0.0.1:1/mcp", "--json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

/// The three parts of the token that a request brings.
fn parts(request: &str) -> Option<[String; 3]> {
    let sent = header(request, "authorization")?;
    let sent: Vec<_> = sent.strip_prefix("Bearer ")?.split('.').map(str::to_owned).collect();
    sent.try_into().ok()
}

fn is_unsigned(request: &str) -> bool {
    parts(request).is_some_and(|[_, _, signature]| signature.is_empty())
}

/// Whether the token that a request brings has this claim.
fn claims(
    request: &str,
    name: &str,
    value: &str,
) -> bool {
    let claims = parts(request).map(|[_, claims, _]| BASE64_URL_SAFE_NO_PAD.decode(claims));
    let claims = claims.and_then(Result::ok).unwrap_or_default();
    serde_json::from_slice::<Value>(&claims).is_ok_and(|claims| claims[name] == value)
}

fn let_in(
    request: &str,
    token: &str,
) -> String {
    with(request, "authorization", &format!("Bearer {token}"))
}

fn is(
    request: &str,
    start: &str,
) -> bool {
    request.starts_with(start)
}

fn refusal(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")
}

/// Each fault, the check that must fail, and whether it only warns.
const SABOTAGES: [(&str, Fault); 20] = [
    (
        "prm.resource",
        reply(|_, r| r.replace("/mcp\",\"resource_name", "/other\",\"resource_name")),
    ),
    (
        "prm.no-nulls",
        reply(|_, r| r.replace("\"resource_name\":\"step8\"", "\"resource_name\":null")),
    ),
    (
        "challenge.bearer",
        reply(|_, r| without(&r, "www-authenticate")),
    ),
    (
        "challenge.no-error",
        reply(|_, r| {
            r.replace(
                "realm=\"mcp\", resource",
                "error=\"invalid_token\", resource",
            )
        }),
    ),
    (
        "challenge.metadata",
        reply(|_, r| {
            r.replace(
                "protected-resource/mcp\", scope",
                "protected-resource/none\", scope",
            )
        }),
    ),
    (
        "cors.exposed",
        reply(|_, r| without(&r, "access-control-expose-headers")),
    ),
    (
        "cors.preflight",
        reply(|q, r| {
            if is(q, "OPTIONS /mcp") {
                refusal("401 Unauthorized")
            } else {
                r
            }
        }),
    ),
    (
        "cors.metadata",
        reply(|q, r| {
            if is(q, "GET /.well-known") {
                without(&r, "access-control-allow-origin")
            } else {
                r
            }
        }),
    ),
    (
        "prm.at-root",
        reply(
            |q, r| match is(q, "GET /.well-known/oauth-protected-resource HTTP") {
                true => refusal("404 Not Found"),
                false => r,
            },
        ),
    ),
    (
        "prm.at-path",
        reply(
            |q, r| match is(q, "GET /.well-known/oauth-protected-resource/mcp") {
                true => refusal("404 Not Found"),
                false => r,
            },
        ),
    ),
    (
        "as.issuer",
        reply(|_, r| {
            r.replace(
                "servers\":[\"http://localhost",
                "servers\":[\"http://127.0.0.1",
            )
        }),
    ),
    (
        "auth.on-get",
        reply(|q, r| {
            if is(q, "GET /mcp") {
                refusal("405 Method Not Allowed")
            } else {
                r
            }
        }),
    ),
    (
        "refuse.unsigned",
        request(|q, t| match is_unsigned(&q) {
            true => let_in(&q, t),
            false => q,
        }),
    ),
    (
        "refuse.tampered",
        request(|q, t| match claims(&q, "sub", "somebody-else") {
            true => let_in(&q, t),
            false => q,
        }),
    ),
    (
        "refuse.audience",
        request(|q, t| match claims(&q, "aud", "http://localhost:1/other") {
            true => let_in(&q, t),
            false => q,
        }),
    ),
    (
        "refuse.query",
        request(|q, t| {
            if q.contains("?access_token=") {
                let_in(&q, t)
            } else {
                q
            }
        }),
    ),
    (
        "refuse.garbage",
        reply(|q, r| match q.contains("Bearer not-a-token") {
            true => refusal("500 Internal Server Error"),
            false => r,
        }),
    ),
    (
        "origin.foreign",
        request(|q, _| match q.contains("https://attacker.example") {
            true => without(&q, "origin"),
            false => q,
        }),
    ),
    (
        "origin.lookalike",
        request(|q, _| match q.contains("localhost.attacker") {
            true => without(&q, "origin"),
            false => q,
        }),
    ),
    (
        "host.foreign",
        request(|q, _| match header(&q, "host").as_deref() {
            Some("attacker.example") => with(&q, "host", "localhost"),
            _ => q,
        }),
    ),
];

/// Faults that make other checks fail as well, because those look at the same thing.
fn companions(id: &str) -> &'static [&'static str] {
    match id {
        "prm.at-path" => &["challenge.metadata", "cors.metadata", "prm.at-root"],
        "challenge.bearer" => &["challenge.metadata", "refuse.garbage"],
        "as.issuer" => &["token.iss"],
        "prm.resource" => &["token.aud", "refuse.audience"],
        _ => &[],
    }
}

#[test]
fn every_sabotage_is_named() {
    for (id, fault) in SABOTAGES {
        let stack = Stack::start(8, fault, NONE);
        let token = stack.token(&["--scopes", "mcp:read mcp:tools"]);
        let foreign = stack.token(&["--audience", "http://localhost:1/other"]);
        // Only a token that can be revoked right after is put into a query.
        let login = match id {
            "refuse.query" => ["--as", "alice:alice"],
            _ => ["--token", &token],
        };
        let report = Report::of(
            &stack,
            &[&login[..], &["--foreign-token", &foreign]].concat(),
        );
        let mut found = report.ids("fail");
        found.extend(report.ids("warn"));
        assert!(found.remove(id), "{id} was not found: {found:?}");
        for companion in companions(id) {
            found.remove(companion);
        }
        assert_eq!(found, BTreeSet::new(), "{id} had others fail");
    }
}
