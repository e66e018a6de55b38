//! The MCP server as a stranger sees it: the 401, the metadata, CORS.

use serde_json::Value;

use crate::challenge::Challenge;
use crate::doctor::exam::Exam;
use crate::doctor::exam::Known;
use crate::doctor::exam::PAGE;
use crate::doctor::exam::has;
use crate::doctor::exam::is_readable;
use crate::doctor::exam::null_in;
use crate::doctor::exam::preflight;
use crate::doctor::report::Rule;
use crate::doctor::report::rule;
use crate::gate::discovery;
use crate::gate::discovery::strings;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::urls::covers;
use crate::urls::is_safe;
use crate::urls::is_same_origin;

const ALL: &str = "all clients";
const BROWSERS: &str = "browser clients: MCP Inspector (direct), web apps";

const HTTPS: Rule = rule(
    "auth.https",
    "the endpoint is https, or on this machine",
    "serve it over https, or bind it to 127.0.0.1",
    "all clients: everybody on the way reads the token, so a careful client sends none",
);
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
pub(crate) async fn examine(
    exam: &mut Exam,
    known: &mut Known,
) {
    let safe = is_safe(exam.url());
    let seen = exam.url().to_owned();
    exam.report.must(HTTPS, safe, seen);
    stranger(exam, known).await;
    cors(exam).await;
    unknown_path(exam).await;
    documents(exam, known).await;
}

async fn unknown_path(exam: &mut Exam) {
    let unknown = format!("{}/.well-known/nothing-of-this-name", exam.origin());
    let reply = exam.get(&unknown).await;
    let kind = reply.header("Content-Type");
    let good = reply.status == 404 && !kind.starts_with("text/html");
    exam.report.should(NOT_FOUND, good, format!("{} {kind:?}", reply.status_text()));
}

async fn stranger(
    exam: &mut Exam,
    known: &mut Known,
) {
    let reply = exam.ask(exam.discover(None)).await;
    known.protected = reply.status == 401;
    let seen = format!("POST without a token: {}", reply.status_text());
    exam.report.must(REQUIRED, known.protected, seen);
    let url = exam.url().to_owned();
    let get = exam.ask(Outgoing::get(&url).header("Accept", "text/event-stream")).await;
    let seen = format!("GET without a token: {}", get.status_text());
    exam.report.must(ON_GET, get.status == 401, seen);
    let garbage = Outgoing::new(reqwest::Method::POST, &url)
        .header("Content-Type", "application/json")
        .body("{".to_owned());
    let status = exam.ask(garbage).await;
    let seen = format!("a broken body without a token: {}", status.status_text());
    exam.report.should(BEFORE_BODY, status.status == 401, seen);
    challenge(exam, known, &reply);
}

fn challenge(
    exam: &mut Exam,
    known: &mut Known,
    reply: &Reply,
) {
    let header = reply.header("WWW-Authenticate");
    let challenge = Challenge::parse(&header);
    exam.report.must(
        CHALLENGE,
        challenge.is_some(),
        format!("WWW-Authenticate: {header:?}"),
    );
    let Some(challenge) = challenge else {
        exam.report.skip(&[NO_ERROR, SCOPE], "there is no challenge");
        return;
    };
    let error = challenge.get("error").unwrap_or_default();
    exam.report.must(NO_ERROR, error.is_empty(), format!("error={error:?}"));
    let scope = challenge.get("scope").unwrap_or_default();
    exam.report.should(SCOPE, !scope.is_empty(), format!("scope={scope:?}"));
    known.challenge = challenge;
}

async fn cors(exam: &mut Exam) {
    let reply = exam.ask(preflight(exam.url())).await;
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
    exam.report.must(PREFLIGHT, good, seen);
    let reply = exam.ask(exam.discover(None).header("Origin", PAGE)).await;
    let exposed = reply.header("Access-Control-Expose-Headers");
    let seen = format!(
        "{}, allow-origin {:?}, expose-headers {exposed:?}",
        reply.status_text(),
        reply.header("Access-Control-Allow-Origin")
    );
    exam.report.must(
        EXPOSED,
        is_readable(&reply) && has(&exposed, "WWW-Authenticate"),
        seen,
    );
}

/// A star does not stand for `authorization` (Fetch standard).
fn headers_allowed(list: &str) -> bool {
    let authorization =
        list.split(',').any(|item| item.trim().eq_ignore_ascii_case("authorization"));
    authorization && ["content-type", "mcp-protocol-version"].iter().all(|name| has(list, name))
}

/// What the challenge says about the document.
enum Named {
    /// Nothing.
    Nowhere,
    /// On another origin: a client must not go there, and neither does the doctor.
    Elsewhere(String),
    Here(String, Reply),
}

impl Named {
    async fn by(
        exam: &mut Exam,
        challenge: &Challenge,
    ) -> Self {
        let Some(url) = challenge.get("resource_metadata").map(str::to_owned) else {
            return Self::Nowhere;
        };
        if !is_same_origin(exam.url(), &url) {
            return Self::Elsewhere(url);
        }
        let reply = exam.get(&url).await;
        Self::Here(url, reply)
    }

    fn seen(&self) -> String {
        match self {
            Self::Nowhere => "the challenge has no resource_metadata".to_owned(),
            Self::Elsewhere(url) => {
                format!("resource_metadata={url:?} is on another origin, so nobody fetches it")
            }
            Self::Here(url, reply) => {
                format!("resource_metadata={url:?} {}", reply.status_text())
            }
        }
    }

    fn into_reply(self) -> Option<Reply> {
        match self {
            Self::Here(_, reply) => Some(reply),
            _ => None,
        }
    }
}

async fn documents(
    exam: &mut Exam,
    known: &mut Known,
) {
    let urls = discovery::resource_urls(exam.url());
    let at_path = exam.get(&urls[0]).await;
    let seen = format!("{}: {}", urls[0], at_path.status_text());
    exam.report.must(AT_PATH, is_document(&at_path), seen);
    let named = Named::by(exam, &known.challenge).await;
    let seen = named.seen();
    let by_challenge = named.into_reply();
    let good = by_challenge.as_ref().is_some_and(is_document);
    exam.report.must(METADATA_URL, good, seen);
    let root = exam.get(urls.last().unwrap_or(&urls[0])).await;
    let all = [by_challenge, Some(at_path), Some(root.clone())];
    let Some(document) = all.into_iter().flatten().find(is_document) else {
        exam.report.skip(&METADATA, "there is no resource metadata to look at");
        return;
    };
    let document = document.json();
    let same = root.json() == document;
    let seen = format!("{}, same document: {same}", root.status_text());
    exam.report.should(AT_ROOT, same, seen);
    resource(exam, &document);
    content(exam, &document);
    readable(exam).await;
    known.metadata = Some(document);
}

fn is_document(reply: &Reply) -> bool {
    reply.status == 200 && reply.json()["resource"].is_string()
}

fn resource(
    exam: &mut Exam,
    document: &Value,
) {
    let resource = document["resource"].as_str().unwrap_or_default();
    let seen = format!("resource {resource:?}, URL {:?}", exam.url());
    if covers(resource, exam.url()) {
        let same = resource == exam.url();
        exam.report.should(RESOURCE, same, seen);
    } else {
        exam.report.must(RESOURCE, false, seen);
    }
    let plain = !resource.ends_with('/') && !resource.contains(['?', '#']);
    exam.report.must(SLASH, plain, format!("resource {resource:?}"));
}

fn content(
    exam: &mut Exam,
    document: &Value,
) {
    let report = &mut exam.report;
    let issuers = strings(&document["authorization_servers"]);
    let good = issuers.first().is_some_and(|issuer| is_safe(issuer));
    report.must(SERVERS, good, format!("authorization_servers {issuers:?}"));
    let scopes = strings(&document["scopes_supported"]);
    let offline = scopes.iter().any(|scope| scope == "offline_access");
    report.should(OFFLINE, !offline, format!("scopes_supported {scopes:?}"));
    let methods = &document["bearer_methods_supported"];
    let good = methods.is_null() || strings(methods).iter().any(|method| method == "header");
    report.must(HEADER, good, format!("bearer_methods_supported {methods}"));
    let null = null_in(document);
    let seen = format!("null at {}", null.clone().unwrap_or_default());
    report.must(NULLS, null.is_none(), seen);
}

async fn readable(exam: &mut Exam) {
    let url = discovery::resource_urls(exam.url())[0].clone();
    let reply = exam.ask(Outgoing::get_json(&url).header("Origin", PAGE)).await;
    let origin = reply.header("Access-Control-Allow-Origin");
    let seen = format!("allow-origin {origin:?}");
    exam.report.must(METADATA_CORS, is_readable(&reply), seen);
}
