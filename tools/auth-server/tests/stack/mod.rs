//! An authorization server with a step8, or another server of this workspace, beside it, both real programs on ports of their own, and
//! a browser that logs in.

use std::path::Path;
use std::process::Command;

use reqwest::Client;
use reqwest::Response;
use reqwest::header;
use tempfile::TempDir;
use test_support::NotStarted;
use test_support::Server;
use url::Url;
use url::form_urlencoded;

/// Where clients want the code; nobody listens there, the browser reads it off the redirect.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:5000/callback";

/// Both servers; they end when this goes out of scope.
pub(crate) struct Stack {
    /// URL of the MCP endpoint: all that a client is told.
    pub(crate) mcp: String,
    /// The authorization server's issuer.
    pub(crate) issuer: String,
    _servers: [Server; 2],
    _dir: TempDir,
}

impl Stack {
    /// Starts both. Extras: `clients` (the text of a clients file), `certificate` (a PEM that the
    /// authorization server trusts; documents may then lie on loopback).
    pub(crate) fn start(extras: &[(&str, &str)]) -> Self {
        Self::start_beside("step8", extras)
    }

    /// Starts both, with another server in the place of step8 that has the same flags.
    pub(crate) fn start_beside(
        server: &str,
        extras: &[(&str, &str)],
    ) -> Self {
        // Tokens name the server, and the server names their issuer: one of them has to know the
        // other's port before it listens.
        test_support::on_free_port(|port| Self::try_start(server, port, extras))
    }

    fn try_start(
        server: &str,
        port: u16,
        extras: &[(&str, &str)],
    ) -> Result<Self, NotStarted> {
        let dir = tempfile::tempdir().unwrap();
        let mcp = format!("http://localhost:{port}/mcp");
        let auth_server = Server::start(auth_server(dir.path(), &mcp, extras));
        let issuer = auth_server.origin();
        let mut server = test_support::command(server);
        server.args(["--resource", &mcp, "--issuer", &issuer]).current_dir(dir.path());
        let server = Server::try_start(server, port)?;
        Ok(Self {
            mcp,
            issuer,
            _servers: [auth_server, server],
            _dir: dir,
        })
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
        let signed_in =
            browser.submit(&action, &page, &[("username", user), ("password", user)]).await;
        let next = Url::parse(url).unwrap().join(location(&signed_in)).unwrap();
        let page = browser.get(next.as_str()).await.text().await.unwrap();
        let action = self.issuer.clone() + "/oauth/consent";
        let decided = browser.submit(&action, &page, &[("decision", "approve")]).await;
        location(&decided).to_owned()
    }
}

fn auth_server(
    dir: &Path,
    resource: &str,
    extras: &[(&str, &str)],
) -> Command {
    let mut command = test_support::command("auth-server");
    command
        .args(["--resource", resource])
        .arg("--keys-dir")
        .arg(dir.join("keys"))
        .arg("--data")
        .arg(dir.join("auth.db"));
    for (name, text) in extras {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        match *name {
            "clients" => command.arg("--clients").arg(path),
            "certificate" => {
                command.arg("--allow-loopback-client-metadata").env("SSL_CERT_FILE", path)
            }
            other => panic!("no such extra: {other}"),
        };
    }
    command
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
        let request = http().get(url).header(header::COOKIE, self.cookies.join("; "));
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
    let (_, value) = page.split_once(&marker).unwrap_or_else(|| panic!("no form in {page}"));
    value.split('"').next().unwrap().replace("&#38;", "&")
}
