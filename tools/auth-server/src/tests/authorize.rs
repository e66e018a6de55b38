//! The authorization endpoint, the login and the consent.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;

use super::harness::*;

#[tokio::test]
async fn the_code_goes_back_with_state_and_issuer() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let answer = browser.decide(&server, &request(&client, &[]), "approve").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let location = answer.location();
    assert!(location.starts_with(&format!("{CALLBACK}?code=")));
    assert_eq!(
        param(&location, "state").unwrap(),
        "a state/with?odd&characters"
    );
    assert_eq!(param(&location, "iss").unwrap(), ISSUER);
    assert_eq!(param(&location, "code").unwrap().len(), 43);
}

#[tokio::test]
async fn an_unknown_client_is_a_page_and_never_a_redirect() {
    let server = Server::new();
    let answer = server
        .get(&format!(
            "/oauth/authorize?{}",
            request("no-such-client", &[])
        ))
        .await;
    answer.assert_page(400);
    assert!(answer.body_text().contains("not known here"));
    server.get("/oauth/authorize").await.assert_page(400);
}

#[tokio::test]
async fn nobody_is_redirected_to_an_unregistered_uri() {
    let server = Server::new();
    let client = server.register().await;
    for uri in [
        "https://evil.example/callback",
        "http://127.0.0.1:5000/callback/",
        "http://127.0.0.1:5000/callback?x=1",
        "http://127.0.0.1:5000/callback#x",
        "http://127.0.0.1:5000/Callback",
        "http://localhost:5000/callback",
        "http://127.0.0.1:5000@evil.example/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1.evil.example/callback",
        "//evil.example",
        "javascript:alert(1)",
    ] {
        let query = request(&client, &[("redirect_uri", uri)]);
        // Signed out, signed in, and with an error that would otherwise be sent back.
        server.get(&format!("/oauth/authorize?{query}")).await.assert_page(400);
        let browser = Browser::signed_in(&server, "alice", &client).await;
        browser.open(&server, &query).await.assert_page(400);
        let bad = request(
            &client,
            &[("redirect_uri", uri), ("response_type", "token")],
        );
        browser.open(&server, &bad).await.assert_page(400);
    }
}

#[tokio::test]
async fn a_loopback_port_is_free() {
    let server = Server::new();
    let client = server.register().await;
    let uri = "http://127.0.0.1:61234/callback";
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let query = request(&client, &[("redirect_uri", uri)]);
    let answer = browser.decide(&server, &query, "approve").await;
    assert!(answer.location().starts_with(&format!("{uri}?code=")));
}

#[tokio::test]
async fn the_only_redirect_uri_need_not_be_named() {
    let server = Server::new();
    let client = server.register().await;
    let code = server.code("alice", &client, &[("redirect_uri", "")]).await;
    let mut form = code_form(&client, &code);
    form.retain(|(name, _)| *name != "redirect_uri");
    assert_eq!(
        server.post_form("/oauth/token", &form).await.status,
        StatusCode::OK
    );
}

/// Each request differs from a good one in one thing.
#[tokio::test]
async fn what_is_wrong_is_sent_back_to_the_client() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let long = "A".repeat(44);
    for (name, value, error) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge", &long, "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "s256", "invalid_request"),
        ("resource", "http://localhost:9000/other", "invalid_target"),
        ("resource", "http://localhost:9000/mcp#x", "invalid_target"),
        ("resource", "not a url", "invalid_target"),
        ("request", "eyJ", "request_not_supported"),
        (
            "request_uri",
            "https://x.example/",
            "request_uri_not_supported",
        ),
        ("prompt", "none", "consent_required"),
        ("prompt", "none login", "invalid_request"),
    ] {
        let query = request(&client, &[(name, value)]);
        let answer = browser.open(&server, &query).await;
        answer.assert_sent_back(error);
        assert_eq!(
            param(&answer.location(), "state").unwrap(),
            "a state/with?odd&characters",
            "{name}"
        );
    }
    let signed_out = server
        .get(&format!(
            "/oauth/authorize?{}",
            request(&client, &[("prompt", "none")])
        ))
        .await;
    signed_out.assert_sent_back("login_required");
}

#[tokio::test]
async fn one_foreign_resource_among_ours_is_refused() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(
        &client,
        &[
            ("resource", RESOURCE),
            ("resource", "https://other.example/"),
        ],
    );
    let answer = server.get(&format!("/oauth/authorize?{query}")).await;
    answer.assert_sent_back("invalid_target");
}

#[tokio::test]
async fn a_repeated_parameter_is_refused_as_a_page_where_the_way_back_is_in_doubt() {
    let server = Server::new();
    let client = server.register().await;
    let good = request(&client, &[]);
    for (name, value) in [("client_id", client.as_str()), ("redirect_uri", CALLBACK)] {
        let query = format!("{good}&{}", encode(&[(name, value)]));
        server.get(&format!("/oauth/authorize?{query}")).await.assert_page(400);
    }
    for name in [
        "response_type",
        "state",
        "code_challenge",
        "code_challenge_method",
    ] {
        let query = format!("{good}&{name}=x");
        let answer = server.get(&format!("/oauth/authorize?{query}")).await;
        answer.assert_sent_back("invalid_request");
    }
    let query = format!("{good}&scope=a&scope=b");
    let answer = server.get(&format!("/oauth/authorize?{query}")).await;
    answer.assert_sent_back("invalid_request");
}

#[tokio::test]
async fn no_scope_and_no_resource_mean_the_basic_ones() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[("scope", ""), ("resource", "")]).await;
    assert_eq!(body["scope"], "mcp:read mcp:tools mcp:prompts");
    assert_eq!(
        claims(body["access_token"].as_str().unwrap())["aud"],
        RESOURCE
    );
}

#[tokio::test]
async fn unknown_scopes_are_dropped_and_roles_bound_the_rest() {
    let server = Server::new();
    let client = server.register().await;
    for (user, asked, granted) in [
        ("alice", "mcp:read email mcp:audit", "mcp:read"),
        ("alice", "email phone", "mcp:read mcp:tools mcp:prompts"),
        ("guest", "", "mcp:read mcp:prompts"),
        ("guest", "mcp:tools mcp:read", "mcp:read"),
        ("admin", "mcp:audit mcp:tools", "mcp:tools mcp:audit"),
        (
            "bob",
            "openid profile offline_access",
            "openid profile offline_access",
        ),
    ] {
        let body = server.login(user, &client, &[("scope", asked)]).await;
        assert_eq!(body["scope"], granted, "{user} {asked}");
    }
}

#[tokio::test]
async fn when_the_role_permits_nothing_the_client_is_told() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "guest", &client).await;
    let query = request(&client, &[("scope", "mcp:audit")]);
    browser.open(&server, &query).await.assert_sent_back("access_denied");
}

#[tokio::test]
async fn a_client_may_ask_for_more_than_it_registered_with() {
    let server = Server::new();
    let body = serde_json::json!({"redirect_uris": [CALLBACK], "scope": "mcp:read"});
    let client = server.post_json("/oauth/register", &body).await.text("client_id");
    let body = server.login("admin", &client, &[("scope", "mcp:read mcp:audit")]).await;
    assert_eq!(body["scope"], "mcp:read mcp:audit");
}

#[tokio::test]
async fn deny_works() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let answer = browser.decide(&server, &request(&client, &[]), "deny").await;
    answer.assert_sent_back("access_denied");
    assert_eq!(
        param(&answer.location(), "state").unwrap(),
        "a state/with?odd&characters"
    );
    let neither = browser.decide(&server, &request(&client, &[]), "maybe").await;
    neither.assert_page(400);
}

#[tokio::test]
async fn the_page_can_be_opened_again_and_again() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::default();
    let query = request(&client, &[]);
    for _ in 0..2 {
        browser.open(&server, &query).await.assert_page(200);
    }
    browser.sign_in(&server, &query, "alice", "alice").await;
    for _ in 0..2 {
        let answer = browser.open(&server, &query).await;
        answer.assert_page(200);
        assert!(answer.body_text().contains("Allow access?"));
    }
}

#[tokio::test]
async fn prompt_login_asks_for_the_password_once_more() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let query = request(&client, &[("prompt", "login")]);
    let page = browser.open(&server, &query).await;
    assert!(page.body_text().contains("<h1>Sign in</h1>"));
    let answer = browser.sign_in(&server, &query, "bob", "bob").await;
    let location = answer.location();
    assert!(location.starts_with("/oauth/authorize?"));
    let page = browser.send(&server, Request::get(location).body(Body::empty()).unwrap()).await;
    assert!(page.body_text().contains("Allow access?"));
}

#[tokio::test]
async fn pages_cannot_be_framed_cached_or_scripted() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[]);
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let login = server.get(&format!("/oauth/authorize?{query}")).await;
    let consent = browser.open(&server, &query).await;
    let problem = server.get("/oauth/authorize").await;
    for page in [login, consent, problem] {
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("form-action"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert!(!page.body_text().contains("<script"));
    }
    assert_eq!(
        server.get("/style.css").await.header("content-type"),
        "text/css; charset=utf-8"
    );
}

#[tokio::test]
async fn everything_a_client_says_is_escaped() {
    let server = Server::new();
    let evil = "<script>alert('1')</script>\"'>\u{202e}";
    let body = serde_json::json!({"redirect_uris": [CALLBACK], "client_name": evil});
    let client = server.post_json("/oauth/register", &body).await.text("client_id");
    let extra = [
        ("scope", "<b>"),
        ("state", "\"><script>x</script>"),
        ("nonce", "<i>"),
    ];
    let query = request(&client, &extra);
    let login = server.get(&format!("/oauth/authorize?{query}")).await.body_text();
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let consent = browser.open(&server, &query).await.body_text();
    for page in [login, consent] {
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains('\u{202e}'), "a direction override survived");
        assert!(page.contains("&#60;script&#62;"), "{page}");
    }
    let browser = Browser::default();
    let failed = browser.sign_in(&server, &query, "\"><script>", "x").await;
    assert_eq!(failed.status, StatusCode::FORBIDDEN);
    assert!(!failed.body_text().contains("<script"));
}

#[tokio::test]
async fn the_consent_page_says_who_wants_what_and_where_it_goes() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "guest", &client).await;
    let query = request(&client, &[("scope", "mcp:read mcp:tools")]);
    let page = browser.open(&server, &query).await.body_text();
    for text in [
        "<strong class=\"name\">Test client</strong>",
        "<strong>guest</strong>",
        "<code>127.0.0.1:5000</code>",
        "<code>http://localhost:9000/mcp</code>",
        "<code>mcp:read</code>",
        "your role does not permit it",
        "registered itself",
        "This client runs on your computer",
    ] {
        assert!(page.contains(text), "{text} is not on the page");
    }
}

#[tokio::test]
async fn cookies_are_out_of_reach_for_scripts_and_other_sites() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::default();
    let query = request(&client, &[]);
    let page = browser.open(&server, &query).await;
    let login = browser.sign_in(&server, &query, "alice", "alice").await;
    for answer in [page, login] {
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("HttpOnly"), "{cookie}");
        assert!(cookie.contains("SameSite=Lax"), "{cookie}");
        assert!(cookie.contains("Path=/"), "{cookie}");
    }
    let server = Server::with(&["--issuer", "https://auth.example"]);
    let client = server.register().await;
    let page = Browser::default().open(&server, &request(&client, &[])).await;
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-"), "{cookie}");
    assert!(cookie.contains("Secure"), "{cookie}");
}

/// The login form of one browser, filled in.
async fn login_form(
    server: &Server,
    browser: &Browser,
    client: &str,
) -> Vec<(String, String)> {
    let page = browser.open(server, &request(client, &[])).await.body_text();
    vec![
        ("username".into(), "alice".into()),
        ("password".into(), "alice".into()),
        ("request".into(), hidden(&page, "request")),
        ("csrf".into(), hidden(&page, "csrf")),
    ]
}

fn borrowed(form: &[(String, String)]) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn a_login_form_works_only_in_the_browser_it_was_made_for() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::default();
    let form = login_form(&server, &browser, &client).await;
    let sent = form_request("/oauth/login", &borrowed(&form));
    server.send(sent).await.assert_page(403);
    let other = Browser::default();
    login_form(&server, &other, &client).await;
    let sent = form_request("/oauth/login", &borrowed(&form));
    other.send(&server, sent).await.assert_page(403);
    let mut without = form.clone();
    without.retain(|(name, _)| name != "csrf");
    let sent = form_request("/oauth/login", &borrowed(&without));
    browser.send(&server, sent).await.assert_page(403);
    let sent = form_request("/oauth/login", &borrowed(&form));
    assert_eq!(
        browser.send(&server, sent).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn forms_from_other_origins_are_refused() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::default();
    let form = login_form(&server, &browser, &client).await;
    let send = async |name: &'static str, value: &'static str| {
        let mut sent = form_request("/oauth/login", &borrowed(&form));
        sent.headers_mut().insert(name, value.parse().unwrap());
        browser.send(&server, sent).await
    };
    for origin in [
        "https://evil.example",
        "http://localhost:9002",
        "http://localhost:9001.evil.example",
    ] {
        send("origin", origin).await.assert_page(403);
    }
    send("sec-fetch-site", "cross-site").await.assert_page(403);
    send("sec-fetch-site", "same-site").await.assert_page(403);
    for origin in ["null", ISSUER] {
        assert_eq!(
            send("origin", origin).await.status,
            StatusCode::SEE_OTHER,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn consent_works_only_in_the_browser_that_signed_in_and_for_what_it_showed() {
    let server = Server::new();
    let client = server.register().await;
    let alice = Browser::signed_in(&server, "alice", &client).await;
    let query = request(&client, &[("scope", "mcp:read")]);
    let page = alice.open(&server, &query).await.body_text();
    let (carried, csrf) = (hidden(&page, "request"), hidden(&page, "csrf"));
    let form = [
        ("decision", "approve"),
        ("request", carried.as_str()),
        ("csrf", csrf.as_str()),
    ];
    // No browser, another signed-in browser, the same user in another browser.
    server.post_form("/oauth/consent", &form).await.assert_page(403);
    for user in ["admin", "alice"] {
        let other = Browser::signed_in(&server, user, &client).await;
        other
            .send(&server, form_request("/oauth/consent", &form))
            .await
            .assert_page(403);
    }
    // The right browser, but not what the page showed.
    let swapped = request(&client, &[("scope", "mcp:read mcp:tools")]);
    let form = [
        ("decision", "approve"),
        ("request", swapped.as_str()),
        ("csrf", csrf.as_str()),
    ];
    alice
        .send(&server, form_request("/oauth/consent", &form))
        .await
        .assert_page(403);
    let form = [("decision", "approve"), ("request", carried.as_str())];
    alice
        .send(&server, form_request("/oauth/consent", &form))
        .await
        .assert_page(403);
}

#[tokio::test]
async fn the_login_never_leads_elsewhere() {
    let server = Server::new();
    let client = server.register().await;
    for target in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "x\r\nSet-Cookie: a=b",
    ] {
        let browser = Browser::default();
        let mut form = login_form(&server, &browser, &client).await;
        form.retain(|(name, _)| name != "request");
        form.push(("request".into(), target.into()));
        let sent = form_request("/oauth/login", &borrowed(&form));
        let answer = browser.send(&server, sent).await;
        assert!(
            answer.location().starts_with("/oauth/authorize?"),
            "{}",
            answer.location()
        );
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[]);
    let mut pages = Vec::new();
    for user in ["alice", "nobody"] {
        let answer = Browser::default().sign_in(&server, &query, user, "wrong").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.header("set-cookie"), "");
        let page = answer.body_text();
        let csrf = hidden(&page, "csrf");
        pages.push(page.replace(&csrf, "").replace(&format!("value=\"{user}\""), ""));
    }
    assert_eq!(pages[0], pages[1]);
}

#[tokio::test]
async fn signing_in_as_somebody_else_ends_the_session() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let before = browser.cookie_header();
    let query = request(&client, &[]);
    let page = browser.open(&server, &query).await.body_text();
    let (carried, csrf) = (hidden(&page, "request"), hidden(&page, "csrf"));
    let foreign = [("request", carried.as_str()), ("csrf", "x")];
    browser
        .send(&server, form_request("/oauth/logout", &foreign))
        .await
        .assert_page(403);
    let form = [("request", carried.as_str()), ("csrf", csrf.as_str())];
    let answer = browser.send(&server, form_request("/oauth/logout", &form)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let page = browser.open(&server, &query).await.body_text();
    assert!(page.contains("<h1>Sign in</h1>"));
    // The old cookie is worthless, also for whoever kept a copy.
    let request = Request::get(format!("/oauth/authorize?{query}"))
        .header(header::COOKIE, before)
        .body(Body::empty())
        .unwrap();
    assert!(server.send(request).await.body_text().contains("<h1>Sign in</h1>"));
}

#[tokio::test]
async fn a_session_ends_after_its_time() {
    let server = Server::with(&["--session-ttl", "100"]);
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let query = request(&client, &[]);
    server.advance(99);
    assert!(browser.open(&server, &query).await.body_text().contains("Allow access?"));
    server.advance(1);
    assert!(browser.open(&server, &query).await.body_text().contains("<h1>Sign in</h1>"));
}

#[tokio::test]
async fn pages_answer_under_their_own_names_only() {
    let server = Server::new();
    let client = server.register().await;
    let uri = format!("/oauth/authorize?{}", request(&client, &[]));
    for (host, status) in [
        ("localhost:9001", StatusCode::OK),
        ("127.0.0.1:9001", StatusCode::OK),
        ("[::1]:9001", StatusCode::OK),
        ("rebound.example:9001", StatusCode::FORBIDDEN),
        ("localhost.evil.example", StatusCode::FORBIDDEN),
        ("localhost@evil.example", StatusCode::FORBIDDEN),
        ("not a host", StatusCode::FORBIDDEN),
    ] {
        let request = Request::get(&uri).header(header::HOST, host).body(Body::empty()).unwrap();
        assert_eq!(server.send(request).await.status, status, "{host}");
    }
    let server = Server::with(&["--issuer", "https://auth.example"]);
    let request = Request::get("/")
        .header(header::HOST, "auth.example")
        .body(Body::empty())
        .unwrap();
    assert_eq!(server.send(request).await.status, StatusCode::OK);
}
