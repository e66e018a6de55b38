//! An authorization server with a step8 beside it, both real programs on ports of their own, and
//! a browser that logs in.

use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::LazyLock;

use reqwest::Client;
use reqwest::Response;
use reqwest::header;
use tempfile::TempDir;
use url::Url;
use url::form_urlencoded;

/// Where clients want the code; nobody listens there, the browser reads it off the redirect.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:5000/callback";

/// How often ports are chosen anew when another program was faster.
const ATTEMPTS: usize = 5;

/// Built here, because testing this package builds no other package's program.
static STEP8: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "step8", "--target-dir"])
        .arg(target_dir())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "step8 does not build");
    target_dir().join("debug/step8")
});

/// `target`, seen from `target/debug/auth-server`.
fn target_dir() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_auth-server"));
    program.ancestors().nth(2).unwrap().to_owned()
}

/// Both servers; killed when this goes out of scope.
pub(crate) struct Stack {
    /// URL of the MCP endpoint: all that a client is told.
    pub(crate) mcp: String,
    /// The authorization server's issuer.
    pub(crate) issuer: String,
    children: Vec<Child>,
    _dir: TempDir,
}

impl Drop for Stack {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Stack {
    /// Starts both. Extras: `clients` (the text of a clients file), `certificate` (a PEM that the
    /// authorization server trusts; documents may then lie on loopback).
    pub(crate) fn start(extras: &[(&str, &str)]) -> Self {
        for _ in 0..ATTEMPTS {
            if let Some(stack) = Self::try_start(extras) {
                return stack;
            }
        }
        panic!("the two servers did not start; see above for why");
    }

    fn try_start(extras: &[(&str, &str)]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (auth, mcp) = (free_port(), free_port());
        let mut stack = Self {
            mcp: format!("http://localhost:{mcp}/mcp"),
            issuer: format!("http://localhost:{auth}"),
            children: Vec::new(),
            _dir: dir,
        };
        let mut server = stack.auth_server(auth, extras);
        stack.run(&mut server)?;
        let mut server = stack.step8(mcp);
        stack.run(&mut server)?;
        Some(stack)
    }

    fn auth_server(
        &self,
        port: u16,
        extras: &[(&str, &str)],
    ) -> Command {
        let dir = self._dir.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_auth-server"));
        command
            .args([
                "--bind",
                &format!("127.0.0.1:{port}"),
                "--resource",
                &self.mcp,
            ])
            .args(["--issuer", &self.issuer])
            .arg("--keys-dir")
            .arg(dir.join("keys"))
            .arg("--data")
            .arg(dir.join("auth.db"));
        for (name, text) in extras {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            match *name {
                "clients" => command.arg("--clients").arg(path),
                "certificate" => command
                    .arg("--allow-loopback-client-metadata")
                    .env("SSL_CERT_FILE", path),
                other => panic!("no such extra: {other}"),
            };
        }
        command
    }

    fn step8(
        &self,
        port: u16,
    ) -> Command {
        let mut command = Command::new(&*STEP8);
        command
            .args([
                "--bind",
                &format!("127.0.0.1:{port}"),
                "--resource",
                &self.mcp,
            ])
            .args(["--issuer", &self.issuer])
            .current_dir(self._dir.path())
            .env_remove("MCP_PUBLIC_KEY");
        command
    }

    /// Starts a program and waits for its first lines: they come once it listens.
    fn run(
        &mut self,
        command: &mut Command,
    ) -> Option<()> {
        let mut child = command
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        self.children.push(child);
        let listening = log.any(|line| {
            line.is_ok_and(|line| {
                eprintln!("{line}");
                line.contains("listen") && line.contains("http://")
            })
        });
        // Somebody has to read the rest, or the program would block on a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        listening.then_some(())
    }

    /// Opens the authorization URL, signs in, approves, and returns where the browser is sent.
    pub(crate) async fn approve(
        &self,
        url: &str,
        user: &str,
    ) -> String {
        let mut browser = Browser::default();
        let page = browser.get(url).await.text().await.unwrap();
        let action = self.issuer.clone() + "/oauth/login";
        let signed_in = browser
            .submit(&action, &page, &[("username", user), ("password", user)])
            .await;
        let next = Url::parse(url).unwrap().join(location(&signed_in)).unwrap();
        let page = browser.get(next.as_str()).await.text().await.unwrap();
        let action = self.issuer.clone() + "/oauth/consent";
        let decided = browser
            .submit(&action, &page, &[("decision", "approve")])
            .await;
        location(&decided).to_owned()
    }
}

/// Free a moment ago. Nothing holds it until the program binds it, so callers try again.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Follows no redirects and no proxy settings.
pub(crate) fn http() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

fn location(response: &Response) -> &str {
    let value = response.headers().get(header::LOCATION);
    value.expect("a redirect").to_str().unwrap()
}

/// Cookies and forms, nothing else.
#[derive(Default)]
struct Browser {
    cookies: Vec<String>,
}

impl Browser {
    async fn get(
        &mut self,
        url: &str,
    ) -> Response {
        let request = http()
            .get(url)
            .header(header::COOKIE, self.cookies.join("; "));
        self.keep(request.send().await.unwrap())
    }

    async fn submit(
        &mut self,
        action: &str,
        page: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("request", &hidden(page, "request"))
            .append_pair("csrf", &hidden(page, "csrf"))
            .finish();
        let request = http()
            .post(action)
            .header(header::COOKIE, self.cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        self.keep(request.send().await.unwrap())
    }

    fn keep(
        &mut self,
        response: Response,
    ) -> Response {
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.cookies.push(pair.to_owned());
        }
        response
    }
}

fn hidden(
    page: &str,
    name: &str,
) -> String {
    let marker = format!(r#"name="{name}" value=""#);
    let (_, value) = page
        .split_once(&marker)
        .unwrap_or_else(|| panic!("no form in {page}"));
    value.split('"').next().unwrap().replace("&#38;", "&")
}
