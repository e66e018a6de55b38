//! The settings: each is a flag, an environment variable and a default, in this order.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use url::Host;

/// The largest body that is read, in bytes; a larger one is answered 413.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// What the operator decides. The doc comment of each field is its `--help` text.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "An MCP server over Streamable HTTP")]
pub(crate) struct Config {
    /// Address and port to listen on; port 0 picks a free one and logs it
    #[arg(long, env = "MCP_BIND", default_value = "127.0.0.1:9000")]
    pub(crate) bind: SocketAddr,

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
        format!("http://localhost:{}/mcp", self.bind.port())
    }
}

/// Whether a host can only be this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
