//! Advertise only what exists: whatever a server says it has, a client that believes it must find.
//!
//! Every URL of ours in a document, a header or the log is fetched. Every capability declared is
//! used, and every one not declared is asked for in vain. Spec: RFC 9728 (protected resource
//! metadata), RFC 7517 (key sets), MCP 2026-07-28, server/discover and basic/authorization.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::server::ADMIN;
use crate::server::ALICE;
use crate::server::Answer;
use crate::server::AuthServer;
use crate::server::ERAS;
use crate::server::Era;
use crate::server::HAS_AUTH;
use crate::server::Server;

/// The first step that has key sets, and the first that has metadata.
const HAS_KEYS: u8 = 5;
const HAS_METADATA: u8 = 7;

const SUFFIXED: &str = "/.well-known/oauth-protected-resource/mcp";
const PLAIN: &str = "/.well-known/oauth-protected-resource";
const KEYS: &str = "/.well-known/jwks.json";
const AUTH_SERVER: &str = "/.well-known/oauth-authorization-server";

/// The methods that each capability promises, with params that a server which has them accepts.
fn promises() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("tools", "tools/list", json!({})),
        ("prompts", "prompts/list", json!({})),
        ("resources", "resources/list", json!({})),
        ("resources", "resources/templates/list", json!({})),
        ("logging", "logging/setLevel", json!({"level": "info"})),
        ("completions", "completion/complete", json!({})),
    ]
}

#[tokio::test]
async fn a_capability_is_declared_exactly_where_it_is_served() {
    for step in 2..=8 {
        let server = Server::start(step);
        let token = server.token_if_needed(&ADMIN);
        for era in ERAS {
            let declared = capabilities(&server, era, token.as_deref()).await;
            for (capability, method, params) in promises() {
                let answer = server.call(era, token.as_deref(), method, params).await;
                let served = answer.json().get("result").is_some();
                let context = format!("step {step}, {era:?}, {method}");
                assert_eq!(declared.get(capability).is_some(), served, "{context}");
                // We push nothing, so nobody may wait for it.
                let settings = declared.get(capability).map(Value::to_string);
                assert!(
                    settings.is_none_or(|settings| settings == "{}"),
                    "{context}"
                );
            }
            let known = |name: &String| promises().iter().any(|promise| promise.0 == name);
            assert!(
                declared.as_object().unwrap().keys().all(known),
                "{declared}"
            );
        }
    }
}

async fn capabilities(
    server: &Server,
    era: Era,
    token: Option<&str>,
) -> Value {
    let method = match era {
        Era::Modern => "server/discover",
        Era::Handshake => "initialize",
    };
    let params = json!({"protocolVersion": "2025-11-25"});
    let answer = server.call(era, token, method, params).await.json();
    answer["result"]["capabilities"].clone()
}

#[tokio::test]
async fn every_version_that_discovery_names_is_spoken() {
    for step in 2..=8 {
        let server = Server::start(step);
        let token = server.token_if_needed(&ADMIN);
        let token = token.as_deref();
        let call = server.call(Era::Modern, token, "server/discover", json!({}));
        let answer = call.await.json();
        let versions = answer["result"]["supportedVersions"].as_array().unwrap();
        assert!(versions.contains(&json!("2026-07-28")));
        assert!(versions.len() > 1);
        for version in versions.iter().filter(|version| *version != "2026-07-28") {
            let params = json!({"protocolVersion": version});
            let call = server.call(Era::Handshake, token, "initialize", params);
            let answer = call.await.json();
            assert_eq!(answer["result"]["protocolVersion"], *version);
        }
    }
}

#[tokio::test]
async fn the_way_in_can_be_walked_from_the_refusal() {
    for step in HAS_METADATA..=8 {
        let server = Server::start(step);
        let refusal = server.get("/mcp").await;
        assert_eq!(refusal.status, 401);
        let document = fetch(&server, &named_in(&refusal)).await.json();
        assert_eq!(document["resource"], json!(server.resource()));
        assert_eq!(
            document["authorization_servers"],
            json!(["http://localhost:9001"])
        );
        assert_eq!(server.get(PLAIN).await.json(), document);
        // RFC 9728, section 3.3: the document must be the one of the URL that was asked.
        let resource = fetch(&server, document["resource"].as_str().unwrap()).await;
        assert_eq!(named_in(&resource), named_in(&refusal));
    }
}

/// The `resource_metadata` of a challenge.
fn named_in(answer: &Answer) -> String {
    let challenge = answer.header("www-authenticate");
    let rest = challenge.split_once(r#"resource_metadata=""#);
    let (url, _) = rest.unwrap().1.split_once('"').unwrap();
    url.to_owned()
}

#[tokio::test]
async fn every_url_of_ours_in_our_documents_answers() {
    for step in HAS_KEYS..=8 {
        let server = Server::start(step);
        let mut documents = vec!["/health", KEYS];
        if step >= HAS_METADATA {
            documents.extend([PLAIN, SUFFIXED]);
        }
        let mut urls = BTreeSet::new();
        for path in documents {
            let answer = server.get(path).await;
            assert_eq!(answer.status, 200, "step {step}: {path}");
            collect(&answer.json(), &mut urls);
        }
        urls.retain(|url| url.starts_with(&origin(&server)));
        // The resource and its metadata; before them, nothing is advertised.
        let expected = if step >= HAS_METADATA { 2 } else { 0 };
        assert_eq!(urls.len(), expected, "step {step}: {urls:?}");
        for url in urls {
            let answer = fetch(&server, &url).await;
            assert!([200, 401].contains(&answer.status), "{url}: {answer:?}");
        }
    }
}

/// Every URL in a document, however deep.
fn collect(
    value: &Value,
    urls: &mut BTreeSet<String>,
) {
    match value {
        Value::String(text) if text.contains("://") => {
            urls.insert(text.clone());
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, urls)),
        Value::Object(object) => object.values().for_each(|value| collect(value, urls)),
        _ => {}
    }
}

fn origin(server: &Server) -> String {
    server.resource().trim_end_matches("/mcp").to_owned()
}

/// Gets a URL of ours, as it is advertised.
async fn fetch(
    server: &Server,
    url: &str,
) -> Answer {
    let path = url.strip_prefix(&origin(server));
    server.get(path.expect("it is our URL")).await
}

#[tokio::test]
async fn tokens_are_signed_with_a_key_of_the_published_set() {
    for step in HAS_KEYS..=8 {
        let server = Server::start(step);
        let token = server.token(&[&ALICE[..], &["--json"]].concat());
        let token: Value = serde_json::from_str(&token).unwrap();
        let set = server.get(KEYS).await.json();
        let keys = set["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0]["kid"], token["header"]["kid"]);
        assert_eq!(keys[0]["alg"], token["header"]["alg"]);
        // RFC 7517, section 9.2: what makes a key private must never be here.
        let secret = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        assert!(
            secret.iter().all(|name| keys[0].get(name).is_none()),
            "step {step}"
        );
    }
}

#[tokio::test]
async fn scopes_that_are_advertised_open_what_they_name() {
    for step in HAS_METADATA..=8 {
        let server = Server::start(step);
        let document = server.get(SUFFIXED).await.json();
        let scopes = document["scopes_supported"].as_array().unwrap();
        let scopes: Vec<_> = scopes.iter().filter_map(Value::as_str).collect();
        let challenge = server.get("/mcp").await;
        let scopes = scopes.join(" ");
        let offered = format!(r#"scope="{scopes}""#);
        assert!(challenge.header("www-authenticate").contains(&offered));
        let flags = [&ALICE[..], &["--scopes", &scopes]].concat();
        let token = server.token(&flags);
        for method in ["tools/list", "prompts/list"] {
            let call = server.call(Era::Modern, Some(&token), method, json!({}));
            assert_eq!(call.await.status, 200, "step {step}: {method}");
        }
        let time = json!({"name": "get_time"});
        let call = server.call(Era::Modern, Some(&token), "tools/call", time);
        assert_eq!(call.await.status, 200, "step {step}");
    }
}

#[tokio::test]
async fn health_says_whether_a_token_is_needed() {
    for step in 1..=8 {
        let server = Server::start(step);
        let health = server.get("/health").await.json();
        let said = health["auth"]["required"].as_bool().unwrap_or(false);
        assert_eq!(said, step >= HAS_AUTH, "step {step}: {health}");
        if step >= 2 {
            let call = server.call(Era::Modern, None, "server/discover", json!({}));
            let expected = if said { 401 } else { 200 };
            assert_eq!(call.await.status, expected, "step {step}");
        }
    }
}

#[tokio::test]
async fn the_way_in_leads_to_an_issuer_that_is_all_there() {
    for step in HAS_METADATA..=8 {
        let resource = "http://localhost:9000/mcp";
        let auth = AuthServer::start(resource);
        let issuer = auth.issuer();
        let server = Server::start_with(step, &["--issuer", &issuer, "--resource", resource]);
        let document = server.get(SUFFIXED).await.json();
        assert_eq!(document["resource"], json!(resource));
        assert_eq!(document["authorization_servers"], json!([issuer]));
        is_all_there(&auth, &server).await;
        // Keys that were fetched check tokens as well as keys from a file.
        let token = auth.token(&ALICE);
        let call = server.call(Era::Modern, Some(&token), "tools/list", json!({}));
        assert_eq!(call.await.status, 200, "step {step}");
        let health = server.get("/health").await.json();
        assert_eq!(health["auth"]["keys"], json!(true), "step {step}");
    }
}

/// Every URL in the metadata of the issuer answers, if only with what it wants to be sent.
async fn is_all_there(
    auth: &AuthServer,
    server: &Server,
) {
    let metadata = auth.get(AUTH_SERVER).await.json();
    assert_eq!(server.get(AUTH_SERVER).await.json(), metadata);
    let mut urls = BTreeSet::new();
    collect(&metadata, &mut urls);
    let issuer = auth.issuer();
    assert!(urls.remove(&issuer) && urls.len() > 5, "{urls:?}");
    for url in urls {
        let path = url.strip_prefix(&issuer).expect("it names nobody else");
        let status = auth.get(path).await.status;
        assert!([200, 400, 401, 405].contains(&status), "{url}: {status}");
    }
}
