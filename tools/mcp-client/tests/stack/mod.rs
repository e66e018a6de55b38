//! The real servers behind two small proxies, each of which can put one fault into what passes.
//!
//! The proxies are bound first, so both servers know each other's addresses without guessing
//! ports. Everything listens on loopback, and ends with the test.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread;

use tempfile::TempDir;
use test_support::Server;
use test_support::command;
use test_support::gen_token;

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

/// What a proxy learns after it was bound.
#[derive(Default)]
struct Behind {
    port: OnceLock<u16>,
    token: OnceLock<String>,
}

/// The file of the authorization server's clients, in the folder of the stack.
const CLIENTS: &str = "clients.toml";

/// An authorization server, one of the steps, and a folder for all files.
pub(crate) struct Stack {
    /// The MCP endpoint.
    pub(crate) url: String,
    pub(crate) issuer: String,
    pub(crate) folder: TempDir,
    servers: Vec<Server>,
}

impl Stack {
    /// step8 with an authorization server, nothing wrong with either.
    pub(crate) fn healthy() -> Self {
        Self::start(8, NONE, NONE)
    }

    /// step8 with an authorization server that knows these clients (TOML). The text is made in
    /// the stack's folder, where its keys may lie.
    pub(crate) fn with_clients(
        issuer_fault: Fault,
        clients: impl FnOnce(&TempDir) -> String,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let text = clients(&folder);
        std::fs::write(folder.path().join(CLIENTS), text).unwrap();
        Self::start_in(folder, 8, NONE, issuer_fault)
    }

    /// A step, with an authorization server where the step can use one.
    pub(crate) fn start(
        step: u8,
        server_fault: Fault,
        issuer_fault: Fault,
    ) -> Self {
        Self::start_in(TempDir::new().unwrap(), step, server_fault, issuer_fault)
    }

    fn start_in(
        folder: TempDir,
        step: u8,
        server_fault: Fault,
        issuer_fault: Fault,
    ) -> Self {
        let (server_port, server) = proxy(server_fault);
        let (issuer_port, issuer) = proxy(issuer_fault);
        let mut stack = Self {
            url: format!("http://localhost:{server_port}/mcp"),
            issuer: format!("http://localhost:{issuer_port}"),
            folder,
            servers: Vec::new(),
        };
        gen_token(&stack.keys(), &["--generate-keys"]);
        if step >= 7 {
            let port = stack.serve(stack.auth_server());
            issuer.port.set(port).unwrap();
        }
        let port = stack.serve(stack.step(step));
        server.port.set(port).unwrap();
        let good = stack.token(&["--scopes", "mcp:read mcp:tools mcp:prompts"]);
        server.token.set(good).unwrap();
        stack
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn auth_server(&self) -> Command {
        let mut command = command("auth-server");
        command
            .args(["--issuer", &self.issuer, "--resource", &self.url])
            .arg("--keys-dir")
            .arg(self.keys());
        if self.folder.path().join(CLIENTS).exists() {
            command.args(["--clients", CLIENTS]);
        }
        command
    }

    /// A step knows its keys from 5 to 6 by their file, and from 7 on by its issuer.
    fn step(
        &self,
        step: u8,
    ) -> Command {
        let mut command = command(&format!("step{step}"));
        if (5..=6).contains(&step) {
            command.arg("--public-key");
            command.arg(self.keys().join("public.pem"));
        }
        if step >= 6 {
            command.args(["--issuer", &self.issuer, "--resource", &self.url]);
        }
        command
    }

    /// Starts a server, and tells its port.
    fn serve(
        &mut self,
        mut command: Command,
    ) -> u16 {
        command.current_dir(self.folder.path());
        let server = Server::start(command);
        let port = server.address().port();
        self.servers.push(server);
        port
    }

    /// A token from gen-token for alice, for this endpoint unless told otherwise.
    pub(crate) fn token(
        &self,
        arguments: &[&str],
    ) -> String {
        let mut flags = vec!["--username", "alice", "--issuer", &self.issuer];
        if !arguments.contains(&"--audience") {
            flags.extend(["--audience", &self.url]);
        }
        flags.extend(arguments);
        gen_token(&self.keys(), &flags)
    }

    /// Runs mcp-client with a cache of its own.
    pub(crate) fn client(
        &self,
        arguments: &[&str],
    ) -> Output {
        self.client_with(arguments, &[])
    }

    /// The same with variables of its own.
    pub(crate) fn client_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Output {
        let mut command = command("mcp-client");
        command
            .args(arguments)
            .envs(variables.iter().copied())
            .env("MCP_CLIENT_CACHE", self.folder.path().join("cache"))
            .current_dir(self.folder.path());
        test_support::run(&mut command)
    }
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
