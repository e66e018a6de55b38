//! The pictures of what each step adds to the exchange, in its README: real requests to the real
//! server, recorded and drawn. For the steps with a login, `mcp-client walk` makes them.
//!
//! The pictures are generated. When one is stale, write them all anew:
//!
//! ```sh
//! cargo build --workspace --bins && UPDATE_EXCHANGES=1 cargo test -p checks exchanges
//! ```

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use test_support::command;
use test_support::gen_token;
use tokio::task::spawn_blocking;

use self::drawing::draw;
use self::recorder::Event;
use self::recorder::Party;
use self::recorder::Recorder;
use self::recorder::http;
use crate::server::name;

mod drawing;
mod recorder;

/// Between these lines of a README lies its picture.
const BEGIN: &str = "<!-- exchange -->";
const END: &str = "<!-- /exchange -->";

const COMMAND: &str =
    "cargo build --workspace --bins && UPDATE_EXCHANGES=1 cargo test -p checks exchanges";

/// Most arrows that a newcomer follows with pleasure.
const MOST_ARROWS: usize = 12;

/// How often a server is asked whether a file has changed, and how long there is between two times.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// One step behind a door, and the authorization server behind another where it has one.
struct Stage {
    recorder: Recorder,
    /// The step, as everybody calls it.
    origin: String,
    keys: TempDir,
    step: test_support::Server,
    issuer: Option<(test_support::Server, String)>,
}

impl Stage {
    /// A step with a key file that need not be there.
    async fn of(step: u8) -> Self {
        let recorder = Recorder::default();
        let door = recorder.door(Party::Server).await;
        let origin = door.origin();
        let keys = tempfile::tempdir().unwrap();
        let mut command = command(&name(step));
        if step >= 4 {
            command.args(["--resource", &format!("{origin}/mcp")]);
        }
        if step >= 5 {
            command.arg("--public-key").arg(keys.path().join("public.pem"));
        }
        let server = test_support::Server::start(command);
        door.open(server.url(""));
        Self {
            recorder,
            origin,
            keys,
            step: server,
            issuer: None,
        }
    }

    /// A step that has its keys from an authorization server.
    async fn with_issuer(step: u8) -> Self {
        let recorder = Recorder::default();
        let (door, issuer_door) = (
            recorder.door(Party::Server).await,
            recorder.door(Party::Issuer).await,
        );
        let (origin, issuer) = (door.origin(), issuer_door.origin());
        let resource = format!("{origin}/mcp");
        let keys = tempfile::tempdir().unwrap();
        let mut auth_server = command("auth-server");
        auth_server.args(["--resource", &resource, "--issuer", &issuer]);
        auth_server.arg("--keys-dir").arg(keys.path());
        auth_server.arg("--data").arg(keys.path().join("data.db"));
        let auth_server = test_support::Server::start(auth_server);
        issuer_door.open(auth_server.url(""));
        let mut command = command(&name(step));
        command.args(["--resource", &resource, "--issuer", &issuer]);
        let server = test_support::Server::start(command);
        door.open(server.url(""));
        Self {
            recorder,
            origin,
            keys,
            step: server,
            issuer: Some((auth_server, issuer)),
        }
    }

    fn note(
        &self,
        text: &str,
    ) {
        self.recorder.note(text);
    }

    async fn get(
        &self,
        path: &str,
    ) {
        let request = http().get(format!("{}{path}", self.origin));
        request.header("User-Agent", "checks").send().await.unwrap();
    }

    /// A request to `/mcp` as the handshake era has it.
    async fn rpc(
        &self,
        method: &str,
        params: Value,
    ) {
        self.send(self.request(method, params)).await;
    }

    /// The same in the modern era, with the name in a header.
    async fn modern(
        &self,
        method: &str,
        name: &str,
        mut params: Value,
    ) {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let mut request = self.request(method, params);
        request = request.header("MCP-Protocol-Version", "2026-07-28");
        request = request.header("Mcp-Method", method);
        if !name.is_empty() {
            request = request.header("Mcp-Name", name);
        }
        self.send(request).await;
    }

    fn request(
        &self,
        method: &str,
        params: Value,
    ) -> RequestBuilder {
        let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if !method.starts_with("notifications/") {
            message["id"] = json!(1);
        }
        let request = http().post(format!("{}/mcp", self.origin));
        let request = request.header("Content-Type", "application/json");
        request.header("User-Agent", "checks").body(message.to_string())
    }

    async fn send(
        &self,
        request: RequestBuilder,
    ) {
        request.send().await.unwrap();
    }

    /// A token for this step, from gen-token.
    fn token(
        &self,
        flags: &[&str],
    ) -> String {
        let resource = format!("{}/mcp", self.origin);
        let mut all = vec!["--resource", &resource];
        if let Some((_, issuer)) = &self.issuer {
            all.extend(["--issuer", issuer]);
        }
        gen_token(self.keys.path(), &[&all, flags].concat())
    }

    /// Asks past the door until the key set is there, or is gone.
    async fn wait_for_keys(
        &self,
        wanted: bool,
    ) {
        let url = self.step.url("/.well-known/jwks.json");
        for _ in 0..TRIES {
            if http().get(&url).send().await.unwrap().status().is_success() == wanted {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the key file is not looked at");
    }

    /// `mcp-client walk` as alice, who is asked for her consent.
    async fn walk(&self) {
        let mut client = command("mcp-client");
        client.arg("walk").arg(format!("{}/mcp", self.origin));
        client.args(["--as", "alice:alice", "--tool", "whoami"]);
        client.env("MCP_CLIENT_CACHE", self.keys.path());
        let output = spawn_blocking(move || test_support::run(&mut client)).await.unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");
    }
}

async fn step_2() -> Vec<Event> {
    let stage = Stage::of(2).await;
    stage.note("handshake era: agree once, then call");
    let client = json!({"name": "checks", "version": "1"});
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    stage.rpc("initialize", hello).await;
    stage.rpc("notifications/initialized", json!({})).await;
    stage.rpc("ping", json!({})).await;
    stage.note("modern era: every request says it all");
    stage.modern("server/discover", "", json!({})).await;
    stage.note("a page of another site tries the same");
    let foreign = stage.request("ping", json!({}));
    stage.send(foreign.header("Origin", "http://localhost.evil.com")).await;
    stage.recorder.events()
}

async fn step_3() -> Vec<Event> {
    let stage = Stage::of(3).await;
    stage.rpc("tools/list", json!({})).await;
    stage.rpc("prompts/list", json!({})).await;
    stage.note("described, but not to be called yet");
    stage.rpc("tools/call", json!({"name": "echo"})).await;
    stage.recorder.events()
}

async fn step_4() -> Vec<Event> {
    let stage = Stage::of(4).await;
    let echo = |times: u8| json!({"name": "echo", "arguments": {"message": "hello", "repeat_count": times}});
    stage.rpc("tools/call", echo(3)).await;
    stage.note("the model's mistake: a result that it can read");
    stage.rpc("tools/call", echo(11)).await;
    stage.note("the client's mistake: an error");
    stage.rpc("tools/call", json!({"name": "get_tme"})).await;
    stage.modern("tools/call", "whoami", echo(1)).await;
    stage.note("a page whose name was rebound to 127.0.0.1");
    let rebound = stage.request("tools/call", json!({"name": "whoami"}));
    stage.send(rebound.header("Host", "evil.example")).await;
    stage.recorder.events()
}

async fn step_5() -> Vec<Event> {
    let stage = Stage::of(5).await;
    let (keys, public) = (
        "/.well-known/jwks.json",
        stage.keys.path().join("public.pem"),
    );
    stage.note("there is no key yet");
    stage.get(keys).await;
    stage.note("gen-token writes private.pem and public.pem");
    stage.token(&["--generate-keys"]);
    stage.wait_for_keys(true).await;
    stage.get(keys).await;
    stage.note("public.pem is taken away: the key was stolen");
    fs::remove_file(public).unwrap();
    stage.wait_for_keys(false).await;
    stage.get(keys).await;
    stage.recorder.events()
}

async fn step_6() -> Vec<Event> {
    let stage = Stage::of(6).await;
    let whoami = || stage.request("tools/call", json!({"name": "whoami"}));
    stage.note("no token");
    stage.send(whoami()).await;
    stage.note("gen-token signs a token for this server");
    let token = stage.token(&["--username", "alice"]);
    stage.wait_for_keys(true).await;
    stage.send(whoami().bearer_auth(token)).await;
    stage.note("a token of the same issuer for another server");
    let token = stage.token(&["--username", "alice", "--break", "audience"]);
    stage.send(whoami().bearer_auth(token)).await;
    stage.recorder.events()
}

/// From the first knock to the first answer inside.
async fn step_7() -> Vec<Event> {
    let stage = Stage::with_issuer(7).await;
    stage.note("a client that knows nothing but the URL of /mcp");
    stage.walk().await;
    let mut events = stage.recorder.events();
    let is_inside = |event: &Event| match event {
        Event::Answer(sent, got) => sent.path == "/mcp" && got.status == 200,
        _ => false,
    };
    let inside = events.iter().position(is_inside).unwrap();
    events.truncate(inside + 1);
    events
}

/// From the first 403 to the answer, and then a guest.
async fn step_8() -> Vec<Event> {
    let stage = Stage::with_issuer(8).await;
    stage.walk().await;
    stage.note("a guest's token has the scopes, but the role forbids it");
    let guest = ["--username", "guest", "--roles", "guest"];
    let token = stage.token(&guest);
    let call = stage.request("tools/call", json!({"name": "whoami"}));
    stage.send(call.bearer_auth(token)).await;
    let events = stage.recorder.events();
    let is_refused = |event: &Event| matches!(event, Event::Answer(_, got) if got.status == 403);
    let refused = events.iter().position(is_refused).unwrap();
    // The request comes before its answer.
    events[refused - 1..].to_vec()
}

async fn events_of(step: u8) -> Vec<Event> {
    match step {
        2 => step_2().await,
        3 => step_3().await,
        4 => step_4().await,
        5 => step_5().await,
        6 => step_6().await,
        7 => step_7().await,
        _ => step_8().await,
    }
}

/// The part of a README between the marks, with everything before and behind it.
fn around_picture<'text>(
    readme: &'text str,
    file: &Path,
) -> (&'text str, &'text str, &'text str) {
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| {
        let (inner, after) = rest.split_once(END)?;
        Some((before, inner, after))
    });
    parts.unwrap_or_else(|| panic!("{}: no {BEGIN} .. {END}", file.display()))
}

/// A newcomer must be able to read it, and nothing in it may open a door or differ from run to run.
fn assert_fit_to_be_shown(
    step: u8,
    picture: &str,
) {
    let arrows = picture.lines().filter(|line| line.contains(">>")).count();
    assert!(
        arrows <= MOST_ARROWS,
        "step {step}: {arrows} arrows\n{picture}"
    );
    // What a JWT begins with, what alice types, and ports.
    for secret in ["eyJ", "password", "localhost:", "127.0.0.1:"] {
        assert!(
            !picture.contains(secret),
            "step {step}: {secret}\n{picture}"
        );
    }
}

#[tokio::test]
async fn the_exchanges_in_the_readmes_are_those_of_the_servers() {
    let update = env::var_os("UPDATE_EXCHANGES").is_some();
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().nth(2).unwrap();
    for step in 2..=8 {
        let file = root.join(name(step)).join("README.md");
        let readme = fs::read_to_string(&file).unwrap();
        let (before, inner, after) = around_picture(&readme, &file);
        let picture = draw(&events_of(step).await);
        assert_fit_to_be_shown(step, &picture);
        let wanted = format!("\n```mermaid\n{picture}```\n");
        if update {
            fs::write(&file, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        } else {
            let stale = format!("{}: the picture is stale; run {COMMAND}", file.display());
            assert_eq!(inner, wanted, "{stale}");
        }
    }
}
