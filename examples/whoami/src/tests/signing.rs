//! The key that tokens are signed with is published, read from a file that may come, change and go.

use std::path::Path;
use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;

use super::*;

async fn key_set(router: &Router) -> Answer {
    send_to(router.clone(), get("/.well-known/jwks.json")).await
}

#[tokio::test]
async fn the_public_key_is_published_as_a_set_of_one() {
    let answer = key_set(&router()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    // The whole document: nothing of the private key, and nothing else, is in it.
    assert_eq!(answer.json(), json!({"keys": [jwk(&KEY)]}));
}

#[tokio::test]
async fn the_key_may_be_in_its_older_pem_form() {
    let file = absent_file();
    std::fs::write(&file, pem("RSA PUBLIC KEY", KEY.public_key().as_ref())).unwrap();
    let router = serving(with_key_file(file));
    assert_eq!(key_set(&router).await.json()["keys"], json!([jwk(&KEY)]));
}

#[tokio::test]
async fn a_server_without_a_key_runs_and_names_the_command_that_makes_one() {
    assert_eq!(start_keys(with_key_file(absent_file())).await, Ok(()));
    let router = serving(with_key_file(absent_file()));
    let answer = key_set(&router).await;
    assert_no_key(&answer);
    let advice = answer.json()["error_description"].to_string();
    assert!(advice.contains("cargo run -p gen-token"), "{advice}");
    let health = send_to(router, get("/health")).await;
    assert_eq!(health.status, StatusCode::OK);
}

/// A public key for ES256, in DER form.
static ELLIPTIC_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    der.as_ref().to_vec()
});

/// What may lie at the path of the public key by mistake.
fn not_public_keys() -> Vec<(&'static str, String)> {
    let private: Pkcs8V1Der<'_> = KEY.as_der().unwrap();
    let private = private.as_ref();
    // PKCS #8 wraps the older form with a header of this length.
    let older = &private[26..];
    let public = public_pem(&KEY);
    let both = [pem("PRIVATE KEY", private), public.clone()].concat();
    let older_both = [pem("RSA PRIVATE KEY", older), public.clone()].concat();
    vec![
        ("empty", String::new()),
        ("a word", "secret".to_owned()),
        ("cut off", public[..public.len() / 2].to_owned()),
        ("no Base64", public.replace('M', "%")),
        ("no key in it", pem("PUBLIC KEY", b"secret")),
        ("no PEM", public.replace("PUBLIC KEY", "PUBLIC")),
        ("a private key", pem("PRIVATE KEY", private)),
        ("an older private key", pem("RSA PRIVATE KEY", older)),
        ("a private key called public", pem("PUBLIC KEY", private)),
        ("an older one", pem("RSA PUBLIC KEY", older)),
        ("a private key first", both),
        ("an older private key first", older_both),
        ("an elliptic one", pem("PUBLIC KEY", &ELLIPTIC_KEY)),
    ]
}

#[tokio::test]
async fn a_file_that_holds_no_public_key_is_refused_at_the_start_and_never_published() {
    assert_eq!(start_keys(with_key_file(key_file())).await, Ok(()));
    for (case, content) in not_public_keys() {
        let file = absent_file();
        std::fs::write(&file, content).unwrap();
        let refused = start_keys(with_key_file(file.clone())).await;
        let reason = refused.expect_err(case);
        let path = file.display().to_string();
        assert!(reason.starts_with(&path), "{case}: {reason}");
        let answer = key_set(&serving(with_key_file(file))).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{case}");
        assert_no_key(&answer);
    }
    let folder = key_file().parent().unwrap().to_owned();
    assert_no_key(&key_set(&serving(with_key_file(folder))).await);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_made_or_replaced_later_is_picked_up_within_a_second() {
    let file = absent_file();
    let router = serving(with_key_file(file.clone()));
    assert_no_key(&key_set(&router).await);
    for key in [&KEY, &OTHER_KEY] {
        std::fs::write(&file, public_pem(key)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(key_set(&router).await.json()["keys"], json!([jwk(key)]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_reads_the_file_once_a_second() {
    let file = key_file();
    let with_key = serving(with_key_file(file.clone()));
    let without_key = serving(with_key_file(absent_file()));
    let published = json!([jwk(&KEY)]);
    assert_eq!(key_set(&with_key).await.json()["keys"], published);
    assert_no_key(&key_set(&without_key).await);
    std::fs::write(&file, public_pem(&OTHER_KEY)).unwrap();
    std::fs::write(absent_file(), public_pem(&OTHER_KEY)).unwrap();
    tokio::time::advance(Duration::from_millis(999)).await;
    // The files have changed, so whoever reads them would know.
    for _ in 0..100 {
        assert_eq!(key_set(&with_key).await.json()["keys"], published);
        assert_no_key(&key_set(&without_key).await);
    }
}

type Spoil = fn(&Path);

/// What an operator may do to a key file, to stop a stolen key or by mistake.
const SPOILT: [(&str, Spoil); 4] = [
    ("gone", |file| std::fs::remove_file(file).unwrap()),
    ("empty", |file| std::fs::write(file, "").unwrap()),
    ("cut off", |file| std::fs::write(file, "half a ke").unwrap()),
    ("unreadable", |file| {
        std::fs::remove_file(file).unwrap();
        std::fs::create_dir(file).unwrap();
    }),
];

#[tokio::test(start_paused = true)]
async fn a_key_whose_file_is_gone_or_spoilt_is_obeyed_within_a_second() {
    let published = json!([jwk(&KEY)]);
    for (case, spoil) in SPOILT {
        let file = key_file();
        let router = serving(with_key_file(file.clone()));
        assert_eq!(key_set(&router).await.json()["keys"], published);
        spoil(&file);
        tokio::time::advance(Duration::from_secs(1)).await;
        Log::clear();
        assert_no_key(&key_set(&router).await);
        // The path is for the operator alone.
        let path = file.display().to_string();
        let names_it = |line: &String| line.contains(" WARN ") && line.contains(&path);
        assert!(Log::lines().iter().any(names_it), "{case}");
        let _ = std::fs::remove_dir(&file);
        assert_eq!(key_file(), file);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(key_set(&router).await.json()["keys"], published, "{case}");
    }
}
