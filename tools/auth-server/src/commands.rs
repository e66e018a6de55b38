//! The commands beside the server. Those that change something do it in its database, also while
//! it runs.

use std::io;
use std::io::Write;

use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use anyhow::ensure;

use crate::audit;
use crate::clock::Clock;
use crate::config::Settings;
use crate::keys;
use crate::passwords;
use crate::store;
use crate::store::Store;
use crate::store::withdrawal::Withdrawn;

/// `rotate-keys`: puts a new key in line. It is published at once (by the running server, within
/// a second) and signs after `lead` seconds. Prints its `kid`.
pub fn rotate_keys(
    settings: &Settings,
    lead: i64,
) -> Result<()> {
    let store = open_existing(settings)?;
    match keys::put_next(&store, Clock::default().now() + lead)? {
        Some(kid) => {
            eprintln!("the new key is published from now on and signs in {lead} seconds:");
            println!("{kid}");
            Ok(())
        }
        None => bail!("a new key is in line already: wait until it has taken over"),
    }
}

/// Whose everything `revoke` takes back.
pub enum Revoked<'a> {
    /// A user, by name.
    User(&'a str),
    /// A client, by its `client_id`.
    Client(&'a str),
}

/// `revoke`: ends sessions, codes and grants in the database, beside a running server, for which
/// that counts from the next request on. Says on standard output how much there was.
pub fn revoke(
    settings: &Settings,
    whose: &Revoked<'_>,
) -> Result<()> {
    let store = open_existing(settings)?;
    let now = Clock::default().now();
    let withdrawn = store.run_now(|tx| match whose {
        Revoked::User(name) => store::withdrawal::of_user(tx, name, now),
        Revoked::Client(id) => store::withdrawal::of_client(tx, id, now),
    });
    let withdrawn = withdrawn.map_err(|error| anyhow!("{error}"))?;
    let (kind, name) = match whose {
        Revoked::User(name) => ("user", name),
        Revoked::Client(id) => ("client", id),
    };
    let ended = format!(
        "{} sessions, {} codes and {} grants ended",
        withdrawn.sessions, withdrawn.codes, withdrawn.grants
    );
    record(whose, &ended);
    println!("{kind} {name:?}: {ended}");
    if withdrawn == Withdrawn::default() {
        eprintln!("nothing was in force; is that how the name is written?");
    }
    Ok(())
}

fn record(
    whose: &Revoked<'_>,
    detail: &str,
) {
    let (user, client) = match *whose {
        Revoked::User(name) => (name, ""),
        Revoked::Client(id) => ("", id),
    };
    audit::allowed(audit::Entry {
        event: "revoke.all",
        user,
        client,
        detail,
    });
}

/// The database of a server that has run.
fn open_existing(settings: &Settings) -> Result<Store> {
    ensure!(
        settings.data.exists(),
        "there is no database {}: name the server's with --data, or start it once",
        settings.data.display()
    );
    Store::open_shared(&settings.data)
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
    println!("{}", passwords::hash(password)?);
    Ok(())
}
