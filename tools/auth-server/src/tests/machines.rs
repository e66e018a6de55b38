//! Machines without a user: who gets the client credentials grant, by what proof, and for what.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header;
use gen_token::algorithm::Algorithm;
use gen_token::keys::KeyPair;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde_json::Value;
use serde_json::json;

use super::harness::*;
use crate::passwords;
use crate::secret;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SECRET: &str = "a secret";

static RSA: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());
static EC: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(Algorithm::Es256).unwrap());
static HASH: LazyLock<String> = LazyLock::new(|| passwords::hash(SECRET).unwrap());

/// `nightly` has a secret, `backup` an EC key, `report` an RSA key and the old EC key, `web` is a
/// public client of users, `service` a confidential one.
fn clients() -> String {
    let (hash, rsa, ec) = (HASH.as_str(), RSA.public_pem(), EC.public_pem());
    format!(
        r#"
        [[clients]]
        client_id = "nightly"
        grant_types = ["client_credentials"]
        client_secret_hash = "{hash}"
        roles = ["user"]
        scope = "mcp:read mcp:tools"

        [[clients]]
        client_id = "backup"
        grant_types = ["client_credentials"]
        public_keys = ["""{ec}"""]
        roles = ["admin"]
        scope = "mcp:read mcp:audit"

        [[clients]]
        client_id = "report"
        grant_types = ["client_credentials"]
        public_keys = ["""{rsa}""", """{ec}"""]
        roles = ["guest"]
        scope = "mcp:read"

        [[clients]]
        client_id = "web"
        redirect_uris = ["{CALLBACK}"]

        [[clients]]
        client_id = "service"
        redirect_uris = ["{CALLBACK}"]
        client_secret_hash = "{hash}"
        "#
    )
}

fn server() -> Server {
    server_with(&[])
}

fn server_with(flags: &[&str]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "clients.toml", &clients());
    let mut all = vec!["--clients", "{dir}/clients.toml"];
    all.extend_from_slice(flags);
    Server::start(dir, &all)
}

/// What the start says of a clients file with one entry.
fn refusal(entry: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "clients.toml", &format!("[[clients]]\n{entry}"));
    let flags = ["--clients", "{dir}/clients.toml"].map(str::to_owned);
    let error = open(&dir, &flags).err().unwrap();
    format!("{error:#}")
}

/// Claims of a good assertion of `backup`, with members replaced; null takes one away.
fn assertion_claims(
    server: &Server,
    changes: &Value,
) -> Value {
    let mut claims = json!({
        "iss": "backup",
        "sub": "backup",
        "aud": ISSUER,
        "exp": server.state.now() + 300,
        "jti": secret::random(),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn sign(
    key: &KeyPair,
    claims: &Value,
) -> String {
    let header = Header::new(key.algorithm().jws());
    jsonwebtoken::encode(&header, claims, key.encoding_key()).unwrap()
}

fn assertion(
    server: &Server,
    changes: &Value,
) -> String {
    sign(&EC, &assertion_claims(server, changes))
}

fn form_with<'a>(
    assertion: &'a str,
    extra: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
        ("resource", RESOURCE),
    ];
    form.extend_from_slice(extra);
    form
}

async fn ask(
    server: &Server,
    assertion: &str,
) -> Answer {
    server.post_form("/oauth/token", &form_with(assertion, &[])).await
}

async fn ask_with_secret(
    server: &Server,
    extra: &[(&str, &str)],
) -> Answer {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend_from_slice(extra);
    server.post_form_as("/oauth/token", &form, "nightly", "a+secret").await
}

fn assert_refused(
    answer: &Answer,
    status: u16,
    error: &str,
    words: &str,
) {
    answer.assert_error(status, error);
    let description = answer.text("error_description");
    assert!(description.contains(words), "{description}");
}

#[tokio::test]
async fn a_secret_gives_a_token_in_the_clients_own_name() {
    let server = server();
    let answer = ask_with_secret(&server, &[("resource", RESOURCE)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], json!(900));
    assert_eq!(body["scope"], "mcp:read mcp:tools");
    assert!(body.get("refresh_token").is_none());
    assert!(body.get("id_token").is_none());
    let claims = claims(body["access_token"].as_str().unwrap());
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], RESOURCE);
    assert_eq!(claims["sub"], "nightly");
    assert_eq!(claims["client_id"], "nightly");
    assert_eq!(claims["roles"], json!(["user"]));
    assert_eq!(claims["scope"], "mcp:read mcp:tools");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "nightly"),
        ("client_secret", SECRET),
    ];
    let answer = server.post_form("/oauth/token", &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
}

#[tokio::test]
async fn an_assertion_does_by_either_kind_of_key() {
    let server = server();
    let answer = ask(&server, &assertion(&server, &json!({}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
    let body = answer.json();
    assert!(body.get("refresh_token").is_none());
    assert_eq!(body["scope"], "mcp:read mcp:audit");
    let claims = claims(body["access_token"].as_str().unwrap());
    assert_eq!(claims["sub"], "backup");
    assert_eq!(claims["roles"], json!(["admin"]));
    for key in [&RSA, &EC] {
        let claims = assertion_claims(&server, &json!({"iss": "report", "sub": "report"}));
        let answer = ask(&server, &sign(key, &claims)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
    }
}

#[tokio::test]
async fn what_libraries_write_into_an_assertion_is_taken() {
    let server = server();
    let now = server.state.now();
    for changes in [
        json!({"aud": [ISSUER]}),
        json!({"iat": now, "nbf": now}),
        json!({"exp": now + 330, "nbf": now + 30}),
        json!({"exp": now - 29}),
    ] {
        let answer = ask(&server, &assertion(&server, &changes)).await;
        assert_eq!(answer.status, StatusCode::OK, "{changes}");
    }
    for typ in [None, Some("JWT"), Some("client-authentication+jwt")] {
        let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
        header.typ = typ.map(str::to_owned);
        header.kid = Some("a name that means nothing here".to_owned());
        let claims = assertion_claims(&server, &json!({}));
        let text = jsonwebtoken::encode(&header, &claims, EC.encoding_key()).unwrap();
        assert_eq!(ask(&server, &text).await.status, StatusCode::OK, "{typ:?}");
    }
    let text = assertion(&server, &json!({}));
    let answer = server
        .post_form(
            "/oauth/token",
            &form_with(&text, &[("client_id", "backup")]),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
}

#[tokio::test]
async fn an_assertion_counts_once() {
    let server = server();
    let text = assertion(&server, &json!({}));
    assert_eq!(ask(&server, &text).await.status, StatusCode::OK);
    assert_refused(
        &ask(&server, &text).await,
        401,
        "invalid_client",
        "used before",
    );
    // The leeway included, and whatever is cleaned up and restarted meanwhile.
    server.advance(329);
    server.state.store.clean_up(server.state.now()).await.unwrap();
    let server = server.restart();
    assert_refused(
        &ask(&server, &text).await,
        401,
        "invalid_client",
        "used before",
    );
    server.advance(1);
    server.state.store.clean_up(server.state.now()).await.unwrap();
    assert_refused(&ask(&server, &text).await, 401, "invalid_client", "expired");
}

#[tokio::test]
async fn one_jti_is_another_one_for_another_client() {
    let server = server();
    let text = assertion(&server, &json!({"jti": "1"}));
    assert_eq!(ask(&server, &text).await.status, StatusCode::OK);
    let claims = assertion_claims(
        &server,
        &json!({"iss": "report", "sub": "report", "jti": "1"}),
    );
    assert_eq!(
        ask(&server, &sign(&RSA, &claims)).await.status,
        StatusCode::OK
    );
    let again = assertion(
        &server,
        &json!({"jti": "1", "exp": server.state.now() + 200}),
    );
    assert_refused(
        &ask(&server, &again).await,
        401,
        "invalid_client",
        "used before",
    );
}

#[tokio::test]
async fn of_many_uses_at_once_one_counts() {
    let server = server();
    let text = assertion(&server, &json!({}));
    let uses = (0..8).map(|_| {
        let (app, text) = (server.app.clone(), text.clone());
        tokio::spawn(async move {
            use tower::ServiceExt;
            let request = form_request("/oauth/token", &form_with(&text, &[]));
            app.oneshot(request).await.unwrap().status()
        })
    });
    let uses: Vec<_> = uses.collect();
    let mut good = 0;
    for one in uses {
        good += usize::from(one.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn memory_is_bounded_for_each_client() {
    use crate::store::assertions;
    let server = server();
    let now = server.state.now();
    server
        .state
        .store
        .run_now(|tx| {
            let filler = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                          INSERT INTO assertions SELECT 'backup', 'filler ' || i, ?2 FROM n";
            tx.execute(filler, [assertions::MAX_PER_CLIENT, now + 60]).map(drop)
        })
        .unwrap();
    let answer = ask(&server, &assertion(&server, &json!({}))).await;
    assert_refused(&answer, 429, "temporarily_unavailable", "still good");
    assert_eq!(answer.header("retry-after"), "300");
    let claims = assertion_claims(&server, &json!({"iss": "report", "sub": "report"}));
    assert_eq!(
        ask(&server, &sign(&RSA, &claims)).await.status,
        StatusCode::OK
    );
    server.advance(60);
    let answer = ask(&server, &assertion(&server, &json!({}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
}

#[tokio::test]
async fn each_claim_is_checked() {
    let server = server();
    let now = server.state.now();
    let endpoint = format!("{ISSUER}/oauth/token");
    for (changes, words) in [
        (json!({"exp": now - 30}), "expired"),
        (json!({"exp": now + 331}), "5 minutes"),
        (json!({"exp": i64::MAX}), "5 minutes"),
        (json!({"exp": i64::MIN}), "expired"),
        (json!({"exp": null}), "needs"),
        (json!({"exp": "soon"}), "needs"),
        (json!({"nbf": now + 31}), "not valid yet"),
        (json!({"aud": "http://localhost:9002"}), "issuer"),
        (json!({"aud": endpoint}), "issuer"),
        (json!({"aud": [ISSUER, endpoint]}), "issuer"),
        (json!({"aud": []}), "issuer"),
        (json!({"aud": format!("{ISSUER}/")}), "issuer"),
        (json!({"aud": RESOURCE}), "issuer"),
        (json!({"aud": null}), "needs"),
        (json!({"iss": "report"}), "iss and sub"),
        (json!({"iss": null}), "needs"),
        (json!({"jti": null}), "needs"),
        (json!({"jti": ""}), "jti"),
        (json!({"jti": 7}), "needs"),
    ] {
        let answer = ask(&server, &assertion(&server, &changes)).await;
        assert_refused(&answer, 401, "invalid_client", words);
        assert!(
            answer.header("www-authenticate").starts_with("Basic "),
            "{changes}"
        );
    }
    // Another `sub` names another client, whose key did not sign it.
    for sub in ["nobody", "nightly", "web", "service"] {
        let answer = ask(&server, &assertion(&server, &json!({"sub": sub}))).await;
        assert_refused(&answer, 401, "invalid_client", "unknown, or");
    }
    let answer = ask(&server, &assertion(&server, &json!({"sub": null}))).await;
    assert_refused(&answer, 401, "invalid_client", "no JWT with a sub");
}

/// A key that nobody registered.
fn fresh() -> KeyPair {
    KeyPair::generate_for(Algorithm::Es256).unwrap()
}

#[tokio::test]
async fn the_registered_key_decides_the_algorithm() {
    let server = server();
    let claims = assertion_claims(&server, &json!({}));
    let as_secret = EncodingKey::from_secret(EC.public_pem().as_bytes());
    let hs256 = jsonwebtoken::encode(&Header::default(), &claims, &as_secret).unwrap();
    let good = sign(&EC, &claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let other_signature = format!("{signed}.{first}{}", &signature[1..]);
    let body = good.split('.').nth(1).unwrap();
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{body}.");
    let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
    header.typ = Some("at+jwt".to_owned());
    let typed = jsonwebtoken::encode(&header, &claims, EC.encoding_key()).unwrap();
    header.typ = None;
    header.crit = Some(vec!["b64".to_owned()]);
    let critical = jsonwebtoken::encode(&header, &claims, EC.encoding_key()).unwrap();
    for (what, text) in [
        ("HS256 with the public key as the secret", hs256),
        ("no signature", unsigned),
        ("another key of the same kind", sign(&fresh(), &claims)),
        ("a key of another kind", sign(&RSA, &claims)),
        ("an access token's typ", typed),
        ("an unknown crit", critical),
        ("another signature", other_signature),
    ] {
        let answer = ask(&server, &text).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        assert_refused(&answer, 401, "invalid_client", "unknown, or");
    }
    // None of which has used up the jti.
    assert_eq!(ask(&server, &good).await.status, StatusCode::OK);
    ask(&server, "garbage").await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn one_proof_only_and_the_right_one() {
    let server = server();
    let text = assertion(&server, &json!({}));
    let answer = server
        .post_form(
            "/oauth/token",
            &form_with(&text, &[("client_secret", SECRET)]),
        )
        .await;
    assert_refused(&answer, 400, "invalid_request", "one way only");
    let form = form_with(&text, &[]);
    let answer = server.post_form_as("/oauth/token", &form, "backup", "x").await;
    assert_refused(&answer, 400, "invalid_request", "one way only");
    let answer = ask_with_secret(&server, &[("client_secret", SECRET)]).await;
    assert_refused(&answer, 400, "invalid_request", "one way only");
    let form = form_with(&text, &[("client_id", "nightly")]);
    let answer = server.post_form("/oauth/token", &form).await;
    assert_refused(&answer, 400, "invalid_request", "client_id");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion", &*text),
    ];
    let answer = server.post_form("/oauth/token", &form).await;
    assert_refused(&answer, 400, "invalid_request", "belong together");
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion", &*text),
        ("client_assertion_type", saml),
    ];
    let answer = server.post_form("/oauth/token", &form).await;
    assert_refused(&answer, 401, "invalid_client", "client_assertion_type");
    let twice = form_with(&text, &[("client_assertion", &*text)]);
    server
        .post_form("/oauth/token", &twice)
        .await
        .assert_error(400, "invalid_request");
    // Who has a key has to sign, and cannot send a secret instead.
    for (name, value) in [("client_id", "backup"), ("client_id", "nightly")] {
        let form = [("grant_type", "client_credentials"), (name, value)];
        server
            .post_form("/oauth/token", &form)
            .await
            .assert_error(401, "invalid_client");
    }
    let form = [("grant_type", "client_credentials")];
    let answer = server.post_form_as("/oauth/token", &form, "backup", SECRET).await;
    answer.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn wrong_secrets_and_unknown_clients_get_the_same_answer() {
    let server = server();
    let form = [("grant_type", "client_credentials")];
    let wrong = server.post_form_as("/oauth/token", &form, "nightly", "wrong").await;
    wrong.assert_error(401, "invalid_client");
    let unknown = server.post_form_as("/oauth/token", &form, "nobody", "wrong").await;
    assert_eq!(unknown.body_text(), wrong.body_text());
}

#[tokio::test]
async fn only_configured_clients_get_the_grant() {
    let server = server();
    let form = |id| [("grant_type", "client_credentials"), ("client_id", id)];
    let answer = server.post_form("/oauth/token", &form("web")).await;
    assert_refused(&answer, 400, "unauthorized_client", "operator");
    let registered = server.register().await;
    let answer = server.post_form("/oauth/token", &form(&registered)).await;
    answer.assert_error(400, "unauthorized_client");
    let (id, secret) = server.register_confidential().await;
    let grant = [("grant_type", "client_credentials")];
    let answer = server.post_form_as("/oauth/token", &grant, &id, &secret).await;
    answer.assert_error(400, "unauthorized_client");
    let answer = server.post_form_as("/oauth/token", &grant, "service", "a+secret").await;
    answer.assert_error(400, "unauthorized_client");
    // Also where a registration asks for it.
    let body = json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let answer = server.post_json("/oauth/register", &body).await;
    assert_eq!(answer.json()["grant_types"], json!(["authorization_code"]));
    let (id, secret) = (answer.text("client_id"), answer.text("client_secret"));
    let answer = server.post_form_as("/oauth/token", &grant, &id, &secret).await;
    answer.assert_error(400, "unauthorized_client");
    let body = json!({
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "private_key_jwt",
    });
    let answer = server.post_json("/oauth/register", &body).await;
    answer.assert_error(400, "invalid_client_metadata");
}

#[tokio::test]
async fn scope_and_resource_are_kept_to() {
    let server = server();
    let answer = ask_with_secret(&server, &[("scope", "mcp:tools unknown")]).await;
    assert_eq!(answer.json()["scope"], "mcp:tools");
    for scope in [
        "mcp:read mcp:audit",
        "mcp:prompts",
        "openid mcp:read",
        "unknown",
    ] {
        let answer = ask_with_secret(&server, &[("scope", scope)]).await;
        answer.assert_error(400, "invalid_scope");
    }
    let elsewhere = [("resource", "http://localhost:9000/other")];
    ask_with_secret(&server, &elsewhere).await.assert_error(400, "invalid_target");
    let both = [
        ("resource", RESOURCE),
        ("resource", "http://localhost:9000/other"),
    ];
    ask_with_secret(&server, &both).await.assert_error(400, "invalid_target");
    let answer = ask_with_secret(&server, &[]).await;
    assert_eq!(claims(&answer.text("access_token"))["aud"], RESOURCE);
    let other = "http://localhost:9100/mcp";
    let server = server_with(&["--resource", RESOURCE, "--resource", other]);
    ask_with_secret(&server, &[]).await.assert_error(400, "invalid_target");
    let answer = ask_with_secret(&server, &[("resource", other)]).await;
    assert_eq!(claims(&answer.text("access_token"))["aud"], other);
}

#[tokio::test]
async fn its_token_can_be_asked_about_and_given_back() {
    let server = server();
    let token = ask_with_secret(&server, &[]).await.text("access_token");
    let form = [("token", &*token)];
    let answer = server.post_form_as("/oauth/introspect", &form, "nightly", "a+secret").await;
    assert_eq!(answer.json()["active"], true);
    assert_eq!(answer.json()["sub"], "nightly");
    let answer = server.get_with_token("/oauth/userinfo", &token).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    // A key does there as well as a secret.
    let proof = assertion(&server, &json!({}));
    let form = [
        ("token", &*token),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", &proof),
    ];
    let answer = server.post_form("/oauth/introspect", &form).await;
    assert_eq!(answer.json()["active"], true, "{}", answer.body_text());
    let form = [("token", &*token)];
    let answer = server.post_form_as("/oauth/revoke", &form, "nightly", "a+secret").await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = server.post_form_as("/oauth/introspect", &form, "nightly", "a+secret").await;
    assert_eq!(answer.json(), json!({"active": false}));
}

#[tokio::test]
async fn another_secret_ends_what_the_old_one_gave() {
    let server = server();
    let token = ask_with_secret(&server, &[]).await.text("access_token");
    let other = passwords::hash(SECRET).unwrap();
    write(
        &server.dir,
        "clients.toml",
        &clients().replacen(HASH.as_str(), &other, 1),
    );
    let server = server.restart();
    let form = [("token", &*token)];
    let answer = server.post_form_as("/oauth/introspect", &form, "service", "a+secret").await;
    assert_eq!(answer.json(), json!({"active": false}));
}

#[tokio::test]
async fn nobody_signs_in_as_a_machine() {
    let server = server();
    let browser = Browser::default();
    let query = request("web", &[]);
    for password in ["", SECRET, "nightly"] {
        let answer = browser.sign_in(&server, &query, "nightly", password).await;
        assert_ne!(answer.status, StatusCode::SEE_OTHER, "{password}");
    }
}

#[tokio::test]
async fn the_metadata_names_what_some_client_can_use() {
    let path = "/.well-known/oauth-authorization-server";
    let plain = Server::new().get(path).await.json();
    assert_eq!(
        plain["grant_types_supported"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(
        plain["token_endpoint_auth_methods_supported"],
        json!(["none", "client_secret_basic", "client_secret_post"])
    );
    let algorithms = "token_endpoint_auth_signing_alg_values_supported";
    assert!(plain.get(algorithms).is_none());
    let server = server();
    let body = server.get(path).await.json();
    assert_eq!(
        body["grant_types_supported"],
        json!(["authorization_code", "refresh_token", "client_credentials"])
    );
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = &body[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(methods.as_array().unwrap().contains(&json!("private_key_jwt")));
        let algorithms = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        assert_eq!(body[algorithms], json!(["RS256", "ES256"]));
    }
    let dir = tempfile::tempdir().unwrap();
    let secret_only = clients().split("[[clients]]").nth(1).unwrap().to_owned();
    write(&dir, "clients.toml", &format!("[[clients]]{secret_only}"));
    let server = Server::start(dir, &["--clients", "{dir}/clients.toml"]);
    let body = server.get(path).await.json();
    assert!(body.get(algorithms).is_none());
    let grants = body["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&json!("client_credentials")));
}

#[test]
fn an_entry_that_cannot_be_meant_is_refused_at_the_start() {
    let good = format!(
        "client_id = \"nightly\"\ngrant_types = [\"client_credentials\"]\nroles = [\"user\"]\n\
         scope = \"mcp:read\"\nclient_secret_hash = \"{}\"\n",
        HASH.as_str()
    );
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replace(from, to)
    };
    let hash_line = format!("client_secret_hash = \"{}\"\n", HASH.as_str());
    let private = EC.private_pem();
    let p384 = KeyPair::generate_for(Algorithm::Es384).unwrap();
    let key = |pem: &str| format!("public_keys = [\"\"\"{pem}\"\"\"]\n");
    for (entry, words) in [
        (changed(&hash_line, ""), "prove themselves"),
        (changed("\"nightly\"", "\"alice\""), "called like a user"),
        (changed("\"nightly\"", "\"github:1\""), "colon"),
        (
            changed("\"nightly\"", "\"night\\u200bly\""),
            "cannot be seen",
        ),
        (changed("[\"user\"]", "[]"), "needs roles"),
        (changed("[\"user\"]", "[\"root\"]"), "no role"),
        (changed("\"mcp:read\"", "\"\""), "needs a scope"),
        (changed("\"mcp:read\"", "\"mcp:reed\""), "no scope"),
        (
            changed("\"mcp:read\"", "\"mcp:read mcp:audit\""),
            "do not permit",
        ),
        (changed("\"mcp:read\"", "\"openid\""), "about a user"),
        (
            changed("[\"client_credentials\"]", "[\"authorization_code\"]"),
            "redirect_uris",
        ),
        (
            changed(
                "grant_types = [\"client_credentials\"]",
                "redirect_uris = []",
            ),
            "without the grant type",
        ),
        (format!("{good}{}", key(EC.public_pem())), "choose one"),
        (changed(&hash_line, &key(private)), "private key"),
        (changed(&hash_line, &key(p384.public_pem())), "P-256"),
        (changed(&hash_line, "public_keys = [\"x\"]"), "no PEM"),
    ] {
        let said = refusal(&entry);
        assert!(said.contains(words), "{said}");
        assert!(
            said.contains("clients.toml") || said.contains("alice"),
            "{said}"
        );
        assert!(!said.contains("MII"), "{said}");
    }
}

#[tokio::test]
async fn the_old_database_learns_to_remember() {
    let server = server();
    server
        .state
        .store
        .run_now(|tx| tx.execute_batch("DROP TABLE assertions; PRAGMA user_version = 3;"))
        .unwrap();
    let server = server.restart();
    let text = assertion(&server, &json!({}));
    assert_eq!(ask(&server, &text).await.status, StatusCode::OK);
    ask(&server, &text).await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn a_header_of_another_scheme_proves_nothing() {
    let server = server();
    let mut request = form_request("/oauth/token", &[("grant_type", "client_credentials")]);
    let value = "Bearer x".parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    server.send(request).await.assert_error(401, "invalid_client");
}
