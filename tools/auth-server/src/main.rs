//! The command line of the authorization server. Everything else is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use auth_server::Revoked;
use auth_server::config::Settings;
use clap::ArgGroup;
use clap::Parser;
use clap::Subcommand;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A small OAuth 2.1 authorization server for development and workshops
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Publish a new signing key, which takes over after a while; also while the server runs
    RotateKeys {
        /// Seconds for which the new key is published before it signs
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(i64).range(0..=86_400))]
        lead: i64,
    },
    /// Take back everything that a user or a client was given; also while the server runs
    #[command(group(ArgGroup::new("whose").required(true).args(["user", "client"])))]
    Revoke {
        /// Sign this user out everywhere, and end what clients were granted in that name
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// End what users granted to this client, and its registration
        #[arg(long, value_name = "ID")]
        client: Option<String>,
    },
    /// Read a password from standard input and print its hash, for the users or clients file
    HashPassword,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error, from level `info` up unless `RUST_LOG` says otherwise: a level
/// (`debug`), or one for each module (`info,tower_http=debug`).
fn start_log() {
    let lines = tracing_subscriber::fmt::layer()
        .with_target(true)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(log_filter()).init();
}

/// What `RUST_LOG` asks for. `EnvFilter` would also read spans and fields from it, and brings a
/// regex engine along for that.
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

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => auth_server::serve(cli.settings).await,
        Some(Command::RotateKeys {
            lead,
        }) => auth_server::rotate_keys(&cli.settings, lead),
        Some(Command::Revoke {
            user: Some(user),
            ..
        }) => auth_server::revoke(&cli.settings, &Revoked::User(&user)),
        Some(Command::Revoke {
            client: Some(client),
            ..
        }) => auth_server::revoke(&cli.settings, &Revoked::Client(&client)),
        Some(Command::Revoke {
            ..
        }) => anyhow::bail!("name a --user or a --client"),
        Some(Command::HashPassword) => auth_server::hash_password(),
    }
}
