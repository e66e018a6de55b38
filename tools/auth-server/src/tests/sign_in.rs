//! Signing in: whose attempts count against whom, and what the page says.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use super::harness::*;

/// Five wrong passwords from somewhere else.
async fn attack(
    server: &Server,
    client: &str,
    name: &str,
) {
    let query = request(client, &[]);
    let attacker = Browser::default();
    for _ in 0..5 {
        let answer = attacker.sign_in(server, &query, name, "wrong").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let answer = attacker.sign_in(server, &query, name, "wrong").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_browser_in_which_the_user_signed_in_before_has_its_own_count() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[("prompt", "login")]);
    let known = Browser::signed_in(&server, "alice", &client).await;
    attack(&server, &client, "alice").await;
    let answer = known.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // A right password there ends nobody else's pause.
    let stranger = Browser::default();
    let answer = stranger.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    // Its own count is a count.
    for _ in 0..5 {
        let answer = known.sign_in(&server, &query, "alice", "wrong").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let answer = known.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn being_known_as_one_user_is_no_help_with_another() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[("prompt", "login")]);
    let bobs = Browser::signed_in(&server, "bob", &client).await;
    attack(&server, &client, "alice").await;
    let answer = bobs.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    // Nor is bob's cookie under alice's name.
    let forged = bobs.cookie_header();
    let value = forged
        .split("; ")
        .find_map(|pair| pair.strip_prefix("auth_server_known_"))
        .and_then(|pair| pair.split_once('='))
        .unwrap()
        .1
        .to_owned();
    let name = format!(
        "auth_server_known_{}",
        &crate::secret::sha256("alice")[..16]
    );
    let forger = Browser::with_cookie(&name, &value);
    let answer = forger.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_known_browser_is_still_known_after_a_restart() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[("prompt", "login")]);
    let known = Browser::signed_in(&server, "alice", &client).await;
    let server = server.restart();
    attack(&server, &client, "alice").await;
    let answer = known.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn forms_of_other_sites_do_not_use_up_the_attempts_of_an_address() {
    let server = Server::with(&["--logins-per-minute", "2"]);
    let client = server.register().await;
    let query = request(&client, &[]);
    let browser = Browser::default();
    browser.open(&server, &query).await;
    for _ in 0..5 {
        let form = [
            ("username", "alice"),
            ("password", "x"),
            ("csrf", "made-up"),
        ];
        for answer in [
            server.post_form("/oauth/login", &form).await,
            browser.send(&server, form_request("/oauth/login", &form)).await,
        ] {
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
        }
    }
    let answer = browser.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

const WORKSHOP: &str = r#"
    [[clients]]
    client_id = "workshop"
    redirect_uris = ["http://127.0.0.1/callback"]
    client_secret_hash = "HASH"
"#;

fn with_workshop() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let hash = crate::passwords::hash("sesame").unwrap();
    write(&dir, "clients.toml", &WORKSHOP.replace("HASH", &hash));
    Server::start(dir, &["--clients", "{dir}/clients.toml"])
}

/// Asks for tokens with a code that does not exist; only the client's secret matters.
async fn present(
    server: &Server,
    id: &str,
    secret: &str,
) -> Answer {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", "x"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    server.post_form_as("/oauth/token", &form, id, secret).await
}

#[tokio::test]
async fn a_client_secret_cannot_be_guessed_at_without_end() {
    let server = with_workshop();
    for id in ["workshop", "nobody"] {
        for _ in 0..5 {
            let answer = present(&server, id, "wrong").await;
            answer.assert_error(401, "invalid_client");
        }
        let answer = present(&server, id, "wrong").await;
        answer.assert_error(429, "temporarily_unavailable");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    let answer = present(&server, "workshop", "sesame").await;
    answer.assert_error(429, "temporarily_unavailable");
    server.advance(30);
    let answer = present(&server, "workshop", "sesame").await;
    answer.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_client_that_was_right_before_is_not_kept_out_by_guesses() {
    let server = with_workshop();
    let (id, secret) = server.register_confidential().await;
    for (id, secret) in [("workshop", "sesame"), (&id, &secret)] {
        present(&server, id, secret).await.assert_error(400, "invalid_grant");
        for _ in 0..6 {
            present(&server, id, "wrong").await;
        }
        present(&server, id, "wrong").await.assert_error(429, "temporarily_unavailable");
        present(&server, id, secret).await.assert_error(400, "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_guesses_at_a_client_secret_get_few_answers() {
    let server = std::sync::Arc::new(with_workshop());
    let mut guesses = Vec::new();
    for _ in 0..40 {
        let server = server.clone();
        guesses.push(tokio::spawn(async move {
            present(&server, "workshop", "wrong").await.status
        }));
    }
    let mut looked_at = 0;
    for guess in guesses {
        looked_at += usize::from(guess.await.unwrap() == StatusCode::UNAUTHORIZED);
    }
    // Five, and one more for each slot in which a guess was under way.
    assert!((5..=7).contains(&looked_at), "{looked_at}");
}

#[tokio::test]
async fn the_page_names_the_issuer_and_after_a_mistake_asks_for_the_password() {
    let server = Server::new();
    let client = server.register().await;
    let query = request(&client, &[]);
    let focus = |page: &str| {
        let inputs = page.split("<input").filter(|input| input.contains("autofocus"));
        let names: Vec<_> = inputs
            .map(|input| {
                input.split("name=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
            })
            .collect();
        names
    };
    let browser = Browser::default();
    let first = browser.open(&server, &query).await.body_text();
    assert!(first.contains(&format!("<code>{ISSUER}</code>")), "{first}");
    assert_eq!(focus(&first), ["username"]);
    let failed = browser.sign_in(&server, &query, "alice", "wrong").await;
    assert_eq!(failed.status, StatusCode::FORBIDDEN);
    let failed = failed.body_text();
    assert!(
        failed.contains(r#"name="username" value="alice""#),
        "{failed}"
    );
    assert_eq!(focus(&failed), ["password"]);
}

#[tokio::test]
async fn a_second_sign_in_ends_the_first_session_of_the_browser() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let first = browser.cookie_header();
    let query = request(&client, &[("prompt", "login")]);
    let answer = browser.sign_in(&server, &query, "bob", "bob").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let uri = format!("/oauth/authorize?{}", request(&client, &[]));
    let old = Request::get(uri).header(header::COOKIE, first).body(Body::empty()).unwrap();
    let page = server.send(old).await.body_text();
    assert!(page.contains("<h1>Sign in</h1>"), "{page}");
    let page = browser.open(&server, &request(&client, &[])).await;
    assert!(page.body_text().contains("<strong>bob</strong>"));
}

#[tokio::test]
async fn a_client_can_ask_for_a_recent_sign_in() {
    let server = Server::new();
    let client = server.register().await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    server.advance(100);
    let page = async |age: &str| {
        let query = request(&client, &[("max_age", age)]);
        browser.open(&server, &query).await
    };
    assert!(page("100").await.body_text().contains("Allow access?"));
    assert!(page("99").await.body_text().contains("<h1>Sign in</h1>"));
    for wrong in ["-1", "x", "1.5"] {
        page(wrong).await.assert_sent_back("invalid_request");
    }
    let query = request(&client, &[("max_age", "99"), ("prompt", "none")]);
    browser.open(&server, &query).await.assert_sent_back("login_required");
    // Zero asks once, and not for ever.
    let query = request(&client, &[("max_age", "0")]);
    let answer = browser.sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(
        param(&format!("{ISSUER}{}", answer.location()), "max_age"),
        None
    );
    server.advance(5);
    let next = Request::get(answer.location()).body(Body::empty()).unwrap();
    let page = browser.send(&server, next).await;
    assert!(page.body_text().contains("Allow access?"));
}

async fn registered_at(
    server: &Server,
    uri: &str,
) -> String {
    let body = json!({"redirect_uris": [uri]});
    let answer = server.post_json("/oauth/register", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    answer.text("client_id")
}

/// The four ways in which a request fails although client and redirect URI are right.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("prompt", "none", "login_required"),
    ("response_type", "token", "unsupported_response_type"),
    ("code_challenge", "", "invalid_request"),
    (
        "resource",
        "https://elsewhere.example/mcp",
        "invalid_target",
    ),
];

#[tokio::test]
async fn nobody_is_sent_to_a_strangers_site_before_signing_in() {
    let server = Server::new();
    for uri in ["https://phish.example/login", "phish://login"] {
        let client = registered_at(&server, uri).await;
        for (name, value, error) in MISTAKES {
            let query = request(&client, &[("redirect_uri", uri), (name, value)]);
            let browser = Browser::default();
            let answer = browser.open(&server, &query).await;
            answer.assert_page(400);
            let page = answer.body_text();
            let link = page.split("href=\"").find(|part| part.starts_with(uri));
            let link = link.unwrap_or_else(|| panic!("{page}"));
            assert!(link.contains(&format!("error={error}")), "{link}");
        }
        // Signed in, the user has seen this server, and the answer goes where it should.
        let browser = Browser::default();
        let query = request(&client, &[("redirect_uri", uri)]);
        browser.sign_in(&server, &query, "alice", "alice").await;
        for (name, value, _) in MISTAKES {
            let query = request(&client, &[("redirect_uri", uri), (name, value)]);
            let answer = browser.open(&server, &query).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            assert!(answer.location().starts_with(uri));
        }
    }
}

#[tokio::test]
async fn programs_on_this_machine_and_the_operators_clients_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let clients =
        "[[clients]]\nclient_id = \"portal\"\nredirect_uris = [\"https://portal.example/cb\"]\n";
    write(&dir, "clients.toml", clients);
    let server = Server::start(dir, &["--clients", "{dir}/clients.toml"]);
    let local = server.register().await;
    for (client, uri) in [("portal", "https://portal.example/cb"), (&local, CALLBACK)] {
        for (name, value, error) in MISTAKES {
            let query = request(client, &[("redirect_uri", uri), (name, value)]);
            let answer = server.get(&format!("/oauth/authorize?{query}")).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            let location = answer.location();
            assert!(location.starts_with(uri), "{location}");
            assert_eq!(param(&location, "error").as_deref(), Some(*error));
        }
    }
}
