//! The real servers behind two small proxies, each of which can put one fault into what passes.
//!
//! The proxies are bound first, so both servers know each other's addresses without guessing
//! ports. Everything listens on loopback, and ends with the test.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

/// What a proxy changes: first the request, which also gets a good token; then the answer, which
/// also gets the request as it came.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) request: fn(String, &str) -> String,
    pub(crate) reply: fn(&str, String) -> String,
}

/// Nothing is changed.
pub(crate) const NONE: Fault = Fault {
    request: |request, _| request,
    reply: |_, reply| reply,
};

/// A fault in the answers.
pub(crate) const fn reply(reply: fn(&str, String) -> String) -> Fault {
    Fault {
        reply,
        ..NONE
    }
}

/// A fault in how requests are taken.
pub(crate) const fn request(request: fn(String, &str) -> String) -> Fault {
    Fault {
        request,
        ..NONE
    }
}

/// A server of this workspace, ended by its id when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a proxy learns after it was bound.
#[derive(Default)]
struct Behind {
    port: OnceLock<u16>,
    token: OnceLock<String>,
}

/// An authorization server, one of the steps, and a folder for all files.
pub(crate) struct Stack {
    /// The MCP endpoint.
    pub(crate) url: String,
    pub(crate) issuer: String,
    pub(crate) folder: TempDir,
    servers: Vec<Server>,
}

/// The binary of another package, which must have been built.
fn binary(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_mcp-client"))
        .parent()
        .unwrap();
    let file = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        file.exists(),
        "{name} is not built: run `cargo build --workspace --bins` first"
    );
    file
}

fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    for (name, _) in std::env::vars() {
        if name.starts_with("MCP_") || name.starts_with("AUTH_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

impl Stack {
    /// step8 with an authorization server, nothing wrong with either.
    pub(crate) fn healthy() -> Self {
        Self::start(8, NONE, NONE)
    }

    /// A step, with an authorization server where the step can use one.
    pub(crate) fn start(
        step: u8,
        server_fault: Fault,
        issuer_fault: Fault,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let (server_port, server) = proxy(server_fault);
        let (issuer_port, issuer) = proxy(issuer_fault);
        let (url, issuer_url) = (
            format!("http://localhost:{server_port}/mcp"),
            format!("http://localhost:{issuer_port}"),
        );
        let mut stack = Self {
            url: url.clone(),
            issuer: issuer_url.clone(),
            folder,
            servers: Vec::new(),
        };
        stack.token(&["--generate-keys"]);
        let keys = stack.folder.path().join("keys");
        let public_key = keys.join("public.pem");
        if step >= 7 {
            let arguments = ["--issuer", &issuer_url, "--resource", &url, "--keys-dir"];
            let port = stack.serve("auth-server", &arguments, Some(&keys));
            issuer.port.set(port).unwrap();
        }
        let name = format!("step{step}");
        let both = ["--issuer", &issuer_url, "--resource", &url];
        let port = match step {
            ..5 => stack.serve(&name, &[], None),
            5 => stack.serve(&name, &["--public-key"], Some(&public_key)),
            6 => stack.serve(
                &name,
                &[&both[..], &["--public-key"]].concat(),
                Some(&public_key),
            ),
            _ => stack.serve(&name, &both, None),
        };
        server.port.set(port).unwrap();
        let good = stack.token(&["--scopes", "mcp:read mcp:tools mcp:prompts"]);
        server.token.set(good).unwrap();
        stack
    }

    /// Starts a server on a free port, which it logs.
    fn serve(
        &mut self,
        name: &str,
        arguments: &[&str],
        file: Option<&Path>,
    ) -> u16 {
        let log = self.folder.path().join(format!("{name}.log"));
        let out = File::create(&log).unwrap();
        let child = command(name)
            .args(["--bind", "127.0.0.1:0"])
            .args(arguments)
            .args(file)
            .current_dir(self.folder.path())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        self.servers.push(Server(child));
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let text = fs::read_to_string(&log).unwrap();
            if let Some(port) = logged_port(&text) {
                return port;
            }
            assert!(Instant::now() < deadline, "{name} did not start: {text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A token from gen-token for alice, for this endpoint unless told otherwise.
    pub(crate) fn token(
        &self,
        arguments: &[&str],
    ) -> String {
        let output = command("gen-token")
            .arg("--keys-dir")
            .arg(self.folder.path().join("keys"))
            .args(["--issuer", &self.issuer])
            .args(if arguments.contains(&"--generate-keys") {
                &[][..]
            } else {
                &["--username", "alice"]
            })
            .args(if arguments.contains(&"--audience") {
                Vec::new()
            } else {
                vec!["--audience", &self.url]
            })
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs mcp-client with a cache of its own.
    pub(crate) fn client(
        &self,
        arguments: &[&str],
    ) -> Output {
        command("mcp-client")
            .args(arguments)
            .env("MCP_CLIENT_CACHE", self.folder.path().join("cache"))
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }
}

/// The first loopback port in a log.
fn logged_port(log: &str) -> Option<u16> {
    let at = log.find("http://127.0.0.1:")? + "http://127.0.0.1:".len();
    let digits: String = log[at..].chars().take_while(char::is_ascii_digit).collect();
    // A line that is only half there has a half port.
    let complete = log[at + digits.len()..].contains('\n');
    digits.parse().ok().filter(|_| complete)
}

fn proxy(fault: Fault) -> (u16, Arc<Behind>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = Arc::new(Behind::default());
    let shared = behind.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let behind = shared.clone();
            thread::spawn(move || pass(stream, &behind, fault));
        }
    });
    (port, behind)
}

/// Carries one request and its answer, changed, and closes.
fn pass(
    mut client: TcpStream,
    behind: &Behind,
    fault: Fault,
) -> Option<()> {
    let original = read_message(&mut client)?;
    let token = behind.token.get().cloned().unwrap_or_default();
    let request = (fault.request)(original.clone(), &token);
    let mut server = TcpStream::connect(("127.0.0.1", *behind.port.wait())).ok()?;
    server.write_all(close(&request).as_bytes()).ok()?;
    let mut reply = Vec::new();
    server.read_to_end(&mut reply).ok()?;
    let reply = (fault.reply)(&original, String::from_utf8(reply).ok()?);
    client.write_all(close(&reply).as_bytes()).ok()
}

/// One message with its body, as long as Content-Length says.
fn read_message(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8(bytes.clone()).ok()?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|length| length.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
    }
}

/// The value of a header.
pub(crate) fn header(
    message: &str,
    name: &str,
) -> Option<String> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned())
}

/// The message without a header.
pub(crate) fn without(
    message: &str,
    name: &str,
) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    let is_other = |line: &&str| {
        let key = line.split(':').next().unwrap_or_default();
        !key.eq_ignore_ascii_case(name)
    };
    let head: Vec<_> = head.split("\r\n").filter(is_other).collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

/// The message with this header instead of any other of its name.
pub(crate) fn with(
    message: &str,
    name: &str,
    value: &str,
) -> String {
    without(message, name).replacen("\r\n", &format!("\r\n{name}: {value}\r\n"), 1)
}

/// With the right length, and as the last one on its connection.
fn close(message: &str) -> String {
    let body = message.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let chunked = header(message, "transfer-encoding").is_some();
    assert!(!chunked, "the servers under test send lengths");
    let message = with(message, "connection", "close");
    match header(&message, "content-length") {
        Some(_) => with(&message, "content-length", &body.len().to_string()),
        None => message.clone(),
    }
}
