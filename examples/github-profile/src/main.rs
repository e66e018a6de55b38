//! The program: one listener for the MCP server, its authorization server, and GitHub's way back.
//!
//! Below are the files of step 8, taken as they are, and those of this server. The authorization server
//! is the library of `tools/auth-server`: it signs users in at GitHub, asks them what a client may do,
//! and keeps GitHub's tokens. No client ever gets one of those, and none is accepted here.
//!
//! Left out: TLS, which belongs to the proxy in front of a public server.

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
#[path = "../../../step8/src/call.rs"]
mod call;
#[path = "../../../step8/src/config.rs"]
mod config;
#[path = "../../../step8/src/error.rs"]
mod error;
#[path = "../../../step8/src/headers.rs"]
mod headers;
#[path = "../../../step8/src/issuer.rs"]
mod issuer;
#[path = "../../../step8/src/jsonrpc.rs"]
mod jsonrpc;
#[path = "../../../step8/src/keys.rs"]
#[expect(dead_code, reason = "the authorization server publishes the keys")]
mod keys;
#[path = "../../../step8/src/mcp.rs"]
mod mcp;
#[path = "../../../step8/src/metadata.rs"]
#[expect(
    dead_code,
    reason = "the authorization server publishes its own metadata"
)]
mod metadata;
#[path = "../../../step8/src/prompts.rs"]
mod prompts;
#[path = "../../../step8/src/server.rs"]
mod server;
#[path = "../../../step8/src/transport.rs"]
mod transport;
#[path = "../../../step8/src/verified.rs"]
mod verified;

mod app;
mod github;
mod profile;
mod rules;
mod settings;
mod tools;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use auth_server::AuthServer;
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

use crate::server::Server;
use crate::settings::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error, from level `info` up unless `RUST_LOG` says otherwise: a level
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
    let usual = Targets::new().with_default(Level::INFO);
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
async fn run(cli: Cli) -> Result<()> {
    // Before anything else: without them nobody could ever sign in.
    let github = settings::github(|name| std::env::var(name).ok())?;
    let listener = TcpListener::bind(cli.bind).await.with_context(|| {
        format!(
            "cannot listen on {}; stop the program that uses this address, or choose another one \
             with --bind (port 0 picks a free one)",
            cli.bind,
        )
    })?;
    let address = listener.local_addr()?;
    let origin = cli.origin(address);
    let sign_in = AuthServer::open(settings::sign_in(&cli, &origin, github)?, address)?;
    let config = settings::resource(&cli, &origin, address)?;
    let limit = config.shutdown_timeout;
    let server = Server::new(config);
    server.keys.start().await?;
    info!(
        "{} is listening on http://{address}, clients connect to {origin}/mcp",
        env!("CARGO_PKG_NAME"),
    );
    info!("GitHub's \"Authorization callback URL\" is {origin}/github/callback");
    let upkeep = tokio::spawn(sign_in.clone().upkeep());
    let served = serve(listener, app::app(server, &sign_in)?, limit, stop_signal()).await;
    upkeep.abort();
    served
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
) -> Result<()> {
    let (stopping, stopped) = oneshot::channel();
    // The limits of the sign-in count by address: without it everybody is one.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async {
        stop.await;
        info!("stopping: no new connections, finishing the requests in flight");
        // Fails only when nobody waits any more, which is all the same to us.
        let _ = stopping.send(());
    });
    tokio::select! {
        result = serving => result.context("the server failed"),
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
