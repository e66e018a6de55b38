//! An OpenID provider as the upstream: another server of this kind, and one that misbehaves.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gen_token::keys::KeyPair;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

use super::harness::*;
use super::upstream::*;
use crate::ClientSecret;
use crate::clock::Clock;
use crate::upstream::Upstream;
use crate::upstream::identity as upstream;
use crate::upstream::identity::Ask;

const BACK: &str = "http://localhost:9001/oauth/upstream/callback";

/// A listener, and what it is called: not by the name of the server that is tested.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    (listener, issuer)
}

/// A server with its demo users whose provider that is.
fn client_of(
    issuer: &str,
    client_id: &str,
    more: &[&str],
) -> Server {
    let mut flags = vec![
        "--upstream-issuer",
        issuer,
        "--upstream-client-id",
        client_id,
    ];
    flags.extend_from_slice(more);
    Server::with(&flags)
}

/// Signs in at the other server as its user of that name, and approves there.
async fn approve_there(
    there: &Server,
    user: &str,
    sent: &str,
) -> String {
    let browser = Browser::default();
    let query = sent.split_once('?').unwrap().1;
    let signed_in = browser.sign_in(there, query, user, user).await;
    assert_eq!(
        signed_in.status,
        StatusCode::SEE_OTHER,
        "{}",
        signed_in.body_text()
    );
    browser.decide(there, query, "approve").await.location()
}

/// Another server of this kind, on a socket, with a client for the one that is tested.
async fn another() -> (Server, String) {
    let (listener, issuer) = listen().await;
    let there = Server::with(&["--issuer", &issuer]);
    let app = there.app.clone();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (there, issuer)
}

#[tokio::test]
async fn a_user_of_the_provider_is_not_the_local_user_of_that_name() {
    let (there, issuer) = another().await;
    let registered = there.post_json("/oauth/register", &json!({"redirect_uris": [BACK]})).await;
    let here = client_of(
        &issuer,
        &registered.text("client_id"),
        &["--upstream-role", "guest"],
    );
    let client = here.register().await;
    let query = request(&client, &[("scope", "openid profile mcp:read mcp:tools")]);
    let browser = Browser::default();
    let sent = press(&here, &browser, &query, &[]).await.location();
    assert!(sent.starts_with(&issuer), "{sent}");
    assert_eq!(param(&sent, "scope").as_deref(), Some("openid profile"));
    let callback = approve_there(&there, "alice", &sent).await;
    let answer = come_back(&here, &browser, &callback).await;
    assert_eq!(
        answer.status,
        StatusCode::SEE_OTHER,
        "{}",
        answer.body_text()
    );
    let location = browser.decide(&here, &query, "approve").await.location();
    let tokens = here.redeem(&client, &param(&location, "code").unwrap()).await.json();
    let token = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(token["sub"], "127.0.0.1:alice");
    assert_eq!(token["preferred_username"], "alice");
    assert_eq!(token["roles"], json!(["guest"]));
    assert_eq!(token["iss"], ISSUER);
    // A guest lends no mcp:tools, whatever the local alice may.
    assert_eq!(tokens["scope"], "mcp:read openid profile");
    let userinfo = here.get_with_token("/oauth/userinfo", tokens["access_token"].as_str().unwrap());
    let userinfo = userinfo.await.json();
    assert_eq!(userinfo["sub"], "127.0.0.1:alice");
    assert_eq!(userinfo["preferred_username"], "alice");
    // Another provider under the same name vouches for others.
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    let here = here.restart();
    let refreshed = here.refresh(&client, &refresh, &[]).await.text("refresh_token");
    let here = here.restart_with(&["--upstream-name", "else"]);
    here.refresh(&client, &refreshed, &[]).await.assert_error(400, "invalid_grant");
}

/// What a provider that misbehaves does differently.
#[derive(Clone, Default)]
struct Flaw {
    /// Members of the metadata; null takes one away.
    metadata: Value,
    /// Claims of the ID token; null takes one away.
    claims: Value,
    typ: Option<&'static str>,
    kid: Option<&'static str>,
    hs256: bool,
    /// Status and body instead of tokens.
    answer: Option<(u16, Value)>,
    /// The key set has another key.
    other_key: bool,
}

struct Provider {
    issuer: String,
    key: KeyPair,
    flaw: Mutex<Flaw>,
    nonce: Mutex<String>,
    /// What came to the token endpoint: the Basic header, decoded, and the form.
    seen: Mutex<(String, String)>,
}

type Shared = State<Arc<Provider>>;

fn merged(
    mut document: Value,
    changes: &Value,
) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        let members = document.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    document
}

async fn metadata(State(provider): Shared) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", provider.issuer);
    let document = json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/keys"),
    });
    Json(merged(document, &provider.flaw.lock().unwrap().metadata))
}

async fn keys(State(provider): Shared) -> Json<Value> {
    if provider.flaw.lock().unwrap().other_key {
        let other = KeyPair::generate().unwrap();
        return Json(json!({"keys": [other.public_jwk()]}));
    }
    let strange = json!({"kty": "oct", "k": "AAAA", "kid": "strange"});
    Json(json!({"keys": [strange, provider.key.public_jwk()]}))
}

async fn authorize(
    State(provider): Shared,
    uri: Uri,
) -> Redirect {
    let url = format!("http://x{uri}");
    *provider.nonce.lock().unwrap() = param(&url, "nonce").unwrap();
    let state = param(&url, "state").unwrap();
    let back = param(&url, "redirect_uri").unwrap();
    Redirect::to(&format!("{back}?code=c&state={state}"))
}

async fn token(
    State(provider): Shared,
    headers: HeaderMap,
    form: String,
) -> Response {
    let basic = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let basic = basic.and_then(|value| value.strip_prefix("Basic ").map(str::to_owned));
    let basic = basic.map(|value| String::from_utf8(STANDARD.decode(value).unwrap()).unwrap());
    *provider.seen.lock().unwrap() = (basic.unwrap_or_default(), form);
    let flaw = provider.flaw.lock().unwrap().clone();
    if let Some((status, body)) = flaw.answer {
        return (StatusCode::from_u16(status).unwrap(), Json(body)).into_response();
    }
    Json(json!({"token_type": "Bearer", "access_token": "a", "id_token": id_token(&provider, &flaw)}))
        .into_response()
}

fn id_token(
    provider: &Provider,
    flaw: &Flaw,
) -> String {
    let now = Clock::default().now();
    let claims = json!({
        "iss": provider.issuer,
        "sub": "u-1",
        "aud": "me",
        "exp": now + 300,
        "iat": now,
        "nonce": *provider.nonce.lock().unwrap(),
        "preferred_username": "some\u{202e}body",
    });
    let mut header = Header::new(if flaw.hs256 {
        Algorithm::HS256
    } else {
        Algorithm::RS256
    });
    header.typ = Some(flaw.typ.unwrap_or("JWT").to_owned());
    header.kid = Some(flaw.kid.unwrap_or(provider.key.kid()).to_owned());
    let public = serde_json::to_vec(provider.key.public_jwk()).unwrap();
    let secret = EncodingKey::from_secret(&public);
    let key = if flaw.hs256 {
        &secret
    } else {
        provider.key.encoding_key()
    };
    jsonwebtoken::encode(&header, &merged(claims, &flaw.claims), key).unwrap()
}

/// The provider, and a server that is `me` there.
async fn start(
    flaw: Flaw,
    flags: &[&str],
) -> (Arc<Provider>, Server) {
    let (listener, issuer) = listen().await;
    let provider = Arc::new(Provider {
        issuer: issuer.clone(),
        key: KeyPair::generate().unwrap(),
        flaw: Mutex::new(flaw),
        nonce: Mutex::default(),
        seen: Mutex::default(),
    });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .route("/keys", get(keys))
        .with_state(provider.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let server = client_of(&issuer, "me", flags);
    (provider, server)
}

#[tokio::test]
async fn any_provider_will_do_whose_id_token_is_good() {
    let several = json!({"aud": ["me", "x"], "azp": "me"});
    for claims in [Value::Null, several, json!({"aud": ["me"]})] {
        let flaw = Flaw {
            claims,
            ..Flaw::default()
        };
        let (_provider, server) = start(flaw, &["--upstream-name", "corp"]).await;
        let client = server.register().await;
        let tokens = log_in(&server, &client, &[]).await;
        let token = self::claims(tokens["access_token"].as_str().unwrap());
        assert_eq!(token["sub"], "corp:u-1");
        assert_eq!(
            token["preferred_username"], "somebody",
            "without the mark that turns text"
        );
        assert_eq!(tokens["scope"], "mcp:read mcp:tools mcp:prompts");
    }
}

#[tokio::test]
async fn an_id_token_with_one_flaw_signs_nobody_in() {
    let now = Clock::default().now();
    let claims = |claims| Flaw {
        claims,
        ..Flaw::default()
    };
    let flaws = [
        claims(json!({"iss": "https://evil.example"})),
        claims(json!({"iss": null})),
        claims(json!({"aud": "somebody-else"})),
        claims(json!({"aud": ["me", "x"]})),
        claims(json!({"azp": "x"})),
        claims(json!({"aud": null})),
        claims(json!({"exp": now - 60})),
        claims(json!({"exp": null})),
        claims(json!({"nbf": now + 300})),
        claims(json!({"nonce": "of another sign-in"})),
        claims(json!({"nonce": null})),
        claims(json!({"sub": ""})),
        claims(json!({"sub": null})),
        claims(json!({"sub": 1})),
        claims(json!({"sub": "a\u{202e}b"})),
        Flaw {
            typ: Some("at+jwt"),
            ..Flaw::default()
        },
        Flaw {
            kid: Some("unknown"),
            ..Flaw::default()
        },
        Flaw {
            kid: Some("strange"),
            ..Flaw::default()
        },
        Flaw {
            hs256: true,
            ..Flaw::default()
        },
        Flaw {
            other_key: true,
            ..Flaw::default()
        },
        Flaw {
            answer: Some((400, json!({"error": "invalid_grant"}))),
            ..Flaw::default()
        },
    ];
    for (number, flaw) in flaws.into_iter().enumerate() {
        let (_provider, server) = start(flaw, &[]).await;
        let client = server.register().await;
        let query = request(&client, &[]);
        let browser = Browser::default();
        let answer = sign_in(&server, &browser, &query).await;
        assert_eq!(
            param(&answer.location(), "error").as_deref(),
            Some("access_denied"),
            "flaw {number}: {}",
            answer.location()
        );
        let page = browser.open(&server, &query).await.body_text();
        assert!(page.contains("Sign in with 127.0.0.1"), "flaw {number}");
    }
}

#[tokio::test]
async fn metadata_that_cannot_be_trusted_sends_nobody_anywhere() {
    for metadata in [
        json!({"issuer": "https://evil.example"}),
        json!({"issuer": null}),
        json!({"authorization_endpoint": "http://evil.example/authorize"}),
        json!({"token_endpoint": "http://evil.example/token"}),
        json!({"jwks_uri": null}),
    ] {
        let flaw = Flaw {
            metadata: metadata.clone(),
            ..Flaw::default()
        };
        let (_provider, server) = start(flaw, &[]).await;
        let client = server.register().await;
        let browser = Browser::default();
        let answer = press(&server, &browser, &request(&client, &[]), &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{metadata}");
        answer.assert_sent_back("temporarily_unavailable");
    }
}

#[tokio::test]
async fn tokens_that_are_none_are_not_waited_for() {
    for answer in [
        (200, json!({"access_token": "a"})),
        (500, json!({"error": "server_error"})),
        (401, json!({"error": "invalid_client"})),
        (200, json!("text")),
    ] {
        let flaw = Flaw {
            answer: Some(answer),
            ..Flaw::default()
        };
        let (_provider, server) = start(flaw, &[]).await;
        let client = server.register().await;
        let answer = sign_in(&server, &Browser::default(), &request(&client, &[])).await;
        answer.assert_sent_back("temporarily_unavailable");
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_said_to_the_client_and_not_asked_at_once_again() {
    let (listener, issuer) = listen().await;
    drop(listener);
    let server = client_of(&issuer, "me", &[]);
    let client = server.register().await;
    for _ in 0..2 {
        let browser = Browser::default();
        let answer = press(&server, &browser, &request(&client, &[]), &[]).await;
        answer.assert_sent_back("temporarily_unavailable");
    }
}

#[tokio::test]
async fn a_promised_iss_has_to_be_there_and_right() {
    let promised = Flaw {
        metadata: json!({"authorization_response_iss_parameter_supported": true}),
        ..Flaw::default()
    };
    let (provider, server) = start(promised, &[]).await;
    let client = server.register().await;
    let query = request(&client, &[]);
    sign_in(&server, &Browser::default(), &query).await.assert_page(400);
    let with_iss = async |iss: &str| {
        let browser = Browser::default();
        let sent = press(&server, &browser, &query, &[]).await.location();
        let callback = format!("{}&iss={iss}", visit(&sent).await);
        come_back(&server, &browser, &callback).await
    };
    with_iss("https://evil.example").await.assert_page(400);
    let good = with_iss(&provider.issuer).await;
    assert_eq!(good.status, StatusCode::SEE_OTHER);
    assert_eq!(
        param(&format!("http://x{}", good.location()), "error"),
        None
    );
}

#[tokio::test]
async fn the_secret_goes_where_the_provider_wants_it() {
    for (methods, in_header) in [
        (Value::Null, true),
        (json!(["client_secret_post", "client_secret_basic"]), true),
        (json!(["client_secret_post"]), false),
    ] {
        let flaw = Flaw {
            metadata: json!({"token_endpoint_auth_methods_supported": methods}),
            ..Flaw::default()
        };
        let (provider, server) = start(flaw, &[]).await;
        // As the environment would have set it.
        let mut settings = server.state.config.settings.clone();
        settings.upstream_client_secret = ClientSecret::new("hush & more");
        let upstream = Upstream::new(&settings, &server.state.config.issuer);
        let upstream = upstream.unwrap().unwrap();
        let ask = Ask {
            state: "s",
            verifier: "v",
            nonce: "n",
            again: true,
        };
        let url = upstream.authorization_url(&ask).await.unwrap();
        assert_eq!(param(url.as_str(), "prompt").as_deref(), Some("login"));
        visit(url.as_str()).await;
        let answer = upstream::Answer {
            code: "c",
            verifier: "v",
            nonce: "n",
            now: Clock::default().now(),
        };
        assert_eq!(upstream.identify(&answer).await.unwrap().subject, "u-1");
        let (basic, form) = provider.seen.lock().unwrap().clone();
        let secret = param(&format!("http://x/?{form}"), "client_secret");
        if in_header {
            assert_eq!((basic.as_str(), secret), ("me:hush+%26+more", None));
        } else {
            assert_eq!(
                (basic.as_str(), secret.as_deref()),
                ("", Some("hush & more"))
            );
        }
    }
}

#[tokio::test]
async fn where_nobody_has_a_password_there_is_no_form_for_one() {
    let (_provider, server) = start(Flaw::default(), &["--no-local-users"]).await;
    let client = server.register().await;
    let browser = Browser::default();
    let page = browser.open(&server, &request(&client, &[])).await.body_text();
    assert!(
        page.contains("Sign in with") && !page.contains("password"),
        "{page}"
    );
    let form = [
        ("username", "alice"),
        ("password", "alice"),
        ("request", &hidden(&page, "request")),
        ("csrf", &hidden(&page, "csrf")),
    ];
    let answer = browser.send(&server, form_request("/oauth/login", &form)).await;
    answer.assert_page(403);
    let request = Request::get("/oauth/upstream/callback").body(Body::empty()).unwrap();
    browser.send(&server, request).await.assert_page(403);
}

/// Random ids do, those that this server gives among them.
#[tokio::test]
async fn a_client_id_at_the_provider_may_begin_with_a_hyphen() {
    client_of("http://127.0.0.1:1", "-abc", &[]);
}
