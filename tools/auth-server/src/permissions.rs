//! Files that hold secrets and that others can read: said, never changed.
//!
//! Somebody may have opened them on purpose, or the file system may have no modes at all. What has
//! been readable has to be taken for read anyway, and only a person can decide about that.

use std::path::Path;

/// Says in the log which of the files others can read, and what to do.
pub(crate) fn warn_about(
    kind: &str,
    paths: &[&Path],
) {
    for path in paths {
        if let Some(mode) = mode_for_others(path) {
            tracing::warn!(
                "{kind} {path} can be read by others (mode {mode:04o}): take it for known to them, \
                 and `chmod 600 {path}`",
                path = path.display(),
            );
        }
    }
}

/// The file's mode where it gives anything to the group or to others.
#[cfg(unix)]
pub(crate) fn mode_for_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Modes are a Unix notion.
#[cfg(not(unix))]
pub(crate) fn mode_for_others(_path: &Path) -> Option<u32> {
    None
}
