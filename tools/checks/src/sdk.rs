//! The official Rust SDK as a client of every step that speaks MCP: in both eras, with a token and
//! without, and where it is refused.
//!
//! What it answers is compared as JSON, after the SDK has read it into its own types. Left out: the
//! SDK's own login, which needs an authorization server.

use jiff::Timestamp;
use rmcp::ServiceError;
use rmcp::model::CallToolRequestParams;
use rmcp::model::ClientConfig;
use rmcp::model::GetPromptRequestParams;
use rmcp::model::ProtocolVersion;
use rmcp::service::ClientInitializeError;
use rmcp::service::ClientLifecycleMode;
use rmcp::service::RoleClient;
use rmcp::service::RunningService;
use rmcp::service::serve_client_with_lifecycle;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde_json::Value;
use serde_json::json;

use crate::server::ADMIN;
use crate::server::ALICE;
use crate::server::HAS_AUTH;
use crate::server::Server;
use crate::server::name;

/// The first step with each thing that the client looks at.
const HAS_LISTS: u8 = 3;
const HAS_CALLS: u8 = 4;
const HAS_METADATA: u8 = 7;
const HAS_ACCESS: u8 = 8;

type Client = RunningService<RoleClient, ClientConfig>;
type Failure = StreamableHttpError<reqwest::Error>;

fn discover() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

fn auto() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    }
}

async fn connect(
    server: &Server,
    lifecycle: ClientLifecycleMode,
    token: Option<String>,
) -> Result<Client, ClientInitializeError> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(server.url("/mcp"));
    config.auth_header = token;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let transport = StreamableHttpClientTransport::with_client(http, config);
    serve_client_with_lifecycle(ClientConfig::default(), transport, lifecycle).await
}

async fn connected(
    server: &Server,
    flags: &[&str],
) -> Client {
    let token = server.token_if_needed(flags);
    connect(server, discover(), token).await.unwrap()
}

async fn call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<Value, ServiceError> {
    let mut params = CallToolRequestParams::new(tool);
    params.arguments = arguments.as_object().cloned();
    let result = client.call_tool(params).await?;
    Ok(serde_json::to_value(result).unwrap())
}

/// The text of a result that succeeded.
async fn text(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> String {
    let result = call(client, tool, arguments).await.unwrap();
    assert_eq!(result["isError"], json!(false), "{result}");
    assert_eq!(result["content"][0]["type"], json!("text"), "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_handshake_lifecycle_works_on_every_step() {
    for step in 2..=8 {
        tour(step, ClientLifecycleMode::Initialize, "2025-11-25").await;
    }
}

#[tokio::test]
async fn the_discover_lifecycle_works_on_every_step() {
    for step in 2..=8 {
        tour(step, discover(), "2026-07-28").await;
    }
}

#[tokio::test]
async fn a_client_that_tries_the_new_era_first_stays_in_it() {
    for step in 2..=8 {
        tour(step, auto(), "2026-07-28").await;
    }
}

/// Everything that a step offers, as a client meets it.
async fn tour(
    step: u8,
    lifecycle: ClientLifecycleMode,
    version: &str,
) {
    eprintln!("step {step}");
    let server = Server::start(step);
    let token = server.token_if_needed(&ADMIN);
    let client = connect(&server, lifecycle, token).await.unwrap();
    introduces_itself(&client, step, version);
    if step >= HAS_LISTS {
        lists(&client, step).await;
    }
    if step >= HAS_CALLS {
        calls(&client).await;
        knows_the_user(&client, step).await;
        refuses_what_it_does_not_offer(&client).await;
        prompts(&client, step).await;
    }
    client.cancel().await.unwrap();
}

fn introduces_itself(
    client: &Client,
    step: u8,
    version: &str,
) {
    let info = serde_json::to_value(client.peer_info().unwrap()).unwrap();
    assert_eq!(info["protocolVersion"], json!(version));
    assert_eq!(info["serverInfo"]["name"], json!(name(step)));
    let capabilities = match step >= HAS_LISTS {
        true => json!({"prompts": {}, "tools": {}}),
        false => json!({}),
    };
    assert_eq!(info["capabilities"], capabilities);
}

async fn lists(
    client: &Client,
    step: u8,
) {
    let tools = client.list_all_tools().await.unwrap();
    let mut expected = vec!["echo", "get_time", "whoami"];
    expected.extend((step >= HAS_ACCESS).then_some("audit_log"));
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, expected);
    assert!(tools.iter().all(|tool| tool.title.is_some()));
    let prompts = client.list_all_prompts().await.unwrap();
    let names: Vec<_> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(names, ["greeting", "help"]);
}

async fn calls(client: &Client) {
    let arguments = json!({"message": "grüß dich", "repeat_count": 2});
    let result = call(client, "echo", arguments).await.unwrap();
    let echo = "grüß dich grüß dich";
    assert_eq!(result["structuredContent"], json!({"text": echo}));
    assert_eq!(result["content"][0]["text"], json!(echo));
    let time = text(client, "get_time", json!({})).await;
    assert!(time.parse::<Timestamp>().is_ok(), "{time}");
    let wrong = json!({"message": "x", "repeat_count": 11});
    let result = call(client, "echo", wrong).await.unwrap();
    assert_eq!(result["isError"], json!(true));
}

async fn knows_the_user(
    client: &Client,
    step: u8,
) {
    let user = text(client, "whoami", json!({})).await;
    let user: Value = serde_json::from_str(&user).unwrap();
    match step >= HAS_AUTH {
        true => assert_eq!(user["preferred_username"], json!("admin")),
        false => assert_eq!(user, json!({"error": "Not authenticated"})),
    }
    if step >= HAS_ACCESS {
        let log = text(client, "audit_log", json!({})).await;
        let log: Value = serde_json::from_str(&log).unwrap();
        let newest = &log["decisions"][0];
        assert_eq!(newest["operation"], json!("tools/call audit_log"));
        assert_eq!(newest["sub"], json!("admin"));
    }
}

async fn refuses_what_it_does_not_offer(client: &Client) {
    let Err(ServiceError::McpError(error)) = call(client, "none", json!({})).await else {
        panic!("an unknown tool is an error of the protocol");
    };
    assert_eq!(error.code.0, -32602);
    let params = GetPromptRequestParams::new("none");
    let Err(ServiceError::McpError(error)) = client.get_prompt(params).await else {
        panic!("an unknown prompt is an error of the protocol");
    };
    assert_eq!(error.code.0, -32602);
    let Err(ServiceError::McpError(error)) = client.list_all_resources().await else {
        panic!("resources are not offered");
    };
    assert_eq!(error.code.0, -32601);
}

async fn prompts(
    client: &Client,
    step: u8,
) {
    let help = prompt(client, "help", json!({})).await;
    assert!(!help.is_empty());
    let named = prompt(client, "greeting", json!({"name": "Zoë"})).await;
    assert!(named.contains("Zoë"), "{named}");
    let unnamed = prompt(client, "greeting", json!({})).await;
    assert_eq!(unnamed.contains("admin"), step >= HAS_AUTH, "{unnamed}");
}

/// The text of the only message of a prompt.
async fn prompt(
    client: &Client,
    name: &str,
    arguments: Value,
) -> String {
    let mut params = GetPromptRequestParams::new(name);
    params.arguments = arguments.as_object().cloned();
    let result = client.get_prompt(params).await.unwrap();
    let result = serde_json::to_value(result).unwrap();
    assert_eq!(result["messages"].as_array().unwrap().len(), 1);
    assert_eq!(result["messages"][0]["role"], json!("user"));
    let text = &result["messages"][0]["content"]["text"];
    text.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_token_every_lifecycle_is_told_to_authorize() {
    for step in HAS_AUTH..=8 {
        let server = Server::start(step);
        for lifecycle in [ClientLifecycleMode::Initialize, discover(), auto()] {
            let challenge = refused(&server, lifecycle, None).await;
            let mut expected = r#"Bearer realm="mcp""#.to_owned();
            if step >= HAS_METADATA {
                let origin = server.resource().replace("/mcp", "");
                expected += &format!(
                    r#", resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp", scope="mcp:read mcp:tools mcp:prompts""#
                );
            }
            assert_eq!(challenge, expected);
        }
    }
}

#[tokio::test]
async fn with_a_bad_token_the_client_learns_that_it_is_invalid() {
    for step in HAS_AUTH..=8 {
        let server = Server::start(step);
        for flaw in ["expired", "audience", "signature", "alg-none"] {
            let token = server.token(&[&ALICE[..], &["--break", flaw]].concat());
            for lifecycle in [ClientLifecycleMode::Initialize, discover(), auto()] {
                let challenge = refused(&server, lifecycle, Some(token.clone())).await;
                let error = challenge.contains(r#"error="invalid_token""#);
                assert!(error, "step {step}, {flaw}: {challenge}");
            }
        }
    }
}

/// The challenge that keeps a client from connecting.
async fn refused(
    server: &Server,
    lifecycle: ClientLifecycleMode,
    token: Option<String>,
) -> String {
    let outcome = connect(server, lifecycle, token).await;
    let error = outcome.expect_err("nobody gets in like this");
    match failure_to_connect(&error) {
        Some(StreamableHttpError::AuthRequired(error)) => error.www_authenticate_header.clone(),
        other => panic!("{other:?} in {error:?}"),
    }
}

/// What went wrong over HTTP while the client tried to connect.
fn failure_to_connect(error: &ClientInitializeError) -> Option<&Failure> {
    match error {
        ClientInitializeError::TransportError {
            error,
            ..
        } => error.error.downcast_ref(),
        _ => None,
    }
}

/// What went wrong over HTTP while it called.
fn failure_to_call(error: &ServiceError) -> Option<&Failure> {
    match error {
        ServiceError::TransportSend(error) => error.error.downcast_ref(),
        _ => None,
    }
}

#[tokio::test]
async fn while_there_are_no_keys_the_client_is_told_to_come_back() {
    for step in HAS_AUTH..=8 {
        let elsewhere = Server::start(step);
        let token = elsewhere.token(&ALICE);
        let server = Server::start_without_keys(step);
        for lifecycle in [ClientLifecycleMode::Initialize, discover(), auto()] {
            let outcome = connect(&server, lifecycle, Some(token.clone())).await;
            let error = outcome.expect_err("nothing can be checked");
            let Some(StreamableHttpError::HttpStatus(failure)) = failure_to_connect(&error) else {
                panic!("step {step}: {error:?}");
            };
            assert_eq!(failure.status, 503);
            assert!(failure.retry_after.is_some());
        }
    }
}

#[tokio::test]
async fn a_missing_scope_reaches_the_client_with_what_to_ask_for() {
    let server = Server::start(HAS_ACCESS);
    let client = connected(&server, &[&ALICE[..], &["--scopes", "mcp:read"]].concat()).await;
    let error = call(&client, "echo", json!({"message": "x"})).await.unwrap_err();
    let Some(StreamableHttpError::InsufficientScope(refusal)) = failure_to_call(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(refusal.get_required_scope(), Some("mcp:read mcp:tools"));
}

#[tokio::test]
async fn a_role_that_forbids_it_is_no_reason_to_ask_for_more_scopes() {
    let server = Server::start(HAS_ACCESS);
    let client = connected(&server, &[&ALICE[..], &["--roles", "guest"]].concat()).await;
    assert_eq!(client.list_all_tools().await.unwrap(), []);
    let error = call(&client, "echo", json!({"message": "x"})).await.unwrap_err();
    // The SDK takes a challenge for a call to authorize again; without one it only reports.
    let Some(StreamableHttpError::UnexpectedServerResponse(report)) = failure_to_call(&error)
    else {
        panic!("{error:?}");
    };
    assert!(report.starts_with("HTTP 403"), "{report}");
}

#[tokio::test]
async fn too_many_calls_reach_the_client_as_429_with_a_time_to_wait() {
    let server = Server::start_with(HAS_ACCESS, &["--calls-per-minute", "1"]);
    let client = connected(&server, &ALICE).await;
    text(&client, "get_time", json!({})).await;
    let error = call(&client, "get_time", json!({})).await.unwrap_err();
    let Some(StreamableHttpError::HttpStatus(failure)) = failure_to_call(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(failure.status, 429);
    assert!(failure.retry_after.is_some());
}
