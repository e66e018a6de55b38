//! The official Rust SDK (`rmcp`) logs in here and calls tools on step8, knowing nothing but the
//! server's URL: registered on the spot, by a Client ID Metadata Document, and pre-registered;
//! without a user; then an admin meets the 403 and steps up.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there"
)]

mod stack;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use rcgen::CertifiedKey;
use rmcp::ClientServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::model::CallToolResult;
use rmcp::model::ProtocolVersion;
use rmcp::service::ClientLifecycleMode;
use rmcp::service::RoleClient;
use rmcp::service::RunningService;
use rmcp::service::ServiceError;
use rmcp::transport::AuthClient;
use rmcp::transport::AuthorizationManager;
use rmcp::transport::AuthorizationRequest;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::ClientCredentialsConfig;
use rmcp::transport::auth::OAuthState;
use rmcp::transport::streamable_http_client::InsufficientScopeError;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use stack::CALLBACK;
use stack::Stack;

type Session = RunningService<RoleClient, ()>;

fn handshake() -> ClientLifecycleMode {
    ClientLifecycleMode::Initialize
}

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

/// Goes from a bare URL to an authorized manager, the way the SDK's documentation says.
async fn log_in(
    stack: &Stack,
    user: &str,
    request: AuthorizationRequest,
) -> AuthorizationManager {
    let mut state = OAuthState::new(&stack.mcp, None).await.unwrap();
    state.start_authorization(request).await.unwrap();
    let url = state.get_authorization_url().await.unwrap();
    let callback = stack.approve(&url, user).await;
    state.handle_callback_url(&callback).await.unwrap();
    state.into_authorization_manager().unwrap()
}

async fn connect(
    stack: &Stack,
    client: &AuthClient<reqwest::Client>,
    lifecycle: ClientLifecycleMode,
) -> Session {
    let config = StreamableHttpClientTransportConfig::with_uri(stack.mcp.as_str());
    let transport = StreamableHttpClientTransport::with_client(client.clone(), config);
    ().serve_with_lifecycle(transport, lifecycle).await.unwrap()
}

fn authorized(manager: AuthorizationManager) -> AuthClient<reqwest::Client> {
    AuthClient::new(stack::http(), manager)
}

async fn call(
    session: &Session,
    tool: &'static str,
) -> Result<CallToolResult, ServiceError> {
    session.call_tool(CallToolRequestParams::new(tool)).await
}

/// The JSON that `whoami` answers with.
async fn whoami(session: &Session) -> Value {
    let result = call(session, "whoami").await.unwrap();
    let result = serde_json::to_value(result).unwrap();
    let text = result["content"][0]["text"].as_str().unwrap();
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_client_that_registers_on_the_spot_calls_whoami() {
    let stack = Stack::start(&[]);
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("rmcp");
    let client = authorized(log_in(&stack, "alice", request).await);
    for lifecycle in [handshake(), modern()] {
        let session = connect(&stack, &client, lifecycle).await;
        let user = whoami(&session).await;
        assert_eq!(user["sub"], "alice");
        assert_eq!(user["iss"], stack.issuer.as_str());
        assert_eq!(user["aud"], stack.mcp.as_str());
        session.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn a_refresh_by_the_sdk_works() {
    let stack = Stack::start(&[]);
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("rmcp");
    let manager = log_in(&stack, "bob", request).await;
    let before = manager.get_access_token().await.unwrap();
    manager.refresh_token().await.unwrap();
    let after = manager.get_access_token().await.unwrap();
    assert_ne!(before, after);
    let session = connect(&stack, &authorized(manager), handshake()).await;
    assert_eq!(whoami(&session).await["sub"], "bob");
}

#[tokio::test]
async fn a_pre_registered_client_calls_whoami() {
    let clients =
        format!("[[clients]]\nclient_id = \"rmcp-test\"\nredirect_uris = [\"{CALLBACK}\"]\n",);
    let stack = Stack::start(&[("clients", &clients)]);
    let request = AuthorizationRequest::new(CALLBACK).with_preregistered_client("rmcp-test");
    let client = authorized(log_in(&stack, "alice", request).await);
    let session = connect(&stack, &client, handshake()).await;
    assert_eq!(whoami(&session).await["client_id"], "rmcp-test");
}

/// Serves the metadata document over https, with a certificate that the test made.
async fn publish_document() -> (String, String) {
    let CertifiedKey {
        cert,
        signing_key,
    } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let id = format!(
        "https://localhost:{}/client.json",
        listener.local_addr().unwrap().port()
    );
    let document = serde_json::json!({
        "client_id": id,
        "client_name": "rmcp, by document",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_methods_supported": ["none"],
    });
    let answer = (
        [(header::CONTENT_TYPE, "application/json")],
        document.to_string(),
    );
    let app = Router::new().route(
        "/client.json",
        get(move || std::future::ready(answer.clone())),
    );
    let listener = Tls {
        listener,
        acceptor: TlsAcceptor::from(Arc::new(config)),
    };
    tokio::spawn(axum::serve(listener, app).into_future());
    (id, cert.pem())
}

/// A listener whose connections are encrypted; failed handshakes are passed over.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                continue;
            };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[tokio::test]
async fn a_client_with_a_metadata_document_calls_whoami() {
    let (id, certificate) = publish_document().await;
    let stack = Stack::start(&[("certificate", &certificate)]);
    let request = AuthorizationRequest::new(CALLBACK).with_client_metadata_url(&id);
    let client = authorized(log_in(&stack, "alice", request).await);
    let session = connect(&stack, &client, modern()).await;
    assert_eq!(whoami(&session).await["client_id"], id.as_str());
}

#[tokio::test]
async fn a_machine_calls_whoami_with_its_secret() {
    // Of "machine-secret", by `auth-server hash-password`.
    let clients = r#"
        [[clients]]
        client_id = "nightly"
        grant_types = ["client_credentials"]
        client_secret_hash = "$argon2id$v=19$m=19456,t=2,p=1$H+JKu+6TB6OcaoNCPjxGUA$fpTzBN4ePDo5yB0hmhOlbBNk5fBieEzAvX47rwqJ2vY"
        roles = ["user"]
        scope = "mcp:read mcp:tools"
    "#;
    let stack = Stack::start(&[("clients", clients)]);
    let mut state = OAuthState::new(&stack.mcp, None).await.unwrap();
    let config = ClientCredentialsConfig::ClientSecret {
        client_id: "nightly".to_owned(),
        client_secret: "machine-secret".to_owned(),
        scopes: vec!["mcp:read".to_owned(), "mcp:tools".to_owned()],
        resource: Some(stack.mcp.clone()),
    };
    state.authenticate_client_credentials(config).await.unwrap();
    let client = authorized(state.into_authorization_manager().unwrap());
    let session = connect(&stack, &client, modern()).await;
    let user = whoami(&session).await;
    assert_eq!(user["sub"], "nightly");
    assert_eq!(user["client_id"], "nightly");
}

/// The scope that a refused call names, where the refusal is a 403 with a challenge.
fn required_scope(error: &ServiceError) -> Option<String> {
    let ServiceError::TransportSend(error) = error else {
        return None;
    };
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.error.as_ref());
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<InsufficientScopeError>() {
            return refused.required_scope.clone();
        }
        cause = error.source();
    }
    None
}

#[tokio::test]
async fn an_admin_meets_the_403_and_steps_up() {
    let stack = Stack::start(&[]);
    let request = AuthorizationRequest::new(CALLBACK)
        .with_client_name("rmcp")
        .with_scopes(["mcp:read", "mcp:tools"]);
    let client = authorized(log_in(&stack, "admin", request).await);
    let session = connect(&stack, &client, handshake()).await;
    let refused = call(&session, "audit_log").await.unwrap_err();
    let scope = required_scope(&refused).unwrap_or_else(|| panic!("no challenge: {refused:?}"));
    assert!(scope.split(' ').any(|name| name == "mcp:audit"), "{scope}");
    assert!(scope.split(' ').any(|name| name == "mcp:tools"), "{scope}");
    {
        let manager = client.auth_manager.lock().await;
        let url = manager.request_scope_upgrade(&scope).await.unwrap();
        let callback = stack.approve(&url, "admin").await;
        let callback =
            rmcp::transport::auth::AuthorizationCallback::from_redirect_url(&callback).unwrap();
        manager
            .exchange_code_for_token_with_issuer(
                &callback.code,
                &callback.csrf_token,
                callback.issuer.as_deref(),
            )
            .await
            .unwrap();
    }
    let session = connect(&stack, &client, handshake()).await;
    let log = call(&session, "audit_log").await.unwrap();
    assert_ne!(log.is_error, Some(true));
    assert_eq!(whoami(&session).await["sub"], "admin");
}

#[tokio::test]
async fn a_user_is_not_asked_to_step_up_to_what_the_role_forbids() {
    let stack = Stack::start(&[]);
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("rmcp");
    let client = authorized(log_in(&stack, "alice", request).await);
    let session = connect(&stack, &client, handshake()).await;
    let refused = call(&session, "audit_log").await.unwrap_err();
    assert_eq!(required_scope(&refused), None, "{refused:?}");
    // The SDK has no type for a 403 without a challenge; its text carries the status line.
    assert!(format!("{refused:?}").contains("HTTP 403"), "{refused:?}");
}
