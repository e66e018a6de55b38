//! GitHub as the upstream provider: at the stand-in, and at one that misbehaves.

use axum::http::StatusCode;
use axum::http::header;
use mock_github::App;
use mock_github::Fault;
use mock_github::MockGitHub;
use serde_json::Value;
use tokio::net::TcpListener;

use super::harness::*;
use super::upstream::*;
use crate::store::withdrawal;
use crate::upstream::on_behalf::ApiError;
use crate::upstream::on_behalf::GitHubApi;
use crate::upstream::settings::ClientSecret;
use crate::upstream::settings::GitHub;

const TOKEN: &str = "/login/oauth/access_token";
const CHECK: &str = "/api/v3/applications/our-app/token";
const USER: &str = "/api/v3/user";

/// The stand-in on a port of its own, and a server whose users sign in there.
async fn start() -> (MockGitHub, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let github = MockGitHub::new(
        &origin,
        App {
            client_id: "our-app".to_owned(),
            client_secret: "hush".to_owned(),
            name: "Ours".to_owned(),
            callback: format!("{ISSUER}/github/callback"),
        },
    );
    let router = github.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    github.sign_in_as(Some("octocat"));
    let server = Server::with_github(GitHub {
        client_id: "our-app".to_owned(),
        client_secret: ClientSecret::new("hush"),
        auth_url: format!("{origin}/login/oauth/authorize"),
        token_url: format!("{origin}{TOKEN}"),
        api_url: format!("{origin}/api/v3"),
    });
    (github, server)
}

fn api(server: &Server) -> GitHubApi {
    GitHubApi::of(&server.state).unwrap()
}

/// The profile of the user whose access token that is.
async fn profile(
    server: &Server,
    tokens: &Value,
) -> Result<Value, ApiError> {
    let sub = claims(tokens["access_token"].as_str().unwrap())["sub"].clone();
    api(server).get(sub.as_str().unwrap(), "/user").await
}

/// Everything that lies in the server's directory.
fn on_disk(server: &Server) -> Vec<u8> {
    let files = std::fs::read_dir(server.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[tokio::test]
async fn a_user_signs_in_at_github_and_the_client_gets_our_token() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let tokens = log_in(&server, &client, &[("scope", "")]).await;
    assert_eq!(
        tokens["scope"],
        "mcp:read mcp:tools mcp:prompts github:profile"
    );
    let token = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(token["sub"], "github:583231");
    assert_eq!(token["preferred_username"], "octocat");
    assert_eq!(token["roles"], serde_json::json!(["user"]));
    assert_eq!(token["aud"], RESOURCE);
    assert_eq!(profile(&server, &tokens).await.unwrap()["id"], 583_231);
    let refreshed = server.refresh(&client, tokens["refresh_token"].as_str().unwrap(), &[]).await;
    assert_eq!(refreshed.status, StatusCode::OK);
}

#[tokio::test]
async fn the_page_names_the_client_and_where_its_answer_goes_before_anything_goes_to_github() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let browser = Browser::default();
    let page = browser.open(&server, &request(&client, &[])).await;
    page.assert_page(200);
    let page = page.body_text();
    for shown in ["Test client", "127.0.0.1:5000", "Sign in with GitHub"] {
        assert!(page.contains(shown), "{shown}");
    }
    let sent = press(&server, &browser, &request(&client, &[]), &[]).await.location();
    assert_eq!(
        param(&sent, "scope").as_deref(),
        Some("read:user user:email")
    );
    assert_eq!(
        param(&sent, "code_challenge_method").as_deref(),
        Some("S256")
    );
    assert_eq!(param(&sent, "code_challenge").unwrap().len(), 43);
    assert_eq!(param(&sent, "state").unwrap().len(), 43);
    assert_eq!(
        param(&sent, "redirect_uri").unwrap(),
        format!("{ISSUER}/github/callback")
    );
    assert_eq!(param(&sent, "prompt"), None);
    let other = press(
        &server,
        &browser,
        &request(&client, &[]),
        &[("account", "other")],
    )
    .await;
    assert_eq!(
        param(&other.location(), "prompt").as_deref(),
        Some("select_account")
    );
    let other = press(
        &server,
        &browser,
        &request(&client, &[("prompt", "login")]),
        &[],
    )
    .await;
    assert_eq!(
        param(&other.location(), "prompt").as_deref(),
        Some("select_account")
    );
}

#[tokio::test]
async fn two_users_of_one_client_are_never_mixed_up() {
    let (github, server) = start().await;
    let client = server.register().await;
    let octocat = log_in(&server, &client, &[]).await;
    github.sign_in_as(Some("hubot"));
    let hubot = log_in(&server, &client, &[]).await;
    for _ in 0..2 {
        assert_eq!(
            profile(&server, &octocat).await.unwrap()["login"],
            "octocat"
        );
        assert_eq!(profile(&server, &hubot).await.unwrap()["login"], "hubot");
    }
    assert_eq!(
        api(&server).get("github:2", "/user").await.unwrap_err(),
        ApiError::SignInAgain
    );
}

#[tokio::test]
async fn an_account_switched_between_sign_ins_is_another_user() {
    let (github, server) = start().await;
    let client = server.register().await;
    let browser = Browser::default();
    let query = request(&client, &[]);
    sign_in(&server, &browser, &query).await;
    github.sign_in_as(Some("hubot"));
    let answer = sign_in(&server, &browser, &request(&client, &[("prompt", "login")])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let page = browser.open(&server, &query).await.body_text();
    assert!(
        page.contains("github:480938") && !page.contains("github:583231"),
        "{page}"
    );
}

#[tokio::test]
async fn a_sign_in_is_finished_in_the_browser_that_began_it_once_and_in_time() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let query = request(&client, &[]);
    let (attacker, victim) = (Browser::default(), Browser::default());
    let sent = press(&server, &attacker, &query, &[]).await.location();
    let callback = visit(&sent).await;
    // The attacker leads the victim's browser to it: with its own cookie, and with none.
    victim.open(&server, &query).await;
    for browser in [&victim, &Browser::default()] {
        come_back(&server, browser, &callback).await.assert_page(403);
    }
    let page = victim.open(&server, &query).await.body_text();
    assert!(page.contains("Sign in with GitHub"), "nobody is signed in");
    // And it is still the attacker's own.
    let own = come_back(&server, &attacker, &callback).await;
    assert_eq!(own.status, StatusCode::SEE_OTHER);
    come_back(&server, &attacker, &callback).await.assert_page(403);
    // Too late.
    let sent = press(&server, &victim, &query, &[]).await.location();
    let callback = visit(&sent).await;
    server.advance(601);
    come_back(&server, &victim, &callback).await.assert_page(403);
}

#[tokio::test]
async fn no_other_page_can_send_a_browser_to_github() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let query = request(&client, &[]);
    let (attacker, victim) = (Browser::default(), Browser::default());
    victim.open(&server, &query).await;
    let page = attacker.open(&server, &query).await.body_text();
    let (carried, csrf) = (hidden(&page, "request"), hidden(&page, "csrf"));
    let theirs = [("request", carried.as_str()), ("csrf", &csrf)];
    for form in [&theirs[..], &theirs[..1]] {
        victim
            .send(&server, form_request("/oauth/upstream", form))
            .await
            .assert_page(403);
    }
    let mut foreign = form_request("/oauth/upstream", &theirs);
    foreign
        .headers_mut()
        .insert(header::ORIGIN, "https://evil.example".parse().unwrap());
    attacker.send(&server, foreign).await.assert_page(403);
}

#[tokio::test]
async fn what_was_never_begun_is_not_finished() {
    let (_github, server) = start().await;
    let browser = Browser::default();
    for query in ["", "state=made-up&code=x", "code=x", "state=&code=x"] {
        let callback = format!("{ISSUER}/github/callback?{query}");
        come_back(&server, &browser, &callback).await.assert_page(403);
    }
    let twice = format!("{ISSUER}/github/callback?state=a&state=b&code=x");
    come_back(&server, &browser, &twice).await.assert_page(400);
}

#[tokio::test]
async fn who_says_no_at_github_is_denied_to_the_client() {
    let (_github, server) = start().await;
    let client = server.register().await;
    for (error, code) in [
        ("access_denied", "access_denied"),
        ("application_suspended", "temporarily_unavailable"),
    ] {
        let browser = Browser::default();
        let sent = press(&server, &browser, &request(&client, &[]), &[]).await.location();
        let state = param(&sent, "state").unwrap();
        let callback = format!("{ISSUER}/github/callback?error={error}&state={state}");
        come_back(&server, &browser, &callback).await.assert_sent_back(code);
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_taken() {
    let (github, server) = start().await;
    let client = server.register().await;
    github.set_fault("/login/oauth/authorize", Some(Fault::OtherIssuer));
    let browser = Browser::default();
    sign_in(&server, &browser, &request(&client, &[])).await.assert_page(400);
}

/// What goes wrong, where, and what the client is told.
const FAILURES: &[(&str, Fault, &str)] = &[
    (TOKEN, Fault::ServerError, "temporarily_unavailable"),
    (TOKEN, Fault::Huge, "temporarily_unavailable"),
    (TOKEN, Fault::Redirect, "temporarily_unavailable"),
    (TOKEN, Fault::Html, "temporarily_unavailable"),
    (TOKEN, Fault::NotJson, "temporarily_unavailable"),
    (TOKEN, Fault::Form, "temporarily_unavailable"),
    (TOKEN, Fault::Forbidden, "temporarily_unavailable"),
    (TOKEN, Fault::Error, "access_denied"),
    (TOKEN, Fault::OtherApp, "access_denied"),
    (CHECK, Fault::ServerError, "temporarily_unavailable"),
    (CHECK, Fault::Redirect, "temporarily_unavailable"),
    (CHECK, Fault::Html, "temporarily_unavailable"),
    (CHECK, Fault::Unauthorized, "temporarily_unavailable"),
    (CHECK, Fault::Error, "temporarily_unavailable"),
    (USER, Fault::ServerError, "temporarily_unavailable"),
    (USER, Fault::Redirect, "temporarily_unavailable"),
    (USER, Fault::Html, "temporarily_unavailable"),
    (USER, Fault::Error, "temporarily_unavailable"),
    (USER, Fault::RateLimit, "temporarily_unavailable"),
    (USER, Fault::SecondaryLimit, "temporarily_unavailable"),
    (USER, Fault::Unauthorized, "access_denied"),
    (USER, Fault::Forbidden, "access_denied"),
    (USER, Fault::OtherUser, "access_denied"),
];

#[tokio::test]
async fn whatever_github_answers_nobody_is_signed_in_by_mistake() {
    let (github, server) = start().await;
    let client = server.register().await;
    let query = request(&client, &[]);
    for (path, fault, code) in FAILURES {
        github.set_fault(path, Some(*fault));
        let browser = Browser::default();
        let answer = sign_in(&server, &browser, &query).await;
        assert_eq!(
            param(&answer.location(), "error").as_deref(),
            Some(*code),
            "{path} {fault:?}"
        );
        answer.assert_sent_back(code);
        let page = browser.open(&server, &query).await.body_text();
        assert!(page.contains("Sign in with GitHub"), "{path} {fault:?}");
        github.set_fault(path, None);
    }
    log_in(&server, &client, &[]).await;
}

/// With the limit of five seconds each: at once, so that they pass together.
#[tokio::test]
async fn a_github_that_hangs_is_not_waited_for() {
    let hung = |path: &'static str, fault| async move {
        let (github, server) = start().await;
        let client = server.register().await;
        github.set_fault(path, Some(fault));
        let answer = sign_in(&server, &Browser::default(), &request(&client, &[])).await;
        answer.assert_sent_back("temporarily_unavailable");
    };
    tokio::join!(
        hung(TOKEN, Fault::Hang),
        hung(TOKEN, Fault::Drip),
        hung(CHECK, Fault::Hang),
        hung(USER, Fault::Drip),
    );
}

#[tokio::test]
async fn a_token_that_github_does_not_take_any_more_takes_everything_along() {
    let (github, server) = start().await;
    let client = server.register().await;
    let octocat = log_in(&server, &client, &[]).await;
    github.sign_in_as(Some("hubot"));
    let hubot = log_in(&server, &client, &[]).await;
    github.set_fault(USER, Some(Fault::Unauthorized));
    assert_eq!(
        profile(&server, &octocat).await.unwrap_err(),
        ApiError::SignInAgain
    );
    github.set_fault(USER, None);
    // Also now that GitHub would take it again: it is gone.
    assert_eq!(
        profile(&server, &octocat).await.unwrap_err(),
        ApiError::SignInAgain
    );
    let refused = server.refresh(&client, octocat["refresh_token"].as_str().unwrap(), &[]).await;
    refused.assert_error(400, "invalid_grant");
    // Nobody else's.
    profile(&server, &hubot).await.unwrap();
    let refreshed = server.refresh(&client, hubot["refresh_token"].as_str().unwrap(), &[]).await;
    assert_eq!(refreshed.status, StatusCode::OK);
}

#[tokio::test]
async fn other_failures_of_the_api_take_nothing_along() {
    let (github, server) = start().await;
    let client = server.register().await;
    let tokens = log_in(&server, &client, &[]).await;
    for (fault, error) in [
        (Fault::ServerError, ApiError::Unavailable),
        (Fault::Huge, ApiError::Unavailable),
        (Fault::Redirect, ApiError::Unavailable),
        (Fault::Html, ApiError::Unavailable),
        (Fault::NotJson, ApiError::Unavailable),
        (Fault::Form, ApiError::Unavailable),
        (Fault::Forbidden, ApiError::OutOfReach),
        (Fault::SecondaryLimit, ApiError::RateLimited(42)),
    ] {
        github.set_fault(USER, Some(fault));
        assert_eq!(
            profile(&server, &tokens).await.unwrap_err(),
            error,
            "{fault:?}"
        );
    }
    // So many seconds until a time of the stand-in's clock; the clock of the server stands still.
    github.set_fault(USER, Some(Fault::RateLimit));
    let error = profile(&server, &tokens).await.unwrap_err();
    assert!(
        matches!(error, ApiError::RateLimited(seconds) if (1..=300).contains(&seconds)),
        "{error:?}"
    );
    github.set_fault(USER, None);
    profile(&server, &tokens).await.unwrap();
}

#[tokio::test]
async fn a_token_about_to_expire_is_refreshed_once_however_many_ask() {
    let (github, server) = start().await;
    github.set_expiry(Some(28_800));
    let client = server.register().await;
    let tokens = log_in(&server, &client, &[]).await;
    profile(&server, &tokens).await.unwrap();
    assert_eq!(github.refreshes(), 0);
    server.advance(28_790);
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let api = api(&server);
            tokio::spawn(async move { api.get("github:583231", "/user").await })
        })
        .collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap()["id"], 583_231);
    }
    assert_eq!(github.refreshes(), 1);
    // The new pair is what lies in the database.
    let server = server.restart();
    profile(&server, &tokens).await.unwrap();
    // A refresh token that is dead as well: sign in again.
    github.revoke_all();
    server.advance(28_800);
    assert_eq!(
        profile(&server, &tokens).await.unwrap_err(),
        ApiError::SignInAgain
    );
    let refused = server.refresh(&client, tokens["refresh_token"].as_str().unwrap(), &[]).await;
    refused.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_that_fails_otherwise_loses_nothing() {
    let (github, server) = start().await;
    github.set_expiry(Some(28_800));
    let client = server.register().await;
    let tokens = log_in(&server, &client, &[]).await;
    server.advance(28_790);
    for fault in [Fault::ServerError, Fault::Redirect, Fault::Form] {
        github.set_fault(TOKEN, Some(fault));
        assert_eq!(
            profile(&server, &tokens).await.unwrap_err(),
            ApiError::Unavailable
        );
    }
    github.set_fault(TOKEN, None);
    profile(&server, &tokens).await.unwrap();
    assert_eq!(github.refreshes(), 1);
}

#[tokio::test]
async fn the_vault_survives_a_restart_and_holds_nothing_in_clear() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let tokens = log_in(&server, &client, &[]).await;
    let server = server.restart();
    profile(&server, &tokens).await.unwrap();
    let refreshed = server.refresh(&client, tokens["refresh_token"].as_str().unwrap(), &[]).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    let disk = on_disk(&server);
    assert!(!disk.is_empty());
    assert!(!disk.windows(4).any(|part| part == b"gho_"));
}

#[tokio::test]
async fn another_vault_key_is_a_reason_to_sign_in_again() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let tokens = log_in(&server, &client, &[]).await;
    std::fs::remove_file(server.dir.path().join("keys/vault.key")).unwrap();
    let server = server.restart();
    assert_eq!(
        profile(&server, &tokens).await.unwrap_err(),
        ApiError::SignInAgain
    );
    let refused = server.refresh(&client, tokens["refresh_token"].as_str().unwrap(), &[]).await;
    refused.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn revoking_a_user_takes_the_token_of_github_along() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let tokens = log_in(&server, &client, &[]).await;
    let now = server.state.now();
    let work = server.state.store.run(move |tx| withdrawal::of_user(tx, "github:583231", now));
    assert_eq!(work.await.unwrap().sessions, 1);
    assert_eq!(
        profile(&server, &tokens).await.unwrap_err(),
        ApiError::SignInAgain
    );
}

#[tokio::test]
async fn local_users_have_no_github_profile_to_lend() {
    let (_github, server) = start().await;
    let client = server.register().await;
    let tokens = server.login("alice", &client, &[]).await;
    assert_eq!(tokens["scope"], "mcp:read mcp:tools mcp:prompts");
    let both = [("scope", "mcp:read github:profile")];
    let tokens = server.login("alice", &client, &both).await;
    assert_eq!(tokens["scope"], "mcp:read");
    // And nobody signs in with a password under a name from there.
    log_in(&server, &client, &[]).await;
    let query = request(&client, &[]);
    let answer = Browser::default().sign_in(&server, &query, "github:583231", "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

/// Rows about upstream users: who is known, and who left a token.
fn rows(server: &Server) -> (i64, i64) {
    let counts = server.state.store.run_now(|tx| {
        tx.query_row(
            "SELECT (SELECT count(*) FROM upstream_users), (SELECT count(*) FROM upstream_tokens)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    });
    counts.unwrap()
}

#[tokio::test]
async fn who_has_nothing_in_force_any_more_is_forgotten_with_the_token() {
    let (github, server) = start().await;
    let client = server.register().await;
    log_in(&server, &client, &[]).await;
    github.sign_in_as(Some("hubot"));
    // Signed in, and gave no client anything.
    sign_in(&server, &Browser::default(), &request(&client, &[])).await;
    server.state.store.clean_up(server.state.now()).await.unwrap();
    assert_eq!(rows(&server), (2, 2));
    server.advance(86_401);
    server.state.store.clean_up(server.state.now()).await.unwrap();
    assert_eq!(rows(&server), (1, 1));
    let api = api(&server);
    assert_eq!(
        api.get("github:583231", "/user").await.unwrap()["login"],
        "octocat"
    );
    assert_eq!(
        api.get("github:480938", "/user").await.unwrap_err(),
        ApiError::SignInAgain
    );
}
