//! Finding a binary that is as new as its sources.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::SystemTime;

/// A program of this workspace by its name, to be started or run.
///
/// It takes no settings from the environment of the test (`MCP_..`, `AUTH_..`, `RUST_LOG`), and
/// its standard input is empty.
///
/// # Panics
///
/// Where the binary is missing or older than its sources.
#[must_use]
#[track_caller]
pub fn command(name: &str) -> Command {
    let mut command = match find(&folder(), name) {
        Ok(path) => Command::new(path),
        Err(problem) => panic!("{problem}"),
    };
    command.stdin(Stdio::null());
    forget_settings(
        &mut command,
        std::env::vars_os().map(|(variable, _)| variable),
    );
    command
}

/// Of these environment variables, the program gets none that would be a setting of its own.
fn forget_settings(
    command: &mut Command,
    variables: impl Iterator<Item = OsString>,
) {
    for variable in variables {
        let text = variable.to_string_lossy();
        if text.starts_with("MCP_") || text.starts_with("AUTH_") || text == "RUST_LOG" {
            command.env_remove(&variable);
        }
    }
}

/// Where cargo puts binaries. The test that runs is `target/<profile>/deps/<name>-<hash>`.
fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent);
    folder.expect("cargo runs tests from its `deps` folder").to_owned()
}

/// Why a binary must not be used.
#[derive(Debug)]
enum Unfit {
    /// There is no such file.
    Missing(PathBuf),
    /// This source is newer than the binary of this name, or gone.
    Older(String, PathBuf),
    /// Cargo left no list of what the binary of this name was made from.
    NoSources(String),
}

impl fmt::Display for Unfit {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "there is no {}", path.display())?,
            Self::Older(name, source) => {
                write!(f, "{name} is older than {}", source.display())?;
            }
            Self::NoSources(name) => write!(f, "nobody knows from which sources {name} is")?,
        }
        f.write_str("; build the binaries first: cargo build --workspace --bins")
    }
}

/// The path of a binary in a folder of cargo's.
fn find(
    folder: &Path,
    name: &str,
) -> Result<PathBuf, Unfit> {
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let Some(built) = modified(&path) else {
        return Err(Unfit::Missing(path));
    };
    let sources = sources(&folder.join(format!("{name}.d")));
    if sources.is_empty() {
        return Err(Unfit::NoSources(name.to_owned()));
    }
    let is_newer = |source: &PathBuf| modified(source).is_none_or(|changed| changed > built);
    match sources.into_iter().find(is_newer) {
        Some(source) => Err(Unfit::Older(name.to_owned(), source)),
        None => Ok(path),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}

/// What cargo says a binary was made from: `binary: source source`, a space in a path as `\ `.
fn sources(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let list = text.split_once(": ").map_or("", |(_, list)| list);
    list.replace("\\ ", "\0")
        .split_whitespace()
        .map(|path| path.replace('\0', " ").into())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    const NAME: &str = "a-program";

    /// A folder as cargo leaves it, whose source has a space in its name.
    fn built() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("ma in.rs");
        let binary = folder.path().join(format!("{NAME}{}", std::env::consts::EXE_SUFFIX));
        fs::write(&source, "").unwrap();
        fs::write(&binary, "").unwrap();
        let escaped = source.display().to_string().replace(' ', "\\ ");
        let list = format!("{}: {escaped}\n", binary.display());
        fs::write(folder.path().join(format!("{NAME}.d")), list).unwrap();
        set_time(&source, 1);
        set_time(&binary, 2);
        folder
    }

    /// The last change of a file, in hours after some beginning.
    fn set_time(
        path: &Path,
        hours: u64,
    ) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3600);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_binary_newer_than_its_sources_is_found() {
        let folder = built();
        let path = find(folder.path(), NAME).unwrap();
        assert_eq!(path.file_stem().unwrap(), NAME);
    }

    #[test]
    fn a_binary_older_than_a_source_is_refused() {
        let folder = built();
        let source = folder.path().join("ma in.rs");
        set_time(&source, 3);
        let problem = find(folder.path(), NAME).unwrap_err();
        assert!(matches!(&problem, Unfit::Older(_, path) if *path == source));
    }

    #[test]
    fn a_binary_whose_source_is_gone_is_refused() {
        let folder = built();
        fs::remove_file(folder.path().join("ma in.rs")).unwrap();
        let problem = find(folder.path(), NAME).unwrap_err();
        assert!(matches!(problem, Unfit::Older(..)));
    }

    #[test]
    fn a_binary_of_unknown_sources_is_refused() {
        let folder = built();
        fs::remove_file(folder.path().join(format!("{NAME}.d"))).unwrap();
        let problem = find(folder.path(), NAME).unwrap_err();
        assert!(matches!(problem, Unfit::NoSources(_)));
    }

    #[test]
    fn a_missing_binary_is_refused_with_the_command_that_builds_it() {
        let folder = built();
        let problem = find(folder.path(), "another").unwrap_err();
        assert!(matches!(problem, Unfit::Missing(_)));
        assert!(problem.to_string().ends_with(": cargo build --workspace --bins"));
    }

    #[test]
    fn settings_of_the_environment_stay_outside() {
        let mut command = Command::new(NAME);
        let variables = ["MCP_ISSUER", "AUTH_BIND", "RUST_LOG", "PATH", "HOME"];
        forget_settings(&mut command, variables.map(OsString::from).into_iter());
        let removed: Vec<_> = command.get_envs().map(|(name, _)| name).collect();
        assert_eq!(removed, ["AUTH_BIND", "MCP_ISSUER", "RUST_LOG"]);
    }
}
