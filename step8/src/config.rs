//! The settings: each is a flag, an environment variable and a default, in this order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::ArgPredicate;
use clap::builder::BoolishValueParser;
use url::Host;
use url::Url;

/// The largest body that is read, in bytes; a larger one is answered 413.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// Where the metadata of a resource lies; its path comes behind that (RFC 9728, section 3.1).
pub(crate) const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// What the operator decides. The doc comment of each field is its `--help` text.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "An MCP server over Streamable HTTP")]
pub(crate) struct Config {
    /// Address and port to listen on; port 0 picks a free one and logs it
    #[arg(long, env = "MCP_BIND", default_value = "127.0.0.1:9000")]
    pub(crate) bind: SocketAddr,

    /// File with the RSA public key, in PEM form, that checks tokens; it may appear later. With
    /// --issuer and without this, as flag or variable, the keys are those that the issuer publishes
    #[arg(long, env = "MCP_PUBLIC_KEY", default_value = "keys/public.pem")]
    #[arg(default_value_if("issuer", ArgPredicate::IsPresent, None))]
    pub(crate) public_key: Option<PathBuf>,

    /// Authorization server whose tokens we accept, the exact string in their `iss`
    #[arg(long, env = "MCP_ISSUER", value_name = "URL", value_parser = http_url)]
    #[arg(default_value = "http://localhost:9001")]
    pub(crate) issuer: String,

    /// This server as its clients name it, the exact string in the `aud` of their tokens
    /// [default: http://localhost:PORT/mcp]
    #[arg(long, env = "MCP_RESOURCE", value_name = "URL", value_parser = resource_url)]
    pub(crate) resource: Option<String>,

    /// Accept access tokens whose header has no `typ`, as Okta and Cognito send them
    #[arg(long, env = "MCP_ACCEPT_UNTYPED", value_parser = BoolishValueParser::new())]
    pub(crate) accept_untyped: bool,

    /// Where the roles of a user are in a token, as JSON pointers such as /groups, in their order; the
    /// first that leads anywhere counts
    #[arg(long, env = "MCP_ROLES_CLAIM", value_name = "POINTER")]
    #[arg(value_delimiter = ',', value_parser = json_pointer)]
    #[arg(default_values = ["/roles", "/realm_access/roles"])]
    pub(crate) roles_claim: Vec<String>,

    /// How many tool calls a user may make in a minute, on average and at once; 0 is no limit
    #[arg(long, env = "MCP_CALLS_PER_MINUTE", default_value_t = 600)]
    pub(crate) calls_per_minute: u32,

    /// How long a request may take in all, its body included. Not a flag: tests shorten it.
    #[arg(skip = Duration::from_secs(30))]
    pub(crate) request_timeout: Duration,

    /// How long requests in flight may take after the signal to stop.
    #[arg(skip = Duration::from_secs(10))]
    pub(crate) shutdown_timeout: Duration,
}

impl Config {
    /// The URL that clients connect to.
    pub(crate) fn resource(&self) -> String {
        if let Some(resource) = &self.resource {
            return resource.clone();
        }
        format!("http://localhost:{}/mcp", self.bind.port())
    }

    /// The URL of our metadata document.
    pub(crate) fn resource_metadata_url(&self) -> String {
        let resource = self.resource();
        let (origin, path) = split(&resource);
        format!("{origin}{RESOURCE_METADATA}{path}")
    }
}

/// Checks a URL and keeps it as it was written: others compare it byte for byte, and a URL library
/// that prints it again may add a slash or drop a port.
fn http_url(text: &str) -> Result<String, String> {
    let is_http = text.starts_with("http://") || text.starts_with("https://");
    // The parser takes the first word after any number of slashes for the host; we do not.
    let has_host = Url::parse(text).is_ok() && !text.contains("///");
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\@?#".contains(&byte);
    if is_http && has_host && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("expected http(s)://host[:port][/path], without user, query, fragment".to_owned())
}

/// A slash at the end makes another string, and clients disagree on whether to send it. So it is
/// not allowed, with or without a path.
fn resource_url(text: &str) -> Result<String, String> {
    if text.ends_with('/') {
        return Err("leave out the slash at the end".to_owned());
    }
    http_url(text)
}

/// RFC 6901: every part of a JSON pointer begins with a slash.
fn json_pointer(text: &str) -> Result<String, String> {
    if text.len() < 2 || !text.starts_with('/') {
        return Err("expected a JSON pointer, such as /groups".to_owned());
    }
    Ok(text.to_owned())
}

/// Scheme and host of a URL, and its path, which may be empty; as text, so that nothing is changed.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    let path = url[host..].find('/').map_or(url.len(), |at| host + at);
    url.split_at(path)
}

/// Whether a host can only be this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
