//! A server on the official SDK, as its examples show it. Nobody is asked who they are: whoever reaches
//! it reads the notes of all users, also the page of another site that a browser has open.

mod tools;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::routing::get;
use clap::Parser;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tracing::info;

use crate::tools::Tools;

/// What the operator decides.
#[derive(Parser)]
#[command(version, about = "An MCP server on the official SDK")]
struct Config {
    /// Address and port to listen on; port 0 picks a free one and logs it
    #[arg(long, env = "MCP_BIND", default_value = "127.0.0.1:9000")]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let listener = TcpListener::bind(config.bind).await?;
    let address = listener.local_addr()?;
    info!(
        "{} is listening on http://{address}",
        env!("CARGO_PKG_NAME")
    );
    axum::serve(listener, app()).with_graceful_shutdown(stop_signal()).await?;
    Ok(())
}

fn app() -> Router {
    Router::new().route("/health", get(health)).route_service("/mcp", sdk())
}

async fn health() -> Json<Value> {
    Json(json!({"status": "healthy", "service": env!("CARGO_PKG_NAME")}))
}

/// The server of the SDK, without sessions.
fn sdk() -> StreamableHttpService<Arc<Tools>, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let tools = Arc::new(Tools::new());
    StreamableHttpService::new(move || Ok(tools.clone()), Arc::default(), config)
}

/// Resolves at ctrl-c, and on Unix at SIGTERM.
async fn stop_signal() {
    #[cfg(unix)]
    let terminate = async {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .expect("a process may listen for SIGTERM")
            .recv()
            .await;
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
