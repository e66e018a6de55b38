//! A client on the SDK that knows nothing but the URL: it logs in at auth-server, and steps up.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there"
)]

#[path = "../../../tools/auth-server/tests/stack/mod.rs"]
#[expect(dead_code, reason = "its own tests start another server")]
mod stack;

use rmcp::ClientServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::model::CallToolResult;
use rmcp::model::ProtocolVersion;
use rmcp::service::ClientLifecycleMode;
use rmcp::service::RoleClient;
use rmcp::service::RunningService;
use rmcp::service::ServiceError;
use rmcp::transport::AuthClient;
use rmcp::transport::AuthorizationRequest;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::AuthorizationCallback;
use rmcp::transport::auth::OAuthState;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde_json::Value;
use serde_json::json;

use stack::CALLBACK;
use stack::Stack;

type Session = RunningService<RoleClient, ()>;
type Client = AuthClient<reqwest::Client>;

fn lifecycles() -> [ClientLifecycleMode; 2] {
    let modern = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    [ClientLifecycleMode::Initialize, modern]
}

/// Goes from a bare URL to an authorized client, the way the SDK's documentation says.
async fn log_in(
    stack: &Stack,
    user: &str,
) -> Client {
    let mut state = OAuthState::new(&stack.mcp, None).await.unwrap();
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("rmcp");
    state.start_authorization(request).await.unwrap();
    let url = state.get_authorization_url().await.unwrap();
    let callback = stack.approve(&url, user).await;
    state.handle_callback_url(&callback).await.unwrap();
    AuthClient::new(stack::http(), state.into_authorization_manager().unwrap())
}

async fn connect(
    stack: &Stack,
    client: &Client,
    lifecycle: ClientLifecycleMode,
) -> Session {
    let config = StreamableHttpClientTransportConfig::with_uri(stack.mcp.as_str());
    let transport = StreamableHttpClientTransport::with_client(client.clone(), config);
    ().serve_with_lifecycle(transport, lifecycle).await.unwrap()
}

async fn call(
    session: &Session,
    tool: &'static str,
) -> Result<CallToolResult, ServiceError> {
    session.call_tool(CallToolRequestParams::new(tool)).await
}

/// What went wrong over HTTP.
fn failure(error: &ServiceError) -> &StreamableHttpError<reqwest::Error> {
    match error {
        ServiceError::TransportSend(error) => error.error.downcast_ref().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_finds_the_way_in_and_the_tool_knows_its_user() {
    let stack = Stack::start_beside("rmcp-server", &[]);
    let client = log_in(&stack, "alice").await;
    for lifecycle in lifecycles() {
        let session = connect(&stack, &client, lifecycle).await;
        let result = json!(call(&session, "whoami").await.unwrap());
        let user = result["content"][0]["text"].as_str().unwrap();
        let user: Value = serde_json::from_str(user).unwrap();
        assert_eq!(user["sub"], "alice");
        assert_eq!(user["iss"], stack.issuer.as_str());
        assert_eq!(user["aud"], stack.mcp.as_str());
        session.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn an_admin_meets_the_challenge_and_steps_up() {
    let stack = Stack::start_beside("rmcp-server", &[]);
    let client = log_in(&stack, "admin").await;
    let session = connect(&stack, &client, ClientLifecycleMode::Initialize).await;
    let refused = call(&session, "all_notes").await.unwrap_err();
    let StreamableHttpError::InsufficientScope(error) = failure(&refused) else {
        panic!("no challenge: {refused:?}");
    };
    let scope = error.required_scope.as_deref().unwrap();
    assert_eq!(scope, "mcp:read mcp:tools mcp:audit");
    step_up(&stack, &client, scope).await;
    for lifecycle in lifecycles() {
        let session = connect(&stack, &client, lifecycle).await;
        let notes = json!(call(&session, "all_notes").await.unwrap());
        assert_eq!(notes["structuredContent"]["notes"][0]["owner"], "alice");
    }
}

/// The user agrees to more scopes, and the client gets another token.
async fn step_up(
    stack: &Stack,
    client: &Client,
    scope: &str,
) {
    let manager = client.auth_manager.lock().await;
    let url = manager.request_scope_upgrade(scope).await.unwrap();
    let callback = stack.approve(&url, "admin").await;
    let callback = AuthorizationCallback::from_redirect_url(&callback).unwrap();
    let AuthorizationCallback {
        code,
        csrf_token,
        issuer,
        ..
    } = &callback;
    let token = manager.exchange_code_for_token_with_issuer(code, csrf_token, issuer.as_deref());
    token.await.unwrap();
}

#[tokio::test]
async fn a_user_is_refused_without_a_challenge() {
    let stack = Stack::start_beside("rmcp-server", &[]);
    let client = log_in(&stack, "alice").await;
    for lifecycle in lifecycles() {
        let session = connect(&stack, &client, lifecycle).await;
        let refused = call(&session, "all_notes").await.unwrap_err();
        // The SDK has no type for a 403 without a challenge; its text begins with the status.
        let StreamableHttpError::UnexpectedServerResponse(text) = failure(&refused) else {
            panic!("{refused:?}");
        };
        assert!(text.starts_with("HTTP 403 "), "{text}");
    }
}
