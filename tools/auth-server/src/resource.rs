//! The resources (RFC 8707) that this server issues tokens for.
//!
//! A client's URL library may lower-case a host, drop a default port or add a slash. Such a
//! request still means the configured resource, so the comparison is lenient; but what goes into
//! the token is always the configured string, because the resource server compares exactly.

use url::Url;

/// The configured resource that `requested` means, if any.
pub(crate) fn find<'a>(
    configured: &'a [String],
    requested: &str,
) -> Option<&'a str> {
    let wanted = normal(requested)?;
    configured
        .iter()
        .find(|resource| normal(resource).as_ref() == Some(&wanted))
        .map(String::as_str)
}

/// Every requested resource by its configured name, without doubles; `None` if one is not ours.
pub(crate) fn find_all<'a>(
    configured: &[String],
    requested: impl Iterator<Item = &'a str>,
) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for resource in requested {
        let resource = find(configured, resource)?;
        if !found.iter().any(|known| known == resource) {
            found.push(resource.to_owned());
        }
    }
    Some(found)
}

/// Host case and default port as the URL standard has them, one trailing slash taken off. A
/// fragment (which RFC 8707 forbids) or a user name never matches anything.
fn normal(resource: &str) -> Option<String> {
    let url = Url::parse(resource).ok()?;
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let text = url.as_str();
    plain.then(|| text.strip_suffix('/').unwrap_or(text).to_owned())
}
