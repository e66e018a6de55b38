//! The program: read the arguments, bind the address, serve until told to stop.
//!
//! Below are the files of step 8 that protect any server, taken as they are, and those of this server.
//! Whoever copies them puts them beside their own `main.rs`, and needs no `#[path]`.
//!
//! Left out: TLS, and limits on how slowly a client may send its headers or read its answer, and on
//! the number of connections. They belong to the reverse proxy that a public server stands behind.

#[path = "../../../step8/src/access.rs"]
#[expect(
    dead_code,
    reason = "no tool here shows the decisions; the log has them"
)]
mod access;
#[path = "../../../step8/src/auth.rs"]
mod auth;
#[path = "../../../step8/src/body.rs"]
mod body;
#[path = "../../../step8/src/cache.rs"]
mod cache;
#[path = "../../../step8/src/config.rs"]
mod config;
#[path = "../../../step8/src/error.rs"]
mod error;
#[path = "../../../step8/src/headers.rs"]
#[expect(
    dead_code,
    reason = "the SDK compares the headers of MCP with the body"
)]
mod headers;
#[path = "../../../step8/src/issuer.rs"]
mod issuer;
#[path = "../../../step8/src/jsonrpc.rs"]
#[expect(dead_code, reason = "the SDK answers what is not refused")]
mod jsonrpc;
#[path = "../../../step8/src/keys.rs"]
mod keys;
#[path = "../../../step8/src/metadata.rs"]
mod metadata;
#[path = "../../../step8/src/verified.rs"]
mod verified;

mod app;
mod guard;
mod metrics;
mod rules;
mod server;
mod tools;

use std::error::Error;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::Level;
use tracing::info;
use tracing::warn;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::server::Server;

/// The settings of step 8, and ours. The doc comment of each field is its `--help` text.
#[derive(Parser)]
#[command(version, about = "An MCP server on the official SDK", long_about = None)]
struct Arguments {
    #[command(flatten)]
    config: Config,

    /// Address and port for GET /metrics, or a port alone, which only this machine reaches; without
    /// it nothing is counted
    #[arg(long, env = "MCP_METRICS_BIND", value_name = "[ADDRESS:]PORT", value_parser = metrics::address)]
    metrics_bind: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error, from level `info` up (the SDK from `warn` up: it tells each request in
/// three lines, with what the client says of itself) unless `RUST_LOG` says otherwise: a level
/// (`debug`), or one for each module (`info,tower_http=debug`).
fn start_log() {
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(log_filter()).init();
}

/// What `RUST_LOG` asks for. The library's `EnvFilter` reads more from it, and needs a regex engine
/// for that.
fn log_filter() -> Targets {
    let usual = Targets::new()
        .with_default(Level::INFO)
        .with_target("rmcp", Level::WARN)
        .with_target("rmcp_server", Level::INFO);
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    if wanted.is_empty() {
        return usual;
    }
    wanted.parse().unwrap_or_else(|error| {
        eprintln!("warning: RUST_LOG is ignored, {error}; try RUST_LOG=debug");
        usual
    })
}

/// Binds, says where, and serves until a signal. The error is a sentence for the operator.
async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut config = arguments.config;
    let listener = TcpListener::bind(config.bind)
        .await
        .map_err(|error| cannot_listen(&config, &error))?;
    // With port 0 the system has picked one; from here on the configuration names the real one.
    config.bind = listener.local_addr().map_err(|error| cannot_listen(&config, &error))?;
    let limit = config.shutdown_timeout;
    let server = Server::new(config);
    server.keys.start().await?;
    let metrics = start_metrics(arguments.metrics_bind, &server).await?;
    info!(
        "{} is listening on http://{}, clients connect to {}",
        env!("CARGO_PKG_NAME"),
        server.config.bind,
        server.config.resource(),
    );
    let mut app = app::app(server);
    if let Some(metrics) = metrics {
        app = metrics.around(app);
    }
    serve(listener, app, limit, stop_signal()).await?;
    Ok(())
}

/// The figures, served at this address, if they are wanted at all.
async fn start_metrics(
    address: Option<SocketAddr>,
    server: &Server,
) -> Result<Option<Arc<Metrics>>, String> {
    let Some(address) = address else {
        return Ok(None);
    };
    let metrics = Arc::new(Metrics::new(server.keys.clone()));
    match metrics.serve(address).await {
        Ok(()) => Ok(Some(metrics)),
        Err(error) => Err(format!(
            "cannot listen on {address} for metrics: {error}; choose another one with --metrics-bind"
        )),
    }
}

fn cannot_listen(
    config: &Config,
    error: &std::io::Error,
) -> String {
    format!(
        "cannot listen on {}: {error}; stop the program that uses this address, \
         or choose another one with --bind (port 0 picks a free one)",
        config.bind,
    )
}

/// Answers requests until `stop` resolves, then finishes those in flight.
///
/// Axum waits for them without a limit; one client that never reads its answer would keep the
/// process alive for ever, so after `limit` we go anyway.
async fn serve(
    listener: TcpListener,
    app: Router,
    limit: Duration,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), String> {
    let (stopping, stopped) = oneshot::channel();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async {
        stop.await;
        info!("stopping: no new connections, finishing the requests in flight");
        // Fails only when nobody waits any more, which is all the same to us.
        let _ = stopping.send(());
    });
    tokio::select! {
        result = serving => result.map_err(|error| format!("the server failed: {error}")),
        () = async {
            let _ = stopped.await;
            tokio::time::sleep(limit).await;
        } => {
            warn!("requests were still open after {limit:?}, stopping without them");
            Ok(())
        }
    }
}

/// Resolves at ctrl-c, and on Unix at SIGTERM, which is what containers and supervisors send.
async fn stop_signal() {
    let interrupt = async {
        tokio::signal::ctrl_c().await.expect("a process may listen for ctrl-c");
    };
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
        () = interrupt => {}
        () = terminate => {}
    }
}
