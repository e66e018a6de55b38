//! The login of last time, so that a workshop needs no login for every call.
//!
//! One file in the user's cache folder, readable by that user only (0600), written whole and then
//! renamed, so that it is never half there. Spec: OAuth 2.1 section 7.1. Left out: the keychain of
//! the system, which is where a client for daily use belongs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use anyhow::Result;
use etcetera::BaseStrategy;
use etcetera::base_strategy::choose_native_strategy;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::gate::secret::Kept;

/// A token is not used in its last seconds: it would expire on the way.
const MARGIN: u64 = 30;

/// What is needed to call, and later to refresh, at one server as one user.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Entry {
    pub(crate) access_token: Kept,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<Kept>,
    /// Seconds since 1970.
    pub(crate) expires_at: u64,
    pub(crate) scopes: Vec<String>,
    /// Tokens and client ids belong to the authorization server that gave them, and to no other.
    pub(crate) issuer: String,
    pub(crate) resource: String,
    pub(crate) client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<Kept>,
}

impl Entry {
    pub(crate) fn is_fresh(&self) -> bool {
        self.expires_at > now() + MARGIN
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |duration| duration.as_secs())
}

/// The file of all logins.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    file: PathBuf,
}

impl Cache {
    /// In this folder, or in the user's own.
    pub(crate) fn open(folder: Option<PathBuf>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder,
            None => choose_native_strategy()
                .context("no cache folder is known: name one with --cache-dir")?
                .cache_dir()
                .join("mcp-client"),
        };
        Ok(Self {
            file: folder.join("logins.json"),
        })
    }

    pub(crate) fn find(
        &self,
        key: &str,
    ) -> Option<Entry> {
        let entry = self.read().remove(key)?;
        serde_json::from_value(entry).ok()
    }

    /// Keeps an entry, or with `None` forgets it.
    pub(crate) fn keep(
        &self,
        key: &str,
        entry: Option<&Entry>,
    ) -> Result<()> {
        let mut all = self.read();
        all.remove(key);
        if let Some(entry) = entry {
            all.insert(key.to_owned(), serde_json::to_value(entry)?);
        }
        let text = serde_json::to_string_pretty(&all)?;
        let place = || format!("the login cannot be kept in {}", self.file.display());
        write_private(&self.file, &text).with_context(place)
    }

    /// A file that cannot be read is as good as none: everybody can log in again.
    fn read(&self) -> Map<String, Value> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// Logins at one server as different users are different entries.
pub(crate) fn key(
    url: &str,
    user: Option<&str>,
) -> String {
    format!("{} {url}", user.unwrap_or("-"))
}

fn write_private(
    file: &Path,
    text: &str,
) -> Result<()> {
    let folder = file.parent().context("the file has no folder")?;
    fs::create_dir_all(folder)?;
    let draft = file.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&draft)?.write_all(text.as_bytes())?;
    fs::rename(&draft, file)?;
    Ok(())
}
