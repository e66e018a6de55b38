//! What a URL says about the place behind it.

use url::Url;

/// A URL as text, cut into scheme with host, and path. A URL library would print it differently.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    let (origin, rest) = url.split_at(end);
    (origin, rest.split(['?', '#']).next().unwrap_or_default())
}

/// Whether a resource is the server's URL or a parent of it. Compared as text: scheme and host
/// without case, the path segment by segment.
pub(crate) fn covers(
    resource: &str,
    server: &str,
) -> bool {
    let (a, b) = (split(resource), split(server));
    let path = a.1.trim_end_matches('/');
    let rest = b.1.strip_prefix(path);
    a.0.eq_ignore_ascii_case(b.0) && rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
}

/// Whether a URL points to this machine. Names below `.localhost` do not count: not every resolver
/// keeps them on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a URL may carry credentials: https, or http on this machine (OAuth 2.1, section 1.5).
pub(crate) fn is_safe(url: &str) -> bool {
    let is_local = |url: &Url| url.scheme() == "http" && is_loopback(url);
    Url::parse(url).is_ok_and(|url| url.scheme() == "https" || is_local(&url))
}

/// Whether two URLs have the same scheme, host and port, as the request that would be sent has them.
pub(crate) fn is_same_origin(
    a: &str,
    b: &str,
) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin().is_tuple() && a.origin() == b.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_safe() {
        for good in [
            "https://a.example/mcp",
            "http://localhost:9000/mcp",
            "http://127.0.0.1/",
            "http://[::1]:9000/",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://a.example/mcp",
            "http://0.0.0.0:9000/mcp",
            "http://192.168.0.1/mcp",
            "http://localhost.a.example/",
            "http://localhost@a.example/",
            "file:///etc/passwd",
            "localhost:9000/mcp",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn only_the_url_and_its_parents_cover_it() {
        for good in ["http://h:1/mcp", "http://H:1", "http://h:1/"] {
            assert!(covers(good, "http://h:1/mcp"), "{good}");
        }
        for bad in [
            "http://h:1/mc",
            "http://h:2/mcp",
            "http://h:1/mcp/x",
            "https://h:1/mcp",
            "",
        ] {
            assert!(!covers(bad, "http://h:1/mcp"), "{bad}");
        }
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        let server = "http://localhost:9000/mcp";
        assert!(is_same_origin(server, "http://localhost:9000/x"));
        for elsewhere in [
            "http://localhost:9001/x",
            "https://localhost:9000/x",
            "http://localhost:9000@evil.example/x",
            "http://127.0.0.1:9000/x",
            "//localhost:9000/x",
            "/x",
        ] {
            assert!(!is_same_origin(server, elsewhere), "{elsewhere}");
        }
    }
}
