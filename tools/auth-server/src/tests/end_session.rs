//! Signing out at a client's wish (OpenID Connect RP-Initiated Logout 1.0).

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use super::harness::*;

const GOODBYE: &str = "http://127.0.0.1:5000/goodbye";

/// A client that has registered where users go afterwards.
async fn registered(
    server: &Server,
    goodbye: &str,
) -> String {
    let body = json!({
        "redirect_uris": [CALLBACK],
        "client_name": "Test client",
        "post_logout_redirect_uris": [goodbye],
    });
    let answer = server.post_json("/oauth/register", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.json()["post_logout_redirect_uris"], json!([goodbye]));
    answer.text("client_id")
}

/// A browser in which the user is signed in, and the ID token that the client got there.
async fn visitor(
    server: &Server,
    client: &str,
    user: &str,
) -> (Browser, String) {
    let browser = Browser::signed_in(server, user, client).await;
    let query = request(client, &[("scope", "openid")]);
    let answer = browser.decide(server, &query, "approve").await;
    let code = param(&answer.location(), "code").unwrap();
    let body = server.redeem(client, &code).await;
    (browser, body.text("id_token"))
}

async fn end(
    browser: &Browser,
    server: &Server,
    params: &[(&str, &str)],
) -> Answer {
    let uri = format!("/oauth/end_session?{}", encode(params));
    let request = Request::get(uri).body(Body::empty()).unwrap();
    browser.send(server, request).await
}

async fn is_signed_in(
    browser: &Browser,
    server: &Server,
    client: &str,
) -> bool {
    let page = browser.open(server, &request(client, &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    page.body_text().contains("Allow access?")
}

#[tokio::test]
async fn a_client_with_the_users_id_token_ends_the_session() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let (browser, hint) = visitor(&server, &client, "alice").await;
    let cookie = browser.cookie_header();
    let params = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", "http://127.0.0.1:61234/goodbye"),
        ("state", "a b&c"),
    ];
    let answer = end(&browser, &server, &params).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(
        answer.location(),
        "http://127.0.0.1:61234/goodbye?state=a+b%26c"
    );
    assert!(!is_signed_in(&browser, &server, &client).await);
    // Not only the cookie is gone.
    let uri = format!("/oauth/authorize?{}", request(&client, &[]));
    let kept = Request::get(uri).header(header::COOKIE, cookie);
    let page = server.send(kept.body(Body::empty()).unwrap()).await;
    assert!(page.body_text().contains("<h1>Sign in</h1>"));
}

#[tokio::test]
async fn an_expired_hint_is_still_a_hint() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let (browser, hint) = visitor(&server, &client, "alice").await;
    server.advance(5000);
    let answer = end(&browser, &server, &[("id_token_hint", &hint)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body_text().contains("You are signed out"));
    assert!(!is_signed_in(&browser, &server, &client).await);
}

#[tokio::test]
async fn without_a_hint_of_the_user_the_user_is_asked() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let (browser, _) = visitor(&server, &client, "alice").await;
    let (_, bobs) = visitor(&server, &client, "bob").await;
    let access = server.login("alice", &client, &[]).await;
    let access = access["access_token"].as_str().unwrap();
    for hint in ["", "garbage", &bobs, access] {
        let params = [("id_token_hint", hint), ("client_id", &client)];
        let page = end(&browser, &server, &params).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body_text().contains("<h1>Sign out?</h1>"), "{hint}");
        assert!(page.body_text().contains("Test client"));
        assert!(is_signed_in(&browser, &server, &client).await, "{hint}");
    }
}

/// Presses a button of the question.
async fn press(
    browser: &Browser,
    server: &Server,
    page: &str,
    decision: &str,
) -> Answer {
    let form = [
        ("decision", decision),
        ("request", &hidden(page, "request")),
        ("csrf", &hidden(page, "csrf")),
    ];
    let request = form_request("/oauth/end_session/confirm", &form);
    browser.send(server, request).await
}

#[tokio::test]
async fn what_the_user_answers_happens() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let (browser, _) = visitor(&server, &client, "alice").await;
    let params = [
        ("client_id", client.as_str()),
        ("post_logout_redirect_uri", GOODBYE),
    ];
    let page = end(&browser, &server, &params).await.body_text();
    assert!(page.contains("<code>127.0.0.1:5000</code>"), "{page}");
    let stays = press(&browser, &server, &page, "stay").await;
    assert_eq!(stays.status, StatusCode::OK);
    assert!(is_signed_in(&browser, &server, &client).await);
    let leaves = press(&browser, &server, &page, "sign_out").await;
    assert_eq!(leaves.status, StatusCode::SEE_OTHER);
    assert_eq!(leaves.location(), GOODBYE);
    assert!(!is_signed_in(&browser, &server, &client).await);
    // Once more, from the page that is still open: nobody is signed in.
    let again = press(&browser, &server, &page, "sign_out").await;
    again.assert_page(403);
}

#[tokio::test]
async fn no_other_page_can_answer_for_the_user() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let (browser, _) = visitor(&server, &client, "alice").await;
    let (other, _) = visitor(&server, &client, "bob").await;
    let theirs = end(&other, &server, &[]).await.body_text();
    let answer = press(&browser, &server, &theirs, "sign_out").await;
    answer.assert_page(403);
    // Nor does the form of the consent page, which is good for something else.
    let consent = browser.open(&server, &request(&client, &[])).await;
    let answer = press(&browser, &server, &consent.body_text(), "sign_out").await;
    answer.assert_page(403);
    let page = end(&browser, &server, &[]).await.body_text();
    let form = [
        ("decision", "sign_out"),
        ("request", &hidden(&page, "request")),
        ("csrf", &hidden(&page, "csrf")),
    ];
    let mut foreign = form_request("/oauth/end_session/confirm", &form);
    let origin = "https://evil.example".parse().unwrap();
    foreign.headers_mut().insert(header::ORIGIN, origin);
    browser.send(&server, foreign).await.assert_page(403);
    assert!(is_signed_in(&browser, &server, &client).await);
}

#[tokio::test]
async fn nobody_is_sent_where_the_client_did_not_register() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let other = registered(&server, "https://other.example/bye").await;
    let (browser, hint) = visitor(&server, &client, "alice").await;
    for (client_id, uri) in [
        (client.as_str(), "https://evil.example/"),
        (&client, CALLBACK),
        (&client, "https://other.example/bye"),
        (&other, "https://other.example/bye"),
        ("nobody", GOODBYE),
    ] {
        let params = [
            ("id_token_hint", hint.as_str()),
            ("client_id", client_id),
            ("post_logout_redirect_uri", uri),
        ];
        end(&browser, &server, &params).await.assert_page(400);
    }
    let nameless = [("post_logout_redirect_uri", GOODBYE)];
    end(&browser, &server, &nameless).await.assert_page(400);
    let twice = [("state", "a"), ("state", "b")];
    end(&browser, &server, &twice).await.assert_page(400);
    assert!(is_signed_in(&browser, &server, &client).await);
}

#[tokio::test]
async fn signing_out_is_no_way_to_send_strangers_to_a_site() {
    let server = Server::new();
    let phish = "https://phish.example/login";
    let client = registered(&server, phish).await;
    let (_, attackers) = visitor(&server, &client, "bob").await;
    let params = [
        ("id_token_hint", attackers.as_str()),
        ("post_logout_redirect_uri", phish),
    ];
    // First while the attacker's own session is alive, elsewhere; then when it is over.
    for _ in 0..2 {
        let answer = end(&Browser::default(), &server, &params).await;
        answer.assert_page(200);
        assert!(answer.body_text().contains("phish.example"));
    }
    let client = registered(&server, GOODBYE).await;
    let params = [
        ("client_id", client.as_str()),
        ("post_logout_redirect_uri", GOODBYE),
    ];
    let answer = end(&Browser::default(), &server, &params).await;
    assert_eq!(answer.location(), GOODBYE, "a program on this machine");
}

#[tokio::test]
async fn a_program_needs_the_id_token_alone() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let (browser, hint) = visitor(&server, &client, "alice").await;
    let (bystander, _) = visitor(&server, &client, "alice").await;
    let form = [("id_token_hint", hint.as_str())];
    let answer = server.post_form("/oauth/end_session", &form).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!is_signed_in(&browser, &server, &client).await);
    assert!(is_signed_in(&bystander, &server, &client).await);
    // Again is fine.
    let answer = server.post_form("/oauth/end_session", &form).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_post_from_the_clients_page_comes_back_with_the_browsers_cookies() {
    let server = Server::new();
    let client = registered(&server, GOODBYE).await;
    let (browser, hint) = visitor(&server, &client, "alice").await;
    let form = [("id_token_hint", hint.as_str()), ("state", "x")];
    let mut post = form_request("/oauth/end_session", &form);
    let headers = post.headers_mut();
    headers.insert(header::ORIGIN, "https://client.example".parse().unwrap());
    headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
    let answer = server.send(post).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let location = answer.location();
    assert!(location.starts_with("/oauth/end_session?"), "{location}");
    let next = Request::get(location).body(Body::empty()).unwrap();
    assert_eq!(browser.send(&server, next).await.status, StatusCode::OK);
    assert!(!is_signed_in(&browser, &server, &client).await);
}
