//! Files that are replaced in one rename, so that no reader meets half of one.

use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::io::Write;
use std::path;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use tempfile::NamedTempFile;

/// `None` where the file does not exist; every other failure is an error.
pub(crate) fn read(
    dir: &Path,
    name: &str,
) -> Result<Option<String>> {
    match fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", shown(dir, name))),
    }
}

/// Puts `text` in place in one rename, after it has reached the disk.
///
/// `false` where the file exists and may not be overwritten. The temporary file lies in the same
/// directory, as a rename must not cross file systems, and has its mode from the start: changing
/// it later would leave a moment in which others could open a private key.
pub(crate) fn replace(
    dir: &Path,
    name: &str,
    text: &str,
    mode: u32,
    overwrite: bool,
) -> Result<bool> {
    let written =
        write_new(dir, text, mode).and_then(|file| persist(file, &dir.join(name), overwrite));
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", shown(dir, name))),
    }
}

fn write_new(
    dir: &Path,
    text: &str,
    mode: u32,
) -> io::Result<NamedTempFile> {
    let mut file = temporary(dir, mode)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn persist(
    file: NamedTempFile,
    path: &Path,
    overwrite: bool,
) -> io::Result<()> {
    let kept = if overwrite {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    kept.map(drop).map_err(|failed| failed.error)
}

#[cfg(unix)]
fn temporary(
    dir: &Path,
    mode: u32,
) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)
}

/// Without unix modes the file inherits the access rules of the directory.
#[cfg(not(unix))]
fn temporary(
    dir: &Path,
    _mode: u32,
) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().tempfile_in(dir)
}

#[cfg(unix)]
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(dir)
}

/// The file's full path: a relative one is no help to somebody in the wrong directory.
pub(crate) fn shown(
    dir: &Path,
    name: &str,
) -> String {
    let path = dir.join(name);
    path::absolute(&path).unwrap_or(path).display().to_string()
}
