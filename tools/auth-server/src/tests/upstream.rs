//! Both kinds of upstream provider: what their tests share, and what holds for either.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use url::Url;

use super::harness::*;
use crate::passwords;

/// The browser's step at the provider, where somebody is signed in already: where it is sent to.
pub(super) async fn visit(url: &str) -> String {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let answer = http.build().unwrap().get(url).send().await.unwrap();
    let status = answer.status();
    let location = answer.headers().get(header::LOCATION);
    let location = location.unwrap_or_else(|| panic!("{url}: {status}, and no redirect"));
    location.to_str().unwrap().to_owned()
}

/// A press on "Sign in with ..": the answer.
pub(super) async fn press(
    server: &Server,
    browser: &Browser,
    query: &str,
    button: &[(&str, &str)],
) -> Answer {
    let page = browser.open(server, query).await.body_text();
    let (request, csrf) = (hidden(&page, "request"), hidden(&page, "csrf"));
    let mut form = vec![("request", request.as_str()), ("csrf", &csrf)];
    form.extend_from_slice(button);
    browser.send(server, form_request("/oauth/upstream", &form)).await
}

/// What the browser does with the provider's redirect.
pub(super) async fn come_back(
    server: &Server,
    browser: &Browser,
    callback: &str,
) -> Answer {
    let url = Url::parse(callback).unwrap();
    let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    browser.send(server, Request::get(path).body(Body::empty()).unwrap()).await
}

/// All of it: our page, the provider, and back.
pub(super) async fn sign_in(
    server: &Server,
    browser: &Browser,
    query: &str,
) -> Answer {
    let sent = press(server, browser, query, &[]).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body_text());
    let callback = visit(&sent.location()).await;
    come_back(server, browser, &callback).await
}

/// Signs in, approves and redeems: the token answer.
pub(super) async fn log_in(
    server: &Server,
    client: &str,
    extra: &[(&str, &str)],
) -> serde_json::Value {
    let browser = Browser::default();
    let query = request(client, extra);
    let answer = sign_in(server, &browser, &query).await;
    assert_eq!(
        answer.status,
        StatusCode::SEE_OTHER,
        "{}",
        answer.body_text()
    );
    let answer = browser.decide(server, &query, "approve").await;
    let code = param(&answer.location(), "code").unwrap();
    let answer = server.redeem(client, &code).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
    answer.json()
}

#[tokio::test]
async fn without_a_provider_there_is_no_way_there_and_none_back() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::default();
    let page = browser.open(&server, &request(&client, &[])).await.body_text();
    assert!(!page.contains("Sign in with"));
    for path in [
        "/oauth/upstream/callback?state=x&code=y",
        "/github/callback?state=x&code=y",
    ] {
        server.get(path).await.assert_error(404, "not_found");
    }
    server.post_form("/oauth/upstream", &[]).await.assert_error(404, "not_found");
    let scopes = server.get("/.well-known/oauth-authorization-server").await.json();
    let scopes = scopes["scopes_supported"].as_array().unwrap().clone();
    assert!(!scopes.contains(&"github:profile".into()), "{scopes:?}");
}

#[test]
fn settings_that_cannot_work_are_refused_with_the_one_to_change() {
    let refused = |flags: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        open(&dir, &flags).err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let at = |issuer: &'static str| vec!["--upstream-issuer", issuer, "--upstream-client-id", "me"];
    for (flags, word) in [
        (vec!["--no-local-users"], "--upstream-issuer"),
        (at("http://example.com"), "https"),
        (at("https://user@example.com"), "user name"),
        (at("https://example.com/?a=b"), "query"),
        (at("http://[::1]:9"), "--upstream-name"),
        (at(ISSUER), "circle"),
        (
            [at("https://example.com"), vec!["--upstream-name", "github"]].concat(),
            "GitHub",
        ),
        (
            [at("https://example.com"), vec!["--upstream-name", "a:b"]].concat(),
            "letters",
        ),
    ] {
        let why = refused(&flags);
        assert!(why.contains(word), "{flags:?}: {why}");
    }
    assert_eq!(refused(&at("https://example.com")), "");
}

#[test]
fn a_local_user_is_not_called_like_one_of_the_provider() {
    let dir = tempfile::tempdir().unwrap();
    let hash = passwords::hash("x").unwrap();
    let users = |name: &str| {
        let text = format!("[[users]]\nusername = {name:?}\npassword_hash = {hash:?}\n");
        write(&dir, "users.toml", &text).display().to_string()
    };
    let why = |name: &str| {
        let users = users(name);
        let flags = [
            "--upstream-issuer",
            "https://corp.example",
            "--upstream-client-id",
            "me",
        ];
        let flags = [&flags[..], &["--users", &users]].concat();
        let flags: Vec<_> = flags.into_iter().map(str::to_owned).collect();
        open(&dir, &flags).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(why("corp.example:1").contains("--upstream-name"));
    for name in ["corp.example", "other:1", "alice"] {
        assert_eq!(why(name), "", "{name}");
    }
}
