//! The real binary, with tokens of gen-token: who gets in, who gets what, and what the SDK never sees.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there"
)]

use reqwest::header;
use reqwest::header::HeaderMap;
use rmcp::model::CallToolRequestParams;
use rmcp::model::ClientConfig;
use rmcp::model::ProtocolVersion;
use rmcp::service::ClientLifecycleMode;
use rmcp::service::RoleClient;
use rmcp::service::RunningService;
use rmcp::service::serve_client_with_lifecycle;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use test_support::Server;
use test_support::command;
use test_support::gen_token;

const CHALLENGE: &str = "www-authenticate";

/// Flags of gen-token.
const ALICE: &[&str] = &["--username", "alice", "--scopes", "mcp:read mcp:tools"];
const ADMIN: &[&str] = &[
    "--username",
    "admin",
    "--roles",
    "admin",
    "--scopes",
    "mcp:read mcp:tools",
];
const AUDITOR: &[&str] = &[
    "--username",
    "admin",
    "--roles",
    "admin",
    "--scopes",
    "mcp:read mcp:tools mcp:audit",
];
const GUEST: &[&str] = &[
    "--username",
    "guest",
    "--roles",
    "guest",
    "--scopes",
    "mcp:read mcp:tools",
];

/// The server with keys of its own.
struct Protected {
    process: Server,
    keys: TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Protected {
    fn start() -> Self {
        let keys = tempfile::tempdir().unwrap();
        gen_token(keys.path(), &["--generate-keys"]);
        let mut server = command("rmcp-server");
        server.arg("--public-key").arg(keys.path().join("public.pem"));
        Self {
            process: Server::start(server),
            keys,
        }
    }

    fn resource(&self) -> String {
        self.process.origin() + "/mcp"
    }

    fn token(
        &self,
        flags: &[&str],
    ) -> String {
        let resource = self.resource();
        gen_token(
            self.keys.path(),
            &[&["--audience", &resource], flags].concat(),
        )
    }

    async fn connect(
        &self,
        flags: &[&str],
        lifecycle: ClientLifecycleMode,
    ) -> RunningService<RoleClient, ClientConfig> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.process.url("/mcp"));
        let config = config.auth_header(self.token(flags));
        let transport = StreamableHttpClientTransport::with_client(http(), config);
        let client = ClientConfig::default();
        serve_client_with_lifecycle(client, transport, lifecycle).await.unwrap()
    }

    /// Posts these bytes with the headers that a client sends, and these.
    async fn post(
        &self,
        token: &str,
        body: String,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = http()
            .post(self.process.url("/mcp"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .body(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
        }
    }
}

impl Answer {
    fn header(
        &self,
        name: &str,
    ) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

fn request(
    method: &str,
    params: Value,
) -> String {
    json!({"jsonrpc": "2.0", "id": "seven", "method": method, "params": params}).to_string()
}

fn tool(name: &str) -> String {
    request("tools/call", json!({"name": name, "arguments": {}}))
}

#[tokio::test]
async fn the_sdk_s_client_is_served_in_both_eras() {
    let server = Protected::start();
    for lifecycle in [ClientLifecycleMode::Initialize, modern()] {
        let client = server.connect(ALICE, lifecycle).await;
        let mut echo = CallToolRequestParams::new("echo");
        echo.arguments = json!({"message": "grüß dich"}).as_object().cloned();
        let result = json!(client.call_tool(echo).await.unwrap());
        assert_eq!(result["content"][0]["text"], "grüß dich");
        assert_eq!(result["structuredContent"], json!({"text": "grüß dich"}));
        let whoami = CallToolRequestParams::new("whoami");
        let result = json!(client.call_tool(whoami).await.unwrap());
        let user = result["content"][0]["text"].as_str().unwrap();
        let user: Value = serde_json::from_str(user).unwrap();
        assert_eq!(user["sub"], "alice");
        assert_eq!(user["roles"], json!(["user"]));
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn everybody_sees_what_their_role_permits() {
    let server = Protected::start();
    let lists: [(_, &[&str]); 3] = [
        (ADMIN, &["all_notes", "echo", "whoami"]),
        (ALICE, &["echo", "whoami"]),
        (GUEST, &[]),
    ];
    for (user, expected) in lists {
        for lifecycle in [ClientLifecycleMode::Initialize, modern()] {
            let client = server.connect(user, lifecycle).await;
            let tools = client.list_all_tools().await.unwrap();
            let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
            assert_eq!(names, expected, "{user:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_scope_is_a_real_403_with_a_challenge() {
    let server = Protected::start();
    let answer = server.post(&server.token(ADMIN), tool("all_notes"), &[]).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["id"], "seven");
    assert_eq!(answer.body["error"]["code"], 403);
    let metadata = server.process.origin() + "/.well-known/oauth-protected-resource/mcp";
    let expected = format!(
        r#"Bearer realm="mcp", error="insufficient_scope", error_description="this needs the scope mcp:audit", resource_metadata="{metadata}", scope="mcp:read mcp:tools mcp:audit""#
    );
    assert_eq!(answer.header(CHALLENGE), Some(expected.as_str()));
    let answer = server.post(&server.token(AUDITOR), tool("all_notes"), &[]).await;
    assert_eq!(answer.status, 200);
    let notes = &answer.body["result"]["structuredContent"]["notes"];
    assert_eq!(notes[0]["owner"], "alice");
}

#[tokio::test]
async fn what_the_role_forbids_is_a_403_without_a_challenge() {
    let server = Protected::start();
    for (user, name) in [(ALICE, "all_notes"), (GUEST, "echo")] {
        let answer = server.post(&server.token(user), tool(name), &[]).await;
        assert_eq!(answer.status, 403, "{user:?}");
        assert_eq!(answer.body["id"], "seven");
        assert_eq!(answer.header(CHALLENGE), None);
    }
}

#[tokio::test]
async fn a_bad_token_is_told_where_to_get_a_good_one() {
    let server = Protected::start();
    let metadata = format!(
        r#"resource_metadata="{}/.well-known/oauth-protected-resource/mcp""#,
        server.process.origin()
    );
    let mut tokens = vec![String::new()];
    for flaw in [
        "audience",
        "issuer",
        "expired",
        "signature",
        "alg-none",
        "hs256",
    ] {
        tokens.push(server.token(&[ALICE, &["--break", flaw]].concat()));
    }
    for token in tokens {
        let answer = server.post(&token, tool("echo"), &[]).await;
        assert_eq!(answer.status, 401, "{token}");
        let challenge = answer.header(CHALLENGE).unwrap();
        assert!(
            challenge.split(", ").any(|part| part == metadata),
            "{challenge}"
        );
    }
}

#[tokio::test]
async fn pages_and_names_of_others_are_refused_before_the_token_is_looked_at() {
    let server = Protected::start();
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("host", "evil.example:9000"),
    ] {
        let answer = server.post("", tool("echo"), &[(header, value)]).await;
        assert_eq!(answer.status, 403, "{header}");
        let answer = server.post(&server.token(ALICE), tool("echo"), &[(header, value)]).await;
        assert_eq!(answer.status, 403, "{header}");
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_does_not_exist() {
    let server = Protected::start();
    let token = server.token(AUDITOR);
    let answer = server.post(&token, tool("no_such_tool"), &[]).await;
    assert_eq!(
        (answer.status, &answer.body["error"]["code"]),
        (200, &json!(-32602))
    );
    // The SDK answers these to anybody.
    for method in ["completion/complete", "prompts/list", "resources/list"] {
        let answer = server.post(&token, request(method, json!({})), &[]).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (200, &json!(-32601))
        );
        let modern = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        let answer = server.post(&token, request(method, json!({})), &modern).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (404, &json!(-32601))
        );
    }
}

#[tokio::test]
async fn the_sdk_reads_what_the_guard_has_read() {
    let server = Protected::start();
    let token = server.token(ALICE);
    // Whichever of the two counts, it counts for both.
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"all_notes"},"params":{"name":"whoami"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"all_notes","name":"whoami"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","name":"all_notes"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"all_notes"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"all_notes"}}"#,
    ];
    for body in bodies {
        let answer = server.post(&token, body.to_owned(), &[]).await;
        let notes = &answer.body["result"]["structuredContent"]["notes"];
        assert!(notes.is_null(), "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_notification_passes_and_other_messages_do_not() {
    let server = Protected::start();
    let token = server.token(GUEST);
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let answer = server.post(&token, notification.to_string(), &[]).await;
    assert_eq!(answer.status, 202);
    // Without an id nobody gets an answer, and nothing is called.
    let call = json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "all_notes"}});
    let answer = server.post(&token, call.to_string(), &[]).await;
    assert_eq!((answer.status, &answer.body), (202, &Value::Null));
    for message in [
        json!([call]),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        json!(7),
    ] {
        let answer = server.post(&token, message.to_string(), &[]).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (400, &json!(-32600))
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = Protected::start();
    let token = server.token(ALICE);
    let params = json!({"name": "echo", "arguments": {"message": "x".repeat(256 * 1024)}});
    let answer = server.post(&token, request("tools/call", params), &[]).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn open_paths_stay_open_and_unknown_ones_are_404() {
    let server = Protected::start();
    for (path, status) in [
        ("/health", 200),
        ("/.well-known/oauth-protected-resource", 200),
        ("/.well-known/oauth-protected-resource/mcp", 200),
        ("/.well-known/jwks.json", 200),
        ("/.well-known/openid-configuration", 404),
        ("/nothing", 404),
        ("/mcp", 401),
    ] {
        let answer = http().get(server.process.url(path)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}
