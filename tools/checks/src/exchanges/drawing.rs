//! What was recorded, as a Mermaid sequence diagram that a newcomer can read.
//!
//! A picture has the names of things, and values only where they are the same in every run: no
//! port, no id, no token, no code ever gets into one. An answer stands below its request on the
//! same arrow, unless it comes from `/mcp`. What a browser does at the authorization server, page
//! after page, is one arrow.

use axum::http::HeaderMap;
use axum::http::header;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use url::Url;

use super::recorder::Event;
use super::recorder::Got;
use super::recorder::Party;
use super::recorder::Sent;

/// The names that matter to the story, in the order in which they are told. A value is told of the
/// scope alone.
const TOLD: [&str; 18] = [
    "authorization_servers",
    "scopes_supported",
    "registration_endpoint",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "keys",
    "redirect_uris",
    "client_id",
    "redirect_uri",
    "code_challenge",
    "code",
    "code_verifier",
    "resource",
    "state",
    "iss",
    "access_token",
    "refresh_token",
];

/// A longer line is broken, in columns.
const LONGEST: usize = 64;

/// The whole diagram, without a fence.
pub(super) fn draw(events: &[Event]) -> String {
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(event) = events.get(at) {
        at += 1;
        match event {
            Event::Note(text) => lines.push(format!("Note over C,M: {}", label(text))),
            Event::Request(sent) if sent.from == Party::Browser => {
                let pages = events[at - 1..].iter().take_while(|event| is_page(event)).count();
                lines.extend(pages_in_a_browser(sent, &events[at - 1..at - 1 + pages]));
                at += pages - 1;
            }
            Event::Request(sent) => match events.get(at) {
                Some(Event::Answer(_, got)) if sent.path != "/mcp" => {
                    at += 1;
                    lines.push(arrow(sent, &with_answer(sent, got)));
                }
                _ => lines.push(arrow(sent, &request(sent))),
            },
            Event::Answer(sent, got) => lines.push(back(sent, &answer(got))),
        }
    }
    let mut diagram = String::from("sequenceDiagram\n");
    for line in participants(&lines).iter().chain(&lines) {
        diagram.push_str(&format!("    {line}\n"));
    }
    diagram
}

fn is_page(event: &Event) -> bool {
    match event {
        Event::Request(sent) | Event::Answer(sent, _) => sent.from == Party::Browser,
        Event::Note(_) => false,
    }
}

/// From the first page to the redirect that brings the browser back to the client.
fn pages_in_a_browser(
    first: &Sent,
    events: &[Event],
) -> Vec<String> {
    let visited = |path: &str| {
        let is_there = |event: &Event| matches!(event, Event::Request(sent) if sent.path == path);
        events.iter().any(is_there)
    };
    let mut done = Vec::new();
    if visited("/oauth/login") {
        done.push("signs in");
    }
    if visited("/oauth/consent") {
        done.push("allows it");
    }
    let deed = format!("the user {}", done.join(", then "));
    let mut told_first = request(first);
    told_first.push(deed);
    let mut lines = vec![arrow(first, &told_first)];
    if let Some(Event::Answer(_, last)) = events.last()
        && let Some(place) = last.headers.get(header::LOCATION)
    {
        let place = Url::parse(place.to_str().unwrap()).unwrap();
        let names: Vec<_> = place.query_pairs().map(|(name, _)| name.into_owned()).collect();
        let told = told(&names);
        lines.push(format!("B->>C: back to the client, with {}", label(&told)));
    }
    lines
}

fn participants(lines: &[String]) -> Vec<String> {
    let all = [
        Party::Browser,
        Party::Client,
        Party::Server,
        Party::Issuer,
        Party::Page,
    ];
    let takes_part = |party: &Party| {
        let id = id(*party);
        lines.iter().any(|line| {
            let arrow = line.split_once(':').map_or("", |(arrow, _)| arrow);
            arrow.starts_with(&format!("{id}-")) || arrow.ends_with(&format!(">{id}"))
        })
    };
    let participant = |party: Party| format!("participant {} as {}", id(party), name(party));
    all.into_iter().filter(takes_part).map(participant).collect()
}

fn id(party: Party) -> &'static str {
    match party {
        Party::Client => "C",
        Party::Browser => "B",
        Party::Page => "W",
        Party::Server => "M",
        Party::Issuer => "A",
    }
}

fn name(party: Party) -> &'static str {
    match party {
        Party::Client => "Client",
        Party::Browser => "Browser (the user)",
        Party::Page => "A foreign web page",
        Party::Server => "MCP server",
        Party::Issuer => "Authorization server",
    }
}

fn arrow(
    sent: &Sent,
    lines: &[String],
) -> String {
    format!("{}->>{}: {}", id(sent.from), id(sent.to), labels(lines))
}

fn back(
    sent: &Sent,
    lines: &[String],
) -> String {
    format!("{}-->>{}: {}", id(sent.to), id(sent.from), labels(lines))
}

/// A request: what it is, and in a second line what goes along.
fn request(sent: &Sent) -> Vec<String> {
    if sent.path == "/mcp" {
        return message(sent);
    }
    let names: Vec<_> = match sent.json.as_object() {
        Some(object) => object.keys().cloned().collect(),
        None => sent.parameters.iter().map(|(name, _)| name.clone()).collect(),
    };
    let verb = match sent.from {
        Party::Browser => "opens",
        _ => &sent.method,
    };
    let scope = sent.parameters.iter().find(|(name, _)| name == "scope");
    let scope = scope.map(|(_, scope)| format!("scope {scope}"));
    let told = Some(told(&names)).filter(|told| !told.is_empty());
    let details: Vec<_> = told.into_iter().chain(scope).collect();
    without_empty([format!("{verb} {}", sent.path), details.join(", ")])
}

/// A message of MCP: its method, the name and arguments, and the headers that are its point.
fn message(sent: &Sent) -> Vec<String> {
    let (method, params) = (&sent.json["method"], &sent.json["params"]);
    let mut words: Vec<_> =
        [method, &params["name"]].into_iter().filter_map(Value::as_str).collect();
    let arguments = arguments(&params["arguments"]);
    words.extend((!arguments.is_empty()).then_some(arguments.as_str()));
    let token = credentials(&sent.headers);
    let mut details = Vec::new();
    for name in ["Origin", "Host", "MCP-Protocol-Version", "Mcp-Name"] {
        let value = text(&sent.headers, name);
        let is_the_point = match name {
            "Host" => !value.starts_with("localhost:"),
            "MCP-Protocol-Version" => token.is_none(),
            "Mcp-Name" => value != params["name"].as_str().unwrap_or_default(),
            _ => true,
        };
        if !value.is_empty() && is_the_point {
            details.push(format!("{name}: {value}"));
        }
    }
    details.extend(token);
    without_empty([words.join(" "), details.join(", ")])
}

/// Whose token it is and what it is good for, never the token.
fn credentials(headers: &HeaderMap) -> Option<String> {
    let token = text(headers, "Authorization").strip_prefix("Bearer ")?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let of = |name: &str| claims[name].as_str().unwrap_or_default();
    Some(format!("token of {}, scope {}", of("sub"), of("scope")))
}

fn arguments(arguments: &Value) -> String {
    let pairs = arguments.as_object().into_iter().flatten();
    let told: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    told.join(" ").replace('"', "")
}

/// Both on one arrow. What the request named already is not named again.
fn with_answer(
    sent: &Sent,
    got: &Got,
) -> Vec<String> {
    let mut lines = request(sent);
    let mut answer = answer(got).join(": ");
    if let Some(object) = sent.json.as_object() {
        for name in object.keys() {
            answer = answer.replace(&format!("{name}, "), "");
        }
    }
    lines.push(format!("answered {answer}"));
    lines
}

/// An answer: its status, the challenge, and the point of its body.
fn answer(got: &Got) -> Vec<String> {
    let reason = got.status.canonical_reason().unwrap_or_default();
    let status = format!("{} {reason}", got.status.as_u16());
    without_empty([status, challenge(&got.headers), content(got)])
}

/// Which parameters the challenge has; the scope and the error with what they say.
fn challenge(headers: &HeaderMap) -> String {
    let header = text(headers, "WWW-Authenticate");
    if header.is_empty() {
        return String::new();
    }
    let value = |name: &str| {
        let (_, rest) = header.split_once(&format!(r#" {name}=""#))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let mut told = Vec::new();
    told.extend(value("error").map(|error| format!("error {error}")));
    told.extend(value("resource_metadata").map(|_| "resource_metadata".to_owned()));
    told.extend(value("scope").map(|scope| format!("scope {scope}")));
    format!("WWW-Authenticate: Bearer {}", told.join(", ")).trim_end().to_owned()
}

/// The point of a body.
fn content(got: &Got) -> String {
    let json = &got.json;
    if let Some(message) = json["error"]["message"].as_str() {
        return match json["error"]["code"].as_i64() {
            Some(code) if code < 0 => format!("{code} {message}"),
            _ => message.to_owned(),
        };
    }
    if let Some(why) = json["error_description"].as_str() {
        return why.split(';').next().unwrap_or_default().to_owned();
    }
    if let Some(result) = json.get("result") {
        return outcome(result);
    }
    let names: Option<Vec<_>> = json.as_object().map(|object| object.keys().cloned().collect());
    told(&names.unwrap_or_default())
}

/// The point of a result of MCP.
fn outcome(result: &Value) -> String {
    if let Some(version) = result["protocolVersion"].as_str() {
        return format!("protocolVersion {version}");
    }
    if let Some(versions) = result["supportedVersions"].as_array() {
        let versions: Vec<_> = versions.iter().filter_map(Value::as_str).collect();
        return format!("supportedVersions {}", versions.join(", "));
    }
    for list in ["tools", "prompts"] {
        if let Some(all) = result[list].as_array() {
            let names: Vec<_> = all.iter().filter_map(|one| one["name"].as_str()).collect();
            return format!("{list} {}", names.join(", "));
        }
    }
    let said = result["content"][0]["text"].as_str().unwrap_or_default();
    let whom = serde_json::from_str::<Value>(said).unwrap_or_default();
    if let Some(sub) = whom["sub"].as_str() {
        return format!("you are {sub}");
    }
    if result["isError"] == true {
        return format!("isError: {said}");
    }
    said.to_owned()
}

/// Those of the names that are told.
fn told(names: &[String]) -> String {
    let told = TOLD.iter().filter(|name| names.iter().any(|other| other == *name));
    told.copied().collect::<Vec<_>>().join(", ")
}

fn without_empty<const N: usize>(lines: [String; N]) -> Vec<String> {
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

fn text<'headers>(
    headers: &'headers HeaderMap,
    name: &str,
) -> &'headers str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Lines of text on one arrow, the long ones broken.
fn labels(lines: &[String]) -> String {
    let broken = lines.iter().flat_map(|line| textwrap::wrap(line, LONGEST));
    let labels: Vec<_> = broken.map(|line| label(&line)).collect();
    labels.join("<br/>")
}

/// Text that cannot end the statement or start another one: each such character as Mermaid writes
/// it, `#59;`.
fn label(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if ";#<>{}%\"\\".contains(c) {
            out.push_str(&format!("#{};", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}
