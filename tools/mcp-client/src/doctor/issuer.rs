//! The authorization server: its metadata, registration, and what it refuses.

use serde_json::Value;
use serde_json::json;
use url::Url;

use super::Doctor;
use super::Known;
use super::PAGE;
use super::Rule;
use super::is_readable;
use super::null_in;
use super::preflight;
use super::rule;
use crate::discovery;
use crate::discovery::Issuer;
use crate::discovery::strings;
use crate::http::Outgoing;
use crate::http::is_safe;
use crate::register;

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

const METADATA: [Rule; 13] = [
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

const REDIRECT: &str = "http://127.0.0.1:33418/callback";

/// All checks of this part.
pub(super) async fn examine(
    doctor: &mut Doctor,
    known: &mut Known,
) {
    let named = known
        .metadata
        .as_ref()
        .map(|document| strings(&document["authorization_servers"]));
    let named = named
        .and_then(|list| list.into_iter().next())
        .or(doctor.how.issuer.clone());
    let Some(name) = named else {
        doctor.must(FOUND, false, "no authorization server is named anywhere");
        doctor.skip(
            &METADATA,
            "no authorization server is known (--issuer names one)",
        );
        doctor.skip(&REGISTERED, "no authorization server is known");
        return;
    };
    let Some(document) = find(doctor, &name).await else {
        doctor.skip(&METADATA, "there is no metadata to look at");
        doctor.skip(&REGISTERED, "there is no metadata to look at");
        return;
    };
    metadata(doctor, &name, &document);
    reach(doctor, &document).await;
    let issuer = Issuer {
        issuer: name,
        document,
    };
    clients(doctor, &issuer).await;
    known.issuer = Some(issuer);
}

async fn find(
    doctor: &mut Doctor,
    issuer: &str,
) -> Option<Value> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for url in discovery::issuer_urls(issuer) {
        let reply = doctor.get(&url).await;
        seen.push(format!("{url}: {}", reply.status_text()));
        if reply.status == 200 && reply.json().is_object() {
            found.push((url, reply.json()));
        }
    }
    doctor.must(FOUND, !found.is_empty(), seen.join(", "));
    if !found.is_empty() {
        let oidc = found
            .iter()
            .any(|(url, _)| url.contains("openid-configuration"));
        let oauth = found
            .iter()
            .any(|(url, _)| url.contains("oauth-authorization-server"));
        doctor.should(BOTH, oidc && oauth, seen.join(", "));
    }
    found.into_iter().next().map(|(_, document)| document)
}

fn metadata(
    doctor: &mut Doctor,
    name: &str,
    document: &Value,
) {
    let list = |member: &str| strings(&document[member]);
    let lists = |member: &str, value: &str| list(member).iter().any(|item| item == value);
    let shown = |member: &str| format!("{member} {}", document[member]);
    let issuer = &document["issuer"];
    doctor.must(
        ISSUER,
        issuer == name,
        format!("named {name:?}, document says {issuer}"),
    );
    let pkce = "code_challenge_methods_supported";
    doctor.must(S256, lists(pkce, "S256"), shown(pkce));
    doctor.should(NO_PLAIN, !lists(pkce, "plain"), shown(pkce));
    let methods = "token_endpoint_auth_methods_supported";
    doctor.must(NONE, lists(methods, "none"), shown(methods));
    let iss = "authorization_response_iss_parameter_supported";
    doctor.should(ISS, document[iss] == true, shown(iss));
    let by_document = document["client_id_metadata_document_supported"] == true;
    let endpoint = &document["registration_endpoint"];
    let seen = format!("metadata documents: {by_document}, registration_endpoint {endpoint}");
    doctor.must(REGISTRATION, by_document || endpoint.is_string(), seen);
    let unsafe_ones = unsafe_endpoints(document);
    doctor.must(
        SAFE,
        unsafe_ones.is_empty(),
        format!("not https: {unsafe_ones:?}"),
    );
    doctor.must(
        CODE,
        lists("response_types_supported", "code"),
        shown("response_types_supported"),
    );
    let grants = "grant_types_supported";
    doctor.should(REFRESH, lists(grants, "refresh_token"), shown(grants));
    let null = null_in(document);
    doctor.must(
        NULLS,
        null.is_none(),
        format!("null at {}", null.unwrap_or_default()),
    );
}

fn unsafe_endpoints(document: &Value) -> Vec<String> {
    let members = document.as_object().into_iter().flatten();
    let endpoints = members.filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    let bad = endpoints.filter(|(_, url)| !url.as_str().is_some_and(is_safe));
    bad.map(|(name, url)| format!("{name} {url}")).collect()
}

/// The checks that fetch what the metadata names.
async fn reach(
    doctor: &mut Doctor,
    document: &Value,
) {
    let issuer = document["issuer"].as_str().unwrap_or_default();
    let url = discovery::issuer_urls(issuer)[0].clone();
    let read = doctor
        .ask(&Outgoing::get_json(&url).header("Origin", PAGE))
        .await;
    let token = document["token_endpoint"].as_str().unwrap_or_default();
    let token = doctor.ask(&preflight(token)).await;
    let good = is_readable(&read) && is_readable(&token) && token.status < 300;
    let seen = format!(
        "metadata allow-origin {:?}, token preflight {} allow-origin {:?}",
        read.header("Access-Control-Allow-Origin"),
        token.status_text(),
        token.header("Access-Control-Allow-Origin")
    );
    doctor.should(CORS, good, seen);
    let Some(url) = document["jwks_uri"].as_str() else {
        doctor.skip(&[JWKS], "there is no jwks_uri; opaque tokens need none");
        return;
    };
    let reply = doctor.get(url).await;
    let keys = reply.json()["keys"].as_array().cloned().unwrap_or_default();
    let good = |key: &Value| key["kid"].is_string() && key["d"].is_null() && key["k"].is_null();
    let seen = format!("{}, {} keys", reply.status_text(), keys.len());
    doctor.must(JWKS, !keys.is_empty() && keys.iter().all(good), seen);
}

/// What the server does with clients, good and bad.
async fn clients(
    doctor: &mut Doctor,
    issuer: &Issuer,
) {
    let Some(endpoint) = issuer.text("registration_endpoint").map(str::to_owned) else {
        doctor.skip(
            &REGISTERED,
            "there is no registration_endpoint to try it with",
        );
        return;
    };
    let reply = doctor
        .ask(&Outgoing::json(&endpoint, &register::metadata(REDIRECT)))
        .await;
    let body = reply.json();
    let Some(id) = body["client_id"].as_str().filter(|_| reply.status == 201) else {
        let why = crate::mcp::problem(&reply).unwrap_or_default();
        doctor.must(REGISTER, false, format!("{} {why}", reply.status_text()));
        doctor.skip(&REGISTERED[1..], "no client could be registered");
        return;
    };
    doctor.must(REGISTER, true, reply.status_text());
    let (secret, null) = (body["client_secret"].is_string(), null_in(&body));
    let seen = format!("client_secret given: {secret}, null member: {null:?}");
    doctor.must(NO_SECRET, !secret && null.is_none(), seen);
    let evil = register::metadata("javascript:alert(1)//");
    let reply = doctor.ask(&Outgoing::json(&endpoint, &evil)).await;
    let seen = format!("javascript: was answered {}", reply.status_text());
    doctor.must(DANGEROUS, (400..500).contains(&reply.status), seen);
    requests(doctor, issuer, id).await;
}

/// Authorization requests as a browser would bring them.
async fn requests(
    doctor: &mut Doctor,
    issuer: &Issuer,
    client_id: &str,
) {
    let foreign = "https://attacker.example/callback";
    let reply = doctor
        .ask(&authorize(issuer, client_id, foreign, true))
        .await;
    let location = reply.header("Location");
    let seen = format!("{} Location {location:?}", reply.status_text());
    doctor.must(
        EXACT,
        !location.starts_with(foreign) && reply.status != 0,
        seen,
    );
    let moved = "http://127.0.0.1:49152/callback";
    let reply = doctor.ask(&authorize(issuer, client_id, moved, true)).await;
    doctor.must(
        PORT,
        (200..400).contains(&reply.status),
        format!("another port: {}", reply.status_text()),
    );
    let reply = doctor
        .ask(&authorize(issuer, client_id, REDIRECT, false))
        .await;
    let location = reply.header("Location");
    let refused = reply.status >= 400 || location.contains("error=");
    let seen = format!(
        "without code_challenge: {} {location:?}",
        reply.status_text()
    );
    doctor.must(PKCE, refused, seen);
    let parameters = [
        ("grant_type", "authorization_code"),
        ("code", "no-code-of-yours"),
        ("redirect_uri", REDIRECT),
        (
            "code_verifier",
            "a-verifier-that-belongs-to-no-code-0123456789",
        ),
        ("client_id", client_id),
    ];
    let endpoint = issuer.text("token_endpoint").unwrap_or_default();
    let reply = doctor.ask(&Outgoing::form(endpoint, &parameters)).await;
    let error = reply.json()["error"].clone();
    let seen = format!("{} error {error}", reply.status_text());
    doctor.must(
        TOKEN_ERROR,
        reply.status == 400 && error == json!("invalid_grant"),
        seen,
    );
}

fn authorize(
    issuer: &Issuer,
    client_id: &str,
    redirect_uri: &str,
    pkce: bool,
) -> Outgoing {
    let endpoint = issuer.text("authorization_endpoint").unwrap_or_default();
    let Ok(mut url) = Url::parse(endpoint) else {
        return Outgoing::get(endpoint);
    };
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("state", "doctor");
    if pkce {
        url.query_pairs_mut()
            .append_pair(
                "code_challenge",
                "wZL8MkZejwdzHh4jB2kh79_6EBNURpiMV6pTtCVALSs",
            )
            .append_pair("code_challenge_method", "S256");
    }
    Outgoing::get(url)
}
