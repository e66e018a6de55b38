//! With a token: what is in it, what the server takes and refuses, both eras, refresh, step-up.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use super::Doctor;
use super::Known;
use super::Outcome;
use super::Rule;
use super::null_in;
use super::rule;
use crate::challenge::Challenge;
use crate::challenge::words;
use crate::discovery::strings;
use crate::http::Outgoing;
use crate::http::Reply;
use crate::http::is_loopback;
use crate::jwt;
use crate::login::Grant;
use crate::login::Login;
use crate::login::Way;
use crate::mcp;
use crate::mcp::Endpoint;
use crate::walk::union;

const USERS: &str = "users, whose tokens can be abused";
const ALL: &str = "all clients";

/// Longer-lived access tokens are worth a warning, in seconds.
const LONG: u64 = 3600;

const LOGIN: Rule = rule(
    "login.works",
    "a user can log in, and the client's own checks pass",
    "run `walk` to see at which exchange it ends",
    ALL,
);
const LIFETIME: Rule = rule(
    "token.lifetime",
    "expires_in is there and at most an hour",
    "issue short-lived access tokens, and a refresh token with them",
    "clients without it cannot refresh in time; a leaked token works for long",
);
const SCOPE: Rule = rule(
    "token.scope",
    "the token says its scope",
    "put scope into the token (RFC 9068) and into the token response",
    "servers that decide by scope; clients that need to know what they got",
);
const REFRESH: Rule = rule(
    "refresh.works",
    "the refresh token gives a new access token",
    "issue refresh tokens, and accept them without a repeated scope",
    "users: they log in again whenever the access token expires",
);
const ROTATES: Rule = rule(
    "refresh.rotates",
    "refreshing replaces the refresh token of a public client",
    "rotate refresh tokens (OAuth 2.1 section 4.3.1)",
    USERS,
);
const STEP_UP: Rule = rule(
    "stepup.challenge",
    "too little scope is answered 403 insufficient_scope with the scopes that are needed",
    "answer 403 with WWW-Authenticate: Bearer error=\"insufficient_scope\", scope=\"..\", resource_metadata=\"..\"",
    "clients that step up: without it they fail, or log in again in a loop",
);
const TYP: Rule = rule(
    "token.typ",
    "a JWT access token is of the type at+jwt",
    "set typ: at+jwt (RFC 9068), so that no ID token passes for an access token",
    "servers that check typ",
);
const AUD: Rule = rule(
    "token.aud",
    "aud names this server, exactly",
    "let the authorization server put the requested resource into aud (RFC 8707)",
    "servers that check aud: the token is refused, or, unchecked, works elsewhere too",
);
const ISS: Rule = rule(
    "token.iss",
    "iss is the authorization server",
    "sign with the issuer that the metadata names",
    "servers that check iss",
);
const ACCEPTED: Rule = rule(
    "token.accepted",
    "the server takes the token",
    "compare iss, aud and keys of token and server; its log should say which check failed",
    ALL,
);
const MODERN: Rule = rule(
    "era.modern",
    "2026-07-28: server/discover is answered",
    "answer server/discover and requests with _meta, without a handshake",
    "clients that speak only 2026-07-28; others fall back",
);
const HANDSHAKE: Rule = rule(
    "era.handshake",
    "2025-11-25: initialize is answered",
    "answer initialize as well",
    "TypeScript SDK v1, mcp-remote, most clients of 2025",
);
const VERSION: Rule = rule(
    "era.unknown-version",
    "an unknown version is refused with the list of known ones",
    "answer 400 with code -32022 and data.supported",
    "newer clients: they cannot fall back to a version that both know",
);
const RESULT_NULLS: Rule = rule(
    "mcp.no-nulls",
    "results have no null members",
    "leave absent members out",
    "TypeScript SDK: its schemas take null for a wrong type",
);
const WRONG_AUD: Rule = rule(
    "refuse.audience",
    "a token for another server is refused",
    "compare aud with your own resource; never switch the check off",
    "users: a token lent to one server opens the other (confused deputy)",
);
const GARBAGE: Rule = rule(
    "refuse.garbage",
    "a token that is none is answered 401 invalid_token",
    "answer 401 with error=\"invalid_token\", not 400, 403 or 500",
    "all clients: only a 401 makes them refresh or log in",
);
const UNSIGNED: Rule = rule(
    "refuse.unsigned",
    "the token with alg none and no signature is refused",
    "pin the algorithm to the key; never take it from the token",
    USERS,
);
const TAMPERED: Rule = rule(
    "refuse.tampered",
    "the token with changed claims is refused",
    "verify the signature before reading any claim",
    USERS,
);
const IN_QUERY: Rule = rule(
    "refuse.query",
    "a token in the query counts for nothing",
    "read the Authorization header only: URLs end up in logs",
    USERS,
);
const ORIGIN: Rule = rule(
    "origin.foreign",
    "a request from a foreign web page is answered 403",
    "compare the parsed Origin with an allow-list (DNS rebinding)",
    "users of servers on their own machine: any web page can call them",
);
const ORIGIN_PREFIX: Rule = rule(
    "origin.lookalike",
    "http://localhost.attacker.example is a foreign page, too",
    "parse the Origin and compare its host; a prefix is not enough",
    "users of servers on their own machine",
);
const HOST: Rule = rule(
    "host.foreign",
    "a server on this machine refuses a foreign Host",
    "accept loopback hosts and your own name only (DNS rebinding)",
    "users of servers on their own machine",
);

const WITH_LOGIN: [Rule; 5] = [LOGIN, LIFETIME, REFRESH, ROTATES, STEP_UP];
const IN_JWT: [Rule; 6] = [SCOPE, TYP, AUD, ISS, UNSIGNED, TAMPERED];
const WITH_TOKEN: [Rule; 3] = [WRONG_AUD, GARBAGE, IN_QUERY];

/// All checks of this part.
pub(super) async fn examine(
    doctor: &mut Doctor,
    known: &Known,
) {
    let token = match (doctor.token.clone(), doctor.how.user.is_some()) {
        (Some(token), _) => {
            doctor.skip(
                &WITH_LOGIN,
                "a token was given, so nobody logged in (--as logs in)",
            );
            Some(token)
        }
        (None, true) => log_in(doctor, known).await,
        (None, false) => {
            doctor.skip(
                &WITH_LOGIN,
                "nobody logged in (--as user:password, or --token)",
            );
            None
        }
    };
    if known.protected && token.is_none() {
        let rest = [
            ACCEPTED,
            MODERN,
            HANDSHAKE,
            VERSION,
            RESULT_NULLS,
            ORIGIN,
            ORIGIN_PREFIX,
            HOST,
        ];
        let why = "there is no token (--as user:password, or --token)";
        for rules in [&IN_JWT[..], &WITH_TOKEN, &rest] {
            doctor.skip(rules, why);
        }
        return;
    }
    if let Some(token) = &token {
        let reply = doctor.ask(&doctor.discover(Some(token))).await;
        let good = !matches!(reply.status, 0 | 401 | 403 | 503);
        let why = mcp::problem(&reply).unwrap_or_default();
        doctor.must(ACCEPTED, good, format!("{} {why}", reply.status_text()));
        inside(doctor, known, token);
    } else {
        doctor.skip(&[ACCEPTED], "the server asks for no token");
        doctor.skip(&IN_JWT[..4], "there is no token");
    }
    eras(doctor, token.as_deref()).await;
    pages(doctor, token.as_deref()).await;
    forgeries(doctor, known, token.as_deref()).await;
}

/// Logs in as clients do, and looks at what comes of it.
async fn log_in(
    doctor: &mut Doctor,
    known: &Known,
) -> Option<String> {
    let (Some(issuer), Some(document)) = (&known.issuer, &known.metadata) else {
        doctor.must(
            LOGIN,
            false,
            "no authorization server is known to log in at",
        );
        doctor.skip(&WITH_LOGIN[1..], "nobody could log in");
        return None;
    };
    let scopes = match known.challenge.scopes() {
        none if none.is_empty() => strings(&document["scopes_supported"]),
        scopes => scopes,
    };
    let way = Way {
        issuer: issuer.clone(),
        resource: document["resource"].as_str().unwrap_or_default().to_owned(),
        scopes: scopes.clone(),
    };
    match attempt(doctor, way, &scopes).await {
        Err(error) => {
            doctor.must(LOGIN, false, format!("{error:#}"));
            doctor.skip(&WITH_LOGIN[1..], "nobody could log in");
            None
        }
        Ok((mut login, grant)) => {
            doctor.must(LOGIN, true, "logged in");
            lifetime(doctor, &grant);
            step_up(doctor, &mut login, &scopes).await;
            let newer = refresh(doctor, &login, &grant).await;
            Some(newer.unwrap_or(grant.access_token))
        }
    }
}

async fn attempt(
    doctor: &mut Doctor,
    way: Way,
    scopes: &[String],
) -> anyhow::Result<(Login, Grant)> {
    // The client's checks of the metadata were made as checks of their own before.
    let how = doctor.how.clone();
    let mut login = Login::prepare(&mut doctor.http, &how, way).await?;
    let grant = login.authorize(&mut doctor.http, scopes).await?;
    Ok((login, grant))
}

fn lifetime(
    doctor: &mut Doctor,
    grant: &Grant,
) {
    let seen = format!("expires_in {:?}", grant.expires_in);
    doctor.should(
        LIFETIME,
        grant.expires_in.is_some_and(|seconds| seconds <= LONG),
        seen,
    );
}

async fn refresh(
    doctor: &mut Doctor,
    login: &Login,
    grant: &Grant,
) -> Option<String> {
    let Some(token) = &grant.refresh_token else {
        doctor.should(REFRESH, false, "no refresh token was issued");
        doctor.skip(&[ROTATES], "there is no refresh token");
        return None;
    };
    match login.refresh(&mut doctor.http, token, &grant.scopes).await {
        Err(error) => {
            doctor.must(REFRESH, false, format!("{error:#}"));
            doctor.skip(&[ROTATES], "refreshing failed");
            None
        }
        Ok(newer) => {
            doctor.must(REFRESH, true, "a new access token");
            let rotated = newer
                .refresh_token
                .as_ref()
                .is_some_and(|newer| newer != token);
            doctor.should(
                ROTATES,
                rotated,
                format!("another refresh token: {rotated}"),
            );
            Some(newer.access_token)
        }
    }
}

/// Logs in with one scope only, and calls a harmless tool that does not exist for anybody without
/// a further scope.
async fn step_up(
    doctor: &mut Doctor,
    login: &mut Login,
    scopes: &[String],
) {
    let Some(first) = scopes.first().filter(|_| scopes.len() > 1).cloned() else {
        doctor.skip(&[STEP_UP], "the server names fewer than two scopes");
        return;
    };
    let grant = match login
        .authorize(&mut doctor.http, std::slice::from_ref(&first))
        .await
    {
        Ok(grant) => grant,
        Err(error) => {
            return doctor.skip(
                &[STEP_UP],
                &format!("no token for {first} alone: {error:#}"),
            );
        }
    };
    let mut endpoint = Endpoint::new(&doctor.url, Some(grant.access_token));
    let list = doctor.ask(&endpoint.request("tools/list", json!({}))).await;
    let list = list.json();
    let tools = list["result"]["tools"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let Some((name, arguments)) = crate::walk::harmless(&tools) else {
        doctor.skip(&[STEP_UP], "no tool is known to be harmless");
        return;
    };
    let params = json!({"name": name, "arguments": arguments});
    let reply = doctor.ask(&endpoint.request("tools/call", params)).await;
    judge_step_up(doctor, &reply, &first);
}

fn judge_step_up(
    doctor: &mut Doctor,
    reply: &Reply,
    had: &str,
) {
    let header = reply.header("WWW-Authenticate");
    let challenge = Challenge::parse(&header).unwrap_or_default();
    let named = challenge.scopes();
    let seen = format!(
        "with {had} only: {} WWW-Authenticate: {header:?}",
        reply.status_text()
    );
    let refused = reply.status >= 400 || mcp::problem(reply).is_some();
    if !refused {
        doctor.skip(
            &[STEP_UP],
            "one scope is enough for everything that was tried",
        );
        return;
    }
    let more = union(&words(had), &named).len() > 1;
    let good = reply.status == 403 && challenge.wants_step_up() && more;
    doctor.must(STEP_UP, good, seen);
}

/// What a JWT says. Opaque tokens are fine, and tell nothing.
fn inside(
    doctor: &mut Doctor,
    known: &Known,
    token: &str,
) {
    let Some((header, claims)) = jwt::decode(token) else {
        doctor.skip(&IN_JWT[..4], "the token is opaque");
        return;
    };
    let scope = ["scope", "scp", "scopes"]
        .iter()
        .find(|name| !claims[**name].is_null());
    doctor.should(SCOPE, scope.is_some(), format!("scope {}", claims["scope"]));
    let typ = header["typ"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let good = matches!(typ.as_str(), "at+jwt" | "application/at+jwt");
    doctor.should(TYP, good, format!("typ {typ:?}"));
    doctor.must(
        AUD,
        names(&claims["aud"], &resource(doctor, known)),
        format!("aud {}", claims["aud"]),
    );
    match &known.issuer {
        Some(issuer) => {
            let seen = format!("iss {}, issuer {:?}", claims["iss"], issuer.issuer);
            doctor.must(ISS, claims["iss"] == issuer.issuer, seen);
        }
        None => doctor.skip(&[ISS], "the issuer is not known"),
    }
}

fn resource(
    doctor: &Doctor,
    known: &Known,
) -> String {
    let named = known
        .metadata
        .as_ref()
        .and_then(|document| document["resource"].as_str());
    named.unwrap_or(&doctor.url).to_owned()
}

fn names(
    aud: &Value,
    resource: &str,
) -> bool {
    aud == resource || strings(aud).iter().any(|item| item == resource)
}

async fn eras(
    doctor: &mut Doctor,
    token: Option<&str>,
) {
    let modern = doctor.ask(&doctor.discover(token)).await;
    let seen = format!("server/discover: {}", modern.status_text());
    let is_modern = mcp::is_modern(&modern) && modern.status == 200;
    doctor.should(MODERN, is_modern, seen);
    let mut endpoint = Endpoint::new(&doctor.url, token.map(str::to_owned));
    let greeting = doctor.ask(&endpoint.initialize()).await;
    let version = greeting.json()["result"]["protocolVersion"].clone();
    let seen = format!(
        "initialize: {} protocolVersion {version}",
        greeting.status_text()
    );
    doctor.should(HANDSHAKE, version.is_string(), seen);
    if is_modern {
        let mut odd = doctor.discover(token);
        for (name, value) in &mut odd.headers {
            if name == "MCP-Protocol-Version" {
                *value = "2099-01-01".to_owned();
            }
        }
        odd.body = odd.body.map(|body| body.replace(mcp::MODERN, "2099-01-01"));
        let reply = doctor.ask(&odd).await;
        let error = reply.json()["error"].clone();
        let good =
            reply.status == 400 && error["code"] == -32022 && error["data"]["supported"].is_array();
        doctor.should(
            VERSION,
            good,
            format!("{} code {}", reply.status_text(), error["code"]),
        );
    } else {
        doctor.skip(&[VERSION], "the server does not speak 2026-07-28");
    }
    let null = null_in(&modern.json()["result"]).filter(|rest| !rest.is_empty());
    let null = null.or_else(|| null_in(&greeting.json()["result"]).filter(|rest| !rest.is_empty()));
    doctor.must(
        RESULT_NULLS,
        null.is_none(),
        format!("null at {}", null.unwrap_or_default()),
    );
}

/// What web pages of others can do. On this machine that is an attack, elsewhere a matter of taste.
async fn pages(
    doctor: &mut Doctor,
    token: Option<&str>,
) {
    let local = url::Url::parse(&doctor.url).is_ok_and(|url| is_loopback(&url));
    let origins = [
        (ORIGIN, "https://attacker.example"),
        (ORIGIN_PREFIX, "http://localhost.attacker.example"),
    ];
    for (rule, origin) in origins {
        let reply = doctor
            .ask(&doctor.discover(token).header("Origin", origin))
            .await;
        let outcome = match (reply.status == 403, local) {
            (true, _) => Outcome::Pass,
            (false, true) => Outcome::Fail,
            (false, false) => Outcome::Warn,
        };
        doctor.find(
            rule,
            outcome,
            format!("Origin {origin}: {}", reply.status_text()),
        );
    }
    if !local {
        doctor.skip(&[HOST], "the server is not on this machine");
        return;
    }
    let request = doctor.discover(token).header("Host", "attacker.example");
    let reply = doctor.ask(&request).await;
    let good = matches!(reply.status, 400 | 403 | 421);
    doctor.must(
        HOST,
        good,
        format!("Host attacker.example: {}", reply.status_text()),
    );
}

async fn forgeries(
    doctor: &mut Doctor,
    known: &Known,
    token: Option<&str>,
) {
    let Some(token) = token.filter(|_| known.protected) else {
        doctor.skip(&WITH_TOKEN, "the server asks for no token");
        doctor.skip(&IN_JWT[4..], "the server asks for no token");
        return;
    };
    audience(doctor, known, token).await;
    let reply = doctor.ask(&doctor.discover(Some("not-a-token"))).await;
    let challenge = Challenge::parse(&reply.header("WWW-Authenticate")).unwrap_or_default();
    let error = challenge.get("error").unwrap_or_default();
    let seen = format!("{} error={error:?}", reply.status_text());
    doctor.must(
        GARBAGE,
        reply.status == 401 && error == "invalid_token",
        seen,
    );
    let mut request: Outgoing = doctor.discover(None);
    request.url = format!("{}?access_token={token}", request.url);
    let reply = doctor.ask(&request).await;
    doctor.must(IN_QUERY, reply.status == 401, reply.status_text());
    match forge(token) {
        None => doctor.skip(&IN_JWT[4..], "the token is opaque"),
        Some((unsigned, tampered)) => {
            for (rule, token) in [(UNSIGNED, unsigned), (TAMPERED, tampered)] {
                let reply = doctor.ask(&doctor.discover(Some(&token))).await;
                doctor.must(rule, reply.status == 401, reply.status_text());
            }
        }
    }
}

/// Needs a token of the same issuer for another server: either one was given, or the token in use
/// is such a one.
async fn audience(
    doctor: &mut Doctor,
    known: &Known,
    token: &str,
) {
    if let Some(foreign) = doctor.foreign.clone() {
        let reply = doctor.ask(&doctor.discover(Some(&foreign))).await;
        doctor.must(WRONG_AUD, reply.status == 401, reply.status_text());
        return;
    }
    let aud = jwt::decode(token).map(|(_, claims)| claims["aud"].clone());
    match aud {
        Some(aud) if !names(&aud, &resource(doctor, known)) => {
            let reply = doctor.ask(&doctor.discover(Some(token))).await;
            let seen = format!("a token with aud {aud}: {}", reply.status_text());
            doctor.must(WRONG_AUD, reply.status == 401, seen);
        }
        _ => doctor.skip(
            &[WRONG_AUD],
            "no token for another server is at hand (--foreign-token)",
        ),
    }
}

/// The token without a signature, and with another subject under the old signature.
fn forge(token: &str) -> Option<(String, String)> {
    let (mut header, mut claims) = jwt::decode(token)?;
    let parts: Vec<_> = token.split('.').collect();
    header["alg"] = json!("none");
    let unsigned = format!("{}.{}.", encode(&header), parts[1]);
    claims["sub"] = json!("somebody-else");
    let tampered = format!("{}.{}.{}", parts[0], encode(&claims), parts[2]);
    Some((unsigned, tampered))
}

fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}
