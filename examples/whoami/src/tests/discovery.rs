//! A client that knows nothing finds the way in: our metadata, the issuer's metadata and keys with
//! all that can go wrong there, and which pages in a browser may read what we answer.

use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use axum::http::Uri;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const METADATA: &str = "/.well-known/oauth-protected-resource";
const METADATA_WITH_PATH: &str = "/.well-known/oauth-protected-resource/mcp";
const JWKS: &str = "/.well-known/jwks.json";

#[tokio::test]
async fn our_metadata_is_at_both_places_that_clients_try_whatever_a_header_says() {
    let scopes: Vec<_> = BASIC_SCOPES.split(' ').collect();
    // An attacker who can choose a header must not choose where clients go to log in.
    let forged = |path: &str| {
        get(path)
            .with("Host", "evil.com")
            .with("X-Forwarded-Host", "evil.com")
            .with("Forwarded", "host=evil.com;proto=https")
    };
    let health = send(forged("/health")).await.json();
    assert_eq!(health["auth"]["resource_metadata"], METADATA_URL);
    for path in [METADATA, METADATA_WITH_PATH] {
        let answer = send(forged(path)).await;
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        let document = json!({
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": env!("CARGO_PKG_NAME"),
        });
        assert_eq!(answer.json(), document, "{path}");
    }
}

#[tokio::test]
async fn who_says_hello_is_told_where_our_metadata_is() {
    let told = json!({"resource_metadata": METADATA_URL});
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    for request in [
        handshake("initialize", hello),
        modern("server/discover", json!({})),
    ] {
        // From the settings, as every URL of ours.
        let result = result_of(request.with("X-Forwarded-Host", "evil.com")).await;
        let meta = &result["_meta"]["io.github.mcp-auth-steps/authorization"];
        assert_eq!(*meta, told);
    }
}

#[tokio::test]
async fn the_place_of_the_metadata_follows_from_the_resource() {
    for (origin, path) in [
        ("http://localhost:9000", ""),
        ("https://a.example", ""),
        ("https://A.example:443", "/mcp"),
        ("https://a.example", "/x/y"),
        ("https://a.example", "/%7Ex;y=1"),
        ("https://[::1]:9000", "/mcp"),
    ] {
        let resource = format!("{origin}{path}");
        let place = format!("{origin}{METADATA}{path}");
        let router = serving(with_resource(&resource));
        let answer = send_to(router.clone(), ping("x.y.z")).await;
        assert_eq!(challenge(&answer)["resource_metadata"], place);
        let uri: Uri = place.parse().unwrap();
        let answer = send_to(router, get(uri.path())).await;
        assert_eq!(answer.json()["resource"], resource);
    }
}

#[test]
fn the_keys_come_from_the_issuer_if_one_is_named_and_no_file() {
    const NAMED: &str = "--issuer=http://localhost:9001";
    assert_eq!(key_file_of(&[]), Some("keys/public.pem".into()));
    assert_eq!(key_file_of(&[NAMED]), None);
    let both = key_file_of(&[NAMED, "--public-key=x.pem"]);
    assert_eq!(both, Some("x.pem".into()));
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_an_issuer_are_fetched_once() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    for _ in 0..10 {
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
    }
    assert_eq!(issuer.visits(), [SERVER_METADATA, "/keys"]);
    assert_eq!(published(&router).await, [jwk(&KEY)]);
    later(290).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits_of("/keys"), 1);
    later(10).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits_of("/keys"), 2);
    // The name of the issuer is compared all the same.
    assert_eq!(status_of(&router, &token()).await, 401);
}

/// The keys that this server publishes in its turn.
pub(super) async fn published(router: &Router) -> Vec<Value> {
    let answer = send_to(router.clone(), get(JWKS)).await;
    answer.json()["keys"].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn the_metadata_of_an_issuer_is_looked_for_as_clients_do() {
    const OIDC: &str = "/.well-known/openid-configuration";
    let all_for_path = [
        "/.well-known/oauth-authorization-server/realms/x",
        "/.well-known/openid-configuration/realms/x",
        "/realms/x/.well-known/openid-configuration",
    ];
    for (path, places) in [
        ("", &[SERVER_METADATA, OIDC][..]),
        ("/", &[SERVER_METADATA, OIDC]),
        ("/realms/x", &all_for_path),
        ("/realms/x/", &all_for_path),
    ] {
        for (found, place) in places.iter().enumerate() {
            let tried = visits_where_metadata_is_at(path, place, 200).await;
            assert_eq!(tried, places[..=found], "{path:?}, {found}");
        }
        let tried = visits_where_metadata_is_at(path, "/nowhere", 503).await;
        assert_eq!(tried, places, "{path:?}");
    }
}

/// The places where a server looks for the metadata of an issuer whose URL has this path, when it is
/// sent a token that gets this status.
async fn visits_where_metadata_is_at(
    path: &str,
    place: &str,
    status: u16,
) -> Vec<String> {
    let issuer = Issuer::start().await;
    issuer.go_down();
    issuer.rotate(&[&KEY]);
    let url = issuer.url_of(path);
    issuer.show(place, &with(issuer.metadata(), "issuer", json!(url)));
    let token = sign(&jose(), with(claims(), "iss", json!(url)));
    let router = serving(with_issuer(&url));
    assert_eq!(status_of(&router, &token).await, status, "{path} {place}");
    let mut visits = issuer.visits();
    visits.retain(|visit| visit != "/keys");
    visits
}

#[tokio::test(start_paused = true)]
async fn a_document_that_names_another_issuer_is_refused() {
    let issuer = Issuer::start().await;
    for own in [
        json!(format!("{}/", issuer.url)),
        json!(issuer.url.replace("127.0.0.1", "localhost")),
        json!(issuer.url.to_uppercase()),
        json!("https://evil.com"),
        json!(""),
        json!([issuer.url]),
        json!(null),
    ] {
        let document = with(issuer.metadata(), "issuer", own.clone());
        issuer.show(SERVER_METADATA, &document);
        Log::clear();
        issuer.assert_unusable(&own).await;
        assert_eq!(issuer.visits_of("/keys"), 0, "{own}");
        // Who set this up has to see the two strings side by side.
        let log = Log::lines();
        let ours = format!("{:?}", issuer.url);
        let own = own.as_str().unwrap_or_default();
        let has_both = |line: &String| line.contains(&ours) && line.contains(own);
        let warned = log.iter().find(|line| line.contains(" WARN ") && has_both(line));
        assert!(warned.is_some(), "{own:?}: {log:?}");
    }
    issuer.show(SERVER_METADATA, &without(issuer.metadata(), "issuer"));
    issuer.assert_unusable("missing").await;
}

/// A document with a member that makes it so many bytes long.
fn padded(
    document: &Value,
    length: usize,
) -> String {
    let empty = with(document.clone(), "padding", json!("")).to_string();
    let padding = "x".repeat(length - empty.len());
    with(document.clone(), "padding", json!(padding)).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_document_may_be_64_kib_long() {
    const LIMIT: usize = 64 * 1024;
    let issuer = Issuer::start().await;
    let metadata = issuer.metadata();
    let keys = json!({"keys": [jwk(&KEY)]});
    for (path, document) in [(SERVER_METADATA, metadata), ("/keys", keys)] {
        issuer.come_up(&[&KEY]);
        issuer.show_page(path, 200, padded(&document, LIMIT));
        assert_eq!(status_of(&issuer.server(), &issuer.token()).await, 200);
        for length in [LIMIT + 1, 10 * LIMIT] {
            issuer.show_page(path, 200, padded(&document, length));
            issuer.assert_unusable(format!("{path} {length}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_document_is_refused_and_no_redirect_followed() {
    let issuer = Issuer::start().await;
    let metadata = issuer.metadata().to_string();
    let keys = json!({"keys": [jwk(&KEY)]}).to_string();
    for (path, document) in [(SERVER_METADATA, metadata), ("/keys", keys)] {
        issuer.come_up(&[&KEY]);
        issuer.show_page("/elsewhere", 200, document.clone());
        for status in [202, 301, 302, 303, 307, 308, 500] {
            issuer.show_page(path, status, document.clone());
            issuer.assert_unusable(format!("{path} {status}")).await;
        }
        for body in [
            "",
            &document[1..],
            "<html></html>",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
        ] {
            issuer.show_page(path, 200, body.to_owned());
            issuer.assert_unusable(format!("{path} {body}")).await;
        }
    }
    assert_eq!(issuer.visits_of("/elsewhere"), 0);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_from_https_or_this_machine_only() {
    let issuer = Issuer::start().await;
    for uri in [
        json!("http://192.0.2.1/keys"),
        json!("http://localhost.evil.com/keys"),
        json!("ftp://localhost/keys"),
        json!("file:///etc/passwd"),
        json!("data:application/json,{}"),
        json!("/keys"),
        json!(""),
        json!(["http://localhost/keys"]),
    ] {
        let document = with(issuer.metadata(), "jwks_uri", uri.clone());
        issuer.show(SERVER_METADATA, &document);
        issuer.assert_unusable(uri).await;
    }
    issuer.show(SERVER_METADATA, &without(issuer.metadata(), "jwks_uri"));
    issuer.assert_unusable("no jwks_uri").await;
    for url in ["http://192.0.2.1", "http://localhost.evil.com"] {
        let token = sign(&jose(), with(claims(), "iss", json!(url)));
        Log::clear();
        let answer = send_to(serving(with_issuer(url)), ping(&token)).await;
        assert_unavailable(url, &answer);
        // Nobody but the operator is told why.
        let says_why = |line: &String| line.contains(" WARN ") && line.contains("only https");
        assert!(Log::lines().iter().any(says_why), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_used_does_not_spoil_the_others() {
    let issuer = Issuer::start().await;
    let other = || jwk(&OTHER_KEY);
    for odd in [
        json!("key"),
        json!(null),
        json!({}),
        json!([other()]),
        with(other(), "use", json!("enc")),
        with(other(), "alg", json!("RS512")),
        with(other(), "kty", json!("AKP")),
        with(other(), "kty", json!("oct")),
        with(other(), "n", json!("%%%")),
        with(other(), "kid", json!(5)),
        without(other(), "kty"),
        without(other(), "e"),
        without(other(), "kid"),
    ] {
        issuer.show("/keys", &json!({"keys": [odd, jwk(&KEY)]}));
        let router = issuer.server();
        let refused = status_of(&router, &issuer.other_token()).await;
        assert_eq!(refused, 401, "{odd}");
        assert_eq!(status_of(&router, &issuer.token()).await, 200, "{odd}");
        assert_eq!(published(&router).await, [jwk(&KEY)], "{odd}");
    }
    let bare = without(without(other(), "use"), "alg");
    for usable in [bare, with(other(), "x", json!(1))] {
        issuer.show("/keys", &json!({"keys": [usable, jwk(&KEY)]}));
        let accepted = status_of(&issuer.server(), &issuer.other_token()).await;
        assert_eq!(accepted, 200, "{usable}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_picked_up_ten_seconds_after_the_last_fetch() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    issuer.rotate(&[&KEY, &OTHER_KEY]);
    a_moment().await;
    // Nobody has heard of this name before, so it may be that of a new key.
    for (passed, left) in [(0, 10), (4, 6), (5, 1)] {
        later(passed).await;
        let answer = send_to(router.clone(), ping(&issuer.other_token())).await;
        assert_unavailable_for(left, "first asked for in between", &answer);
    }
    later(1).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 200);
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits_of("/keys"), 2);
    // Taken out of the set, and that is obeyed as soon as it is read.
    issuer.rotate(&[&OTHER_KEY]);
    later(300).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 200);
    assert_eq!(status_of(&router, &issuer.token()).await, 401);
    assert_eq!(issuer.visits_of("/keys"), 3);
    assert_eq!(issuer.visits_of(SERVER_METADATA), 2);
}

/// The fetch may have read the set before the key was in it.
#[tokio::test(start_paused = true)]
async fn a_name_first_asked_for_during_a_fetch_may_be_that_of_a_new_key() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    issuer.hold(true);
    let [first, second] = ["first", "second"].map(|kid| made_up(&issuer, kid));
    let ask = |token: &str| tokio::spawn(send_to(router.clone(), ping(token)));
    let first = ask(&first);
    issuer.visited(SERVER_METADATA, 1).await;
    a_moment().await;
    let second = ask(&second);
    tokio::task::yield_now().await;
    issuer.hold(false);
    assert_eq!(soon(first).await.unwrap().status, 401);
    assert_unavailable_for(10, "during the fetch", &soon(second).await.unwrap());
    assert_eq!(issuer.visits_of("/keys"), 1);
}

/// A token of this issuer that names a key which nobody has. No signature of it is ever looked at.
fn made_up(
    issuer: &Issuer,
    kid: &str,
) -> String {
    let input = signing_input(&with(jose(), "kid", json!(kid)), issuer.claims());
    format!("{input}.{}", base64url(b"a signature"))
}

/// Sends a token whose key a fetch has not brought, although there was a key of that name once, or
/// somebody has asked for it: its owner must sign in again.
async fn assert_unknown(
    router: &Router,
    token: &str,
) {
    let answer = send_to(router.clone(), ping(token)).await;
    let description = assert_refused("unknown", &answer, 401, "invalid_token");
    assert!(description.contains("unknown key"), "{description}");
    a_moment().await;
}

/// The clock of a test stands still, and what comes after a fetch must be later than it.
async fn a_moment() {
    tokio::time::advance(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_fetch_has_not_brought_is_refused_until_the_next_fetch() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    let [first, second] = ["first", "second"].map(|kid| made_up(&issuer, kid));
    // It causes a fetch, which does not bring it.
    assert_unknown(&router, &first).await;
    assert_unknown(&router, &first).await;
    let answer = send_to(router.clone(), ping(&second)).await;
    assert_unavailable_for(10, "asked for after the fetch", &answer);
    later(3).await;
    let answer = send_to(router.clone(), ping(&second)).await;
    assert_unavailable_for(7, "asked for again", &answer);
    assert_unknown(&router, &first).await;
    assert_eq!(issuer.visits_of("/keys"), 1);
    later(7).await;
    for token in [&second, &first, &second] {
        assert_unknown(&router, token).await;
    }
    assert_eq!(issuer.visits_of("/keys"), 2);
    // Published before, and then no more.
    later(10).await;
    issuer.rotate(&[&OTHER_KEY]);
    assert_eq!(status_of(&router, &issuer.other_token()).await, 200);
    assert_unknown(&router, &issuer.token()).await;
    assert_eq!(issuer.visits_of("/keys"), 3);
    // Allowed again, it causes a fetch as any unknown name, so a key may come back.
    later(10).await;
    assert_unknown(&router, &issuer.token()).await;
    assert_eq!(issuer.visits_of("/keys"), 4);
    issuer.rotate(&[&KEY]);
    assert_unknown(&router, &issuer.token()).await;
    later(10).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits_of("/keys"), 5);
}

/// So many names that nobody has are asked for. Each is told to come back after the next fetch.
async fn flood(
    issuer: &Issuer,
    router: &Router,
    names: usize,
) {
    a_moment().await;
    let visits = issuer.visits().len();
    for number in 0..names {
        let token = made_up(issuer, &format!("made-up-{number}"));
        let request = get("/mcp").with("Host", "localhost");
        let request = request.with("Authorization", &bearer(&token));
        let answer = send_to(router.clone(), request).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{number}");
    }
    assert_eq!(issuer.visits().len(), visits);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_names_costs_nobody_anything() {
    let new_key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let issuer = Issuer::start().await;
    issuer.rotate(&[&KEY, &OTHER_KEY]);
    let router = issuer.server();
    let [good, old] = [issuer.token(), issuer.other_token()];
    assert_eq!(status_of(&router, &good).await, 200);
    issuer.rotate(&[&KEY]);
    later(300).await;
    assert_unknown(&router, &old).await;
    issuer.rotate(&[&KEY, &new_key]);
    flood(&issuer, &router, 3000).await;
    // Who has an old token is told to sign in again, and who has one of a new key to come back.
    assert_unknown(&router, &old).await;
    let new = with(jose(), "kid", json!(key_id(&new_key)));
    let new = sign_with(&new_key, &RSA_PKCS1_SHA256, &new, issuer.claims());
    let answer = send_to(router.clone(), ping(&new)).await;
    assert_unavailable_for(10, "a new key", &answer);
    assert_eq!(status_of(&router, &good).await, 200);
    later(10).await;
    assert_eq!(status_of(&router, &new).await, 200);
    assert_eq!(status_of(&router, &good).await, 200);
    assert_unknown(&router, &old).await;
    assert_eq!(issuer.visits_of("/keys"), 3);
}

/// What is forgotten needs no memory: whoever asks for it again looks like somebody new.
#[tokio::test(start_paused = true)]
async fn a_thousand_made_up_names_are_remembered_and_no_more() {
    let issuer = Issuer::start().await;
    for (names, status) in [(900, 401), (1100, 503)] {
        let router = issuer.server();
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
        flood(&issuer, &router, names).await;
        later(10).await;
        assert_unknown(&router, &made_up(&issuer, "the next fetch")).await;
        let first = made_up(&issuer, "made-up-0");
        assert_eq!(status_of(&router, &first).await, status, "{names}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_is_one_fetch_in_ten_seconds() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    for fetches in 1..=3 {
        let first = made_up(&issuer, &format!("first-{fetches}"));
        assert_unknown(&router, &first).await;
        for number in 0..50 {
            let token = made_up(&issuer, &format!("unknown-{fetches}-{number}"));
            assert_eq!(status_of(&router, &token).await, 503);
        }
        assert_eq!(issuer.visits_of("/keys"), fetches);
        assert_eq!(issuer.visits_of(SERVER_METADATA), 1);
        later(9).await;
        assert_unknown(&router, &first).await;
        assert_eq!(issuer.visits_of("/keys"), fetches);
        later(1).await;
    }
}

/// What `/health` says about the keys: whether there are any, and how old they are.
async fn health_of_keys(router: &Router) -> (Value, Option<u64>) {
    let answer = send_to(router.clone(), get("/health")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let mut auth = answer.json()["auth"].take();
    (auth["keys"].take(), auth["keys_age_seconds"].as_u64())
}

#[tokio::test(start_paused = true)]
async fn known_keys_count_for_an_hour_after_the_last_fetch_while_the_issuer_is_down() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    issuer.go_down();
    let mut age = 0;
    for passed in [300, 600, 1200, 1000, 499] {
        later(passed).await;
        age += passed;
        assert_eq!(status_of(&router, &issuer.token()).await, 200, "{age}");
        let answer = send_to(router.clone(), ping(&issuer.other_token())).await;
        assert_unavailable(age, &answer);
        assert_eq!(health_of_keys(&router).await, (json!(true), Some(age)));
        assert_eq!(published(&router).await, [jwk(&KEY)]);
    }
    // The hour is over.
    later(1).await;
    for left in [9, 8] {
        let answer = send_to(router.clone(), ping(&issuer.token())).await;
        assert_unavailable_for(left, "an hour later", &answer);
        let answer = send_to(router.clone(), get(JWKS)).await;
        assert_unavailable_for(left, "an hour later", &answer);
        assert_eq!(health_of_keys(&router).await, (json!(false), None));
        later(1).await;
    }
    issuer.come_up(&[&OTHER_KEY]);
    later(7).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 200);
    assert_eq!(health_of_keys(&router).await, (json!(true), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_is_asked_once_in_ten_seconds() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    issuer.go_down();
    later(300).await;
    let answer = send_to(router.clone(), ping(&issuer.other_token())).await;
    assert_unavailable("down", &answer);
    let told = &answer.json()["error_description"];
    assert_eq!(told, "the keys of the issuer cannot be had");
    let visits = issuer.visits();
    for _ in 0..50 {
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
        assert_eq!(status_of(&router, &issuer.other_token()).await, 503);
    }
    later(9).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 503);
    assert_eq!(issuer.visits(), visits);
    later(1).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 503);
    assert_ne!(issuer.visits(), visits);
}

/// That is how an operator stops a key that was stolen, so the old keys must not come back.
#[tokio::test(start_paused = true)]
async fn a_set_without_a_key_that_we_can_use_is_obeyed_at_once_and_said_loudly() {
    let encrypting = with(jwk(&OTHER_KEY), "use", json!("enc"));
    for keys in [json!([]), json!([encrypting])] {
        let issuer = Issuer::start().await;
        let router = issuer.server();
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
        issuer.show("/keys", &json!({"keys": keys}));
        later(300).await;
        Log::clear();
        for token in [issuer.token(), issuer.other_token()] {
            let answer = send_to(router.clone(), ping(&token)).await;
            assert_unavailable(&keys, &answer);
        }
        let loud = |line: &&String| line.contains(" ERROR ");
        assert_eq!(Log::lines().iter().filter(loud).count(), 1, "{keys}");
        assert_eq!(health_of_keys(&router).await, (json!(false), None));
        assert!(published(&router).await.is_empty(), "{keys}");
        issuer.assert_unusable("from the start").await;
        issuer.come_up(&[&KEY]);
        later(10).await;
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_starts_without_the_issuer_and_finds_it_later() {
    let issuer = Issuer::start().await;
    issuer.go_down();
    assert_eq!(start_keys(with_issuer(&issuer.url)).await, Ok(()));
    assert!(issuer.visits().is_empty());
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 503);
    let stranger = ping("").without("Authorization");
    let answer = send_to(router.clone(), stranger).await;
    assert_refused("a stranger", &answer, 401, "");
    issuer.come_up(&[&KEY]);
    assert_eq!(status_of(&router, &issuer.token()).await, 503);
    later(10).await;
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_given_up() {
    let issuer = Issuer::start().await;
    issuer.hold(true);
    let router = issuer.server();
    let asked = asking(&router, issuer.token());
    for place in [SERVER_METADATA, "/.well-known/openid-configuration"] {
        issuer.visited(place, 1).await;
        // Whoever asks for our health does not want to wait for an issuer.
        let health = send_to(router.clone(), get("/health"));
        let health = tokio::spawn(tokio::time::timeout(Duration::from_secs(1), health));
        tokio::task::yield_now().await;
        later(1).await;
        let health = health.await.unwrap().unwrap().json();
        assert_eq!(health["auth"]["keys"], false, "{place}");
        later(4).await;
    }
    assert_eq!(asked.await.unwrap(), 503);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_does_not_make_us_ask_the_issuer() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    let untyped = sign(&without(jose(), "typ"), issuer.claims());
    let nameless = sign(&without(jose(), "kid"), issuer.claims());
    for token in ["x.y.z", "ya29.opaque", &untyped, &nameless] {
        let answer = send_to(router.clone(), ping(token)).await;
        assert_refused(token, &answer, 401, "invalid_token");
    }
    assert!(issuer.visits().is_empty());
}

/// A request with this token, on its way.
fn asking(
    router: &Router,
    token: String,
) -> JoinHandle<u16> {
    let router = router.clone();
    tokio::spawn(async move { status_of(&router, &token).await })
}

/// Twenty requests with this token, while the issuer keeps its visitors waiting.
async fn at_once(
    issuer: &Issuer,
    router: &Router,
    token: &str,
    awaited: &str,
) -> Vec<u16> {
    let visits = issuer.visits_of(awaited);
    issuer.hold(true);
    let asked: Vec<_> = (0..20).map(|_| asking(router, token.to_owned())).collect();
    issuer.visited(awaited, visits + 1).await;
    issuer.hold(false);
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap());
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn requests_that_need_the_same_keys_share_one_fetch() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    let token = issuer.token();
    let answers = at_once(&issuer, &router, &token, SERVER_METADATA).await;
    assert_eq!(answers, [200; 20]);
    assert_eq!(issuer.visits(), [SERVER_METADATA, "/keys"]);
    issuer.rotate(&[&OTHER_KEY]);
    later(10).await;
    let token = issuer.other_token();
    assert_eq!(at_once(&issuer, &router, &token, "/keys").await, [200; 20]);
    assert_eq!(issuer.visits_of("/keys"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_does_not_cancel_the_fetch_that_others_wait_for() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    issuer.hold(true);
    let first = asking(&router, issuer.token());
    issuer.visited(SERVER_METADATA, 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    issuer.hold(false);
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    assert_eq!(issuer.visits(), [SERVER_METADATA, "/keys"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_good_key_does_not_wait_for_an_issuer_that_hangs() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    assert_eq!(status_of(&router, &issuer.token()).await, 200);
    later(300).await;
    issuer.hold(true);
    let [first, second] = [(); 2].map(|()| asking(&router, issuer.token()));
    issuer.visited(SERVER_METADATA, 2).await;
    // The metadata at hand is good, too, so after half a second the keys themselves are asked for.
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(second.await.unwrap(), 200);
    issuer.visited("/keys", 2).await;
    later(5).await;
    assert_eq!(status_of(&router, &issuer.other_token()).await, 503);
    // Now a load has failed, and nobody waits at all, while the next one hangs as well.
    later(10).await;
    let before = Instant::now();
    for _ in 0..10 {
        assert_eq!(status_of(&router, &issuer.token()).await, 200);
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    issuer.visited("/keys", 3).await;
    // That one comes to a good end without anybody who waits for it.
    issuer.hold(false);
    assert_eq!(status_of(&router, &issuer.other_token()).await, 401);
    assert_eq!(issuer.visits_of("/keys"), 3);
}

#[tokio::test(start_paused = true)]
async fn the_document_of_the_issuer_is_passed_on() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    let endpoint = json!("https://a.example/token");
    let document = with(issuer.metadata(), "token_endpoint", endpoint);
    issuer.show(SERVER_METADATA, &document);
    for _ in 0..10 {
        let answer = send_to(router.clone(), get(SERVER_METADATA)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json(), document);
    }
    assert_eq!(issuer.visits_of(SERVER_METADATA), 1);
    later(300).await;
    send_to(router.clone(), get(SERVER_METADATA)).await;
    assert_eq!(issuer.visits_of(SERVER_METADATA), 2);
    issuer.go_down();
    for passed in [300, 3299] {
        later(passed).await;
        let answer = send_to(router.clone(), get(SERVER_METADATA)).await;
        assert_eq!(answer.json(), document);
    }
    later(10).await;
    let answer = send_to(router, get(SERVER_METADATA)).await;
    assert_unavailable("an hour later", &answer);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_cannot_be_used_is_not_passed_on() {
    let issuer = Issuer::start().await;
    let document = with(issuer.metadata(), "issuer", json!("https://evil.com"));
    issuer.show(SERVER_METADATA, &document);
    let router = issuer.server();
    for _ in 0..10 {
        let answer = send_to(router.clone(), get(SERVER_METADATA)).await;
        assert_unavailable("another issuer", &answer);
        assert_eq!(answer.json().get("issuer"), None);
    }
    assert_eq!(issuer.visits_of(SERVER_METADATA), 1);
}

pub(super) const PAGE: &str = "http://localhost:6274";

/// Whether a page of this Origin may read the answer, with the headers that explain a refusal.
pub(super) fn assert_readable(
    case: impl Display,
    answer: &Answer,
    origin: &str,
) {
    let allowed = answer.header("access-control-allow-origin");
    assert!([origin, "*"].contains(&allowed), "{case}: {allowed:?}");
    let exposed = answer.header("access-control-expose-headers");
    for name in ["www-authenticate", "retry-after"] {
        assert!(
            exposed.to_ascii_lowercase().contains(name),
            "{case}: {exposed}"
        );
    }
    let credentials = answer.headers.get("access-control-allow-credentials");
    assert_eq!(credentials, None, "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_page_of_this_machine_reads_every_kind_of_answer() {
    let notification = json!({"jsonrpc": "2.0", "method": "x"}).to_string();
    for (status, request) in [
        (200, ping(&token())),
        (202, post(notification)),
        (401, ping("x.y.z")),
        (403, ping(&token()).with("Host", "evil.com")),
        (404, modern("no/such", json!({}))),
        (405, to_mcp(Method::GET, "")),
        (413, post(ping_of(2 * MAX_BODY))),
    ] {
        let answer = send(request.with("Origin", PAGE)).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_readable(status, &answer, PAGE);
    }
    let router = serving(with_key_file(absent_file()));
    let answer = send_to(router, ping(&token()).with("Origin", PAGE)).await;
    assert_no_key(&answer);
    assert_readable(503, &answer, PAGE);
    let (_sender, endless) = stream(&[]).await;
    let answer = send(post(endless).with("Origin", PAGE)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_readable(408, &answer, PAGE);
}

/// What a browser sends before a request that could do harm.
fn preflight(
    path: &str,
    origin: &str,
) -> Request {
    let mut request = to_mcp(Method::OPTIONS, "").without("Authorization");
    *request.uri_mut() = path.parse().unwrap();
    request
        .with("Origin", origin)
        .with("Access-Control-Request-Method", "POST")
        .with(
            "Access-Control-Request-Headers",
            "authorization,mcp-param-city",
        )
}

#[tokio::test]
async fn any_page_reads_the_metadata_and_no_page_of_another_site_reads_mcp() {
    for origin in [PAGE, "https://inspector.example", "null"] {
        for path in [METADATA, METADATA_WITH_PATH, JWKS] {
            let answer = send(get(path).with("Origin", origin)).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_readable(path, &answer, origin);
        }
    }
    let answer = send(preflight("/mcp", PAGE)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    let headers = answer.header("access-control-allow-headers");
    assert_eq!(headers, "authorization,mcp-param-city");
    for origin in BAD_ORIGINS.split(' ') {
        let refused = send(ping(&token()).with("Origin", origin)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{origin}");
        for answer in [refused, send(preflight("/mcp", origin)).await] {
            let allowed = answer.headers.get("access-control-allow-origin");
            assert_eq!(allowed, None, "{origin}");
        }
    }
}
