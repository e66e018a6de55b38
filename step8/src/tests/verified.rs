//! What was verified a moment ago is not verified again, and nothing else gets in by that.

use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use jiff::Timestamp;

use super::*;

/// Whom a token makes known, or the status of its refusal.
async fn user_of(
    router: &Router,
    token: &str,
) -> Result<Arc<User>, u16> {
    let request = get("/").with("Authorization", &bearer(token));
    let response = router.clone().oneshot(request).await.unwrap();
    let user = response.extensions().get::<Arc<User>>();
    user.cloned().ok_or(response.status().as_u16())
}

/// The same, for a good token. The very same user comes back for as long as it is remembered.
async fn known(
    router: &Router,
    token: &str,
) -> Arc<User> {
    user_of(router, token).await.unwrap()
}

/// A good token of this user.
fn token_of(sub: impl Display) -> String {
    sign(&jose(), with(claims(), "sub", json!(sub.to_string())))
}

async fn a_second() {
    tokio::time::advance(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_verified_once_for_as_long_as_the_keys_are_the_same() {
    let file = key_file();
    let router = mirror(with_key_file(file.clone()));
    let [alice, bob] = ["alice", "bob"].map(token_of);
    let [first, other] = [known(&router, &alice).await, known(&router, &bob).await];
    assert!(Arc::ptr_eq(&first, &known(&router, &alice).await));
    // Read again; the key is the same, and so is what it has verified.
    a_second().await;
    assert_eq!(key_file(), file);
    assert!(Arc::ptr_eq(&first, &known(&router, &alice).await));
    assert!(Arc::ptr_eq(&other, &known(&router, &bob).await));
    // Another key in between, and what the first one has verified does not come back with it.
    std::fs::write(&file, public_pem(&OTHER_KEY)).unwrap();
    a_second().await;
    assert_eq!(user_of(&router, &alice).await.unwrap_err(), 401);
    assert_eq!(key_file(), file);
    a_second().await;
    known(&router, &alice).await;
    assert!(!Arc::ptr_eq(&other, &known(&router, &bob).await));
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_key_was_just_removed_from_its_file_is_not_known_any_more() {
    let file = key_file();
    let router = mirror(with_key_file(file.clone()));
    let token = token();
    for (content, status) in [(Some(public_pem(&OTHER_KEY)), 401), (None, 503)] {
        known(&router, &token).await;
        match content {
            Some(content) => std::fs::write(&file, content).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        a_second().await;
        assert_eq!(user_of(&router, &token).await.unwrap_err(), status);
        assert_eq!(key_file(), file);
        a_second().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_key_was_just_removed_by_its_issuer_is_not_known_any_more() {
    let issuer = Issuer::start().await;
    let router = mirror(with_issuer(&issuer.url));
    let [token, other] = [issuer.token(), issuer.other_token()];
    known(&router, &token).await;
    issuer.rotate(&[&OTHER_KEY]);
    later(10).await;
    // Somebody else's token makes us read the set, long before the old one has become stale.
    known(&router, &other).await;
    assert_eq!(user_of(&router, &token).await.unwrap_err(), 401);
    issuer.rotate(&[]);
    later(300).await;
    assert_eq!(user_of(&router, &other).await.unwrap_err(), 503);
}

#[tokio::test(start_paused = true)]
async fn what_was_verified_ends_with_the_hour_in_which_the_issuer_is_down() {
    let issuer = Issuer::start().await;
    let router = mirror(with_issuer(&issuer.url));
    let token = issuer.token();
    known(&router, &token).await;
    issuer.go_down();
    later(3599).await;
    known(&router, &token).await;
    later(10).await;
    assert_eq!(user_of(&router, &token).await.unwrap_err(), 503);
}

#[test]
fn what_was_verified_ends_with_its_token() {
    let verified = Verified::new();
    let value = |token, seconds| {
        let now = Timestamp::from_second(seconds).unwrap();
        verified.get(token, now)
    };
    for (ends, last) in [(100.0, 99), (100.5, 100)] {
        verified.insert("token", ends, "alice");
        assert_eq!(value("token", last), Some("alice"), "{ends}");
        assert_eq!(value("toke", last), None, "{ends}");
        assert_eq!(value("token", last + 1), None, "{ends}");
    }
    for ends in [f64::NAN, f64::NEG_INFINITY, 0.0] {
        verified.insert("token", ends, "alice");
        assert_eq!(value("token", 1), None, "{ends}");
    }
}

/// Two clocks may differ, so for half a minute it is good, but it is looked at each time.
#[tokio::test]
async fn a_token_past_its_end_is_not_remembered() {
    let router = mirror(config());
    let token = sign(&jose(), with(claims(), "exp", json!(now() - 5)));
    let first = known(&router, &token).await;
    assert!(!Arc::ptr_eq(&first, &known(&router, &token).await));
}

#[test]
fn only_so_many_tokens_are_remembered_and_those_in_use_longest() {
    const CAPACITY: usize = 4096;
    let verified = Verified::new();
    let knows = |token: &str| verified.get(token, Timestamp::now()).is_some();
    for number in 0..CAPACITY {
        verified.insert(&number.to_string(), f64::MAX, ());
    }
    assert!(knows("0"));
    verified.insert("one more", f64::MAX, ());
    for (token, is_known) in [("0", true), ("1", false), ("2", true), ("one more", true)] {
        assert_eq!(knows(token), is_known, "{token}");
    }
}

#[tokio::test]
async fn a_token_that_differs_in_any_part_is_another_one() {
    let router = mirror(config());
    let [alice, bob] = ["alice", "bob"].map(token_of);
    for token in [&alice, &bob] {
        known(&router, token).await;
    }
    let [head, payload, signature] = parts(&alice);
    let [_, other_payload, other_signature] = parts(&bob);
    let none = base64url(with(jose(), "alg", json!("none")).to_string().as_bytes());
    for (case, token) in [
        (
            "another payload",
            [head, other_payload, signature].join("."),
        ),
        (
            "another signature",
            [head, payload, other_signature].join("."),
        ),
        ("another header", [&none, payload, signature].join(".")),
        ("no signature", [head, payload, ""].join(".")),
        ("cut off", alice[..alice.len() - 1].to_owned()),
        ("longer", format!("{alice}A")),
        ("another case", alice.to_uppercase()),
        ("the end of one", alice[1..].to_owned()),
    ] {
        // Twice, because the first time might have left something behind.
        for _ in 0..2 {
            assert_eq!(user_of(&router, &token).await.unwrap_err(), 401, "{case}");
        }
    }
    let forged = sign_with(&OTHER_KEY, &RSA_PKCS1_SHA256, &jose(), claims());
    assert_eq!(user_of(&router, &forged).await.unwrap_err(), 401);
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().unwrap()
}

/// If any of them were remembered, the good one would have had to make room.
#[tokio::test]
async fn ten_thousand_bad_tokens_leave_nothing_behind() {
    let router = mirror(config());
    let good = token();
    let first = known(&router, &good).await;
    let [head, payload, _] = parts(&good);
    let late = sign(&jose(), with(claims(), "exp", json!(now() - 60)));
    for number in 0..10_000 {
        let bad = match number % 4 {
            0 => [head, payload, &base64url(number.to_string().as_bytes())].join("."),
            1 => format!("{good}{number}"),
            2 => format!("{number}.{late}"),
            _ => signing_input(&with(jose(), "kid", json!(number.to_string())), "{}") + ".x",
        };
        assert_eq!(user_of(&router, &bad).await.unwrap_err(), 401, "{bad}");
        Log::clear();
    }
    assert!(Arc::ptr_eq(&first, &known(&router, &good).await));
}

#[tokio::test]
async fn two_users_are_never_mixed_up() {
    let router = mirror(config());
    let tokens: Vec<_> = (0..20).map(token_of).collect();
    for _ in 0..3 {
        let asked: Vec<_> = tokens
            .iter()
            .map(|token| {
                let (router, token) = (router.clone(), token.clone());
                tokio::spawn(async move { known(&router, &token).await })
            })
            .collect();
        for (number, asked) in asked.into_iter().enumerate() {
            assert_eq!(asked.await.unwrap().sub, number.to_string());
        }
    }
    // The same user with fewer rights is another token, and so another user.
    let bare = sign(&jose(), with(claims(), "scope", json!("")));
    assert_eq!(known(&router, &token()).await.scope, BASIC_SCOPES);
    assert_eq!(known(&router, &bare).await.scope, "");
}
