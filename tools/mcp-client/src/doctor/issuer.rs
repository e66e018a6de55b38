//! The authorization server: its metadata, registration, and what it refuses.

use serde_json::Value;
use serde_json::json;
use url::Url;

use crate::doctor::exam::Exam;
use crate::doctor::exam::Known;
use crate::doctor::exam::PAGE;
use crate::doctor::exam::is_readable;
use crate::doctor::exam::null_in;
use crate::doctor::exam::preflight;
use crate::doctor::report::Rule;
use crate::doctor::report::rule;
use crate::gate::discovery;
use crate::gate::discovery::strings;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::mcp;
use crate::register;
use crate::register::Registration;
use crate::urls::is_safe;

const ALL: &str = "all clients";
const PUBLIC: &str = "all programs on the user's machine: Claude Code, VS Code, Cursor, Inspector";
const BROWSERS: &str = "browser clients: MCP Inspector (direct), web apps";

const FOUND: Rule = rule(
    "as.metadata",
    "the authorization server publishes its metadata",
    "serve RFC 8414 metadata, or OpenID Connect discovery, below the issuer",
    ALL,
);
const ISSUER: Rule = rule(
    "as.issuer",
    "issuer is exactly the string that the resource metadata names",
    "make authorization_servers and issuer the same bytes: scheme, host, port, trailing slash",
    "all clients that validate: SDKs of 2026, Claude, VS Code",
);
const BOTH: Rule = rule(
    "as.both-forms",
    "OAuth and OpenID Connect discovery are both there",
    "serve the same document at both well-known paths",
    "clients that know only one of the two",
);
const S256: Rule = rule(
    "as.s256",
    "code_challenge_methods_supported has S256",
    "add code_challenge_methods_supported: [\"S256\"]",
    "all clients: they must refuse to go on (MCP security considerations)",
);
const NO_PLAIN: Rule = rule(
    "as.no-plain",
    "PKCE plain is not offered",
    "offer S256 only",
    "nobody, but plain protects from nobody who reads the request",
);
const NONE: Rule = rule(
    "as.public-clients",
    "token_endpoint_auth_methods_supported has none",
    "list none, and let clients without a secret redeem codes with PKCE",
    PUBLIC,
);
const ISS: Rule = rule(
    "as.iss-parameter",
    "authorization_response_iss_parameter_supported is true",
    "send iss with every authorization response, and say so (RFC 9207)",
    "clients that guard against mix-up attacks; it becomes a MUST",
);
const REGISTRATION: Rule = rule(
    "as.registration",
    "clients can introduce themselves: metadata documents or dynamic registration",
    "support Client ID Metadata Documents, or serve a registration_endpoint",
    "all clients that were not registered by hand",
);
const SAFE: Rule = rule(
    "as.endpoints",
    "all endpoints are https (or on this machine)",
    "serve them over https",
    "all clients: passwords, codes and tokens travel there",
);
const CODE: Rule = rule(
    "as.response-types",
    "response_types_supported has code",
    "add response_types_supported: [\"code\"] (RFC 8414 requires the member)",
    "TypeScript and Python SDK: their schemas require it",
);
const REFRESH: Rule = rule(
    "as.refresh-grant",
    "grant_types_supported has refresh_token",
    "issue refresh tokens, and list the grant",
    "users: they log in again whenever the access token expires",
);
const NULLS: Rule = rule(
    "as.no-nulls",
    "the metadata has no null members",
    "leave absent members out",
    "TypeScript SDK: its schema takes null for a wrong type",
);
const CORS: Rule = rule(
    "as.cors",
    "pages can read the metadata and use the token endpoint",
    "allow any origin on metadata, token and registration endpoints; never on authorize",
    BROWSERS,
);
const JWKS: Rule = rule(
    "as.jwks",
    "the key set answers, each key with a kid, and no private part in it",
    "publish public keys only, each with kid, kty and alg",
    "resource servers that verify tokens",
);
const REGISTER: Rule = rule(
    "dcr.works",
    "a native client can register itself",
    "accept loopback redirect URIs and unknown members; answer 201 with the client's metadata",
    PUBLIC,
);
const NO_SECRET: Rule = rule(
    "dcr.no-secret",
    "a client that asks for no secret gets none, and no null members",
    "leave client_secret out for token_endpoint_auth_method none",
    "TypeScript SDK (null members); clients that would send a secret they cannot keep",
);
const DANGEROUS: Rule = rule(
    "dcr.redirect-schemes",
    "redirect URIs that run code are refused at registration",
    "refuse javascript:, data:, vbscript:, file: and plain http beyond loopback",
    "users: the code goes to whoever wrote the script",
);
const EXACT: Rule = rule(
    "redirect.exact",
    "an unregistered redirect URI is not followed",
    "compare redirect URIs exactly; show a page instead of redirecting",
    "users: their code is sent to somebody else",
);
const PORT: Rule = rule(
    "redirect.loopback-port",
    "a loopback redirect URI may differ in its port",
    "ignore the port of loopback redirect URIs (RFC 8252 section 7.3)",
    "VS Code, Claude Code, Copilot CLI: they learn their port at start",
);
const PKCE: Rule = rule(
    "pkce.required",
    "a request without PKCE is refused",
    "require code_challenge with S256 from every client",
    "users: an intercepted code can be redeemed by anybody",
);
const TOKEN_ERROR: Rule = rule(
    "token.error-json",
    "the token endpoint refuses a wrong code with OAuth JSON",
    "answer 400 {\"error\": \"invalid_grant\"} (RFC 6749 section 5.2)",
    "all SDKs: they decide by the error code whether to log in again",
);

const MACHINES_ID: &str = "as.machines";
const MACHINES: Rule = rule(
    MACHINES_ID,
    "programs without a user: client_credentials is granted, for a secret or a signed assertion",
    "",
    "",
);
const MACHINES_BY_SECRET: Rule = Rule {
    claim: "programs without a user: client_credentials is granted, for a secret",
    ..MACHINES
};
const MACHINES_BY_KEY: Rule = Rule {
    claim: "programs without a user: client_credentials is granted, for a signed assertion",
    ..MACHINES
};
const NO_MACHINES: Rule = Rule {
    claim: "programs without a user: client_credentials is not granted, which nobody has to",
    ..MACHINES
};
const UNPROVEN_MACHINES: Rule = rule(
    MACHINES_ID,
    "client_credentials is granted for a proof that the metadata names in full",
    "list private_key_jwt with token_endpoint_auth_signing_alg_values_supported, or \
     client_secret_basic",
    "programs without a user (io.modelcontextprotocol/oauth-client-credentials)",
);

const METADATA: [Rule; 14] = [
    ISSUER,
    BOTH,
    S256,
    NO_PLAIN,
    NONE,
    ISS,
    REGISTRATION,
    SAFE,
    CODE,
    REFRESH,
    NULLS,
    CORS,
    JWKS,
    MACHINES,
];
const REGISTERED: [Rule; 7] = [
    REGISTER,
    NO_SECRET,
    DANGEROUS,
    EXACT,
    PORT,
    PKCE,
    TOKEN_ERROR,
];

/// A code challenge whose verifier nobody knows.
const CHALLENGE: &str = "wZL8MkZejwdzHh4jB2kh79_6EBNURpiMV6pTtCVALSs";

const REDIRECT: &str = "http://127.0.0.1:33418/callback";

/// An authorization server as it describes itself, whatever that is worth.
struct Server {
    /// What the MCP server calls it.
    name: String,
    document: Value,
}

impl Server {
    fn text(
        &self,
        member: &str,
    ) -> Option<&str> {
        self.document[member].as_str()
    }

    /// An endpoint that is https or on this machine: no request goes to any other.
    fn endpoint(
        &self,
        member: &str,
    ) -> Option<&str> {
        self.text(member).filter(|url| is_safe(url))
    }
}

/// All checks of this part.
pub(crate) async fn examine(
    exam: &mut Exam,
    known: &mut Known,
) {
    let Some(name) = name(exam, known) else {
        let why = "no authorization server is known (--issuer names one)";
        exam.report.must(FOUND, false, "no authorization server is named anywhere");
        exam.report.skip(&METADATA, why);
        exam.report.skip(&REGISTERED, why);
        return;
    };
    if !is_safe(&name) {
        let why = format!("{name:?} is neither https nor on this machine, so nobody asks there");
        exam.report.must(FOUND, false, why.clone());
        exam.report.skip(&METADATA, &why);
        exam.report.skip(&REGISTERED, &why);
        return;
    }
    let Some(document) = find(exam, &name).await else {
        let why = "there is no metadata to look at";
        exam.report.skip(&METADATA, why);
        exam.report.skip(&REGISTERED, why);
        return;
    };
    let server = Server {
        name,
        document,
    };
    metadata(exam, &server);
    readable(exam, &server).await;
    keys(exam, &server).await;
    known.issuer = discovery::issuer(&mut exam.http, &server.name).await.ok();
    clients(exam, known, &server).await;
}

/// The authorization server that the resource metadata names, or else the user.
fn name(
    exam: &Exam,
    known: &Known,
) -> Option<String> {
    let document = known.metadata.as_ref();
    let named = document.map(|document| strings(&document["authorization_servers"]));
    let first = named.and_then(|list| list.into_iter().next());
    first.or(exam.how.issuer.clone())
}

async fn find(
    exam: &mut Exam,
    issuer: &str,
) -> Option<Value> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for url in discovery::issuer_urls(issuer) {
        let reply = exam.get(&url).await;
        seen.push(format!("{url}: {}", reply.status_text()));
        if reply.status == 200 && reply.json().is_object() {
            found.push((url, reply.json()));
        }
    }
    exam.report.must(FOUND, !found.is_empty(), seen.join(", "));
    if !found.is_empty() {
        let oidc = found.iter().any(|(url, _)| url.contains("openid-configuration"));
        let oauth = found.iter().any(|(url, _)| url.contains("oauth-authorization-server"));
        exam.report.should(BOTH, oidc && oauth, seen.join(", "));
    }
    found.into_iter().next().map(|(_, document)| document)
}

fn metadata(
    exam: &mut Exam,
    server: &Server,
) {
    let (name, document) = (&server.name, &server.document);
    let report = &mut exam.report;
    let issuer = &document["issuer"];
    let seen = format!("named {name:?}, document says {issuer}");
    report.must(ISSUER, issuer == name, seen);
    let by_document = document["client_id_metadata_document_supported"] == true;
    let endpoint = &document["registration_endpoint"];
    let seen = format!("metadata documents: {by_document}, registration_endpoint {endpoint}");
    report.must(REGISTRATION, by_document || endpoint.is_string(), seen);
    let unsafe_ones = unsafe_endpoints(document);
    let seen = format!("not https: {unsafe_ones:?}");
    report.must(SAFE, unsafe_ones.is_empty(), seen);
    let null = null_in(document);
    let seen = format!("null at {}", null.clone().unwrap_or_default());
    report.must(NULLS, null.is_none(), seen);
    capabilities(exam, document);
}

/// What the server says that it can do.
fn capabilities(
    exam: &mut Exam,
    document: &Value,
) {
    let report = &mut exam.report;
    let lists = |member: &str, value: &str| {
        let list = strings(&document[member]);
        list.iter().any(|item| item == value)
    };
    let shown = |member: &str| format!("{member} {}", document[member]);
    let pkce = "code_challenge_methods_supported";
    report.must(S256, lists(pkce, "S256"), shown(pkce));
    report.should(NO_PLAIN, !lists(pkce, "plain"), shown(pkce));
    let methods = "token_endpoint_auth_methods_supported";
    report.must(NONE, lists(methods, "none"), shown(methods));
    let iss = "authorization_response_iss_parameter_supported";
    report.should(ISS, document[iss] == true, shown(iss));
    let types = "response_types_supported";
    report.must(CODE, lists(types, "code"), shown(types));
    let grants = "grant_types_supported";
    report.should(REFRESH, lists(grants, "refresh_token"), shown(grants));
    machines(exam, document);
}

/// Whether a program without a user gets a token, and how it would prove itself. To grant none is no
/// fault.
fn machines(
    exam: &mut Exam,
    document: &Value,
) {
    let (grants, methods, algorithms) = (
        "grant_types_supported",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
    );
    let list = |member: &str| strings(&document[member]);
    let has = |member: &str, value: &str| list(member).iter().any(|item| item == value);
    let by_key = has(methods, "private_key_jwt") && !list(algorithms).is_empty();
    // Without the member it is client_secret_basic (RFC 8414 section 2).
    let by_secret = document.get(methods).is_none()
        || has(methods, "client_secret_basic")
        || has(methods, "client_secret_post");
    let seen = format!(
        "{methods} {}, {algorithms} {}",
        document[methods], document[algorithms]
    );
    if !has(grants, "client_credentials") {
        exam.report.must(NO_MACHINES, true, format!("{grants} {}", document[grants]));
        return;
    }
    let rule = match (by_secret, by_key) {
        (true, true) => MACHINES,
        (true, false) => MACHINES_BY_SECRET,
        (false, true) => MACHINES_BY_KEY,
        (false, false) => UNPROVEN_MACHINES,
    };
    exam.report.should(rule, by_secret || by_key, seen);
}

fn unsafe_endpoints(document: &Value) -> Vec<String> {
    let members = document.as_object().into_iter().flatten();
    let endpoints = members.filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    let bad = endpoints.filter(|(_, url)| !url.as_str().is_some_and(is_safe));
    bad.map(|(name, url)| format!("{name} {url}")).collect()
}

/// Whether pages can use it.
async fn readable(
    exam: &mut Exam,
    server: &Server,
) {
    let Some(endpoint) = server.endpoint("token_endpoint") else {
        exam.report.skip(&[CORS], "there is no token endpoint to ask");
        return;
    };
    let url = discovery::issuer_urls(&server.name)[0].clone();
    let read = exam.ask(Outgoing::get_json(&url).header("Origin", PAGE)).await;
    let token = exam.ask(preflight(endpoint)).await;
    let good = is_readable(&read) && is_readable(&token) && token.status < 300;
    let seen = format!(
        "metadata allow-origin {:?}, token preflight {} allow-origin {:?}",
        read.header("Access-Control-Allow-Origin"),
        token.status_text(),
        token.header("Access-Control-Allow-Origin")
    );
    exam.report.should(CORS, good, seen);
}

async fn keys(
    exam: &mut Exam,
    server: &Server,
) {
    let Some(url) = server.endpoint("jwks_uri") else {
        exam.report.skip(&[JWKS], "there is no jwks_uri; opaque tokens need none");
        return;
    };
    let reply = exam.get(url).await;
    let keys = reply.json()["keys"].as_array().cloned().unwrap_or_default();
    let good = |key: &Value| key["kid"].is_string() && key["d"].is_null() && key["k"].is_null();
    let seen = format!("{}, {} keys", reply.status_text(), keys.len());
    exam.report.must(JWKS, !keys.is_empty() && keys.iter().all(good), seen);
}

/// What the server does with clients, good and bad.
async fn clients(
    exam: &mut Exam,
    known: &Known,
    server: &Server,
) {
    let Some(endpoint) = server.endpoint("registration_endpoint") else {
        let why = "there is no registration_endpoint to try it with";
        exam.report.skip(&REGISTERED, why);
        return;
    };
    let good = register::metadata(REDIRECT);
    let reply = exam.ask(Outgoing::json(endpoint, &good)).await;
    let Some(id) = registered(exam, known, &reply) else {
        let why = mcp::problem(&reply).unwrap_or_default();
        let seen = format!("{} {why}", reply.status_text());
        exam.report.must(REGISTER, false, seen);
        exam.report.skip(&REGISTERED[1..], "no client could be registered");
        return;
    };
    exam.report.must(REGISTER, true, reply.status_text());
    let body = reply.json();
    let (secret, null) = (body["client_secret"].is_string(), null_in(&body));
    let seen = format!("client_secret given: {secret}, null member: {null:?}");
    exam.report.must(NO_SECRET, !secret && null.is_none(), seen);
    let evil = register::metadata("javascript:alert(1)//");
    let reply = exam.ask(Outgoing::json(endpoint, &evil)).await;
    let _ = registered(exam, known, &reply);
    let seen = format!("javascript: was answered {}", reply.status_text());
    let refused = (400..500).contains(&reply.status);
    exam.report.must(DANGEROUS, refused, seen);
    redirects(exam, server, &id).await;
    wrong_code(exam, server, &id).await;
}

/// The id of a client that was registered, which is to be taken back in the end.
fn registered(
    exam: &mut Exam,
    known: &Known,
    reply: &Reply,
) -> Option<String> {
    let body = reply.json();
    if reply.status != 201 {
        return None;
    }
    let id = body["client_id"].as_str()?;
    let registration = match &known.issuer {
        Some(issuer) => Registration::read(issuer, &body),
        None => Registration::Lasting,
    };
    exam.registered.push((id.to_owned(), registration));
    Some(id.to_owned())
}

/// Authorization requests as a browser would bring them.
async fn redirects(
    exam: &mut Exam,
    server: &Server,
    client_id: &str,
) {
    let Some(endpoint) = server.endpoint("authorization_endpoint") else {
        let why = "there is no authorization_endpoint to ask";
        exam.report.skip(&[EXACT, PORT, PKCE], why);
        return;
    };
    let foreign = "https://attacker.example/callback";
    let request = authorize(endpoint, client_id, foreign, true);
    let reply = exam.ask(request).await;
    let location = reply.header("Location");
    let seen = format!("{} Location {location:?}", reply.status_text());
    let good = !location.starts_with(foreign) && reply.status != 0;
    exam.report.must(EXACT, good, seen);
    let moved = "http://127.0.0.1:49152/callback";
    let reply = exam.ask(authorize(endpoint, client_id, moved, true)).await;
    let seen = format!("another port: {}", reply.status_text());
    exam.report.must(PORT, (200..400).contains(&reply.status), seen);
    let request = authorize(endpoint, client_id, REDIRECT, false);
    let reply = exam.ask(request).await;
    let location = reply.header("Location");
    let refused = reply.status >= 400 || location.contains("error=");
    let status = reply.status_text();
    let seen = format!("without code_challenge: {status} {location:?}");
    exam.report.must(PKCE, refused, seen);
}

async fn wrong_code(
    exam: &mut Exam,
    server: &Server,
    client_id: &str,
) {
    let Some(endpoint) = server.endpoint("token_endpoint") else {
        exam.report.skip(&[TOKEN_ERROR], "there is no token_endpoint to ask");
        return;
    };
    let verifier = "a-verifier-that-belongs-to-no-code-0123456789";
    let parameters = [
        ("grant_type", "authorization_code"),
        ("code", "no-code-of-yours"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier),
        ("client_id", client_id),
    ];
    let reply = exam.ask(Outgoing::form(endpoint, &parameters)).await;
    let error = reply.json()["error"].clone();
    let seen = format!("{} error {error}", reply.status_text());
    let good = reply.status == 400 && error == json!("invalid_grant");
    exam.report.must(TOKEN_ERROR, good, seen);
}

fn authorize(
    endpoint: &str,
    client_id: &str,
    redirect_uri: &str,
    pkce: bool,
) -> Outgoing {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("state", "doctor"),
    ];
    if pkce {
        parameters.push(("code_challenge", CHALLENGE));
        parameters.push(("code_challenge_method", "S256"));
    }
    match Url::parse_with_params(endpoint, &parameters) {
        Ok(url) => Outgoing::get(url),
        Err(_) => Outgoing::get(endpoint),
    }
}
