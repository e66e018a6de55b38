//! The command line of the stand-in. Everything else is in the library.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use mock_github::API;
use mock_github::App;
use mock_github::MockGitHub;
use tokio::net::TcpListener;

/// An offline stand-in for GitHub's sign-in, for this machine only
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Address to listen on, a loopback one; port 0 picks a free one
    #[arg(long, env = "MOCK_GITHUB_BIND", default_value = "127.0.0.1:9100")]
    bind: SocketAddr,

    /// Client ID of the app that is registered here
    #[arg(long, default_value = "Ov23liMOCKAPP0000000")]
    client_id: String,

    /// Its client secret, which is none: everybody can read it here
    #[arg(long, default_value = "mock-secret")]
    client_secret: String,

    /// Its authorization callback URL
    #[arg(long, default_value = "http://localhost:8000/github/callback")]
    callback: String,

    /// Sign this account in without showing a page: octocat, hubot or monalisa
    #[arg(long, value_parser = ["octocat", "hubot", "monalisa"])]
    auto: Option<String>,

    /// Let tokens expire after so many seconds, and give refresh tokens
    #[arg(long)]
    expires_in: Option<i64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    if !cli.bind.ip().is_loopback() {
        return Err("it signs anybody in: --bind a loopback address".into());
    }
    let listener = TcpListener::bind(cli.bind)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", cli.bind))?;
    let address = listener.local_addr()?;
    let origin = format!("http://localhost:{}", address.port());
    let app = App {
        client_id: cli.client_id,
        client_secret: cli.client_secret,
        name: "Your app".to_owned(),
        callback: cli.callback,
    };
    tracing::info!("mock-github is listening on http://{address}");
    for (name, value) in [
        ("CLIENT_ID", app.client_id.clone()),
        ("CLIENT_SECRET", app.client_secret.clone()),
        ("AUTH_URL", format!("{origin}/login/oauth/authorize")),
        ("TOKEN_URL", format!("{origin}/login/oauth/access_token")),
        ("API_URL", format!("{origin}{API}")),
    ] {
        tracing::info!("MCP_GITHUB_GITHUB_{name}={value}");
    }
    let github = MockGitHub::new(&origin, app);
    github.sign_in_as(cli.auto.as_deref());
    github.set_expiry(cli.expires_in);
    axum::serve(listener, github.router()).with_graceful_shutdown(stop()).await?;
    Ok(())
}

/// The first SIGTERM or ctrl-c. What hangs is not waited for.
async fn stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            std::process::exit(0);
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
