//! The state: one SQLite file, so that a restart (also `kill -9`) loses nothing that was answered.
//!
//! Every operation is one transaction. It is on the disk before the answer goes out (write-ahead
//! log, `synchronous = FULL`), and it is the only one running (`BEGIN IMMEDIATE` on one
//! connection), so "look, then change" inside of it cannot be interleaved with another request.
//!
//! Nothing that lets anybody in is stored as itself: codes, tokens, sessions and secrets are
//! SHA-256 hashes, and the tokens of an upstream provider are sealed. The exception is the next
//! signing key, which is why the file has mode 0600.

pub(crate) mod assertions;
pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod grants;
pub(crate) mod keys;
pub(crate) mod sessions;
pub(crate) mod upstream;
pub(crate) mod withdrawal;

use std::fmt;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use rusqlite::Connection;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;

use crate::permissions;
use crate::secret;

/// What every table means is said beside it.
const SCHEMA: &str = include_str!("store/schema.sql");

/// Version of the schema, in the file's `user_version`. Older files are brought up to it, newer
/// ones refused.
const VERSION: i64 = 4;

/// The way from version 1.
const UPGRADE_1: &str = include_str!("store/upgrade_1.sql");

/// The database failed. The cause is for the log only.
#[derive(Debug)]
pub(crate) struct StoreError(String);

impl fmt::Display for StoreError {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        write!(f, "the database failed: {}", self.0)
    }
}

/// The open database. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Store {
    connection: Arc<Mutex<Connection>>,
    /// Held as long as the store lives; the operating system drops it with the process.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Opens the file for the server: the only process that may.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        make_private(path)?;
        // By its real name: a symbolic link is not another database.
        let path = &path
            .canonicalize()
            .with_context(|| format!("cannot open the database {}", path.display()))?;
        let lock = lock(path)?;
        let mut store = Self::open_shared(path)?;
        store._lock = Some(Arc::new(lock));
        let log = beside(path, "-wal");
        permissions::warn_about("the database", &[path, &log]);
        Ok(store)
    }

    /// Opens the file beside a running server, for one short transaction (`rotate-keys`).
    pub(crate) fn open_shared(path: &Path) -> Result<Self> {
        make_private(path)?;
        let describe = || format!("cannot use the database {}", path.display());
        let mut connection = Connection::open(path).with_context(describe)?;
        prepare(&mut connection).with_context(describe)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            _lock: None,
        })
    }

    /// Runs `work` in one transaction, off the async threads. `Ok` commits, `Err` undoes all.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.run_now(work))
            .await
            .map_err(|error| StoreError(error.to_string()))?
    }

    /// The same on the calling thread, for start-up and command line tools.
    pub(crate) fn run_now<R>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
        // A panic inside `work` has rolled its transaction back: the connection is usable.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        transact(&mut connection, work).map_err(|error| StoreError(error.to_string()))
    }

    /// The key for form tokens and refresh successors: made once, kept for ever.
    pub(crate) fn seal_key(&self) -> Result<Vec<u8>, StoreError> {
        self.run_now(|tx| {
            tx.execute(
                "INSERT OR IGNORE INTO secrets (name, value) VALUES ('seal', ?1)",
                [secret::random().into_bytes()],
            )?;
            tx.query_row("SELECT value FROM secrets WHERE name = 'seal'", [], |row| {
                row.get(0)
            })
        })
    }

    /// Deletes what has expired. Rows that guard against reuse stay as long as the grant they
    /// guard: see the schema.
    pub(crate) async fn clean_up(
        &self,
        now: i64,
    ) -> Result<(), StoreError> {
        self.run(move |tx| {
            sessions::clean_up(tx, now)?;
            clients::clean_up(tx, now)?;
            assertions::clean_up(tx, now)?;
            codes::clean_up(tx, now)?;
            grants::clean_up(tx, now)?;
            upstream::clean_up(tx, now)
        })
        .await
    }
}

fn transact<R>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
) -> rusqlite::Result<R> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&tx)?;
    tx.commit()?;
    Ok(result)
}

/// Creates file and directory before SQLite would, because it would give them the usual mode.
fn make_private(path: &Path) -> Result<()> {
    if let Some(directory) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    open_private(path)
        .map(drop)
        .with_context(|| format!("cannot open the database {}", path.display()))
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// The file whose name is that of the database and this ending.
fn beside(
    path: &Path,
    ending: &str,
) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Takes the lock that makes this process the only server on the file.
fn lock(path: &Path) -> Result<File> {
    let lock = beside(path, ".lock");
    let file = open_private(&lock).with_context(|| format!("cannot open {}", lock.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another auth-server is using the database {}: stop it, or give --data another file",
            path.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", lock.display()))
        }
    }
}

fn prepare(connection: &mut Connection) -> Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What was deleted is overwritten, also in the file.
    connection.pragma_update(None, "secure_delete", "ON")?;
    bring_up_to_date(connection)
}

/// One transaction, so that of two processes that open an old file one does it.
fn bring_up_to_date(connection: &mut Connection) -> Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let upgrade = match tx.pragma_query_value(None, "user_version", |row| row.get(0))? {
        // Versions 3 and 4 only have tables that the one before had not.
        0 | 2 | 3 => "",
        1 => UPGRADE_1,
        VERSION => return Ok(()),
        other => bail!("it has schema version {other}, this program knows {VERSION}: move it away"),
    };
    tx.execute_batch(&format!("{upgrade} {SCHEMA}"))
        .context("cannot make the tables")?;
    tx.pragma_update(None, "user_version", VERSION)?;
    Ok(tx.commit()?)
}
