//! With a token: what is in it, what the server takes and refuses, both eras, foreign pages.

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::challenge::Challenge;
use crate::doctor::exam::Exam;
use crate::doctor::exam::Known;
use crate::doctor::exam::null_in;
use crate::doctor::login;
use crate::doctor::login::Stay;
use crate::doctor::report::Outcome;
use crate::doctor::report::Rule;
use crate::doctor::report::rule;
use crate::gate::discovery;
use crate::gate::discovery::Way;
use crate::gate::discovery::strings;
use crate::gate::jwt;
use crate::gate::jwt::Inside;
use crate::gate::pass::GivenToken;
use crate::gate::pass::Pass;
use crate::gate::secret::Secret;
use crate::mcp;
use crate::recorder::FailedCheck;
use crate::urls::is_loopback;

const USERS: &str = "users, whose tokens can be abused";
const ALL: &str = "all clients";

const SCOPE: Rule = rule(
    "token.scope",
    "the token says its scope",
    "put scope into the token (RFC 9068) and into the token response",
    "servers that decide by scope; clients that need to know what they got",
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

const IN_JWT: [Rule; 6] = [SCOPE, TYP, AUD, ISS, UNSIGNED, TAMPERED];
/// The checks that need a token in any case.
const WITH_TOKEN: [Rule; 3] = [WRONG_AUD, GARBAGE, IN_QUERY];
/// The checks that need a token where the server wants one.
const INSIDE: [Rule; 8] = [
    ACCEPTED,
    MODERN,
    HANDSHAKE,
    VERSION,
    RESULT_NULLS,
    ORIGIN,
    ORIGIN_PREFIX,
    HOST,
];

/// What the checks go on with.
struct Admission {
    pass: Option<Pass>,
    stay: Option<Stay>,
    /// Why there is no token, for the checks that need one.
    why_not: String,
    /// Whether the server passed the client's own checks.
    checked: bool,
}

impl Admission {
    fn none(why_not: String) -> Self {
        Self {
            pass: None,
            stay: None,
            why_not,
            checked: false,
        }
    }
}

/// All checks of this part. What is to be taken back comes back.
pub(crate) async fn examine(
    exam: &mut Exam,
    known: &Known,
) -> Option<Stay> {
    let admission = admit(exam, known).await;
    let pass = admission.pass.as_ref();
    if known.protected && pass.is_none() {
        for rules in [&IN_JWT[..], &WITH_TOKEN, &INSIDE] {
            exam.report.skip(rules, &admission.why_not);
        }
        return admission.stay;
    }
    match pass {
        Some(pass) => accepted(exam, known, pass).await,
        None => {
            exam.report.skip(&[ACCEPTED], "the server asks for no token");
            exam.report.skip(&IN_JWT[..4], "there is no token");
        }
    }
    eras(exam, pass).await;
    pages(exam, pass).await;
    match pass {
        Some(pass) if known.protected => refusals(exam, known, pass, &admission).await,
        _ => {
            let why = "the server asks for no token";
            exam.report.skip(&WITH_TOKEN, why);
            exam.report.skip(&IN_JWT[4..], why);
        }
    }
    admission.stay
}

/// A token for the checks, where the server may have one: it passed the checks that `walk` makes.
async fn admit(
    exam: &mut Exam,
    known: &Known,
) -> Admission {
    if exam.given.own.is_none() && exam.how.user.is_none() {
        let why = "nobody logged in (--as user:password, or --token)";
        exam.report.skip(&login::CHECKS, why);
        return Admission::none(why.to_owned());
    }
    let server = exam.server.clone();
    let preset = exam.how.issuer.clone();
    let challenge = &known.challenge;
    let way = discovery::find_way(&mut exam.http, &server, challenge, preset.as_deref()).await;
    match exam.given.own.clone() {
        Some(token) => by_token(exam, known, &token, way),
        None => by_login(exam, way).await,
    }
}

/// A token of the user's goes to a server without metadata as well, but to none whose metadata is
/// wrong.
fn by_token(
    exam: &mut Exam,
    known: &Known,
    token: &GivenToken,
    way: Result<Way>,
) -> Admission {
    let why = "a token was given, so nobody logged in (--as logs in)";
    exam.report.skip(&login::CHECKS, why);
    let checked = way.is_ok();
    let named = known.challenge.get("resource_metadata").is_some();
    let pass = match way {
        Err(error) if known.metadata.is_some() || named => Err(error),
        _ => Pass::by_user(&exam.server, token),
    };
    match pass {
        Err(error) => Admission::none(stays_here(&error)),
        Ok(pass) => Admission {
            pass: Some(pass),
            checked,
            ..Admission::none(String::new())
        },
    }
}

async fn by_login(
    exam: &mut Exam,
    way: Result<Way>,
) -> Admission {
    match way {
        Err(error) => {
            let why = stays_here(&error);
            exam.report.skip(&login::CHECKS, &why);
            Admission::none("there is no token: see login.works".to_owned())
        }
        Ok(way) => {
            let (pass, stay) = login::examine(exam, way).await;
            Admission {
                pass,
                stay,
                why_not: "nobody could log in".to_owned(),
                checked: true,
            }
        }
    }
}

/// Why the server gets no credential.
fn stays_here(error: &anyhow::Error) -> String {
    match error.downcast_ref::<FailedCheck>() {
        Some(check) => format!(
            "no password and no token goes there, because this is not so: {}",
            check.0
        ),
        None => format!("no password and no token goes there: {error:#}"),
    }
}

async fn accepted(
    exam: &mut Exam,
    known: &Known,
    pass: &Pass,
) {
    let reply = exam.ask(exam.discover(Some(pass))).await;
    let good = !matches!(reply.status, 0 | 401 | 403 | 503);
    let why = mcp::problem(&reply).unwrap_or_default();
    let seen = format!("{} {why}", reply.status_text());
    exam.report.must(ACCEPTED, good, seen);
    inside(exam, known, pass.token());
}

/// What a JWT says. Opaque tokens are fine, and tell nothing.
fn inside(
    exam: &mut Exam,
    known: &Known,
    token: &Secret,
) {
    let Some(inside) = jwt::decode(token) else {
        exam.report.skip(&IN_JWT[..4], "the token is opaque");
        return;
    };
    let Inside {
        header,
        claims,
    } = inside;
    let scope = ["scope", "scp", "scopes"].iter().find(|name| !claims[**name].is_null());
    let seen = format!("scope {}", claims["scope"]);
    exam.report.should(SCOPE, scope.is_some(), seen);
    let typ = header["typ"].as_str().unwrap_or_default();
    let good = matches!(
        typ.to_ascii_lowercase().as_str(),
        "at+jwt" | "application/at+jwt"
    );
    exam.report.should(TYP, good, format!("typ {typ:?}"));
    let good = names(&claims["aud"], &resource(exam, known));
    exam.report.must(AUD, good, format!("aud {}", claims["aud"]));
    match &known.issuer {
        Some(issuer) => {
            let seen = format!("iss {}, issuer {:?}", claims["iss"], issuer.name());
            exam.report.must(ISS, claims["iss"] == issuer.name(), seen);
        }
        None => exam.report.skip(&[ISS], "the issuer is not known"),
    }
}

fn resource(
    exam: &Exam,
    known: &Known,
) -> String {
    let document = known.metadata.as_ref();
    let named = document.and_then(|document| document["resource"].as_str());
    named.unwrap_or(exam.url()).to_owned()
}

fn names(
    aud: &Value,
    resource: &str,
) -> bool {
    aud == resource || strings(aud).iter().any(|item| item == resource)
}

async fn eras(
    exam: &mut Exam,
    pass: Option<&Pass>,
) {
    let modern = exam.ask(exam.discover(pass)).await;
    let seen = format!("server/discover: {}", modern.status_text());
    let is_modern = mcp::is_modern(&modern) && modern.status == 200;
    exam.report.should(MODERN, is_modern, seen);
    let greeting = exam.ask(exam.endpoint(pass).initialize()).await;
    let version = greeting.json()["result"]["protocolVersion"].clone();
    let status = greeting.status_text();
    let seen = format!("initialize: {status} protocolVersion {version}");
    exam.report.should(HANDSHAKE, version.is_string(), seen);
    if is_modern {
        unknown_version(exam, pass).await;
    } else {
        exam.report.skip(&[VERSION], "the server does not speak 2026-07-28");
    }
    let results = [modern.json(), greeting.json()];
    let nulls = results.iter().map(|json| null_in(&json["result"]));
    let null = nulls.flatten().find(|rest| !rest.is_empty());
    let seen = format!("null at {}", null.clone().unwrap_or_default());
    exam.report.must(RESULT_NULLS, null.is_none(), seen);
}

async fn unknown_version(
    exam: &mut Exam,
    pass: Option<&Pass>,
) {
    let odd = exam.discover(pass).replaced(mcp::MODERN, "2099-01-01");
    let reply = exam.ask(odd).await;
    let error = reply.json()["error"].clone();
    let good =
        reply.status == 400 && error["code"] == -32022 && error["data"]["supported"].is_array();
    let seen = format!("{} code {}", reply.status_text(), error["code"]);
    exam.report.should(VERSION, good, seen);
}

/// What web pages of others can do. On this machine that is an attack, elsewhere a matter of taste.
async fn pages(
    exam: &mut Exam,
    pass: Option<&Pass>,
) {
    let local = Url::parse(exam.url()).is_ok_and(|url| is_loopback(&url));
    let origins = [
        (ORIGIN, "https://attacker.example"),
        (ORIGIN_PREFIX, "http://localhost.attacker.example"),
    ];
    for (rule, origin) in origins {
        let reply = exam.ask(exam.discover(pass).header("Origin", origin)).await;
        let outcome = match (reply.status == 403, local) {
            (true, _) => Outcome::Pass,
            (false, true) => Outcome::Fail,
            (false, false) => Outcome::Warn,
        };
        let seen = format!("Origin {origin}: {}", reply.status_text());
        exam.report.find(rule, outcome, seen);
    }
    if !local {
        exam.report.skip(&[HOST], "the server is not on this machine");
        return;
    }
    let request = exam.discover(pass).header("Host", "attacker.example");
    let reply = exam.ask(request).await;
    let good = matches!(reply.status, 400 | 403 | 421);
    let seen = format!("Host attacker.example: {}", reply.status_text());
    exam.report.must(HOST, good, seen);
}

/// What the server must refuse. The token in the query comes last: after it the token is spent.
async fn refusals(
    exam: &mut Exam,
    known: &Known,
    pass: &Pass,
    admission: &Admission,
) {
    audience(exam, known, pass, admission.checked).await;
    garbage(exam, pass).await;
    match jwt::forge(pass.token()) {
        None => exam.report.skip(&IN_JWT[4..], "the token is opaque"),
        Some(forged) => {
            for (rule, token) in [(UNSIGNED, forged.unsigned), (TAMPERED, forged.tampered)] {
                let reply = exam.ask(exam.discover(Some(&pass.swapped(token)))).await;
                exam.report.must(rule, reply.status == 401, reply.status_text());
            }
        }
    }
    query(exam, pass, admission.stay.as_ref()).await;
}

async fn garbage(
    exam: &mut Exam,
    pass: &Pass,
) {
    let garbage = pass.swapped(Secret::new("not-a-token"));
    let reply = exam.ask(exam.discover(Some(&garbage))).await;
    let challenge = Challenge::parse(&reply.header("WWW-Authenticate")).unwrap_or_default();
    let error = challenge.get("error").unwrap_or_default();
    let seen = format!("{} error={error:?}", reply.status_text());
    let good = reply.status == 401 && error == "invalid_token";
    exam.report.must(GARBAGE, good, seen);
}

/// Needs a token of the same issuer for another server: either one was given, or the token in use
/// is such a one. That token opens the other server, so only a checked server may see it.
async fn audience(
    exam: &mut Exam,
    known: &Known,
    pass: &Pass,
    checked: bool,
) {
    if let Some(foreign) = exam.given.foreign.clone() {
        if !checked {
            let why = "the server did not pass the client's checks, so it gets no token of others";
            exam.report.skip(&[WRONG_AUD], why);
            return;
        }
        let reply = exam.ask(exam.discover(Some(&pass.swapped(foreign)))).await;
        exam.report.must(WRONG_AUD, reply.status == 401, reply.status_text());
        return;
    }
    let aud = jwt::decode(pass.token()).map(|inside| inside.claims["aud"].clone());
    match aud {
        Some(aud) if !names(&aud, &resource(exam, known)) => {
            let reply = exam.ask(exam.discover(Some(pass))).await;
            let seen = format!("a token with aud {aud}: {}", reply.status_text());
            exam.report.must(WRONG_AUD, reply.status == 401, seen);
        }
        _ => exam.report.skip(
            &[WRONG_AUD],
            "no token for another server is at hand (--foreign-token)",
        ),
    }
}

/// URLs end up in logs: only a token that is revoked right after may be in one.
async fn query(
    exam: &mut Exam,
    pass: &Pass,
    stay: Option<&Stay>,
) {
    let revocable =
        stay.is_some_and(|stay| stay.login.way.issuer().text("revocation_endpoint").is_some());
    if !revocable {
        let why = "URLs end up in logs, and this token cannot be revoked after it was in one \
                   (--as logs in for one that can, where there is a revocation_endpoint)";
        exam.report.skip(&[IN_QUERY], why);
        return;
    }
    let plain = exam.discover(None);
    let request = pass.request_with_query(Method::POST).like(&plain);
    let reply = exam.ask(request).await;
    exam.report.must(IN_QUERY, reply.status == 401, reply.status_text());
}
