//! The program: read the arguments, bind the address, serve until told to stop.
//!
//! Everything that can go wrong before the first request ends here in one sentence and exit
//! status 1 (2 for a bad argument). What the server answers is in [`app`].
//!
//! Left out: TLS, and limits on how slowly a client may send its headers or read its answer, and on
//! the number of connections. They belong to the reverse proxy that a public server stands behind.

mod access;
mod app;
mod auth;
mod body;
mod cache;
mod call;
mod config;
mod error;
mod headers;
mod issuer;
mod jsonrpc;
mod keys;
mod mcp;
mod metadata;
mod prompts;
mod rules;
mod server;
#[cfg(test)]
mod tests;
mod tools;
mod transport;
mod verified;

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use clap::Parser;
use mimalloc::MiMalloc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::Level;
use tracing::info;
use tracing::warn;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use crate::server::Server;

/// That of the C library would take a quarter of the instructions that a request costs here.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    start_log();
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
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
async fn run(mut config: Config) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(config.bind)
        .await
        .map_err(|error| cannot_listen(&config, &error))?;
    // With port 0 the system has picked one; from here on the configuration names the real one.
    config.bind = listener.local_addr().map_err(|error| cannot_listen(&config, &error))?;
    let limit = config.shutdown_timeout;
    let server = Server::new(config);
    server.keys.start().await?;
    info!(
        "{} is listening on http://{}, clients connect to {}",
        env!("CARGO_PKG_NAME"),
        server.config.bind,
        server.config.resource(),
    );
    serve(listener, app::app(server), limit, stop_signal()).await?;
    Ok(())
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
