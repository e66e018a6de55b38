//! Which URLs are fetched, which documents are taken, and what a fetched one allows.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::tests::harness::*;

fn describe_value(document: &Value) -> Result<Client, Rejected> {
    describe("https://c.example/m.json", document.as_object().unwrap())
}

#[test]
fn only_https_urls_with_a_path_in_normal_form_are_client_ids() {
    for id in [
        "https://vscode.dev/oauth/client-metadata.json",
        "https://claude.ai/oauth/claude-code-client-metadata",
        "https://c.example:8443/m?x=1",
    ] {
        assert!(check_url(id, false).is_ok(), "{id}");
    }
    for id in [
        "http://c.example/m.json",
        "ftp://c.example/m.json",
        "https://c.example",
        "https://c.example/",
        "https://user@c.example/m.json",
        "https://c.example/m.json#x",
        "https://c.example/a/../m.json",
        "https://C.example/m.json",
        "https://c.example:443/m.json",
        "https://2130706433/m.json",
        "https://0x7f.1/m.json",
        "https:///m.json",
        "http://localhost/m.json",
    ] {
        assert!(check_url(id, false).is_err(), "{id}");
    }
    assert!(check_url("http://localhost:1/m.json", true).is_ok());
    assert!(check_url("http://c.example/m.json", true).is_err());
}

/// Every kind of address that must not be reached, by address and by name, in both versions.
#[tokio::test]
async fn special_use_addresses_are_never_fetched() {
    let documents = Documents::new(false);
    for host in [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.0.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[::ffff:7f00:1]",
        "[::ffff:a00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
    ] {
        let result = fetch(&documents, &format!("https://{host}/m.json")).await;
        let Rejected(why) = result.unwrap_err();
        assert!(why.contains("special-use"), "{host}: {why}");
    }
    // The development flag opens loopback and nothing else.
    let documents = Documents::new(true);
    for host in ["10.0.0.1", "169.254.169.254", "[fe80::1]", "0.0.0.0"] {
        let result = fetch(&documents, &format!("https://{host}/m.json")).await;
        assert!(result.unwrap_err().0.contains("special-use"), "{host}");
    }
}

#[test]
fn public_addresses_are_public() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
    ] {
        assert!(net::is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn the_auth_method_is_found_in_either_member() {
    for (members, taken) in [
        (json!({}), true),
        (json!({"token_endpoint_auth_method": "none"}), true),
        (
            json!({"token_endpoint_auth_methods_supported": ["none", "private_key_jwt"]}),
            true,
        ),
        (
            json!({
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            }),
            true,
        ),
        (
            json!({"token_endpoint_auth_method": "private_key_jwt"}),
            false,
        ),
        (
            json!({"token_endpoint_auth_method": "client_secret_basic"}),
            false,
        ),
        (
            json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
            false,
        ),
    ] {
        let mut document = members.clone();
        document["client_id"] = json!("https://c.example/m.json");
        document["redirect_uris"] = json!([CALLBACK]);
        assert_eq!(describe_value(&document).is_ok(), taken, "{members}");
    }
}

#[test]
fn grants_we_lack_and_uris_we_refuse_are_passed_over() {
    let document = json!({
        "client_id": "https://c.example/m.json",
        "redirect_uris": ["javascript:alert(1)", CALLBACK],
        "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer", "refresh_token"],
        "logo_uri": "https://elsewhere.example/logo.png",
    });
    let client = describe_value(&document).unwrap();
    assert_eq!(client.metadata.redirect_uris, [CALLBACK]);
    assert!(client.may_refresh());
}

#[test]
fn a_document_that_cannot_be_right_is_refused() {
    let good = json!({"client_id": "https://c.example/m.json", "redirect_uris": [CALLBACK]});
    assert!(describe_value(&good).is_ok());
    let eleven: Vec<_> = (0..11).map(|n| format!("https://c.example/{n}")).collect();
    for (member, value) in [
        ("client_id", json!("https://c.example/other.json")),
        ("client_id", json!(null)),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!(["http://evil.example/"])),
        ("redirect_uris", json!(eleven)),
        ("client_secret", json!("s")),
        ("client_secret_expires_at", json!(0)),
    ] {
        let mut document = good.clone();
        document[member] = value;
        assert!(describe_value(&document).is_err(), "{member}");
    }
}

/// A document server on loopback; the test decides what it answers.
struct Site {
    id: String,
    hits: Arc<AtomicUsize>,
    answer: Arc<Mutex<Canned>>,
}

#[derive(Clone)]
struct Canned {
    status: StatusCode,
    headers: Vec<(header::HeaderName, String)>,
    body: String,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let id = format!("http://127.0.0.1:{port}/client.json");
        let body = json!({
            "client_id": id,
            "client_name": "Document client",
            "redirect_uris": [CALLBACK],
        });
        let canned = Canned {
            status: StatusCode::OK,
            headers: vec![(header::CONTENT_TYPE, "application/json".into())],
            body: body.to_string(),
        };
        let site = Self {
            id,
            hits: Arc::default(),
            answer: Arc::new(Mutex::new(canned)),
        };
        let (hits, answer) = (site.hits.clone(), site.answer.clone());
        let serve = move || {
            hits.fetch_add(1, Ordering::Relaxed);
            let canned = answer.lock().unwrap().clone();
            let headers = axum::http::HeaderMap::from_iter(
                canned.headers.into_iter().map(|(name, value)| (name, value.parse().unwrap())),
            );
            std::future::ready((canned.status, headers, canned.body))
        };
        let app = Router::new().fallback(get(serve));
        tokio::spawn(axum::serve(listener, app).into_future());
        site
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Canned),
    ) {
        change(&mut self.answer.lock().unwrap());
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }
}

fn server() -> Server {
    Server::with(&["--allow-loopback-client-metadata"])
}

#[tokio::test]
async fn a_document_client_logs_in_without_registering() {
    let (server, site) = (server(), Site::start().await);
    let body = server.login("alice", &site.id, &[]).await;
    let claims = claims(body["access_token"].as_str().unwrap());
    assert_eq!(claims["client_id"], site.id.as_str());
    let token = body["refresh_token"].as_str().unwrap();
    // Also after a restart, and without the document being there.
    site.change(|canned| canned.status = StatusCode::NOT_FOUND);
    let server = server.restart();
    let answer = server.refresh(&site.id, token, &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn nothing_is_fetched_for_strangers() {
    let (server, site) = (server(), Site::start().await);
    let browser = Browser::default();
    let query = request(&site.id, &[]);
    let page = browser.open(&server, &query).await;
    page.assert_page(200);
    assert!(
        page.body_text().contains("127.0.0.1"),
        "the page names the client's host"
    );
    browser.sign_in(&server, &query, "alice", "wrong").await;
    assert_eq!(site.hits(), 0);
    browser.sign_in(&server, &query, "alice", "alice").await;
    let page = browser.open(&server, &query).await;
    assert!(page.body_text().contains("Document client"));
    assert_eq!(site.hits(), 1);
}

#[tokio::test]
async fn the_copy_is_used_as_long_as_it_is_fresh() {
    let (server, site) = (server(), Site::start().await);
    let browser = Browser::signed_in(&server, "alice", &site.id).await;
    let query = request(&site.id, &[]);
    let open = async || browser.open(&server, &query).await.status;
    let cache = |value: &str| {
        let value = value.to_owned();
        site.change(|canned| canned.headers.push((header::CACHE_CONTROL, value)));
    };
    cache("max-age=100");
    assert_eq!(open().await, StatusCode::OK);
    server.advance(99);
    assert_eq!(open().await, StatusCode::OK);
    assert_eq!(site.hits(), 1);
    server.advance(1);
    cache("no-store");
    assert_eq!(open().await, StatusCode::OK);
    assert_eq!(site.hits(), 2);
    // The floor of a minute, and then a failure, which an old copy must not hide.
    server.advance(59);
    assert_eq!(open().await, StatusCode::OK);
    assert_eq!(site.hits(), 2);
    server.advance(1);
    site.change(|canned| canned.status = StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(open().await, StatusCode::BAD_REQUEST);
    // And the failure itself is not kept either.
    site.change(|canned| canned.status = StatusCode::OK);
    assert_eq!(open().await, StatusCode::OK);
}

#[tokio::test]
async fn answers_that_are_not_a_plain_small_document_are_refused() {
    let server = server();
    for (number, change) in [
        (|canned: &mut Canned| canned.status = StatusCode::NOT_FOUND) as fn(&mut Canned),
        |canned| {
            canned.status = StatusCode::FOUND;
            canned.headers.push((header::LOCATION, "/elsewhere".into()));
        },
        |canned| canned.headers = vec![(header::CONTENT_TYPE, "text/html".into())],
        |canned| canned.body = "[]".into(),
        |canned| canned.body = "{".into(),
        |canned| canned.body.insert_str(1, &format!("\"pad\": \"{}\",", "x".repeat(6000))),
    ]
    .into_iter()
    .enumerate()
    {
        let site = Site::start().await;
        site.change(change);
        let browser = Browser::signed_in(&server, "alice", &site.id).await;
        browser.open(&server, &request(&site.id, &[])).await.assert_page(400);
        assert_eq!(site.hits(), 1, "case {number}: a redirect was followed");
    }
}

#[tokio::test]
async fn nobody_is_redirected_to_a_uri_that_the_document_does_not_name() {
    let (server, site) = (server(), Site::start().await);
    let browser = Browser::signed_in(&server, "alice", &site.id).await;
    let query = request(&site.id, &[("redirect_uri", "https://evil.example/cb")]);
    browser.open(&server, &query).await.assert_page(400);
    let query = request(
        &site.id,
        &[("redirect_uri", "http://127.0.0.1:61000/callback")],
    );
    browser.open(&server, &query).await.assert_page(200);
}

#[tokio::test]
async fn without_the_flag_a_document_on_this_machine_is_refused() {
    let (server, site) = (Server::new(), Site::start().await);
    let query = request(&site.id, &[]);
    Browser::default().open(&server, &query).await.assert_page(400);
    let secure = site.id.replace("http:", "https:");
    let browser = Browser::signed_in(&server, "alice", &server.register().await).await;
    browser.open(&server, &request(&secure, &[])).await.assert_page(400);
    assert_eq!(site.hits(), 0);
}

#[tokio::test]
async fn one_document_serves_every_installation() {
    let (server, site) = (server(), Site::start().await);
    let alice = server.login("alice", &site.id, &[]).await;
    server.login("bob", &site.id, &[]).await;
    server.login("alice", &site.id, &[]).await;
    let token = alice["refresh_token"].as_str().unwrap();
    assert_eq!(
        server.refresh(&site.id, token, &[]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_document_that_does_not_come_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}/m.json", listener.local_addr().unwrap());
    let mut documents = Documents::new(true);
    documents.timeout = Duration::from_millis(50);
    let Rejected(why) = fetch(&documents, &id).await.unwrap_err();
    assert!(why.contains("did not arrive"), "{why}");
}

#[tokio::test]
async fn one_user_cannot_have_documents_fetched_without_end() {
    let flags = [
        "--allow-loopback-client-metadata",
        "--registrations-per-minute",
        "2",
    ];
    let (server, site) = (Server::with(&flags), Site::start().await);
    let browser = Browser::signed_in(&server, "alice", &site.id).await;
    let open = async |path: &str| {
        let id = site.id.replace("client.json", path);
        browser.open(&server, &request(&id, &[])).await.status
    };
    // Each is refused, because the document's own URL is another; but each was fetched.
    assert_eq!(open("a.json").await, StatusCode::BAD_REQUEST);
    assert_eq!(open("b.json").await, StatusCode::BAD_REQUEST);
    let id = site.id.replace("client.json", "c.json");
    let refused = browser.open(&server, &request(&id, &[])).await;
    refused.assert_page(429);
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(site.hits(), 2);
}
