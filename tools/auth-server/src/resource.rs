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

/// What a request that names these is for. Without any the only configured one is meant; among
/// several, the client has to choose. The error is the text of an `invalid_target`.
pub(crate) fn choose<'a>(
    configured: &[String],
    requested: impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, &'static str> {
    let found =
        find_all(configured, requested).ok_or("This server issues no tokens for that resource.")?;
    match configured {
        _ if !found.is_empty() => Ok(found),
        [only] => Ok(vec![only.clone()]),
        _ => Err("Name the resource: this server knows several."),
    }
}

/// Host case and default port as the URL standard has them, one trailing slash taken off. A
/// fragment (which RFC 8707 forbids) or a user name never matches anything.
fn normal(resource: &str) -> Option<String> {
    let url = Url::parse(resource).ok()?;
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let text = url.as_str();
    plain.then(|| text.strip_suffix('/').unwrap_or(text).to_owned())
}
