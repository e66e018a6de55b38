//! The real binary and its figures, scraped from their own address and read as strictly as a collector
//! would.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there"
)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use reqwest::header;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use test_support::Server;
use test_support::command;
use test_support::gen_token;

/// The table's methods, and the two words for what is not in it.
const METHODS: [&str; 7] = [
    "server/discover",
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "other",
    "none",
];

const REASONS: [&str; 10] = [
    "insufficient_scope",
    "invalid_request",
    "invalid_token",
    "no_credentials",
    "origin_or_host",
    "role",
    "timeout",
    "too_large",
    "too_many_calls",
    "unavailable",
];

/// The server with keys of its own, and figures.
struct Measured {
    process: Server,
    figures: String,
    keys: TempDir,
}

/// The type of each family, and the value of each sample by its name and its labels in order.
#[derive(Debug, Default)]
struct Page {
    types: BTreeMap<String, String>,
    samples: BTreeMap<Sample, f64>,
}

type Sample = (String, BTreeMap<String, String>);

impl Measured {
    fn start() -> Self {
        Self::start_with_key("public.pem")
    }

    /// With the key in this file. Each user may call one tool.
    fn start_with_key(file: &str) -> Self {
        let keys = tempfile::tempdir().unwrap();
        gen_token(keys.path(), &["--generate-keys"]);
        let mut server = command("rmcp-server");
        server.args(["--calls-per-minute", "1", "--metrics-bind", "0"]);
        server.arg("--public-key").arg(keys.path().join(file));
        let process = Server::start(server);
        let log = process.log();
        let line = log.lines().find_map(|line| line.split_once("metrics are at "));
        let (_, figures) = line.expect("the log says where the figures are");
        Self {
            figures: figures.to_owned(),
            process,
            keys,
        }
    }

    fn token(
        &self,
        user: &str,
        role: &str,
        more: &[&str],
    ) -> String {
        let resource = self.process.origin() + "/mcp";
        let flags = [
            "--audience",
            &resource,
            "--username",
            user,
            "--roles",
            role,
            "--scopes",
            "mcp:read mcp:tools",
        ];
        gen_token(self.keys.path(), &[&flags, more].concat())
    }

    /// Posts these bytes with these headers beside those that every client sends; answers the status.
    async fn post(
        &self,
        body: String,
        headers: &[(&str, &str)],
    ) -> u16 {
        let mut request = http()
            .post(self.process.url("/mcp"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    }

    async fn text(&self) -> String {
        let answer = http().get(&self.figures).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.headers()[header::CONTENT_TYPE],
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        answer.text().await.unwrap()
    }

    async fn scrape(&self) -> Page {
        Page::read(&self.text().await)
    }
}

impl Page {
    /// Reads the text format of OpenMetrics 1.0, and accepts nothing that is not exactly so.
    fn read(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("the text ends with its mark");
        let mut page = Self::default();
        let mut family = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(help) = line.strip_prefix("# HELP ") else {
                page.add_sample(&family, line);
                continue;
            };
            let (name, help) = help.split_once(' ').unwrap();
            assert!(help.len() > 10 && !help.contains('\\'), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).unwrap();
            let kind = kind.strip_prefix(name).unwrap().strip_prefix(' ').unwrap();
            let known = page.types.insert(name.to_owned(), kind.to_owned());
            assert_eq!(known, None, "{name} is there twice");
            if name.ends_with("_seconds") {
                let unit = format!("# UNIT {name} seconds");
                assert_eq!(lines.next(), Some(unit.as_str()));
            }
            assert!(lines.peek().is_some_and(|line| line.starts_with(name)));
            name.clone_into(&mut family);
        }
        page
    }

    fn add_sample(
        &mut self,
        family: &str,
        line: &str,
    ) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
        let suffixes: &[_] = match self.types[family].as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            other => panic!("{family} is a {other}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        let mut names = BTreeMap::new();
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap();
            assert!(!value.contains(['"', '\\']), "{line}");
            let known = names.insert(name.to_owned(), value.to_owned());
            assert_eq!(known, None, "{line}");
        }
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite() && value >= 0.0, "{line}");
        let known = self.samples.insert((name.to_owned(), names), value);
        assert_eq!(known, None, "{line} is there twice");
    }

    fn value(
        &self,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.samples.get(&(name.to_owned(), labels.collect())).copied()
    }

    fn refusals(&self) -> BTreeMap<&str, f64> {
        let all = self.samples.iter().filter(|((name, _), _)| name == "mcp_refusals_total");
        all.map(|((_, labels), value)| (labels["reason"].as_str(), *value)).collect()
    }

    fn requests(
        &self,
        method: &str,
        status: u16,
    ) -> f64 {
        let status = status.to_string();
        let labels = [("method", method), ("status", status.as_str())];
        self.value("mcp_requests_total", &labels).unwrap_or_default()
    }

    /// The values of one label, in all samples of a name.
    fn labels(
        &self,
        sample: &str,
        label: &str,
    ) -> BTreeSet<&str> {
        let all = self.samples.keys().filter(|(name, _)| name == sample);
        all.map(|(_, labels)| labels[label].as_str()).collect()
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn request(
    method: &str,
    params: Value,
) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn tool(name: &str) -> String {
    request("tools/call", json!({"name": name, "arguments": {}}))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn the_public_address_has_no_figures() {
    let server = Measured::start();
    let answer = http().get(server.process.url("/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    // And the other one has nothing else.
    let origin = server.figures.strip_suffix("/metrics").unwrap();
    for path in ["/", "/mcp", "/health", "/.well-known/jwks.json"] {
        let answer = http().get(format!("{origin}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    let answer = http().post(&server.figures).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert!(server.figures.starts_with("http://127.0.0.1:"));
}

#[tokio::test]
async fn without_the_flag_there_are_none() {
    let server = Server::start(command("rmcp-server"));
    assert!(!server.log().contains("metrics are at"), "{}", server.log());
}

#[tokio::test]
async fn at_the_start_every_reason_is_there_and_nothing_is_counted() {
    let server = Measured::start();
    let page = server.scrape().await;
    let zeros: BTreeMap<_, _> = REASONS.map(|reason| (reason, 0.0)).into();
    assert_eq!(page.refusals(), zeros);
    let types: Vec<_> =
        page.types.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    assert_eq!(
        types,
        [
            ("mcp_keys_age_seconds", "gauge"),
            ("mcp_refusals", "counter")
        ]
    );
    // Neither the figures nor the other paths are requests for MCP.
    http().get(server.process.url("/health")).send().await.unwrap();
    assert_eq!(
        server.scrape().await.labels("mcp_requests_total", "status"),
        [].into()
    );
}

#[tokio::test]
async fn each_refusal_moves_its_counter_and_no_other() {
    let server = Measured::start();
    let admin = bearer(&server.token("admin", "admin", &[]));
    let alice = bearer(&server.token("alice", "user", &[]));
    let bob = bearer(&server.token("bob", "user", &[]));
    let expired = bearer(&server.token("alice", "user", &["--break", "expired"]));
    assert_eq!(
        server.post(tool("whoami"), &[("authorization", &bob)]).await,
        200
    );
    let large = request("ping", json!({"x": "x".repeat(256 * 1024)}));
    let twice = [
        ("authorization", alice.as_str()),
        ("authorization", bob.as_str()),
    ];
    let foreign = [
        ("authorization", alice.as_str()),
        ("origin", "https://evil.example"),
    ];
    let refusals: [(_, &[(&str, &str)], _, _, _); 8] = [
        (tool("echo"), &[], 401, "none", "no_credentials"),
        (
            tool("echo"),
            &[("authorization", &expired)],
            401,
            "none",
            "invalid_token",
        ),
        (tool("echo"), &twice, 400, "none", "invalid_request"),
        (tool("echo"), &foreign, 403, "none", "origin_or_host"),
        (
            tool("all_notes"),
            &[("authorization", &admin)],
            403,
            "tools/call",
            "insufficient_scope",
        ),
        (
            tool("all_notes"),
            &[("authorization", &alice)],
            403,
            "tools/call",
            "role",
        ),
        (
            tool("whoami"),
            &[("authorization", &bob)],
            429,
            "tools/call",
            "too_many_calls",
        ),
        (
            large,
            &[("authorization", &alice)],
            413,
            "none",
            "too_large",
        ),
    ];
    for (body, headers, status, method, reason) in refusals {
        let before = server.scrape().await;
        assert_eq!(server.post(body, headers).await, status, "{reason}");
        let after = server.scrape().await;
        let mut expected = before.refusals();
        *expected.get_mut(reason).unwrap() += 1.0;
        assert_eq!(after.refusals(), expected, "{reason}");
        let counted = after.requests(method, status) - before.requests(method, status);
        assert_eq!(counted, 1.0, "{reason}");
    }
}

#[tokio::test]
async fn without_keys_their_age_is_missing_and_the_refusal_is_counted() {
    let server = Measured::start_with_key("not-there.pem");
    let alice = bearer(&server.token("alice", "user", &[]));
    let page = server.scrape().await;
    assert_eq!(page.types.get("mcp_keys_age_seconds"), None);
    assert_eq!(
        server.post(tool("echo"), &[("authorization", &alice)]).await,
        503
    );
    let page = server.scrape().await;
    assert_eq!(page.refusals()["unavailable"], 1.0);
    assert_eq!(page.requests("none", 503), 1.0);
}

#[tokio::test]
async fn answers_are_counted_by_method_and_their_time_is_measured() {
    let server = Measured::start();
    let alice = bearer(&server.token("alice", "user", &[]));
    let headers = [("authorization", alice.as_str())];
    for method in ["ping", "ping", "tools/list", "prompts/list"] {
        assert_eq!(server.post(request(method, json!({})), &headers).await, 200);
    }
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(server.post(notification.to_string(), &headers).await, 202);
    assert_eq!(server.post("{".to_owned(), &headers).await, 400);
    let page = server.scrape().await;
    assert!(page.refusals().values().all(|count| *count == 0.0));
    for (method, status, count) in [
        ("ping", 200, 2.0),
        ("tools/list", 200, 1.0),
        ("other", 200, 1.0),
        ("other", 202, 1.0),
        ("none", 400, 1.0),
    ] {
        assert_eq!(page.requests(method, status), count, "{method} {status}");
    }
    for (method, count) in [
        ("ping", 2.0),
        ("tools/list", 1.0),
        ("other", 2.0),
        ("none", 1.0),
    ] {
        assert_histogram(&page, method, count);
    }
}

/// The buckets of one method add up: each holds the ones below it, the last is all.
#[track_caller]
fn assert_histogram(
    page: &Page,
    method: &str,
    count: f64,
) {
    let name = "mcp_request_duration_seconds";
    assert_eq!(page.types[name], "histogram");
    let value = |suffix: &str| page.value(&format!("{name}{suffix}"), &[("method", method)]);
    assert_eq!(value("_count"), Some(count));
    assert!(value("_sum").is_some_and(|sum| sum > 0.0));
    let buckets = page.samples.iter().filter(|((sample, labels), _)| {
        *sample == format!("{name}_bucket") && labels["method"] == method
    });
    let mut buckets: Vec<(f64, f64)> = buckets
        .map(|((_, labels), held)| (labels["le"].parse().unwrap(), *held))
        .collect();
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert!(buckets.is_sorted_by_key(|(_, held)| *held), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)));
    assert_eq!(buckets.len(), 11);
}

#[tokio::test]
async fn nobody_can_make_series_by_making_up_names() {
    let server = Measured::start();
    let alice = bearer(&server.token("alice", "user", &[]));
    let headers = [("authorization", alice.as_str())];
    server.post(request("made-up/0", json!({})), &headers).await;
    let before = server.scrape().await;
    for number in 1..200 {
        let name = format!(
            "made-up/{number}\"}}\nmcp_requests_total 7\n{}",
            "x".repeat(number)
        );
        assert_eq!(server.post(request(&name, json!({})), &headers).await, 200);
    }
    let text = server.text().await;
    let after = Page::read(&text);
    let series = |page: &Page| page.samples.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(series(&after), series(&before));
    assert_eq!(after.requests("other", 200), 200.0);
    let methods = after.labels("mcp_requests_total", "method");
    assert!(methods.is_subset(&METHODS.into()), "{methods:?}");
    for secret in ["alice", "gen-token", "eyJ", "made-up"] {
        assert!(!text.contains(secret), "{secret}");
    }
}
