//! The command line of the authorization server. Everything else is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use auth_server::config::Settings;
use clap::Parser;
use clap::Subcommand;
use tracing_subscriber::EnvFilter;

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
    /// Read a password from standard input and print its hash, for the users or clients file
    HashPassword,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(true)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => auth_server::serve(cli.settings).await,
        Some(Command::RotateKeys {
            lead,
        }) => auth_server::rotate_keys(&cli.settings, lead),
        Some(Command::HashPassword) => auth_server::hash_password(),
    }
}
