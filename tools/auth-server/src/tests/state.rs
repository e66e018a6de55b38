//! What survives a restart, what is stored how, users, keys, and refusals to start.

use axum::http::StatusCode;
use gen_token::keys::KeyPair;
use serde_json::Value;

use super::harness::*;
use crate::keys;

#[tokio::test]
async fn a_restart_loses_nothing_and_revives_nothing() {
    let server = Server::new();
    let client = server.register().await;
    let used = server.code("alice", &client, &[]).await;
    let unused = server.code("alice", &client, &[]).await;
    let first = server.redeem(&client, &used).await.text("refresh_token");
    let revoked = server.login("alice", &client, &[]).await;
    let revoked = revoked["refresh_token"].as_str().unwrap();
    let form = [("client_id", client.as_str()), ("token", revoked)];
    server.post_form("/oauth/revoke", &form).await;
    let browser = Browser::signed_in(&server, "alice", &client).await;
    let server = server.restart();
    let page = browser.open(&server, &request(&client, &[])).await.body_text();
    assert!(page.contains("Allow access?"), "the session is gone");
    assert_eq!(server.redeem(&client, &unused).await.status, StatusCode::OK);
    server.refresh(&client, revoked, &[]).await.assert_error(400, "invalid_grant");
    let second = server.refresh(&client, &first, &[]).await;
    assert_eq!(second.status, StatusCode::OK);
    let server = server.restart();
    server.redeem(&client, &used).await.assert_error(400, "invalid_grant");
    let second = second.text("refresh_token");
    server.refresh(&client, &second, &[]).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn parallel_refreshes_agree_on_the_successor_across_a_restart() {
    let server = Server::new();
    let client = server.register().await;
    let body = server.login("alice", &client, &[]).await;
    let token = body["refresh_token"].as_str().unwrap();
    let before = server.refresh(&client, token, &[]).await.text("refresh_token");
    let server = server.restart();
    let after = server.refresh(&client, token, &[]).await.text("refresh_token");
    assert_eq!(before, after);
}

/// Looks for a text in every file of the database.
fn stored(
    server: &Server,
    needle: &str,
) -> bool {
    let files = std::fs::read_dir(server.dir.path()).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("state.db"))
        .any(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
}

#[tokio::test]
async fn codes_tokens_secrets_and_sessions_are_stored_as_hashes_only() {
    let server = Server::new();
    let client = server.register().await;
    let (_, secret) = server.register_confidential().await;
    let code = server.code("alice", &client, &[]).await;
    let body = server.redeem(&client, &code).await.json();
    let browser = Browser::signed_in(&server, "alice", &client).await;
    assert!(stored(&server, &client), "the search itself works");
    assert!(!stored(&server, &code));
    assert!(!stored(&server, &secret));
    for name in ["access_token", "refresh_token"] {
        assert!(!stored(&server, body[name].as_str().unwrap()));
    }
    for cookie in browser.cookie_header().split("; ") {
        assert!(!stored(&server, cookie.split_once('=').unwrap().1));
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::new();
    for name in ["state.db", "state.db-wal"] {
        let metadata = std::fs::metadata(server.dir.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_has_expired_is_deleted_and_what_has_not_stays() {
    let server = Server::with(&["--refresh-ttl", "1000"]);
    let client = server.register().await;
    server.login("alice", &client, &[]).await;
    server.code("alice", &client, &[]).await;
    let counts = async || {
        server
            .state
            .store
            .run(|tx| {
                let count = |table: &str| {
                    let sql = format!("SELECT count(*) FROM {table}");
                    tx.query_row(&sql, [], |row| row.get::<_, i64>(0))
                };
                let tables = [
                    "clients",
                    "grants",
                    "codes",
                    "refresh_tokens",
                    "access_tokens",
                ];
                tables.into_iter().map(count).collect::<Result<Vec<_>, _>>()
            })
            .await
            .unwrap()
    };
    assert_eq!(counts().await, [1, 1, 2, 1, 1]);
    server.advance(961);
    server.state.store.clean_up(server.state.now()).await.unwrap();
    // The redeemed code stays with its grant, to recognise a second use.
    assert_eq!(counts().await, [1, 1, 1, 1, 0]);
    server.advance(100);
    server.state.store.clean_up(server.state.now()).await.unwrap();
    assert_eq!(counts().await, [1, 0, 0, 0, 0]);
}

#[test]
fn two_servers_on_one_file_get_a_clear_error() {
    let server = Server::new();
    let error = open(&server.dir, &[]).err().unwrap().to_string();
    assert!(
        error.contains("another auth-server is using the database"),
        "{error}"
    );
}

const USERS: &str = r#"
    [[users]]
    username = "carol"
    name = "Carol Jones"
    password_hash = "HASH"
    roles = ["admin", "user"]

    [[users]]
    username = "dave"
    password_hash = "HASH"
"#;

fn with_users(text: &str) -> Result<Server, String> {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "users.toml", text);
    let flags = ["--users", "{dir}/users.toml"];
    open(&dir, &flags.map(str::to_owned)).map_err(|error| format!("{error:#}"))?;
    Ok(Server::start(dir, &flags))
}

#[tokio::test]
async fn a_users_file_replaces_the_demo_users() {
    let hash = crate::users::hash("carol").unwrap();
    let server = with_users(&USERS.replace("HASH", &hash)).unwrap();
    let client = server.register().await;
    let query = request(&client, &[]);
    let page = Browser::default().open(&server, &query).await.body_text();
    assert!(!page.contains("Demo users"));
    let body = server.login("carol", &client, &[("scope", "openid profile mcp:audit")]).await;
    let access = body["access_token"].as_str().unwrap();
    assert_eq!(
        claims(access)["roles"],
        serde_json::json!(["admin", "user"])
    );
    let info = server.get_with_token("/oauth/userinfo", access).await;
    assert_eq!(info.text("name"), "Carol Jones");
    let alice = Browser::default().sign_in(&server, &query, "alice", "alice").await;
    assert_eq!(alice.status, StatusCode::FORBIDDEN);
    // No role is a guest.
    let dave = Browser::default();
    dave.sign_in(&server, &query, "dave", "carol").await;
    let page = dave
        .open(
            &server,
            &request(&client, &[("scope", "mcp:read mcp:tools")]),
        )
        .await;
    assert!(page.body_text().contains("your role does not permit it"));
}

#[test]
fn a_bad_users_file_is_one_clear_sentence() {
    let hash = crate::users::hash("x").unwrap();
    let good = USERS.replace("HASH", &hash);
    for (text, expected) in [
        (USERS.to_owned(), "hash-password"),
        (good.replace("dave", "carol"), "twice"),
        (good.replace("roles", "rolls"), "rolls"),
        ("users = []".to_owned(), "no [[users]]"),
        ("nonsense".to_owned(), "cannot read"),
    ] {
        let error = with_users(&text).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_user_who_is_gone_cannot_refresh_and_a_lesser_role_shrinks_the_scope() {
    let hash = crate::users::hash("carol").unwrap();
    let server = with_users(&USERS.replace("HASH", &hash)).unwrap();
    let client = server.register().await;
    let body = server.login("carol", &client, &[("scope", "mcp:read mcp:audit")]).await;
    let token = body["refresh_token"].as_str().unwrap();
    let lesser = USERS.replace("HASH", &hash).replace(r#"["admin", "user"]"#, r#"["user"]"#);
    write(&server.dir, "users.toml", &lesser);
    let server = server.restart();
    let answer = server.refresh(&client, token, &[]).await;
    assert_eq!(answer.text("scope"), "mcp:read");
    let gone = lesser.replace("carol", "erin");
    write(&server.dir, "users.toml", &gone);
    let server = server.restart();
    server.refresh(&client, token, &[]).await.assert_error(400, "invalid_grant");
}

fn kids(keys: &Value) -> Vec<String> {
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_next_key_is_published_before_it_signs_and_the_old_one_stays() {
    let server = Server::new();
    let client = server.register().await;
    let published = async || kids(&server.get("/.well-known/jwks.json").await.json());
    let tick = || server.state.keys.refresh(&server.state.store, server.state.now()).unwrap();
    let signs = async || {
        let body = server.login("alice", &client, &[("scope", "openid")]).await;
        let token = body["access_token"].as_str().unwrap().to_owned();
        (
            token_header(&token)["kid"].as_str().unwrap().to_owned(),
            token,
        )
    };
    let (old, token) = signs().await;
    let next = keys::put_next(&server.state.store, server.state.now() + 300).unwrap().unwrap();
    assert_eq!(
        keys::put_next(&server.state.store, 0).unwrap(),
        None,
        "one at a time"
    );
    tick();
    assert_eq!(published().await, [old.clone(), next.clone()]);
    assert_eq!(signs().await.0, old);
    server.advance(300);
    tick();
    assert_eq!(published().await, [next.clone(), old.clone()]);
    assert_eq!(signs().await.0, next);
    let pair = KeyPair::load(&server.dir.path().join("keys")).unwrap().unwrap();
    assert_eq!(pair.kid(), next, "the directory holds the key that signs");
    // Tokens of the old key are good until they expire.
    let answer = server.get_with_token("/oauth/userinfo", &token).await;
    assert_eq!(answer.status, StatusCode::OK);
    server.advance(959);
    tick();
    assert_eq!(published().await, [next.clone(), old]);
    server.advance(1);
    tick();
    assert_eq!(published().await, std::slice::from_ref(&next));
    let server = server.restart();
    assert_eq!(
        kids(&server.get("/.well-known/jwks.json").await.json()),
        [next]
    );
}

#[tokio::test]
async fn a_key_that_gen_token_makes_is_followed() {
    let server = Server::new();
    let old = kids(&server.get("/.well-known/jwks.json").await.json());
    let pair = KeyPair::generate().unwrap();
    pair.store(&server.dir.path().join("keys"), true).unwrap();
    server.state.keys.refresh(&server.state.store, server.state.now()).unwrap();
    let now = kids(&server.get("/.well-known/jwks.json").await.json());
    assert_eq!(now, [pair.kid().to_owned(), old[0].clone()]);
}

#[test]
fn it_refuses_to_start_where_it_would_be_dangerous() {
    let dir = tempfile::tempdir().unwrap();
    let check = |address: &str, flags: &[&str]| {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let settings = settings(&dir, &flags);
        crate::config::Config::new(settings, address.parse().unwrap())
            .map(drop)
            .map_err(|error| format!("{error:#}"))
    };
    let users = ["--users", "u.toml", "--issuer", "https://auth.example"];
    assert_eq!(check("0.0.0.0:9001", &users), Ok(()));
    assert_eq!(check("127.0.0.1:9001", &[]), Ok(()));
    for (address, flags, expected) in [
        (
            "0.0.0.0:9001",
            &["--issuer", "https://auth.example"][..],
            "demo users",
        ),
        ("192.168.1.2:9001", &["--users", "u.toml"], "plain http"),
        (
            "127.0.0.1:9001",
            &["--issuer", "http://auth.example"],
            "must be https",
        ),
        (
            "127.0.0.1:9001",
            &["--issuer", "https://auth.example?x"],
            "no query",
        ),
        (
            "127.0.0.1:9001",
            &["--issuer", "https://auth.example/{x}"],
            "letters",
        ),
        ("127.0.0.1:9001", &["--issuer", "mcp-auth"], "not a URL"),
        (
            "127.0.0.1:9001",
            &["--resource", "http://localhost:9000/mcp/"],
            "trailing slash",
        ),
        (
            "127.0.0.1:9001",
            &["--resource", "http://localhost:9000/mcp#x"],
            "fragment",
        ),
        ("127.0.0.1:9001", &["--resource", "mcp"], "absolute URL"),
    ] {
        let error = check(address, flags).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
