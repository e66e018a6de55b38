//! Starting and stopping, and the two commands beside the server.

use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::timeout;

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::Settings;
use crate::keys;
use crate::state::AppState;
use crate::store::Store;
use crate::users;
use crate::users::DEMO;

/// How long requests in flight may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Rows are cleaned up every so many seconds; keys are looked at every second.
const CLEAN_UP_EVERY: u64 = 60;

/// Runs the server until SIGINT or SIGTERM. The error is one sentence for the person who
/// started it.
pub async fn serve(settings: Settings) -> Result<()> {
    let signal = stop_signal()?;
    let listener = listen(settings.bind).await?;
    let address = listener.local_addr()?;
    let config = Config::new(settings, address)?;
    let state = AppState::open(config, Clock::default())?;
    announce(&state, address);
    let (stop, stopped) = watch::channel(());
    let upkeep = tokio::spawn(upkeep(state.clone(), stopped.clone()));
    let service = app(state).into_make_service_with_connect_info::<SocketAddr>();
    let mut wait = stopped.clone();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        // Either a signal or the sender's end: both mean stop.
        let _ = wait.changed().await;
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

/// Follows the keys every second and throws away what has expired every minute.
async fn upkeep(
    state: AppState,
    mut stopped: watch::Receiver<()>,
) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count: u64 = 0;
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            _ = ticks.tick() => {}
        }
        refresh_keys(&state).await;
        if count.is_multiple_of(CLEAN_UP_EVERY) {
            clean_up(&state).await;
        }
        count = count.wrapping_add(1);
    }
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
    tracing::info!("try next: cargo run -p step8 -- --issuer {issuer}");
    tracing::info!(
        "     and: cargo run -p mcp-client -- walk {}",
        config.settings.resource[0]
    );
    tracing::info!("or open {issuer} in a browser");
}

/// `rotate-keys`: puts a new key in line. It is published at once (by the running server, within
/// a second) and signs after `lead` seconds. Prints its `kid`.
pub fn rotate_keys(
    settings: &Settings,
    lead: i64,
) -> Result<()> {
    ensure!(
        settings.data.exists(),
        "there is no database {}: name the server's with --data, or start it once",
        settings.data.display()
    );
    let store = Store::open_shared(&settings.data)?;
    match keys::put_next(&store, Clock::default().now() + lead)? {
        Some(kid) => {
            eprintln!("the new key is published from now on and signs in {lead} seconds:");
            println!("{kid}");
            Ok(())
        }
        None => bail!("a new key is in line already: wait until it has taken over"),
    }
}

/// `hash-password`: reads one line from standard input, prints its argon2 hash.
pub fn hash_password() -> Result<()> {
    eprint!("password (the input is visible): ");
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("the password is empty: type it, or pipe it in");
    }
    println!("{}", users::hash(password)?);
    Ok(())
}
