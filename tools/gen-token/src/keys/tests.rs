//! The pair on disk and its names. One key is made for all tests that only need "a key".

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use clap::ValueEnum;
use jsonwebtoken::DecodingKey;

use super::*;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());
static OTHER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

/// The key of RFC 7638 section 3.1 and the thumbprint printed there.
const RFC_7638_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const RFC_7638_KID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_kid_is_the_rfc_7638_thumbprint() {
    let jwk: Jwk = serde_json::from_value(serde_json::json!({
        "kty": "RSA", "e": "AQAB", "n": RFC_7638_N,
    }))
    .unwrap();
    assert_eq!(
        jwk.thumbprint(ThumbprintHash::SHA256).unwrap(),
        RFC_7638_KID
    );
    assert_eq!(
        KEY.kid(),
        KEY.public_jwk().thumbprint(ThumbprintHash::SHA256).unwrap()
    );
}

#[test]
fn the_jwk_has_exactly_the_public_members() {
    let jwk = serde_json::to_value(KEY.public_jwk()).unwrap();
    let members: BTreeSet<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        BTreeSet::from(["alg", "e", "kid", "kty", "n", "use"])
    );
    assert_eq!(jwk["kty"], "RSA");
    assert_eq!(jwk["use"], "sig");
    assert_eq!(jwk["alg"], "RS256");
    assert_eq!(jwk["kid"], KEY.kid());
    assert_eq!(jwk["e"], "AQAB");
}

#[test]
fn both_halves_come_back_from_the_private_pem() {
    let again = KeyPair::from_private_pem(KEY.private_pem()).unwrap();
    assert_eq!(again.kid(), KEY.kid());
    assert_eq!(again.public_pem(), KEY.public_pem());
    assert!(KEY.private_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(KEY.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
}

#[test]
fn what_the_pair_signs_its_public_pem_verifies() {
    let algorithm = jsonwebtoken::Algorithm::RS256;
    let signature = jsonwebtoken::crypto::sign(b"message", KEY.encoding_key(), algorithm).unwrap();
    let verified = |pair: &KeyPair| {
        let key = DecodingKey::from_rsa_pem(pair.public_pem().as_bytes()).unwrap();
        jsonwebtoken::crypto::verify(&signature, b"message", &key, algorithm).unwrap()
    };
    assert!(verified(&KEY));
    assert!(!verified(&OTHER));
}

#[test]
fn debug_shows_no_key_material() {
    assert_eq!(
        format!("{:?}", *KEY),
        format!("KeyPair {{ kid: {:?}, .. }}", KEY.kid())
    );
}

#[test]
fn what_is_not_a_private_key_is_refused_with_the_way_out() {
    for pem in ["", "hello", KEY.public_pem()] {
        let error = KeyPair::from_private_pem(pem).unwrap_err();
        assert!(error.to_string().contains("openssl pkcs8"), "{error}");
    }
}

#[test]
fn a_key_of_every_kind_comes_back_from_its_private_pem() {
    for algorithm in Algorithm::value_variants() {
        let pair = KeyPair::generate_for(*algorithm).unwrap();
        let again = KeyPair::from_private_pem(pair.private_pem()).unwrap();
        assert_eq!(again.algorithm().kind(), algorithm.kind());
        assert_eq!(again.private_pem(), pair.private_pem(), "{algorithm}");
        assert_eq!(again.public_pem(), pair.public_pem(), "{algorithm}");
        assert_eq!(again.kid(), pair.kid(), "{algorithm}");
    }
}

#[test]
fn an_rsa_key_is_for_rs256_and_on_demand_for_ps256() {
    let dir = dir();
    KEY.store(dir.path(), false).unwrap();
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        let pair = KeyPair::load_for(algorithm, dir.path()).unwrap().unwrap();
        assert_eq!(pair.algorithm(), algorithm);
        assert_eq!(pair.kid(), KEY.kid());
        let jwk = serde_json::to_value(pair.public_jwk()).unwrap();
        assert_eq!(jwk["alg"], algorithm.to_string());
    }
}

#[test]
fn a_key_of_another_kind_is_refused_and_kept() {
    let dir = dir();
    let pair = KeyPair::generate_for(Algorithm::Es256).unwrap();
    pair.store(dir.path(), false).unwrap();
    for algorithm in [Algorithm::Rs256, Algorithm::Es384, Algorithm::EdDsa] {
        let error = KeyPair::load_or_create_for(algorithm, dir.path()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("an EC key on P-256, for ES256"), "{error}");
        assert!(error.contains(&algorithm.kind().to_string()), "{error}");
    }
    KeyPair::load(dir.path()).unwrap_err();
    let kept = fs::read_to_string(dir.path().join(PRIVATE_FILE)).unwrap();
    assert_eq!(kept, pair.private_pem());
}

/// Made by `openssl genpkey` for this test alone: 1024 bits, which no library here makes any more.
const SMALL: &str = "\
-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBALm/MF2gf+Tvwsjj
SjjpnjxSSeLKqxSUVd8Gm4xVsR8FoLQT92+bhq8iFVbuSDMsm4SI0fGA/rpMwJq3
MGOkD1DRrj4AG3cg8ag0oDcMJOsHccn7zT+Z+LZGoV2SeCwcoZTK95F0toID4nx0
wVRxIXDOTWWbMmFar0FkfUnWS5uJAgMBAAECgYAXSH7wjYjakq9Q7STFo4shNpNq
aUsupjVpYnOnEKrGH7d4OzR9+fnVBCm2nuHQAFxyLZBbfHbxtWNDQYlARDVjDj9e
pYP3eIZQXn8PSTPZAA8ISHyzHgLHEuU/Rj0YIG9OISaglz+NSnwJqiYSRn5ZhgU3
mfLFs4X4SUBQok3pzQJBAOvX93dQ5b6u0b/sbI2XAUkomMI3eSxhTaym3Q3qR7YV
RqkORR1L+8wve9gHQTAhFL2EFQMHkYErRTsBeSrzlZ8CQQDJnycAX7ZLzLQ21NR9
RcP6LeIeSYhkfsme3GzG20nZZkzvH79FzgpgaxsYM3ChXhiOWSQ+uB0Xofgim/J+
FC3XAkB4eZw6YSLbY2ZWSimxsn+/pXNTUw8dMp+BIMQvRYxYYUn1NgrsSlJYHbF/
y0TrlxqHLR+mqokTmM0GtVv2KvQ1AkEAm0QBv+r1MrhIi/UoUfR48F+HQ3WzIFj3
IWx0JEtZOp7qXjefj70VBp1UtzVd5hbVaEHDhL06QinMMbLQckFN7wJAR9j/GXx4
pWhZ46AS6S7RD7W1yE9VWfqxbTZfOqE4/O9fj1c7w/3b4GMQdGujZEmbSSjuUDBO
0SQCylDhgSBTtw==
-----END PRIVATE KEY-----
";

#[test]
fn a_key_under_2048_bits_is_refused() {
    let error = KeyPair::from_private_pem(SMALL).unwrap_err();
    assert!(
        error.to_string().contains("fewer than 2048 bits"),
        "{error}"
    );
}

#[test]
fn an_empty_or_absent_directory_holds_no_pair() {
    let dir = dir();
    assert!(KeyPair::load(dir.path()).unwrap().is_none());
    assert!(KeyPair::load(&dir.path().join("absent")).unwrap().is_none());
}

#[test]
fn a_stored_pair_is_loaded_and_not_made_again() {
    let dir = dir();
    KEY.store(dir.path(), false).unwrap();
    let (pair, created) = KeyPair::load_or_create(dir.path()).unwrap();
    assert_eq!(pair.kid(), KEY.kid());
    assert!(!created);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_private_key() {
    let dir = dir();
    let keys = dir.path().join("keys");
    KEY.store(&keys, false).unwrap();
    assert_eq!(mode(&keys), 0o700);
    assert_eq!(mode(&keys.join(PRIVATE_FILE)), 0o600);
    assert_eq!(
        mode(&keys.join(PUBLIC_FILE)) & 0o133,
        0,
        "public.pem is 0644, less the umask"
    );
}

#[test]
fn no_temporary_file_is_left_behind() {
    let dir = dir();
    KEY.store(dir.path(), false).unwrap();
    KEY.store(dir.path(), false).unwrap_err();
    let names: BTreeSet<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from([PRIVATE_FILE.into(), PUBLIC_FILE.into()])
    );
}

#[test]
fn store_overwrites_only_when_asked() {
    let dir = dir();
    KEY.store(dir.path(), false).unwrap();
    OTHER.store(dir.path(), false).unwrap_err();
    assert_eq!(KeyPair::load(dir.path()).unwrap().unwrap().kid(), KEY.kid());
    OTHER.store(dir.path(), true).unwrap();
    assert_eq!(
        KeyPair::load(dir.path()).unwrap().unwrap().kid(),
        OTHER.kid()
    );
}

#[test]
fn a_lone_public_key_is_never_overwritten_by_accident() {
    let dir = dir();
    fs::write(dir.path().join(PUBLIC_FILE), KEY.public_pem()).unwrap();
    OTHER.store(dir.path(), false).unwrap_err();
    assert!(!dir.path().join(PRIVATE_FILE).exists());
    let error = KeyPair::load_or_create(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("move public.pem away"),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(dir.path().join(PUBLIC_FILE)).unwrap(),
        KEY.public_pem()
    );
}

#[test]
fn a_lone_private_key_gets_its_public_half_back() {
    let dir = dir();
    fs::write(dir.path().join(PRIVATE_FILE), KEY.private_pem()).unwrap();
    assert_eq!(KeyPair::load(dir.path()).unwrap().unwrap().kid(), KEY.kid());
    assert_eq!(
        fs::read_to_string(dir.path().join(PUBLIC_FILE)).unwrap(),
        KEY.public_pem()
    );
}

#[test]
fn two_files_of_different_pairs_are_refused() {
    for public in [OTHER.public_pem(), "not a key"] {
        let dir = dir();
        fs::write(dir.path().join(PRIVATE_FILE), KEY.private_pem()).unwrap();
        fs::write(dir.path().join(PUBLIC_FILE), public).unwrap();
        let error = KeyPair::load(dir.path()).unwrap_err();
        assert!(error.to_string().contains("delete public.pem"), "{error}");
    }
}

#[test]
fn the_public_files_own_bytes_are_kept() {
    let dir = dir();
    let crlf = KEY.public_pem().replace('\n', "\r\n");
    fs::write(dir.path().join(PRIVATE_FILE), KEY.private_pem()).unwrap();
    fs::write(dir.path().join(PUBLIC_FILE), &crlf).unwrap();
    assert_eq!(
        KeyPair::load(dir.path()).unwrap().unwrap().public_pem(),
        crlf
    );
}

#[test]
fn a_private_key_replaced_meanwhile_gets_its_own_public_half() {
    let dir = dir();
    KEY.store(dir.path(), false).unwrap();
    let mut writes = 0;
    let pair = publish_by(dir.path(), |pem| {
        writes += 1;
        if writes == 1 {
            fs::write(dir.path().join(PRIVATE_FILE), OTHER.private_pem()).unwrap();
        }
        replace(dir.path(), PUBLIC_FILE, pem, 0o644, true)
    })
    .unwrap();
    assert_eq!(pair.kid(), OTHER.kid());
    assert!(matches!(look(dir.path()).unwrap(), Found::Pair(_)));
}

#[test]
fn two_files_that_contradict_each_other_for_a_moment_are_no_error() {
    for moment in [|| Found::Mismatch, || Found::PublicOnly] {
        let mut looks = 0;
        let found = settled(|| {
            looks += 1;
            Ok(if looks == 1 { moment() } else { Found::Nothing })
        });
        assert!(matches!(found.unwrap(), Found::Nothing));
    }
}
