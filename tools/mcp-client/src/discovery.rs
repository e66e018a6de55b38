//! From the 401 to the authorization server: RFC 9728, then RFC 8414 or OpenID Connect Discovery.
//!
//! Every document is believed only after the check that its RFC demands, because all of them come
//! over the network and each one decides where a user's password will be typed.
//!
//! Spec: MCP 2026-07-28, basic/authorization/authorization-server-discovery. Left out: signed
//! metadata, and choosing among several authorization servers (the first one is taken).

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;

use crate::challenge::Challenge;
use crate::exchange::Note;
use crate::http::Http;
use crate::http::Outgoing;
use crate::http::is_safe;

const PRM: &str = "/.well-known/oauth-protected-resource";
const RFC_8414: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

/// What the MCP server says of itself (RFC 9728 section 2).
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The exact string to name in `resource` and to find in `aud`.
    pub(crate) resource: String,
    /// The issuer identifier of the authorization server.
    pub(crate) issuer: String,
    pub(crate) scopes: Vec<String>,
}

/// What the authorization server says of itself (RFC 8414 section 2), after validation.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    pub(crate) document: Value,
}

impl Issuer {
    pub(crate) fn text(
        &self,
        member: &str,
    ) -> Option<&str> {
        self.document[member].as_str()
    }

    pub(crate) fn is_true(
        &self,
        member: &str,
    ) -> bool {
        self.document[member] == true
    }

    pub(crate) fn lists(
        &self,
        member: &str,
        value: &str,
    ) -> bool {
        strings(&self.document[member])
            .iter()
            .any(|item| item == value)
    }

    pub(crate) fn endpoint(
        &self,
        member: &str,
    ) -> Result<&str> {
        self.text(member)
            .with_context(|| format!("the authorization server's metadata names no {member}"))
    }
}

/// The strings of a JSON array.
pub(crate) fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A URL as text, cut into scheme with host, and path. A URL library would print it differently.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| host + at);
    let (origin, rest) = url.split_at(end);
    (origin, rest.split(['?', '#']).next().unwrap_or_default())
}

/// Where the document of an MCP server may lie, in the order to try: with its path behind the
/// well-known part, then at the root.
pub(crate) fn resource_urls(server: &str) -> Vec<String> {
    let (origin, path) = split(server);
    let path = path.trim_end_matches('/');
    let mut urls = vec![format!("{origin}{PRM}{path}"), format!("{origin}{PRM}")];
    urls.dedup();
    urls
}

/// Where the document of an issuer may lie, in the order to try.
pub(crate) fn issuer_urls(issuer: &str) -> Vec<String> {
    let (origin, path) = split(issuer);
    let path = path.trim_end_matches('/');
    let mut urls = vec![
        format!("{origin}{RFC_8414}{path}"),
        format!("{origin}{OIDC}{path}"),
        format!("{origin}{path}{OIDC}"),
    ];
    urls.dedup();
    urls
}

/// Reads and validates the resource metadata. `None` when the server has none.
pub(crate) async fn resource(
    http: &mut Http,
    server: &str,
    challenge: &Challenge,
) -> Result<Option<Resource>> {
    let named = challenge.get("resource_metadata").map(str::to_owned);
    let urls = match &named {
        Some(url) => {
            http.recorder.check(
                is_safe(url) && split(url).0.eq_ignore_ascii_case(split(server).0),
                format!("resource_metadata is on the server that was asked: {}", split(url).0),
                "a challenge that points elsewhere could make the client fetch any URL it can reach",
            )?;
            vec![url.clone()]
        }
        None => resource_urls(server),
    };
    for url in urls {
        let note = resource_note(named.is_some());
        let reply = http.send(note, Outgoing::get_json(&url)).await?;
        if reply.status == 200 && reply.json().is_object() {
            return validate(http, server, &reply.json()).map(Some);
        }
    }
    Ok(None)
}

fn resource_note(named: bool) -> Note {
    let why = match named {
        true => {
            "The 401 named this document: it says which resource this is and who issues its tokens."
        }
        false => {
            "The challenge names no document, so the client tries the well-known places: first with \
             the path of the endpoint, then at the root."
        }
    };
    let clause = "RFC 9728 section 3; MCP authorization server discovery, \"Protected Resource \
                  Metadata Discovery Requirements\"";
    Note::to_server("Ask for the protected resource metadata", why, clause)
}

fn validate(
    http: &mut Http,
    server: &str,
    document: &Value,
) -> Result<Resource> {
    let resource = document["resource"].as_str().unwrap_or_default();
    http.recorder.check(
        covers(resource, server),
        format!("resource {resource:?} is the URL that was asked, or a parent of it"),
        "RFC 9728 section 3.3: a malicious server could name another one, and collect tokens for it",
    )?;
    let issuers = strings(&document["authorization_servers"]);
    http.recorder.check(
        issuers.first().is_some_and(|issuer| is_safe(issuer)),
        format!("authorization_servers names an https (or loopback) issuer: {issuers:?}"),
        "over plain http everybody on the way could read the password and the code",
    )?;
    Ok(Resource {
        resource: resource.to_owned(),
        issuer: issuers.into_iter().next().unwrap_or_default(),
        scopes: strings(&document["scopes_supported"]),
    })
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

/// Reads and validates the metadata of an issuer, trying every form in the order of the
/// specification.
pub(crate) async fn issuer(
    http: &mut Http,
    issuer: &str,
) -> Result<Issuer> {
    for url in issuer_urls(issuer) {
        let reply = http.send(issuer_note(), Outgoing::get_json(&url)).await?;
        if reply.status != 200 || !reply.json().is_object() {
            http.recorder
                .remark("Nothing usable here; on to the next form.");
            continue;
        }
        return believe(http, issuer, reply.json());
    }
    bail!("{issuer} publishes no metadata in any of the forms that clients try")
}

fn issuer_note() -> Note {
    Note::to_issuer(
        "Ask for the authorization server's metadata",
        "The issuer is only a name; this document says where to log in and what the server can do. \
         Clients try RFC 8414 with the path inserted, then OpenID Connect with it inserted, then \
         appended.",
        "RFC 8414 section 3; MCP authorization server discovery, \"Authorization Server Metadata \
         Discovery\"",
    )
}

fn believe(
    http: &mut Http,
    expected: &str,
    document: Value,
) -> Result<Issuer> {
    let issuer = document["issuer"].as_str().unwrap_or_default().to_owned();
    let recorder = &mut http.recorder;
    recorder.check(
        issuer == expected,
        format!("issuer {issuer:?} is exactly the issuer that was asked, {expected:?}"),
        "RFC 8414 section 3.3: else one server could speak for another (mix-up attack)",
    )?;
    let methods = strings(&document["code_challenge_methods_supported"]);
    recorder.check(
        methods.iter().any(|method| method == "S256"),
        format!("code_challenge_methods_supported has S256: {methods:?}"),
        "without PKCE whoever intercepts the code can redeem it; a client must refuse to go on",
    )?;
    let endpoints = ["authorization_endpoint", "token_endpoint"];
    let safe = endpoints
        .iter()
        .all(|name| document[*name].as_str().is_some_and(is_safe));
    recorder.check(
        safe,
        "authorization_endpoint and token_endpoint are there, over https or on this machine",
        "OAuth 2.1 section 1.5: passwords, codes and tokens travel there",
    )?;
    Ok(Issuer {
        issuer,
        document,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_inserted_before_it_is_appended() {
        let expected = [
            "https://a.example/.well-known/oauth-authorization-server/t",
            "https://a.example/.well-known/openid-configuration/t",
            "https://a.example/t/.well-known/openid-configuration",
        ];
        assert_eq!(issuer_urls("https://a.example/t"), expected);
        assert_eq!(issuer_urls("https://a.example/").len(), 2);
        assert_eq!(resource_urls("https://a.example").len(), 1);
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
}
