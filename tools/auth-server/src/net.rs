//! Which addresses this server never connects to on somebody else's behalf.
//!
//! A Client ID Metadata Document is fetched from a URL that a stranger chose. Without this list
//! the stranger would choose `http://169.254.169.254/` or a printer in the office (server-side
//! request forgery). The ranges are those of the IANA special-purpose address registries
//! (RFC 6890), plus multicast.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::LazyLock;

use ipnet::IpNet;
use url::Host;
use url::Url;

/// What may never be fetched from, as data.
const SPECIAL_USE: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // In version 6 only global unicast (2000::/3) is ever public: see `is_public`.
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];

/// The only block of IPv6 that is routed on the public internet.
const GLOBAL_UNICAST_V6: &str = "2000::/3";

/// Prefixes that carry a version 4 address inside: mapped, compatible, and NAT64 (RFC 6052).
const EMBEDDING_V4: &[&str] = &["::ffff:0:0/96", "::/96", "64:ff9b::/96"];

static RANGES: LazyLock<Vec<IpNet>> = LazyLock::new(|| parse(SPECIAL_USE));
static EMBEDDING: LazyLock<Vec<IpNet>> = LazyLock::new(|| parse(EMBEDDING_V4));
static GLOBAL_V6: LazyLock<Vec<IpNet>> = LazyLock::new(|| parse(&[GLOBAL_UNICAST_V6]));

fn parse(ranges: &[&str]) -> Vec<IpNet> {
    ranges
        .iter()
        .map(|range| range.parse().expect("the table holds valid ranges"))
        .collect()
}

/// Whether the address is one that anybody on the internet could reach.
///
/// `::ffff:127.0.0.1` and its relatives are judged by the version 4 address they stand for.
pub(crate) fn is_public(address: IpAddr) -> bool {
    let address = unwrapped(address);
    let special = RANGES.iter().any(|range| range.contains(&address));
    let routed = address.is_ipv4() || GLOBAL_V6.iter().any(|range| range.contains(&address));
    routed && !special
}

/// Whether the address is this machine, also in its version 4 in version 6 form.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    unwrapped(address).is_loopback()
}

/// The version 4 address inside a version 6 one, where there is one. `::1` is itself.
fn unwrapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6 != Ipv6Addr::LOCALHOST => inner_v4(v6).unwrap_or(address),
        _ => address,
    }
}

fn inner_v4(v6: Ipv6Addr) -> Option<IpAddr> {
    let embedding = EMBEDDING.iter().any(|range| range.contains(&IpAddr::V6(v6)));
    let [.., a, b, c, d] = v6.octets();
    embedding.then(|| IpAddr::from([a, b, c, d]))
}

/// Whether a URL names this machine: `localhost`, `127.0.0.0/8` or `[::1]`.
pub(crate) fn has_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
