//! Where the workspace lies.

use std::path::Path;
use std::path::PathBuf;

/// The folder with the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap().to_owned()
}
