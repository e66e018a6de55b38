//! A step and an authorization server as a user runs them, on ports and with keys of their own, and
//! requests to them.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use test_support::command;
use test_support::gen_token;

/// How long a server may take to answer one request.
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

/// A running step.
pub(crate) struct Server {
    pub(crate) step: u8,
    process: test_support::Server,
    http: Client,
    keys: TempDir,
}

/// A running authorization server, with keys and data of its own.
pub(crate) struct AuthServer {
    process: test_support::Server,
    http: Client,
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
            process: test_support::Server::start(command),
            http: http(),
            keys,
        }
    }

    /// The URL of a path, by address: `localhost` may be tried as IPv6 first.
    pub(crate) fn url(
        &self,
        path: &str,
    ) -> String {
        self.process.url(path)
    }

    /// The server as its tokens name it.
    pub(crate) fn resource(&self) -> String {
        self.process.origin() + "/mcp"
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
        answer(self.http.get(self.url(path))).await
    }

    /// One request to `/mcp` as the era demands it, with the id `1`.
    pub(crate) async fn call(
        &self,
        era: Era,
        token: Option<&str>,
        method: &str,
        mut params: Value,
    ) -> Answer {
        let mut request = self.http.post(self.url("/mcp"));
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
            process: test_support::Server::start(command),
            http: http(),
            folder,
            resource: resource.to_owned(),
        }
    }

    /// Its name in tokens and documents.
    pub(crate) fn issuer(&self) -> String {
        self.process.origin()
    }

    pub(crate) async fn get(
        &self,
        path: &str,
    ) -> Answer {
        answer(self.http.get(self.process.url(path))).await
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

/// A proxy in the environment must not see what is meant for this machine.
fn http() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().into(),
    }
}
