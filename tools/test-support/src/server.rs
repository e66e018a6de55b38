//! A server that runs while its value lives.

use std::fmt;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use crate::log::Log;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a port is chosen anew when another program was faster.
const ATTEMPTS: usize = 5;

/// A server of this workspace.
///
/// It is killed when this value goes out of scope; where that is because the test fails, the
/// newest part of its log is shown.
pub struct Server {
    command: Command,
    child: Child,
    address: SocketAddr,
    log: Log,
}

/// A server that ended, or was silent for a minute, instead of listening. It has been ended.
#[derive(Debug)]
pub struct NotStarted {
    command: String,
    log: String,
}

impl Server {
    /// Starts it on a free port of 127.0.0.1, and waits until it listens.
    ///
    /// The command has all flags but `--bind`. What it prints is read here.
    ///
    /// # Panics
    ///
    /// Where it does not start; with what it printed.
    #[must_use]
    #[track_caller]
    pub fn start(command: Command) -> Self {
        match Self::try_start(command, 0) {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts it on this port of 127.0.0.1, which may be taken; 0 is any that is free.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub fn try_start(
        mut command: Command,
        port: u16,
    ) -> Result<Self, NotStarted> {
        command.args(["--bind", &format!("127.0.0.1:{port}")]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (child, address, log) = launch(&mut command)?;
        Ok(Self {
            command,
            child,
            address,
            log,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its origin as tokens and documents name it: `http://localhost:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// The URL of a path by address, because `localhost` may be tried as IPv6 first.
    #[must_use]
    pub fn url(
        &self,
        path: &str,
    ) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The newest 64 KiB of what it printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it once more with the same flags; its port is another one if it was chosen freely.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        match launch(&mut self.command) {
            Ok(started) => (self.child, self.address, self.log) = started,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("what {} printed:\n{}", name(&self.command), self.log());
        }
    }
}

impl fmt::Display for NotStarted {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        write!(f, "it does not start: {}\n{}", self.command, self.log)
    }
}

impl std::error::Error for NotStarted {}

/// Starts a server, and waits until it listens.
fn launch(command: &mut Command) -> Result<(Child, SocketAddr, Log), NotStarted> {
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let log = Log::default();
    log.follow(child.stdout.take().expect("it is piped"));
    log.follow(child.stderr.take().expect("it is piped"));
    if let Some(address) = log.address(PATIENCE) {
        return Ok((child, address, log));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(NotStarted {
        command: format!("{command:?}"),
        log: log.text(),
    })
}

fn name(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    program.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// Starts servers that have to know a port before one of them listens on it.
///
/// `start` gets a port that was free a moment ago. Nothing holds it, so another program may be
/// faster: then `start` is called again, with another port.
///
/// # Panics
///
/// Where the fifth attempt fails, too; with what the server printed.
#[track_caller]
pub fn on_free_port<T>(mut start: impl FnMut(u16) -> Result<T, NotStarted>) -> T {
    for _ in 1..ATTEMPTS {
        match start(free_port()) {
            Ok(started) => return started,
            Err(error) => eprintln!("{error}"),
        }
    }
    match start(free_port()) {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
