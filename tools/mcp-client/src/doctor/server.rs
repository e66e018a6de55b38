//! The MCP server as a stranger sees it: the 401, the metadata, CORS.

use serde_json::Value;

use super::Doctor;
use super::Known;
use super::PAGE;
use super::Rule;
use super::has;
use super::is_readable;
use super::null_in;
use super::preflight;
use super::rule;
use crate::challenge::Challenge;
use crate::discovery;
use crate::discovery::strings;
use crate::http::Outgoing;
use crate::http::Reply;

const ALL: &str = "all clients";
const BROWSERS: &str = "browser clients: MCP Inspector (direct), web apps";

const REQUIRED: Rule = rule(
    "auth.required",
    "a call without a token is answered 401",
    "check the token before anything else, on every request to the endpoint",
    "all clients: without a 401 none of them starts a login, and everybody may call",
);
const ON_GET: Rule = rule(
    "auth.on-get",
    "GET without a token is answered 401 as well",
    "put the check around all methods of the endpoint, not only around POST",
    "clients that open a stream first: SDKs up to 2025-11-25, mcp-remote",
);
const BEFORE_BODY: Rule = rule(
    "auth.before-body",
    "the token is checked before the body is read",
    "run the check as middleware, before parsing JSON",
    "nobody, but strangers reach your parser",
);
const CHALLENGE: Rule = rule(
    "challenge.bearer",
    "the 401 has WWW-Authenticate: Bearer",
    "send WWW-Authenticate: Bearer realm=\"mcp\", resource_metadata=\"..\", scope=\"..\"",
    ALL,
);
const NO_ERROR: Rule = rule(
    "challenge.no-error",
    "without a token the challenge has no error parameter",
    "leave error out where no token was sent (RFC 6750 section 3.1)",
    "clients that take invalid_token for an expired login, and refresh for ever",
);
const METADATA_URL: Rule = rule(
    "challenge.metadata",
    "the challenge names the resource metadata, and it is there",
    "add resource_metadata=\"https://host/.well-known/oauth-protected-resource/path\"",
    "all clients of 2025-06-18 and later; some probe the well-known places instead",
);
const SCOPE: Rule = rule(
    "challenge.scope",
    "the challenge names the scopes to begin with",
    "add scope=\"..\" with the basic scopes",
    "TypeScript SDK v1 and others that cannot step up ask for exactly these",
);
const PREFLIGHT: Rule = rule(
    "cors.preflight",
    "a CORS preflight passes without a token",
    "answer OPTIONS before authentication; allow POST, authorization, content-type, mcp-*",
    BROWSERS,
);
const EXPOSED: Rule = rule(
    "cors.exposed",
    "a page can read the 401 and its WWW-Authenticate",
    "send Access-Control-Allow-Origin and Access-Control-Expose-Headers: WWW-Authenticate, on errors too",
    BROWSERS,
);
const METADATA_CORS: Rule = rule(
    "cors.metadata",
    "any page can read the resource metadata",
    "send Access-Control-Allow-Origin: * on the well-known documents",
    BROWSERS,
);
const AT_PATH: Rule = rule(
    "prm.at-path",
    "the resource metadata is served with the path of the endpoint behind the well-known part",
    "serve /.well-known/oauth-protected-resource/<path of the endpoint> (RFC 9728 section 3.1)",
    "VS Code, Claude, SDKs: the first place they look",
);
const AT_ROOT: Rule = rule(
    "prm.at-root",
    "the same document is served at the root as well",
    "serve the same bytes at /.well-known/oauth-protected-resource",
    "older clients and gateways that know only the root",
);
const RESOURCE: Rule = rule(
    "prm.resource",
    "resource is exactly the URL that clients use",
    "set the server's resource to this very URL, byte for byte, and use the same string as aud",
    "VS Code, Claude Code, TypeScript and Python SDKs refuse another one",
);
const SLASH: Rule = rule(
    "prm.no-trailing-slash",
    "resource has no trailing slash, query or fragment",
    "leave it out in the configuration; give the endpoint a path so that no library adds one",
    "clients that compare strings; URL libraries that add or drop the slash",
);
const SERVERS: Rule = rule(
    "prm.issuers",
    "authorization_servers names at least one https (or loopback) issuer",
    "add authorization_servers: [\"<issuer>\"]",
    ALL,
);
const OFFLINE: Rule = rule(
    "prm.no-offline-access",
    "scopes_supported does not list offline_access",
    "list it in the authorization server's metadata only",
    "clients that ask for every listed scope and are refused",
);
const HEADER: Rule = rule(
    "prm.bearer-header",
    "bearer_methods_supported, if there, has header",
    "bearer_methods_supported: [\"header\"]",
    "clients that check it; MCP allows no other way",
);
const NULLS: Rule = rule(
    "prm.no-nulls",
    "the resource metadata has no null members",
    "leave absent members out",
    "TypeScript SDK: its schema takes null for a wrong type",
);
const NOT_FOUND: Rule = rule(
    "wellknown.json-404",
    "unknown well-known paths are answered 404, not with a page, a redirect or a 401",
    "answer 404 with JSON below /.well-known/, without authentication",
    "clients that try several forms: Inspector, SDKs, mcp-remote stop at HTML or a 401",
);

const METADATA: [Rule; 8] = [
    METADATA_CORS,
    AT_ROOT,
    RESOURCE,
    SLASH,
    SERVERS,
    OFFLINE,
    HEADER,
    NULLS,
];

/// All checks of this part.
pub(super) async fn examine(
    doctor: &mut Doctor,
    known: &mut Known,
) {
    stranger(doctor, known).await;
    cors(doctor).await;
    unknown_path(doctor).await;
    documents(doctor, known).await;
}

async fn unknown_path(doctor: &mut Doctor) {
    let unknown = format!("{}/.well-known/nothing-of-this-name", doctor.origin());
    let reply = doctor.get(&unknown).await;
    let kind = reply.header("Content-Type");
    let good = reply.status == 404 && !kind.starts_with("text/html");
    doctor.should(NOT_FOUND, good, format!("{} {kind:?}", reply.status_text()));
}

async fn stranger(
    doctor: &mut Doctor,
    known: &mut Known,
) {
    let reply = doctor.ask(&doctor.discover(None)).await;
    known.protected = reply.status == 401;
    let seen = format!("POST without a token: {}", reply.status_text());
    doctor.must(REQUIRED, known.protected, seen);
    let url = doctor.url.clone();
    let get = doctor
        .ask(&Outgoing::get(&url).header("Accept", "text/event-stream"))
        .await;
    let seen = format!("GET without a token: {}", get.status_text());
    doctor.must(ON_GET, get.status == 401, seen);
    let garbage = Outgoing::new(reqwest::Method::POST, &url)
        .header("Content-Type", "application/json")
        .body("{".to_owned());
    let status = doctor.ask(&garbage).await;
    let seen = format!("a broken body without a token: {}", status.status_text());
    doctor.should(BEFORE_BODY, status.status == 401, seen);
    challenge(doctor, known, &reply);
}

fn challenge(
    doctor: &mut Doctor,
    known: &mut Known,
    reply: &Reply,
) {
    let header = reply.header("WWW-Authenticate");
    let challenge = Challenge::parse(&header);
    doctor.must(
        CHALLENGE,
        challenge.is_some(),
        format!("WWW-Authenticate: {header:?}"),
    );
    let Some(challenge) = challenge else {
        doctor.skip(&[NO_ERROR, SCOPE], "there is no challenge");
        return;
    };
    let error = challenge.get("error").unwrap_or_default();
    doctor.must(NO_ERROR, error.is_empty(), format!("error={error:?}"));
    let scope = challenge.get("scope").unwrap_or_default();
    doctor.should(SCOPE, !scope.is_empty(), format!("scope={scope:?}"));
    known.challenge = challenge;
}

async fn cors(doctor: &mut Doctor) {
    let reply = doctor.ask(&preflight(&doctor.url)).await;
    let methods = reply.header("Access-Control-Allow-Methods");
    let headers = reply.header("Access-Control-Allow-Headers");
    let good = (200..300).contains(&reply.status)
        && is_readable(&reply)
        && has(&methods, "POST")
        && headers_allowed(&headers);
    let seen = format!(
        "OPTIONS from {PAGE}: {}, allow-origin {:?}, allow-headers {headers:?}",
        reply.status_text(),
        reply.header("Access-Control-Allow-Origin")
    );
    doctor.must(PREFLIGHT, good, seen);
    let reply = doctor
        .ask(&doctor.discover(None).header("Origin", PAGE))
        .await;
    let exposed = reply.header("Access-Control-Expose-Headers");
    let seen = format!(
        "{}, allow-origin {:?}, expose-headers {exposed:?}",
        reply.status_text(),
        reply.header("Access-Control-Allow-Origin")
    );
    doctor.must(
        EXPOSED,
        is_readable(&reply) && has(&exposed, "WWW-Authenticate"),
        seen,
    );
}

/// A star does not stand for `authorization` (Fetch standard).
fn headers_allowed(list: &str) -> bool {
    let authorization = list
        .split(',')
        .any(|item| item.trim().eq_ignore_ascii_case("authorization"));
    authorization
        && ["content-type", "mcp-protocol-version"]
            .iter()
            .all(|name| has(list, name))
}

async fn documents(
    doctor: &mut Doctor,
    known: &mut Known,
) {
    let urls = discovery::resource_urls(&doctor.url);
    let at_path = doctor.get(&urls[0]).await;
    let named = known.challenge.get("resource_metadata").map(str::to_owned);
    let by_challenge = match &named {
        Some(url) => Some(doctor.get(url).await),
        None => None,
    };
    let seen = format!("{}: {}", urls[0], at_path.status_text());
    doctor.must(AT_PATH, is_document(&at_path), seen);
    let good = by_challenge.as_ref().is_some_and(is_document);
    let status = by_challenge
        .as_ref()
        .map(Reply::status_text)
        .unwrap_or_default();
    doctor.must(
        METADATA_URL,
        good,
        format!("resource_metadata={named:?} {status}"),
    );
    let root = doctor.get(urls.last().unwrap_or(&urls[0])).await;
    let all = [by_challenge, Some(at_path), Some(root.clone())];
    let Some(document) = all.into_iter().flatten().find(is_document) else {
        doctor.skip(&METADATA, "there is no resource metadata to look at");
        return;
    };
    let document = document.json();
    let same = root.json() == document;
    doctor.should(
        AT_ROOT,
        same,
        format!("{}, same document: {same}", root.status_text()),
    );
    content(doctor, &document).await;
    known.metadata = Some(document);
}

fn is_document(reply: &Reply) -> bool {
    reply.status == 200 && reply.json()["resource"].is_string()
}

async fn content(
    doctor: &mut Doctor,
    document: &Value,
) {
    let resource = document["resource"].as_str().unwrap_or_default();
    let seen = format!("resource {resource:?}, URL {:?}", doctor.url);
    if discovery::covers(resource, &doctor.url) {
        doctor.should(RESOURCE, resource == doctor.url, seen);
    } else {
        doctor.must(RESOURCE, false, seen);
    }
    let plain = !resource.ends_with('/') && !resource.contains(['?', '#']);
    doctor.must(SLASH, plain, format!("resource {resource:?}"));
    let issuers = strings(&document["authorization_servers"]);
    let good = issuers
        .first()
        .is_some_and(|issuer| crate::http::is_safe(issuer));
    doctor.must(SERVERS, good, format!("authorization_servers {issuers:?}"));
    let scopes = strings(&document["scopes_supported"]);
    let offline = scopes.iter().any(|scope| scope == "offline_access");
    doctor.should(OFFLINE, !offline, format!("scopes_supported {scopes:?}"));
    let methods = &document["bearer_methods_supported"];
    let good = methods.is_null() || strings(methods).iter().any(|method| method == "header");
    doctor.must(HEADER, good, format!("bearer_methods_supported {methods}"));
    let null = null_in(document);
    doctor.must(
        NULLS,
        null.is_none(),
        format!("null at {}", null.unwrap_or_default()),
    );
    let url = discovery::resource_urls(&doctor.url)[0].clone();
    let reply = doctor
        .ask(&Outgoing::get_json(&url).header("Origin", PAGE))
        .await;
    let origin = reply.header("Access-Control-Allow-Origin");
    doctor.must(
        METADATA_CORS,
        is_readable(&reply),
        format!("allow-origin {origin:?}"),
    );
}
