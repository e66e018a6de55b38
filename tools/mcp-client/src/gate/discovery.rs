//! From the 401 to the authorization server: RFC 9728, then RFC 8414 or OpenID Connect Discovery.
//!
//! Every document is believed only after the check that its RFC demands, because all of them come
//! over the network and each one decides where a user's password will be typed. What passed is a
//! [`Way`] or an [`Issuer`], which nothing but these checks can make.
//!
//! Spec: MCP 2026-07-28, basic/authorization/authorization-server-discovery. Left out: signed
//! metadata, and choosing among several authorization servers (`--issuer` does, otherwise the first
//! one is taken).

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;

use crate::challenge::Challenge;
use crate::gate::pass::Pass;
use crate::gate::pass::ServerUrl;
use crate::gate::secret::Secret;
use crate::gate::trusted::Trusted;
use crate::http::Http;
use crate::http::Outgoing;
use crate::recorder::Recorder;
use crate::story;
use crate::story::prevents;
use crate::urls::covers;
use crate::urls::is_safe;
use crate::urls::is_same_origin;
use crate::urls::split;

const PRM: &str = "/.well-known/oauth-protected-resource";
const RFC_8414: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

/// What the MCP server says of itself (RFC 9728 section 2), after validation.
#[derive(Clone, Debug)]
struct Resource {
    /// The exact string to name in `resource` and to find in `aud`.
    resource: String,
    /// The issuer identifiers of the authorization servers, never none.
    issuers: Vec<String>,
    scopes: Vec<String>,
}

/// What the authorization server says of itself (RFC 8414 section 2), after validation.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    name: String,
    document: Value,
}

impl Issuer {
    /// The issuer identifier, byte for byte.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

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
        strings(&self.document[member]).iter().any(|item| item == value)
    }

    /// An endpoint that may see what belongs to this authorization server: codes, tokens, secrets.
    pub(crate) fn endpoint(
        &self,
        member: &str,
    ) -> Result<Trusted> {
        let url = self
            .text(member)
            .with_context(|| format!("the authorization server's metadata names no {member}"))?;
        Trusted::checked(url).with_context(|| format!("{member} cannot be used"))
    }
}

/// The validated way to a login.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    server: Trusted,
    issuer: Issuer,
    resource: String,
    scopes: Vec<String>,
}

impl Way {
    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What to name in `resource`.
    pub(crate) fn resource(&self) -> &str {
        &self.resource
    }

    /// What to ask for at first; empty where the server does not say.
    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// A token that was issued on this way, for the server at its end.
    pub(crate) fn pass(
        &self,
        token: Secret,
    ) -> Pass {
        Pass::new(self.server.clone(), token)
    }
}

/// Finds the way in from the challenge of a 401, and validates every step of it.
pub(crate) async fn find_way(
    http: &mut Http,
    server: &ServerUrl,
    challenge: &Challenge,
    preset: Option<&str>,
) -> Result<Way> {
    let url = server.as_str();
    let place = reachable(&mut http.recorder, url)?;
    let found = resource(http, url, challenge).await?;
    let (resource, name, supported) = match (found, preset) {
        (Some(found), preset) => {
            let name = choose(&mut http.recorder, &found.issuers, preset)?;
            (found.resource, name, found.scopes)
        }
        (None, Some(issuer)) => (url.to_owned(), issuer.to_owned(), Vec::new()),
        (None, None) => bail!(
            "{url} wants a token and does not say where to get one: it serves no protected \
             resource metadata (RFC 9728). If you know its authorization server, name it with \
             --issuer; if you have a token, give it with --token"
        ),
    };
    let scopes = match challenge.scopes() {
        named if named.is_empty() => supported,
        named => named,
    };
    Ok(Way {
        server: place,
        issuer: issuer(http, &name).await?,
        resource,
        scopes,
    })
}

/// The way of an earlier login, whose authorization server is asked and validated again.
pub(crate) async fn resume_way(
    http: &mut Http,
    server: &ServerUrl,
    resource: &str,
    name: &str,
    scopes: &[String],
) -> Result<Way> {
    let place = reachable(&mut http.recorder, server.as_str())?;
    covered(&mut http.recorder, resource, server.as_str())?;
    Ok(Way {
        server: place,
        issuer: issuer(http, name).await?,
        resource: resource.to_owned(),
        scopes: scopes.to_vec(),
    })
}

fn reachable(
    recorder: &mut Recorder,
    server: &str,
) -> Result<Trusted> {
    recorder.check(
        is_safe(server),
        format!("the server is reached over https, or on this machine: {server}"),
        prevents::PLAIN_SERVER,
    )?;
    Trusted::checked(server)
}

/// The issuer that the user named, if the server names it too; else the server's first.
fn choose(
    recorder: &mut Recorder,
    issuers: &[String],
    preset: Option<&str>,
) -> Result<String> {
    if let Some(preset) = preset {
        recorder.check(
            issuers.iter().any(|issuer| issuer == preset),
            format!("the server's authorization_servers {issuers:?} have {preset:?} of --issuer"),
            prevents::OTHER_ISSUER,
        )?;
        return Ok(preset.to_owned());
    }
    issuers.first().cloned().context("the server names no authorization server")
}

/// The strings of a JSON array.
pub(crate) fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
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
async fn resource(
    http: &mut Http,
    server: &str,
    challenge: &Challenge,
) -> Result<Option<Resource>> {
    let named = challenge.get("resource_metadata").map(str::to_owned);
    let (note, urls) = match named {
        Some(url) => {
            http.recorder.check(
                is_same_origin(server, &url),
                format!(
                    "resource_metadata, on {}, is on the server that was asked, {}",
                    split(&url).0,
                    split(server).0
                ),
                prevents::FOREIGN_DOCUMENT,
            )?;
            (story::RESOURCE_NAMED, vec![url])
        }
        None => (story::RESOURCE_PROBED, resource_urls(server)),
    };
    for url in urls {
        let reply = http.send(note.clone(), Outgoing::get_json(&url)).await?;
        if reply.status == 200 && reply.json().is_object() {
            return validate(&mut http.recorder, server, &reply.json()).map(Some);
        }
    }
    Ok(None)
}

fn validate(
    recorder: &mut Recorder,
    server: &str,
    document: &Value,
) -> Result<Resource> {
    let resource = document["resource"].as_str().unwrap_or_default();
    covered(recorder, resource, server)?;
    let issuers = strings(&document["authorization_servers"]);
    recorder.check(
        issuers.first().is_some_and(|issuer| is_safe(issuer)),
        format!("authorization_servers names an https (or loopback) issuer: {issuers:?}"),
        prevents::PLAIN_ISSUER,
    )?;
    Ok(Resource {
        resource: resource.to_owned(),
        issuers,
        scopes: strings(&document["scopes_supported"]),
    })
}

fn covered(
    recorder: &mut Recorder,
    resource: &str,
    server: &str,
) -> Result<()> {
    recorder.check(
        covers(resource, server),
        format!("resource {resource:?} is the URL that was asked, or a parent of it"),
        prevents::OTHER_RESOURCE,
    )
}

/// Reads and validates the metadata of an issuer, trying every form in the order of the
/// specification.
pub(crate) async fn issuer(
    http: &mut Http,
    name: &str,
) -> Result<Issuer> {
    Trusted::checked(name).context("the authorization server cannot be used")?;
    for url in issuer_urls(name) {
        let reply = http.send(story::ISSUER, Outgoing::get_json(&url)).await?;
        if reply.status != 200 || !reply.json().is_object() {
            http.recorder.remark("Nothing usable here; on to the next form.");
            continue;
        }
        return believe(&mut http.recorder, name, reply.json());
    }
    bail!("{name} publishes no metadata in any of the forms that clients try")
}

fn believe(
    recorder: &mut Recorder,
    expected: &str,
    document: Value,
) -> Result<Issuer> {
    let name = document["issuer"].as_str().unwrap_or_default().to_owned();
    recorder.check(
        name == expected,
        format!("issuer {name:?} is exactly the issuer that was asked, {expected:?}"),
        prevents::MIXED_ISSUER,
    )?;
    let methods = strings(&document["code_challenge_methods_supported"]);
    recorder.check(
        methods.iter().any(|method| method == "S256"),
        format!("code_challenge_methods_supported has S256: {methods:?}"),
        prevents::NO_PKCE,
    )?;
    let endpoints = ["authorization_endpoint", "token_endpoint"];
    let safe = endpoints.iter().all(|name| document[*name].as_str().is_some_and(is_safe));
    recorder.check(
        safe,
        "authorization_endpoint and token_endpoint are there, over https or on this machine",
        prevents::PLAIN_ENDPOINT,
    )?;
    Ok(Issuer {
        name,
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
}
