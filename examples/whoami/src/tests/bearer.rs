//! Nobody gets in without a valid token: which requests are asked for one, which tokens are good,
//! what a refusal says, whom the token makes known, and which names of this server are answered.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RSA_PKCS1_SHA384;
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use aws_lc_rs::signature::RsaEncoding;
use axum::http::HeaderValue;

use super::*;

/// Sends a bad token. The refusal must name the failed check, and neither the answer nor the log
/// may hold a part of the token.
async fn expect_bad_token(
    case: impl Display,
    token: &str,
    named: &str,
) {
    Log::clear();
    let answer = send(ping(token)).await;
    let description = assert_refused(&case, &answer, 401, "invalid_token");
    assert!(description.contains(named), "{case}: {description}");
    let log = Log::lines().concat();
    let told = format!("{:?} {} {log}", answer.headers, answer.json());
    for part in token.split('.').filter(|part| part.len() > 9) {
        assert!(!told.contains(part), "{case}: {told}");
    }
}

/// Sends a token with one claim of another value, which must be refused.
async fn expect_bad_claim(
    claim: &str,
    value: Value,
    named: &str,
) {
    let case = format!("{claim} {value}");
    let token = sign(&jose(), with(claims(), claim, value));
    expect_bad_token(case, &token, named).await;
}

/// The same for a member of the token's header.
async fn expect_bad_header(
    member: &str,
    value: Value,
    named: &str,
) {
    let case = format!("{member} {value}");
    let token = sign(&with(jose(), member, value), claims());
    expect_bad_token(case, &token, named).await;
}

async fn expect_good_token(
    case: impl Display,
    token: &str,
) {
    expect(case, ping(token), 200, 0).await;
}

#[tokio::test]
async fn nobody_gets_in_without_credentials() {
    let token = token();
    let other_scheme = format!("DPoP {token}");
    let longer_scheme = format!("Bearers {token}");
    for authorization in ["", &token, &other_scheme, &longer_scheme] {
        let request = ping("").with("Authorization", authorization);
        assert_refused(authorization, &send(request).await, 401, "");
    }
    for method in ["GET", "HEAD", "POST", "PATCH", "TRACE", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = send(to_mcp(method.clone(), "").without("Authorization")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method}");
        assert_eq!(challenge(&answer)["realm"], "mcp", "{method}");
    }
    let answer = send(to_mcp(Method::OPTIONS, "").without("Authorization")).await;
    assert_ne!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_malformed_header_is_a_bad_request() {
    let good = bearer(&token());
    let of = |value| ping("").with("Authorization", value);
    let mut no_text = of("");
    let bytes = [good.as_bytes(), b"\xff"].concat();
    let value = HeaderValue::from_bytes(&bytes).unwrap();
    no_text.headers_mut().insert("Authorization", value);
    for (case, request) in [
        ("Bearer and a space", of("Bearer ")),
        ("the same twice", of(&good).also("Authorization", &good)),
        ("Basic first", of("Basic YTpi").also("Authorization", &good)),
        ("no text", no_text),
    ] {
        assert_refused(case, &send(request).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn a_token_in_the_query_counts_for_nothing_and_is_not_logged() {
    let token = token();
    for (authorization, status) in [("", 401), (&*bearer(&token), 200)] {
        let mut request = ping("").with("Authorization", authorization);
        *request.uri_mut() = format!("/mcp?access_token={token}").parse().unwrap();
        Log::clear();
        assert_eq!(send(request).await.status.as_u16(), status);
        assert!(!Log::lines().concat().contains(&token), "{status}");
    }
}

#[tokio::test]
async fn a_good_token_is_let_in() {
    for scheme in ["bearer", "BEARER", "Bearer "] {
        let request = ping("").with("Authorization", &format!("{scheme} {}", token()));
        expect(scheme, request, 200, 0).await;
    }
    for typ in ["AT+JWT", "Application/At+Jwt", "JWT", "jwt"] {
        expect_good_token(typ, &sign(&with(jose(), "typ", json!(typ)), claims())).await;
    }
    let now = now();
    for (claim, value) in [
        ("aud", json!([RESOURCE])),
        ("aud", json!(["https://a.example", RESOURCE])),
        ("exp", json!(now - 10)),
        ("exp", json!(now as f64 + 3600.5)),
        ("nbf", json!(now + 10)),
        ("acr", json!({"any": [1, null]})),
    ] {
        let claims = with(claims(), claim, value);
        expect_good_token(claim, &sign(&jose(), claims)).await;
    }
    for claim in ["nbf", "iat", "jti", "scope", "roles"] {
        expect_good_token(claim, &sign(&jose(), without(claims(), claim))).await;
    }
}

const OTHER_ALGORITHM: &str = "the token is signed with another algorithm than its key's";

#[tokio::test]
async fn only_the_algorithm_of_the_key_counts_whatever_the_token_says() {
    let unsigned = signing_input(&with(jose(), "alg", json!("none")), claims());
    expect_bad_token("none", &format!("{unsigned}."), "").await;
    for alg in [json!(null), json!(256), json!(["RS256"]), json!("rs256")] {
        expect_bad_header("alg", alg, "").await;
    }
    let absent = sign(&without(jose(), "alg"), claims());
    expect_bad_token("no alg", &absent, "").await;
    let paddings: [(&str, &'static dyn RsaEncoding); 3] = [
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
    ];
    for (alg, padding) in paddings {
        let named = with(jose(), "alg", json!(alg));
        let token = sign_with(&KEY, padding, &named, claims());
        expect_bad_token(alg, &token, OTHER_ALGORITHM).await;
        let token = sign_with(&KEY, padding, &jose(), claims());
        expect_bad_token(alg, &token, "signature").await;
    }
}

/// The oldest trick against JWT: the public key, which everybody has, as the secret of an HMAC.
#[tokio::test]
async fn the_public_key_is_no_secret() {
    let pem = public_pem(&KEY);
    let der: PublicKeyX509Der<'_> = KEY.public_key().as_der().unwrap();
    let input = signing_input(&with(jose(), "alg", json!("HS256")), claims());
    for (case, secret) in [
        ("PEM", pem.as_bytes()),
        ("PEM without its last line break", pem.trim_end().as_bytes()),
        ("DER", der.as_ref()),
        ("PKCS #1", KEY.public_key().as_ref()),
        ("nothing", b""),
    ] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&secret, input.as_bytes());
        let token = format!("{input}.{}", base64url(tag.as_ref()));
        expect_bad_token(case, &token, OTHER_ALGORITHM).await;
    }
}

/// A token signed with [`OTHER_KEY`].
fn forged(jose: &Value) -> String {
    sign_with(&OTHER_KEY, &RSA_PKCS1_SHA256, jose, claims())
}

#[tokio::test]
async fn a_token_of_another_key_is_refused() {
    expect_bad_token("our kid", &forged(&jose()), "signature").await;
    expect_bad_token("its own kid", &other_token(claims()), "key").await;
    let input = signing_input(&with(jose(), "alg", json!("ES256")), claims());
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    let elliptic = format!("{input}.{}", base64url(signature.as_ref()));
    expect_bad_token("ES256", &elliptic, OTHER_ALGORITHM).await;
}

/// A key in a token is the sender's word for itself.
#[tokio::test]
async fn a_key_that_the_token_brings_along_is_never_looked_at() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let certificate = BASE64_STANDARD.encode(OTHER_KEY.public_key().as_ref());
    for (member, value) in [
        ("jwk", jwk(&OTHER_KEY)),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", json!([certificate])),
    ] {
        for key in [&KEY, &OTHER_KEY] {
            let jose = with(jose(), "kid", json!(key_id(key)));
            let token = forged(&with(jose, member, value.clone()));
            expect_bad_token(member, &token, "").await;
        }
        let ours = sign(&with(jose(), member, value), claims());
        expect_good_token(format!("{member} beside our own signature"), &ours).await;
    }
    let visit = tokio::time::timeout(Duration::from_millis(1), listener.accept());
    assert!(visit.await.is_err(), "the URL was fetched");
}

#[tokio::test]
async fn key_id_type_and_critical_members_are_checked() {
    let kid = key_id(&KEY);
    for (member, value, named) in [
        ("kid", json!(""), "key"),
        ("kid", json!(null), "kid"),
        ("kid", json!([kid]), ""),
        ("kid", json!(format!("{kid} ")), "key"),
        ("kid", json!(kid.to_lowercase()), "key"),
        ("kid", json!("\r\nkid: x"), "key"),
        ("crit", json!(["exp"]), "crit"),
        ("crit", json!([]), ""),
        ("crit", json!(true), ""),
        ("typ", json!(""), "typ"),
        ("typ", json!("JOSE"), "typ"),
        ("typ", json!("id_token+jwt"), "typ"),
        ("typ", json!("application/jwt"), "typ"),
        ("typ", json!("at+jwt x"), "typ"),
        ("typ", json!(null), "typ"),
        ("typ", json!(["at+jwt"]), ""),
    ] {
        expect_bad_header(member, value, named).await;
    }
    for member in ["kid", "typ"] {
        let token = sign(&without(jose(), member), claims());
        expect_bad_token(member, &token, member).await;
    }
}

/// An ID token says who logged in. It is for the client, and opens nothing.
#[tokio::test]
async fn an_id_token_is_refused() {
    let jose = with(jose(), "typ", json!("JWT"));
    let id_token = with(with(claims(), "nonce", json!("n")), "aud", json!("test"));
    expect_bad_token("for the client", &sign(&jose, id_token), "aud").await;
}

/// Keycloak signs its ID tokens, refresh tokens and tokens for offline use with the same key, under
/// the same header, and says which it is in the payload.
#[tokio::test]
async fn a_token_that_calls_itself_something_else_than_a_bearer_token_is_refused() {
    let bearer = with(claims(), "typ", json!("Bearer"));
    for typ in ["JWT", "at+jwt"] {
        let jose = with(jose(), "typ", json!(typ));
        expect_good_token(typ, &sign(&jose, &bearer)).await;
        for kind in [
            json!("ID"),
            json!("Refresh"),
            json!("Offline"),
            json!("Logout"),
            json!("DPoP"),
            json!("bearer"),
            json!(""),
            json!(null),
            json!(["Bearer"]),
        ] {
            let token = sign(&jose, with(claims(), "typ", kind.clone()));
            expect_bad_token(format!("{typ} {kind}"), &token, "(typ)").await;
        }
    }
}

/// Such a token is worth something only together with a proof, which a thief does not have. Nobody
/// here asks for it.
#[tokio::test]
async fn a_token_that_is_bound_to_a_key_of_its_sender_is_refused() {
    for proof in [
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
        json!({}),
        json!(null),
    ] {
        expect_bad_claim("cnf", proof, "(cnf)").await;
    }
}

#[tokio::test]
async fn an_altered_token_is_refused() {
    let token = token();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let admin = signing_input(&jose(), with(claims(), "roles", json!(["admin"])));
    // The last letter of 256 bytes carries two bits of them, and four that mean nothing.
    let last = signature.len() - 1;
    let loose = char::from(signature.as_bytes()[last] + 1);
    for (case, token, named) in [
        ("payload", format!("{admin}.{signature}"), "signature"),
        ("no signature", format!("{input}."), "signature"),
        (
            "zeros",
            format!("{input}.{}", "A".repeat(last + 1)),
            "signature",
        ),
        (
            "loose bits",
            format!("{}{loose}", &token[..token.len() - 1]),
            "",
        ),
        ("four parts", format!("{token}.{signature}"), ""),
        ("a second word", format!("{token} x"), ""),
        ("a tab", format!("{input}.\t{signature}"), ""),
    ] {
        expect_bad_token(case, &token, named).await;
    }
    for payload in ["", "x", "[]", "1", "null", "\"alice\"", "{}", "{\"iss\":"] {
        let token = sign(&jose(), payload);
        expect_bad_token(format!("payload {payload:?}"), &token, "").await;
    }
    for jose in [json!([]), json!("RS256"), json!(1), json!({})] {
        expect_bad_token(&jose, &sign(&jose, claims()), "").await;
    }
}

/// A good token that is this long, or a little shorter: four letters carry three bytes.
fn token_of(length: usize) -> String {
    let padded = |size| sign(&jose(), with(claims(), "padding", json!("x".repeat(size))));
    let token = padded((length - padded(0).len()) * 3 / 4);
    assert!(length - token.len() < 4, "{}", token.len());
    token
}

#[tokio::test]
async fn a_token_may_be_eight_kibibytes_long() {
    expect_good_token("8 KiB", &token_of(8 * 1024)).await;
    expect_bad_token("a little more", &token_of(8 * 1024 + 4), "long").await;
}

#[tokio::test]
async fn a_token_has_an_end_and_a_beginning() {
    let now = now();
    for (claim, value, named) in [
        ("exp", json!(now - 45), "expired"),
        ("exp", json!(now as f64 - 45.5), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!(-1), "exp"),
        ("exp", json!(u64::MAX), "exp"),
        ("exp", json!(1e30), "exp"),
        ("exp", json!(f64::MAX), "exp"),
        ("exp", json!(i64::MAX), "exp"),
        ("exp", json!((now + 3600).to_string()), "exp"),
        ("exp", json!(null), "exp"),
        ("exp", json!([now + 3600]), ""),
        ("nbf", json!(now + 45), "nbf"),
        ("nbf", json!(now as f64 + 45.5), "nbf"),
        ("nbf", json!(u64::MAX), "nbf"),
        ("nbf", json!("0"), ""),
        ("nbf", json!(-1), ""),
    ] {
        expect_bad_claim(claim, value, named).await;
    }
}

#[tokio::test]
async fn issuer_audience_and_subject_are_compared_byte_for_byte() {
    for (claim, value, named) in [
        ("iss", json!("http://localhost:9001/"), "iss"),
        ("iss", json!("http://localhost:900"), "iss"),
        ("iss", json!("HTTP://localhost:9001"), "iss"),
        ("iss", json!(" http://localhost:9001"), "iss"),
        ("iss", json!(""), "iss"),
        ("iss", json!(null), ""),
        ("iss", json!([ISSUER]), ""),
        ("iss", json!([ISSUER, "https://evil.example"]), ""),
        ("iss", json!({"iss": ISSUER}), ""),
        ("aud", json!("http://localhost:9000/mcp/"), "aud"),
        ("aud", json!("http://localhost:9000/mc"), "aud"),
        ("aud", json!(format!("{RESOURCE} {RESOURCE}")), "aud"),
        ("aud", json!("*"), "aud"),
        ("aud", json!(""), "aud"),
        ("aud", json!(null), ""),
        ("aud", json!([]), ""),
        ("aud", json!(["http://localhost:9000", "x"]), ""),
        ("aud", json!([[RESOURCE]]), ""),
        ("sub", json!(""), "sub"),
        ("sub", json!(null), ""),
        ("sub", json!(["alice"]), ""),
    ] {
        expect_bad_claim(claim, value, named).await;
    }
    for claim in ["exp", "iss", "aud", "sub"] {
        let token = sign(&jose(), without(claims(), claim));
        expect_bad_token(claim, &token, claim).await;
    }
}

/// Whoever is not let in has nothing to say: whatever the rest of the request is, it is a 401.
#[tokio::test(start_paused = true)]
async fn the_body_of_a_stranger_is_not_read() {
    let (_sender, endless) = stream(&[]).await;
    let request = post(endless).without("Authorization");
    assert_refused("endless", &send(request).await, 401, "");
    let (_sender, endless) = stream(&[]).await;
    let request = post(endless).with("Authorization", &bearer("x.y.z"));
    assert_refused("a bad token", &send(request).await, 401, "invalid_token");
    let (sender, broken) = Channel::<Bytes, io::Error>::new(1);
    sender.abort(io::ErrorKind::ConnectionReset.into());
    let request = post(Body::new(broken)).without("Authorization");
    assert_refused("broken", &send(request).await, 401, "");
}

#[tokio::test]
async fn where_a_request_comes_from_counts_before_its_token() {
    for (case, request) in [
        ("no host", ping("x.y.z").without("Host")),
        ("two hosts", ping("x.y.z").also("Host", "evil.com")),
        ("another host", ping("x.y.z").with("Host", "evil.com")),
        ("a page", ping("x.y.z").with("Origin", "http://evil.com")),
    ] {
        expect(case, request, 403, 403).await;
    }
    // A resource of another name makes a token of another audience.
    let router = serving(with_resource("https://mcp.example.com/mcp"));
    assert_eq!(status_of(&router, &token()).await, 401);
}

#[test]
fn the_issuer_is_kept_as_it_is_written() {
    for url in [
        "http://localhost:80/",
        "https://ID.example.com:443/a/../b",
        "https://[::1]/x/",
    ] {
        let config = config_with(&format!("--issuer={url}")).unwrap();
        assert_eq!(config.issuer, url);
    }
    for url in [
        "",
        "nonsense",
        "ftp://localhost",
        "http://user@localhost",
        "http://localhost/?a",
    ] {
        assert!(config_with(&format!("--issuer={url}")).is_none(), "{url:?}");
    }
}

/// The result of a tool or prompt, used by the bearer of a token with these claims.
async fn result_for(
    claims: &Value,
    method: &str,
    name: &str,
) -> Value {
    let token = sign(&jose(), claims);
    let request = modern(method, call(name, json!({})));
    result_of(request.with("Authorization", &bearer(&token))).await
}

async fn whoami(claims: &Value) -> Value {
    let result = result_for(claims, "tools/call", "whoami").await;
    serde_json::from_str(text_of(&result)).unwrap()
}

#[tokio::test]
async fn whoami_and_greeting_know_what_the_token_says_and_no_more() {
    let claims = claims();
    let user = claims.clone();
    assert_eq!(whoami(&claims).await, user);
    let bare = without(without(claims.clone(), "preferred_username"), "client_id");
    let user = without(without(user, "preferred_username"), "client_id");
    assert_eq!(whoami(&bare).await, user);
    for (claims, greeted) in [(claims, "Alice"), (bare, "alice")] {
        let result = result_for(&claims, "prompts/get", "greeting").await;
        assert!(prompt_of(&result).contains(greeted), "{result}");
    }
}

#[tokio::test]
async fn scopes_are_read_as_issuers_really_send_them() {
    const SCOPES: &str = "mcp:tools mcp:read";
    for (claim, value) in [
        ("scope", json!("  mcp:tools   mcp:read ")),
        ("scope", json!(["mcp:tools", "mcp:read"])),
        ("scp", json!(SCOPES)),
        ("scp", json!(["mcp:tools", "mcp:read"])),
        ("scopes", json!(SCOPES)),
        ("scopes", json!(["mcp:tools", "mcp:read"])),
    ] {
        let claims = with(without(claims(), "scope"), claim, value.clone());
        assert_eq!(whoami(&claims).await["scope"], SCOPES, "{claim} {value}");
    }
    let both = with(claims(), "scope", json!(SCOPES));
    let both = with(both, "scp", json!(["other"]));
    assert_eq!(whoami(&both).await["scope"], SCOPES);
}

#[tokio::test]
async fn the_claims_of_keycloak_are_understood() {
    let now = now();
    let user = whoami(&json!({
        "exp": now + 300,
        "iat": now,
        "jti": "onrtac:6d7c1e3e",
        "iss": ISSUER,
        "aud": [RESOURCE, "account"],
        "sub": "f8a0b3a5-5a6e-4f57",
        "typ": "Bearer",
        "azp": "mcp-client",
        "acr": "1",
        "realm_access": {"roles": ["user", "offline_access"]},
        "resource_access": {"account": {"roles": ["manage-account"]}},
        "scope": "openid mcp:tools profile",
        "email_verified": false,
        "preferred_username": "alice",
    }))
    .await;
    assert_eq!(user["sub"], "f8a0b3a5-5a6e-4f57");
    assert_eq!(user["preferred_username"], "alice");
    assert_eq!(user["client_id"], "mcp-client");
    assert_eq!(user["scope"], "openid mcp:tools profile");
    assert_eq!(user["roles"], json!(["user", "offline_access"]));
    assert_eq!(user["aud"], json!([RESOURCE, "account"]));
}

#[tokio::test(start_paused = true)]
async fn a_new_key_takes_the_place_of_the_old_one() {
    let file = key_file();
    let router = serving(with_key_file(file.clone()));
    let new_token = other_token(claims());
    assert_eq!(status_of(&router, &token()).await, 200);
    assert_eq!(status_of(&router, &new_token).await, 401);
    std::fs::write(&file, public_pem(&OTHER_KEY)).unwrap();
    // Within the second nothing is read again, however many ask.
    for _ in 0..100 {
        assert_eq!(status_of(&router, &new_token).await, 401);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(status_of(&router, &new_token).await, 200);
    let answer = send_to(router, ping(&token())).await;
    assert_refused("no longer", &answer, 401, "invalid_token");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_away_is_obeyed_within_a_second() {
    let missing = serving(with_key_file(absent_file()));
    assert_no_key(&send_to(missing, ping(&token())).await);
    let file = key_file();
    let router = serving(with_key_file(file.clone()));
    for content in [None, Some(""), Some("half a ke")] {
        assert_eq!(status_of(&router, &token()).await, 200);
        match content {
            None => std::fs::remove_file(&file).unwrap(),
            Some(content) => std::fs::write(&file, content).unwrap(),
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        for token in [token(), other_token(claims())] {
            assert_no_key(&send_to(router.clone(), ping(&token)).await);
        }
        assert_eq!(key_file(), file);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn health_tells_how_old_the_keys_are_if_there_are_any() {
    let file = key_file();
    let router = serving(with_key_file(file.clone()));
    let auth = async || {
        let answer = send_to(router.clone(), get("/health")).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()["auth"].clone()
    };
    for (seconds, age) in [(0.0, 0), (0.9, 0), (0.2, 0)] {
        tokio::time::advance(Duration::from_secs_f64(seconds)).await;
        let auth = auth().await;
        assert_eq!(auth["required"], true);
        assert_eq!(auth["issuer"], ISSUER);
        assert_eq!(auth["keys"], true);
        assert_eq!(auth["keys_age_seconds"], age);
    }
    std::fs::remove_file(&file).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let auth = auth().await;
    assert_eq!(auth["keys"], false);
    assert_eq!(auth.get("keys_age_seconds"), None);
}

#[tokio::test]
async fn the_log_names_token_and_user_but_does_not_quote_them() {
    let claims = with(claims(), "sub", json!("alice\nINFO forged"));
    let token = sign(&jose(), with(claims, "jti", json!("token-7")));
    Log::clear();
    expect_good_token("good", &token).await;
    let lines = Log::lines();
    let accepted = |line: &&String| line.contains("token-7") && line.contains("alice\\nINFO");
    assert_eq!(lines.iter().filter(accepted).count(), 1, "{lines:?}");
    let forged = lines.iter().any(|line| line.starts_with("INFO forged"));
    assert!(!forged, "{lines:?}");
    for part in token.split('.') {
        assert!(!lines.concat().contains(part), "{lines:?}");
    }
}
