//! A step as a user runs it: the real binary, on a port and with keys of its own.

use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::SystemTime;

use reqwest::Client;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

/// How long a server may take to start, or to answer one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first step with a flag for the key file, and the first that demands a token.
const HAS_KEYS: u8 = 5;
pub(crate) const HAS_AUTH: u8 = 6;

/// Flags of gen-token: one user of the role `user`, and one of the role `admin` with every scope.
pub(crate) const ALICE: [&str; 2] = ["--username", "alice"];
pub(crate) const ADMIN: [&str; 6] = [
    "--username",
    "admin",
    "--roles",
    "admin",
    "--scopes",
    "mcp:read mcp:tools mcp:prompts mcp:audit",
];

/// A server of this workspace. It ends when this value goes out of scope.
struct Process {
    child: Child,
    address: SocketAddr,
    http: Client,
}

/// A running step.
pub(crate) struct Server {
    pub(crate) step: u8,
    process: Process,
    keys: TempDir,
}

/// A running authorization server, with keys and data of its own.
pub(crate) struct AuthServer {
    process: Process,
    folder: TempDir,
    resource: String,
}

/// An answer over HTTP, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
}

/// The two ways of speaking MCP over HTTP, the older one in its form without headers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Era {
    Handshake,
    Modern,
}

pub(crate) const ERAS: [Era; 2] = [Era::Handshake, Era::Modern];

impl Server {
    /// With keys of its own, as soon as the step has a use for them.
    pub(crate) fn start(step: u8) -> Self {
        Self::start_with(step, &[])
    }

    /// With more flags; `--issuer` among them takes the place of the key file.
    pub(crate) fn start_with(
        step: u8,
        flags: &[&str],
    ) -> Self {
        let keys = tempfile::tempdir().unwrap();
        if step >= HAS_KEYS {
            gen_token(keys.path(), &["--generate-keys"]);
        }
        Self::run(step, keys, flags)
    }

    /// Before anybody has made a key.
    pub(crate) fn start_without_keys(step: u8) -> Self {
        Self::run(step, tempfile::tempdir().unwrap(), &[])
    }

    fn run(
        step: u8,
        keys: TempDir,
        flags: &[&str],
    ) -> Self {
        let mut command = command(&name(step));
        if step >= HAS_KEYS && !flags.contains(&"--issuer") {
            command.arg("--public-key");
            command.arg(keys.path().join("public.pem"));
        }
        command.args(flags);
        Self {
            step,
            process: Process::start(command),
            keys,
        }
    }

    /// The URL of a path, by address: `localhost` may be tried as IPv6 first.
    pub(crate) fn url(
        &self,
        path: &str,
    ) -> String {
        format!("http://{}{path}", self.process.address)
    }

    /// The server as its tokens name it.
    pub(crate) fn resource(&self) -> String {
        format!("http://localhost:{}/mcp", self.process.address.port())
    }

    /// A token for this server, from gen-token.
    pub(crate) fn token(
        &self,
        flags: &[&str],
    ) -> String {
        let resource = self.resource();
        gen_token(
            self.keys.path(),
            &[&["--resource", &resource], flags].concat(),
        )
    }

    /// A token for this server if it wants one.
    pub(crate) fn token_if_needed(
        &self,
        flags: &[&str],
    ) -> Option<String> {
        (self.step >= HAS_AUTH).then(|| self.token(flags))
    }

    pub(crate) async fn get(
        &self,
        path: &str,
    ) -> Answer {
        self.process.get(path).await
    }

    /// One request to `/mcp` as the era demands it, with the id `1`.
    pub(crate) async fn call(
        &self,
        era: Era,
        token: Option<&str>,
        method: &str,
        mut params: Value,
    ) -> Answer {
        let mut request = self.process.http.post(self.url("/mcp"));
        if era == Era::Modern {
            request = request
                .header("MCP-Protocol-Version", "2026-07-28")
                .header("Mcp-Method", method);
            if let Some(name) = params["name"].as_str() {
                request = request.header("Mcp-Name", name);
            }
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = request.header("Content-Type", "application/json");
        answer(request.body(message.to_string())).await
    }
}

impl AuthServer {
    /// For tokens that are meant for one resource, which need not run.
    pub(crate) fn start(resource: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command("auth-server");
        command.args(["--resource", resource]);
        command.arg("--keys-dir").arg(folder.path());
        command.arg("--data").arg(folder.path().join("data.db"));
        Self {
            process: Process::start(command),
            folder,
            resource: resource.to_owned(),
        }
    }

    /// Its name in tokens and documents.
    pub(crate) fn issuer(&self) -> String {
        format!("http://localhost:{}", self.process.address.port())
    }

    pub(crate) async fn get(
        &self,
        path: &str,
    ) -> Answer {
        self.process.get(path).await
    }

    /// A token that gen-token signs with the same keys, in the name of this server.
    pub(crate) fn token(
        &self,
        flags: &[&str],
    ) -> String {
        let issuer = self.issuer();
        let names = ["--issuer", &issuer, "--resource", &self.resource];
        gen_token(self.folder.path(), &[&names, flags].concat())
    }
}

impl Process {
    /// Runs a server on a free port, until it says which.
    fn start(mut command: Command) -> Self {
        let mut child = command
            .args(["--bind", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = listening(child.stderr.take().unwrap());
        if address.is_none() {
            let _ = child.kill();
        }
        Self {
            address: address.unwrap_or_else(|| panic!("it does not start: {command:?}")),
            child,
            // A proxy in the environment must not see what is meant for this machine.
            http: Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .timeout(PATIENCE)
                .build()
                .unwrap(),
        }
    }

    async fn get(
        &self,
        path: &str,
    ) -> Answer {
        answer(self.http.get(format!("http://{}{path}", self.address))).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(
        &self,
        name: &str,
    ) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }
}

pub(crate) fn name(step: u8) -> String {
    format!("step{step}")
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().into(),
    }
}

/// What gen-token prints.
fn gen_token(
    keys: &Path,
    flags: &[&str],
) -> String {
    let mut command = command("gen-token");
    command.args(flags).arg("--keys-dir").arg(keys);
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gen-token {flags:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A binary of this workspace, without settings from the environment of the test.
fn command(binary: &str) -> Command {
    let mut command = Command::new(built(binary));
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings {
        let text = name.to_string_lossy();
        if ["MCP_", "AUTH_"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            command.env_remove(&name);
        }
    }
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// The path of a binary that is as new as its sources.
fn built(binary: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // The test itself is target/<profile>/deps/checks-<hash>.
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join(format!("{binary}{}", std::env::consts::EXE_SUFFIX));
    let order = "build the binaries first: cargo build --workspace --bins";
    let Some(time) = modified(&path) else {
        panic!("there is no {}; {order}", path.display());
    };
    for source in sources(&profile.join(format!("{binary}.d"))) {
        let fresh = modified(&source).is_some_and(|source| source <= time);
        assert!(
            fresh,
            "{binary} is older than {}; {order}",
            source.display()
        );
    }
    path
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}

/// What cargo says a binary was made from: `binary: source source`, a space in a path as `\ `.
fn sources(file: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let list = text.split_once(": ").map_or("", |(_, list)| list);
    list.replace("\\ ", "\0")
        .split_whitespace()
        .map(|path| path.replace('\0', " ").into())
        .collect()
}

/// Reads the log until it says where the server listens; the rest is read by nobody, but it must be
/// read, or the server would block. The log of a server that does not start is shown.
fn listening(log: ChildStderr) -> Option<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    while let Ok(line) = receiver.recv_timeout(PATIENCE) {
        let rest = line.split_once("is listening").map(|(_, rest)| rest);
        let url = rest.and_then(|rest| rest.split_once("http://"));
        match url.and_then(|(_, url)| url.split(['/', ',']).next()) {
            Some(address) => return address.parse().ok(),
            None => eprintln!("{line}"),
        }
    }
    None
}
