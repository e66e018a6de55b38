//! Keys for the tests, made anew for each run.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
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
