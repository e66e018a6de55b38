//! Keys for the tests, made anew for each run.
//! And tokens: a good one, and what it takes to change one thing about it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaEncoding;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;

/// The key that tokens are signed with.
pub(super) static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// A key that nobody trusts.
pub(super) static OTHER_KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

thread_local! {
    /// The folder of this test's key file. Both go away with the thread.
    static FOLDER: TempDir = tempfile::tempdir().unwrap();
}

/// A file with the public key.
pub(super) fn key_file() -> PathBuf {
    let file = FOLDER.with(|folder| folder.path().join("public.pem"));
    std::fs::write(&file, public_pem(&KEY)).unwrap();
    file
}

/// A path where nothing is yet.
pub(super) fn absent_file() -> PathBuf {
    FOLDER.with(|folder| folder.path().join("absent.pem"))
}

pub(super) fn pem(
    label: &str,
    der: &[u8],
) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<_> =
        base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub(super) fn public_pem(key: &KeyPair) -> String {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    pem("PUBLIC KEY", der.as_ref())
}

/// The members of a public key in a JWK (RFC 7518, section 6.3).
fn modulus_and_exponent(key: &KeyPair) -> [String; 2] {
    let public = key.public_key();
    [public.modulus(), public.exponent()]
        .map(|number| base64url(number.big_endian_without_leading_zero()))
}

/// The thumbprint of RFC 7638: the hash of the required members in alphabetical order.
pub(super) fn key_id(key: &KeyPair) -> String {
    let [n, e] = modulus_and_exponent(key);
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let hash = digest::digest(&digest::SHA256, members.as_bytes());
    base64url(hash.as_ref())
}

pub(super) fn jwk(key: &KeyPair) -> Value {
    let [n, e] = modulus_and_exponent(key);
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id(key), "n": n, "e": e})
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Without a key, an answer says what to do, and when to come back.
pub(super) fn assert_no_key(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.headers.get("www-authenticate"), None);
    let body = answer.json();
    assert!(is_text(&body["error"]), "{body}");
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(!description.is_empty(), "{body}");
    // A fixed sentence: no path of ours, and no error of the system.
    assert!(!description.contains(['/', '(', '"']), "{body}");
    assert_eq!(body.get("keys"), None, "{body}");
}

pub(super) const ISSUER: &str = "http://localhost:9001";
pub(super) const RESOURCE: &str = "http://localhost:9000/mcp";

/// The header of a good token.
pub(super) fn jose() -> Value {
    json!({"typ": "at+jwt", "alg": "RS256", "kid": key_id(&KEY)})
}

/// The claims of a good token.
pub(super) fn claims() -> Value {
    let now = now();
    json!({
        "iss": ISSUER,
        "sub": "alice",
        "aud": RESOURCE,
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "jti": "token-1",
        "client_id": "test",
        "scope": "mcp:read mcp:tools mcp:prompts",
        "roles": ["user"],
        "preferred_username": "Alice",
    })
}

pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A good token.
pub(super) fn token() -> String {
    sign(&jose(), claims())
}

/// A good token, but for the key that signed it.
pub(super) fn other_token(claims: Value) -> String {
    let jose = with(jose(), "kid", json!(key_id(&OTHER_KEY)));
    sign_with(&OTHER_KEY, &RSA_PKCS1_SHA256, &jose, claims)
}

/// A token with this header and this payload, well signed.
pub(super) fn sign(
    jose: &Value,
    payload: impl Display,
) -> String {
    sign_with(&KEY, &RSA_PKCS1_SHA256, jose, payload)
}

pub(super) fn sign_with(
    key: &KeyPair,
    padding: &'static dyn RsaEncoding,
    jose: &Value,
    payload: impl Display,
) -> String {
    let input = signing_input(jose, payload);
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(padding, &random, input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", base64url(&signature))
}

/// What a signature is made over: the first two parts of a token.
pub(super) fn signing_input(
    jose: &Value,
    payload: impl Display,
) -> String {
    let [jose, payload] = [jose.to_string(), payload.to_string()];
    format!(
        "{}.{}",
        base64url(jose.as_bytes()),
        base64url(payload.as_bytes())
    )
}

/// An object with one member set to another value.
pub(super) fn with(
    mut object: Value,
    member: &str,
    value: Value,
) -> Value {
    object[member] = value;
    object
}

/// An object with one member less.
pub(super) fn without(
    mut object: Value,
    member: &str,
) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A ping with this token.
pub(super) fn ping(token: &str) -> Request {
    handshake("ping", json!({})).with("Authorization", &bearer(token))
}

/// The status that a token gets.
pub(super) async fn status_of(
    router: &Router,
    token: &str,
) -> u16 {
    send_to(router.clone(), ping(token)).await.status.as_u16()
}

/// The parameters of a Bearer challenge.
pub(super) fn challenge(answer: &Answer) -> BTreeMap<String, String> {
    let header = answer.header("www-authenticate");
    let parameters = header.strip_prefix("Bearer ").unwrap_or_default();
    let pairs = parameters.strip_suffix('"').unwrap_or_default().split("\", ");
    pairs
        .filter_map(|pair| pair.split_once("=\""))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Checks everything about a refusal: status, body and challenge, and that they say the same.
/// `error` is empty where there were no credentials. Returns the description.
pub(super) fn assert_refused(
    case: impl Display,
    answer: &Answer,
    status: u16,
    error: &str,
) -> String {
    assert_eq!(answer.status.as_u16(), status, "{case}");
    let challenges = answer.headers.get_all("www-authenticate");
    assert_eq!(challenges.iter().count(), 1, "{case}");
    let body = answer.json();
    assert_eq!(body.as_object().map(|members| members.len()), Some(2));
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(!description.is_empty(), "{case}");
    let mut expected = BTreeMap::from([("realm", "mcp")]);
    if !error.is_empty() {
        assert_eq!(body["error"], error, "{case}");
        expected.insert("error", error);
        expected.insert("error_description", description);
    }
    if status == 401 {
        expected.insert("resource_metadata", METADATA_URL);
        expected.insert("scope", BASIC_SCOPES);
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let expected = expected.into_iter().map(owned).collect();
    assert_eq!(challenge(answer), expected, "{case}");
    description.to_owned()
}

pub(super) const METADATA_URL: &str =
    "http://localhost:9000/.well-known/oauth-protected-resource/mcp";
pub(super) const BASIC_SCOPES: &str = "mcp:read mcp:tools mcp:prompts";
