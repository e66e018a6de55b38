//! The authorization server as a part of a program, and the program that is nothing else.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::timeout;

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::Settings;
use crate::state::AppState;
use crate::upstream::on_behalf::GitHubApi;
use crate::users::DEMO;

/// How long requests in flight may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Rows are cleaned up every so many seconds; keys are looked at every second.
const CLEAN_UP_EVERY: u64 = 60;

/// An authorization server with its files open, to be served on any listener.
///
/// ```no_run
/// # async fn run(settings: auth_server::config::Settings) -> anyhow::Result<()> {
/// use std::net::SocketAddr;
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
/// let server = auth_server::AuthServer::open(settings, listener.local_addr()?)?;
/// tokio::spawn(server.clone().upkeep());
/// let app = axum::Router::new().merge(server.endpoints());
/// // The limits count by address: without it everybody is one.
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// axum::serve(listener, app).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AuthServer(AppState);

impl AuthServer {
    /// Opens the database, loads or makes the keys, reads users and clients. The port of `address`
    /// completes the default issuer.
    ///
    /// # Errors
    ///
    /// One sentence for the person who starts the program.
    pub fn open(
        settings: Settings,
        address: SocketAddr,
    ) -> Result<Self> {
        let config = Config::new(settings, address)?;
        AppState::open(config, Clock::default()).map(Self)
    }

    /// Every endpoint of an authorization server, under the issuer's path, to be merged into a
    /// program of its own: without `/health`, and without an answer for other paths.
    ///
    /// Includes `/.well-known/jwks.json` and both metadata documents.
    pub fn endpoints(&self) -> Router {
        app::endpoints(&self.0)
    }

    /// GitHub's API in the names of those who signed in there; `None` where users do not.
    #[must_use]
    pub fn github(&self) -> Option<GitHubApi> {
        GitHubApi::of(&self.0)
    }

    /// Follows the keys every second and throws away what has expired every minute. Never ends:
    /// spawn it beside the listener, and abort it last.
    pub async fn upkeep(self) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count: u64 = 0;
        loop {
            ticks.tick().await;
            refresh_keys(&self.0).await;
            if count.is_multiple_of(CLEAN_UP_EVERY) {
                clean_up(&self.0).await;
            }
            count = count.wrapping_add(1);
        }
    }
}

/// Runs the server until SIGINT or SIGTERM.
///
/// # Errors
///
/// One sentence for the person who started it.
pub async fn serve(settings: Settings) -> Result<()> {
    let signal = stop_signal()?;
    let listener = listen(settings.bind).await?;
    let address = listener.local_addr()?;
    let server = AuthServer::open(settings, address)?;
    announce(&server.0, address);
    let (stop, mut stopped) = watch::channel(());
    let upkeep = tokio::spawn(server.clone().upkeep());
    let service = app::app(&server.0).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        // Either a signal or the sender's end: both mean stop.
        let _ = stopped.changed().await;
    });
    let server = tokio::spawn(server.into_future());
    signal.await;
    tracing::info!("stopping: finishing the requests in flight");
    stop.send_replace(());
    finish(server).await?;
    upkeep.abort();
    Ok(())
}

async fn finish(server: tokio::task::JoinHandle<io::Result<()>>) -> Result<()> {
    match timeout(GRACE, server).await {
        Ok(ended) => ended?.context("the server failed"),
        Err(_) => {
            tracing::warn!("some requests did not finish in time");
            Ok(())
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
            "{address} is taken by another program: stop it, or choose another address with \
             --bind (port 0 finds a free one)"
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}

/// Listens for ctrl-c and SIGTERM from this call on; the future resolves at the first of them.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a way to be told, run until killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

async fn refresh_keys(state: &AppState) {
    let state = state.clone();
    let work = move || state.keys.refresh(&state.store, state.now());
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!("keys: {error:#}; the known ones stay in force"),
        Err(error) => tracing::error!(%error, "the key upkeep failed"),
    }
}

async fn clean_up(state: &AppState) {
    state.registrations.clean_up();
    state.logins.clean_up();
    state.fetches.clean_up();
    if let Err(error) = state.store.clean_up(state.now()).await {
        tracing::error!(%error, "the clean-up failed");
    }
}

fn announce(
    state: &AppState,
    address: SocketAddr,
) {
    let config = &state.config;
    let issuer = &config.issuer.text;
    let keys = config.settings.keys_dir.display();
    let made = if state.made_keys {
        ", made just now"
    } else {
        ""
    };
    tracing::info!("auth-server is listening on http://{address}, its issuer is {issuer}");
    tracing::info!(
        "signing key {} in {keys}{made}",
        state.keys.ring().signer.kid()
    );
    tracing::info!("tokens are for {}", config.settings.resource.join(" and "));
    if let Some(upstream) = &state.upstream {
        tracing::info!(
            "users sign in at {}, as {}:.. and with the role {}",
            upstream.label(),
            upstream.name(),
            config.settings.upstream_role
        );
    }
    tracing::info!(
        "this is one process on one SQLite file: never run a second one on it, and for production run an issuer that is \
         made for it (docs/production.md)"
    );
    warn_of_loose_settings(config);
    tracing::info!("try next: cargo run -p step8 -- --issuer {issuer}");
    tracing::info!(
        "     and: cargo run -p mcp-client -- walk {}",
        config.settings.resource[0]
    );
    tracing::info!("or open {issuer} in a browser");
}

fn warn_of_loose_settings(config: &Config) {
    if config.has_demo_users() {
        let names: Vec<_> = DEMO.iter().map(|(name, role)| format!("{name} ({role})")).collect();
        tracing::warn!(
            "DEMO USERS, each with its name as the password: {}. Never use them outside this machine.",
            names.join(", ")
        );
    }
    if config.settings.allow_loopback_client_metadata {
        tracing::warn!("client metadata documents may lie on this machine: for development only");
    }
}
