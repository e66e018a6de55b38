//! A token that says nothing here is asked about: what is sent, which answers let somebody in, what
//! becomes of all others, and how long an answer counts.

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::provider::*;
use super::*;
use crate::answers::Answers;

#[tokio::test(start_paused = true)]
async fn introspection_shows_the_token_and_who_we_are() {
    let provider = Asked::start().await;
    provider.says(reply(&active()));
    let router = provider.server(Verify::Introspection);
    assert_eq!(status_of(&router, "a b&token=c").await, 200);
    let [question] = &provider.questions()[..] else {
        panic!("one question");
    };
    assert_eq!(question.method, Method::POST);
    assert_eq!(question.path, "/introspect");
    assert_eq!(
        question.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(question.header("accept"), "application/json");
    assert_eq!(
        question.body,
        "token_type_hint=access_token&token=a+b%26token%3Dc"
    );
    // Encoded as a form before it is encoded as Basic (RFC 6749, section 2.3.1).
    let expected = BASE64_STANDARD.encode("who+am+i:s3cr%3At%25");
    assert_eq!(
        question.header("authorization"),
        format!("Basic {expected}")
    );
}

#[tokio::test(start_paused = true)]
async fn userinfo_shows_the_token_and_the_name_of_this_program() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Userinfo);
    assert_eq!(status_of(&router, OPAQUE).await, 200);
    let [question] = &provider.questions()[..] else {
        panic!("one question");
    };
    assert_eq!(question.method, Method::GET);
    assert_eq!(question.path, "/userinfo");
    assert_eq!(question.header("authorization"), bearer(OPAQUE));
    assert_eq!(question.header("accept"), "application/json");
    assert!(question.header("user-agent").starts_with(env!("CARGO_PKG_NAME")));
}

#[tokio::test(start_paused = true)]
async fn whoami_answers_all_claims_without_nulls_and_results_name_the_user() {
    let provider = Asked::start().await;
    let told = json!({
        "sub": "alice",
        "preferred_username": "Alice",
        "email": "alice@example.com",
        "email_verified": false,
        "picture": null,
        "address": {"locality": "Basel", "region": null},
        "groups": ["a", null, {"name": "b", "parent": null}],
    });
    provider.says(reply(&told));
    let router = provider.server(Verify::Userinfo);
    let user = json!({
        "sub": "alice",
        "preferred_username": "Alice",
        "email": "alice@example.com",
        "email_verified": false,
        "address": {"locality": "Basel"},
        "groups": ["a", {"name": "b"}],
        // What the steps tell about every user.
        "scope": "",
        "roles": [],
    });
    assert_eq!(whoami(&router, OPAQUE).await, user);
    let named = json!({"sub": "alice", "preferred_username": "Alice"});
    let result = whoami_result(&router, OPAQUE).await;
    assert_eq!(result["_meta"]["io.github.mcp-auth-steps/user"], named);
    let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"];
    assert_eq!(*info, env!("CARGO_PKG_NAME"));
}

#[tokio::test]
async fn results_of_both_eras_name_the_user_where_they_are_made_for_the_user() {
    const USER: &str = "io.github.mcp-auth-steps/user";
    for (method, name) in [("tools/call", "get_time"), ("prompts/get", "help")] {
        for request in both_eras(method, &call(name, json!({}))) {
            let result = result_of(request).await;
            let named = json!({"sub": "alice", "preferred_username": "Alice"});
            assert_eq!(result["_meta"][USER], named, "{method}");
        }
    }
    let nameless = sign(&jose(), without(claims(), "preferred_username"));
    let result = whoami_result(&router(), &nameless).await;
    assert_eq!(result["_meta"][USER], json!({"sub": "alice"}));
    // These are the same for everyone, and caches on the way may share them.
    for method in ["tools/list", "prompts/list", "server/discover"] {
        let result = result_of(modern(method, json!({}))).await;
        assert_eq!(result["cacheScope"], "public", "{method}");
        assert_eq!(result["_meta"].get(USER), None, "{method}");
    }
}

/// What this server answers where introspection says this about the token.
async fn answer_to(
    verify: Verify,
    reply: Reply,
) -> Answer {
    let provider = Asked::start().await;
    provider.says(reply);
    let router = provider.server(verify);
    send_to(router, ping(OPAQUE)).await
}

#[tokio::test(start_paused = true)]
async fn a_token_that_introspection_does_not_call_ours_is_refused() {
    for (member, value, word) in [
        ("active", json!(false), "active"),
        ("aud", json!("https://other.example/mcp"), "aud"),
        ("aud", json!(["https://other.example/mcp"]), "aud"),
        ("aud", json!([]), "aud"),
        ("aud", json!(null), "aud"),
        ("aud", json!({"x": RESOURCE}), "aud"),
        ("aud", json!(format!("{RESOURCE}/")), "aud"),
        ("iss", json!("https://other.example"), "iss"),
        ("token_type", json!("DPoP"), "access token"),
        ("token_type", json!("refresh_token"), "access token"),
        ("token_use", json!("refresh_token"), "access token"),
        ("typ", json!("Refresh"), "typ"),
        ("typ", json!("ID"), "typ"),
        ("cnf", json!({"jkt": "x"}), "cnf"),
        ("exp", json!(now() - 1), "exp"),
        ("exp", json!(1e300), "exp"),
        ("exp", json!("tomorrow"), "type"),
    ] {
        let case = format!("{member} {value}");
        let claims = with(active(), member, value);
        let answer = answer_to(Verify::Introspection, reply(&claims)).await;
        let description = assert_refused(&case, &answer, 401, "invalid_token");
        assert!(description.contains(word), "{case}: {description}");
    }
    // Nothing but this is said about a token that is not active (RFC 7662, section 2.2).
    let answer = answer_to(Verify::Introspection, reply(&json!({"active": false}))).await;
    assert_refused("inactive", &answer, 401, "invalid_token");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_introspection_calls_ours_is_accepted() {
    for (member, value) in [
        ("aud", json!([RESOURCE])),
        ("aud", json!(["account", RESOURCE])),
        ("token_type", json!(null)),
        ("token_type", json!("bearer")),
        ("token_use", json!("access_token")),
        ("exp", json!(null)),
        ("typ", json!("Bearer")),
    ] {
        let case = format!("{member} {value}");
        let claims = with(active(), member, value);
        let answer = answer_to(Verify::Introspection, reply(&claims)).await;
        assert_eq!(answer.status, StatusCode::OK, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_application_gets_in_by_userinfo_alone() {
    let provider = Asked::start().await;
    // It is good, but nobody meant it for us.
    let claims = with(provider.issuer.claims(), "aud", json!("other-app"));
    let token = sign(&jose(), claims.clone());
    let router = provider.server(Verify::Jwt);
    let answer = send_to(router, ping(&token)).await;
    assert_refused("jwt", &answer, 401, "invalid_token");
    provider.says(reply(&with(claims, "active", json!(true))));
    let router = provider.server(Verify::Introspection);
    let answer = send_to(router, ping(&token)).await;
    assert_refused("introspection", &answer, 401, "invalid_token");
    provider.says(reply(&alice()));
    let router = provider.server(Verify::Userinfo);
    assert_eq!(status_of(&router, &token).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_plain_no_of_userinfo_is_a_401() {
    for code in [401, 403] {
        let answer = answer_to(Verify::Userinfo, status(code)).await;
        assert_refused(code, &answer, 401, "invalid_token");
    }
}

/// It is we who are refused then, and no user can help that by logging in again.
#[tokio::test(start_paused = true)]
async fn an_introspection_that_refuses_our_client_is_no_fault_of_the_user() {
    for code in [401, 403] {
        let answer = answer_to(Verify::Introspection, status(code)).await;
        assert_unavailable(code, &answer);
    }
}

/// Answers that say nothing, and why.
fn no_answers() -> Vec<(&'static str, Reply)> {
    let good = || reply(&json!({"sub": "alice", "active": true, "aud": RESOURCE}));
    let of = |media_type| Reply {
        media_type,
        ..good()
    };
    let text = |body: String| Reply {
        body,
        ..good()
    };
    let mut all: Vec<_> = [
        301, 302, 303, 307, 308, 400, 404, 418, 429, 500, 502, 503, 204, 201,
    ]
    .map(|code| {
        let with_status = Reply {
            status: code,
            ..good()
        };
        ("a status", with_status)
    })
    .to_vec();
    all.extend([
        ("signed userinfo", of("application/jwt")),
        (
            "signed introspection",
            of("application/token-introspection+jwt"),
        ),
        ("a page", of("text/html")),
        ("a form", of("application/x-www-form-urlencoded")),
        ("no type", of("")),
        ("a type that begins the same", of("application/jsonp")),
        ("nothing", text(String::new())),
        (
            "half of it",
            text(r#"{"sub":"alice","active":true"#.to_owned()),
        ),
        ("a list", text(format!("[{}]", good().body))),
        ("a text", text(r#""alice""#.to_owned())),
        ("null", text("null".to_owned())),
        ("64 KiB and more", text(padded(&good().body, 64 * 1024 + 1))),
        (
            "an error",
            reply(&json!({"error": "bad_verification_code"})),
        ),
        (
            "an error and a user",
            reply(&with(active(), "error", json!("server_error"))),
        ),
        ("no user", reply(&without(active(), "sub"))),
        ("a null user", reply(&with(active(), "sub", json!(null)))),
        ("an empty user", reply(&with(active(), "sub", json!("")))),
        (
            "two users",
            reply(&with(active(), "sub", json!(["alice", "bob"]))),
        ),
    ]);
    all
}

/// A JSON text with so many bytes.
fn padded(
    text: &str,
    length: usize,
) -> String {
    format!("{}{text}", " ".repeat(length - text.len()))
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_is_a_503() {
    for verify in [Verify::Introspection, Verify::Userinfo] {
        let provider = Asked::start().await;
        let router = provider.server(verify);
        for (case, reply) in no_answers() {
            let case = format!("{verify:?}: {case} {}", reply.status);
            provider.says(reply);
            Log::clear();
            let answer = send_to(router.clone(), ping(OPAQUE)).await;
            assert_unavailable(&case, &answer);
            assert_eq!(logged("WARN").len(), 1, "{case}");
        }
    }
    let undecided = without(active(), "active");
    let answer = answer_to(Verify::Introspection, reply(&undecided)).await;
    assert_unavailable("neither active nor not", &answer);
    let undecided = with(active(), "active", json!("true"));
    let answer = answer_to(Verify::Introspection, reply(&undecided)).await;
    assert_unavailable("a text", &answer);
    // The limit itself is no harm.
    let long = Reply {
        body: padded(&alice().to_string(), 64 * 1024),
        ..reply(&alice())
    };
    let answer = answer_to(Verify::Userinfo, long).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn no_redirect_is_followed() {
    let provider = Asked::start().await;
    provider.says(status(302));
    let router = provider.server(Verify::Userinfo);
    assert_eq!(status_of(&router, OPAQUE).await, 503);
    let paths: Vec<_> = provider.questions().iter().map(|one| one.path.clone()).collect();
    assert_eq!(paths, ["/userinfo"]);
}

/// Sends a ping with this token, and does not wait for the answer.
fn asking(
    router: &Router,
    token: &str,
) -> JoinHandle<u16> {
    let (router, token) = (router.clone(), token.to_owned());
    tokio::spawn(async move { status_of(&router, &token).await })
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_or_drips_is_given_up_after_five_seconds() {
    for drips in [false, true] {
        for verify in [Verify::Introspection, Verify::Userinfo] {
            let provider = Asked::start().await;
            provider.hold(!drips);
            provider.says(Reply {
                drips,
                ..reply(&active())
            });
            let router = provider.server(verify);
            let asked = asking(&router, OPAQUE);
            provider.asked(1).await;
            later(4).await;
            tokio::task::yield_now().await;
            assert!(!asked.is_finished(), "{verify:?} {drips}");
            later(1).await;
            assert_eq!(soon(asked).await.unwrap(), 503, "{verify:?} {drips}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_gone_is_a_503() {
    let provider = Asked::start().await;
    let mut config = provider.config(Verify::Userinfo);
    // Nobody listens there.
    config.provider.userinfo = Some("http://127.0.0.1:1/userinfo".to_owned());
    let answer = send_to(serving(config), ping(OPAQUE)).await;
    assert_unavailable("gone", &answer);
    let router = provider.server(Verify::Userinfo);
    provider.issuer.go_down();
    let answer = send_to(router, ping(OPAQUE)).await;
    assert_unavailable("no metadata", &answer);
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_counts_for_a_minute() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Userinfo);
    for (seconds, times) in [(0, 1), (0, 1), (59, 1), (1, 2), (59, 2), (1, 3)] {
        later(seconds).await;
        assert_eq!(status_of(&router, OPAQUE).await, 200);
        assert_eq!(provider.times(), times, "{seconds}");
    }
    // Taken back, it still opens the door for that minute, and then no longer.
    provider.says(status(401));
    later(59).await;
    assert_eq!(status_of(&router, OPAQUE).await, 200);
    later(1).await;
    assert_eq!(status_of(&router, OPAQUE).await, 401);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_counts_for_ten_seconds_and_no_answer_for_none() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Userinfo);
    provider.says(status(401));
    for (seconds, times) in [(0, 1), (9, 1), (1, 2)] {
        later(seconds).await;
        assert_eq!(status_of(&router, OPAQUE).await, 401);
        assert_eq!(provider.times(), times, "{seconds}");
    }
    provider.says(status(500));
    later(10).await;
    for times in [3, 4] {
        assert_eq!(status_of(&router, OPAQUE).await, 503);
        assert_eq!(provider.times(), times);
    }
    provider.says(reply(&alice()));
    assert_eq!(status_of(&router, OPAQUE).await, 200);
}

#[tokio::test(start_paused = true)]
async fn no_answer_outlives_its_token() {
    let provider = Asked::start().await;
    // Only the paused clock stands still, so this one expires at once.
    let router = provider.server(Verify::Introspection);
    provider.says(reply(&with(active(), "exp", json!(now() + 2))));
    assert_eq!(status_of(&router, OPAQUE).await, 200);
    let expired = async {
        while status_of(&router, OPAQUE).await == 200 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    };
    expired.await;
    assert_eq!(status_of(&router, OPAQUE).await, 401);
    assert_eq!(provider.times(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_with_the_same_token_share_one_question() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Userinfo);
    provider.hold(true);
    let same: Vec<_> = (0..20).map(|_| asking(&router, OPAQUE)).collect();
    provider.asked(1).await;
    // Another token does not wait for this one.
    let other = asking(&router, "another");
    provider.asked(2).await;
    provider.hold(false);
    for asked in same {
        assert_eq!(soon(asked).await.unwrap(), 200);
    }
    assert_eq!(soon(other).await.unwrap(), 200);
    assert_eq!(provider.times(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_shares_its_failure() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Userinfo);
    provider.hold(true);
    let asked: Vec<_> = (0..20).map(|_| asking(&router, OPAQUE)).collect();
    provider.asked(1).await;
    later(5).await;
    for asked in asked {
        assert_eq!(soon(asked).await.unwrap(), 503);
    }
    assert_eq!(provider.times(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_does_not_leave_others_waiting() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Userinfo);
    provider.hold(true);
    let first = asking(&router, OPAQUE);
    provider.asked(1).await;
    let second = asking(&router, OPAQUE);
    tokio::task::yield_now().await;
    first.abort();
    provider.asked(2).await;
    provider.hold(false);
    assert_eq!(soon(second).await.unwrap(), 200);
}

#[tokio::test]
async fn ten_thousand_tokens_are_known_and_no_more() {
    let answers = Answers::new();
    let ask = async |token: usize, answer: usize| {
        let asked = async { (answer, Duration::from_secs(60)) };
        answers.get(&token.to_string(), asked).await
    };
    for token in 0..10_000 {
        assert_eq!(ask(token, token).await, token);
    }
    // All are known, and the first has just been used.
    assert_eq!(ask(0, 7).await, 0);
    assert_eq!(ask(10_000, 10_000).await, 10_000);
    assert_eq!(ask(0, 7).await, 0);
    // The second made room.
    assert_eq!(ask(1, 7).await, 7);
}

#[tokio::test(start_paused = true)]
async fn neither_token_nor_secret_is_said() {
    for verify in [Verify::Introspection, Verify::Userinfo, Verify::Jwt] {
        for reply in [reply(&active()), status(401), status(500)] {
            let provider = Asked::start().await;
            provider.says(reply);
            let config = provider.config(verify);
            let shown = format!("{config:?}");
            let claims = with(provider.issuer.claims(), "scope", json!("openid"));
            let token = sign(&jose(), claims);
            Log::clear();
            let answer = send_to(serving(config), ping(&token)).await;
            let said = format!("{shown}{}{}", answer.json(), Log::lines().concat());
            for secret in token.split('.').chain([SECRET, "s3cr%3At%25"]) {
                assert!(!said.contains(secret), "{verify:?}: {said}");
            }
        }
    }
}

/// A token of this issuer, with the scope for userinfo.
fn openid_token(
    provider: &Asked,
    member: &str,
    value: Value,
) -> String {
    let claims = with(provider.issuer.claims(), "scope", json!("openid mcp:tools"));
    let claims = without(claims, "preferred_username");
    sign(&jose(), with(claims, member, value))
}

#[tokio::test(start_paused = true)]
async fn userinfo_adds_to_a_verified_token_and_changes_nothing() {
    let provider = Asked::start().await;
    let token = openid_token(&provider, "email", json!("token@example.com"));
    let profile = json!({
        "sub": "alice",
        "preferred_username": "Alice",
        "email": "alice@example.com",
        "name": "Alice A.",
        "picture": null,
        "roles": ["admin"],
        "scp": "mcp:audit",
        "jti": "x",
    });
    provider.says(reply(&profile));
    let router = provider.server(Verify::Jwt);
    let user = whoami(&router, &token).await;
    assert_eq!(user["name"], "Alice A.");
    assert_eq!(user["preferred_username"], "Alice");
    assert_eq!(user["email"], "token@example.com");
    assert_eq!(user["jti"], "token-1");
    assert_eq!(user["scope"], "openid mcp:tools");
    assert_eq!(user["roles"], json!(["user"]));
    assert_eq!(user.get("picture"), None);
    let result = whoami_result(&router, &token).await;
    let named = json!({"sub": "alice", "preferred_username": "Alice"});
    assert_eq!(result["_meta"]["io.github.mcp-auth-steps/user"], named);
    // Asked once for all these calls; and what the token does not say about rights, nobody says.
    assert_eq!(provider.times(), 1);
    let bare = openid_token(&provider, "roles", json!([]));
    let bare = whoami(&router, &bare).await;
    assert_eq!(bare["roles"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn userinfo_is_not_asked_with_a_token_that_is_not_meant_for_it_or_not_good() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Jwt);
    assert_eq!(status_of(&router, &provider.issuer.token()).await, 200);
    let late = openid_token(&provider, "exp", json!(now() - 60));
    for token in [&late, OPAQUE] {
        let answer = send_to(router.clone(), ping(token)).await;
        assert_refused(token, &answer, 401, "invalid_token");
    }
    assert_eq!(provider.times(), 0);
    // Not every issuer has it.
    provider.issuer.come_up(&[&KEY]);
    let token = openid_token(&provider, "x", json!(1));
    assert_eq!(status_of(&provider.server(Verify::Jwt), &token).await, 200);
    assert_eq!(provider.times(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_userinfo_a_verified_token_is_as_good_as_it_was() {
    let other = with(alice(), "sub", json!("mallory"));
    let mut all = no_answers();
    all.extend([
        ("another user", reply(&other)),
        ("refused", status(401)),
        ("not meant for it", status(403)),
    ]);
    let provider = Asked::start().await;
    let token = openid_token(&provider, "x", json!(1));
    let router = provider.server(Verify::Jwt);
    for (case, reply) in all {
        let case = format!("{case} {}", reply.status);
        provider.says(reply);
        // Until the answer before counts no longer, even one about another user.
        later(60).await;
        Log::clear();
        let user = whoami(&router, &token).await;
        assert!(!logged("WARN").is_empty(), "{case}");
        assert_eq!(user["sub"], "alice", "{case}");
        assert_eq!(user.get("email"), None, "{case}");
        assert_eq!(user.get("preferred_username"), None, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn userinfo_that_hangs_delays_a_verified_token_once_in_ten_seconds() {
    let provider = Asked::start().await;
    let router = provider.server(Verify::Jwt);
    let token = openid_token(&provider, "x", json!(1));
    provider.hold(true);
    let asked = asking(&router, &token);
    provider.asked(1).await;
    later(5).await;
    assert_eq!(soon(asked).await.unwrap(), 200);
    let before = Instant::now();
    later(9).await;
    assert_eq!(status_of(&router, &token).await, 200);
    assert_eq!(before.elapsed(), Duration::from_secs(9));
    assert_eq!(provider.times(), 1);
    later(1).await;
    provider.hold(false);
    assert_eq!(whoami(&router, &token).await["email"], "alice@example.com");
}
