//! What a good token says and how each flaw shows, on one key.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::*;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

fn claims() -> Claims {
    Claims {
        iss: "http://localhost:9001".to_owned(),
        sub: "alice".to_owned(),
        aud: "http://localhost:9000/mcp".to_owned(),
        exp: Some(4600),
        iat: 1000,
        nbf: 1000,
        jti: "id".to_owned(),
        client_id: "gen-token".to_owned(),
        scope: Some("mcp:read mcp:tools".to_owned()),
        roles: vec!["user".to_owned()],
        preferred_username: "alice".to_owned(),
        others: BTreeMap::new(),
    }
}

fn parts(token: &str) -> Vec<&str> {
    token.split('.').collect()
}

fn json(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn verifies(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap()
}

fn rs256_verifies(token: &str) -> bool {
    let key = DecodingKey::from_rsa_pem(KEY.public_pem().as_bytes()).unwrap();
    verifies(token, &key, Algorithm::RS256)
}

/// The members of header and claims in which a flawed token differs from a good one.
fn differences(flaw: Flaw) -> BTreeSet<String> {
    let good = sign(&KEY, claims()).unwrap().encoded;
    let bad = sign_flawed(&KEY, claims(), flaw).unwrap().encoded;
    let (good, bad) = (parts(&good), parts(&bad));
    let mut found = BTreeSet::new();
    for index in [0, 1] {
        let (good, bad) = (json(good[index]), json(bad[index]));
        let names =
            |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        found.extend(
            names(&good)
                .union(&names(&bad))
                .filter(|name| good.get(name) != bad.get(name))
                .cloned(),
        );
    }
    found
}

#[test]
fn a_good_token_verifies_and_says_what_was_asked() {
    let token = sign(&KEY, claims()).unwrap();
    assert!(rs256_verifies(&token.encoded));
    let parts = parts(&token.encoded);
    assert_eq!(json(parts[0])["typ"], "at+jwt");
    assert_eq!(json(parts[0])["alg"], "RS256");
    assert_eq!(json(parts[0])["kid"], KEY.kid());
    assert_eq!(
        serde_json::from_value::<Claims>(json(parts[1])).unwrap(),
        claims()
    );
    assert_eq!(token.claims, claims());
}

#[test]
fn absent_is_absent_and_never_null() {
    let bare = Claims {
        exp: None,
        scope: None,
        roles: Vec::new(),
        ..claims()
    };
    let token = sign(&KEY, bare).unwrap();
    let claims = json(parts(&token.encoded)[1]);
    for name in ["exp", "scope", "roles"] {
        assert_eq!(claims.get(name), None, "{name}");
    }
}

#[test]
fn each_flaw_of_content_changes_one_member_and_keeps_the_signature_right() {
    let flaws = [
        (Flaw::Expired, "exp"),
        (Flaw::NotYetValid, "nbf"),
        (Flaw::NoExpiry, "exp"),
        (Flaw::Issuer, "iss"),
        (Flaw::Audience, "aud"),
        (Flaw::Kid, "kid"),
        (Flaw::Typ, "typ"),
        (Flaw::Untyped, "typ"),
        (Flaw::Cnf, "cnf"),
    ];
    for (flaw, member) in flaws {
        assert_eq!(
            differences(flaw),
            BTreeSet::from([member.to_owned()]),
            "{flaw:?}"
        );
        assert!(
            rs256_verifies(&sign_flawed(&KEY, claims(), flaw).unwrap().encoded),
            "{flaw:?}"
        );
    }
}

#[test]
fn an_id_token_is_typed_in_header_and_payload() {
    let token = sign_flawed(&KEY, claims(), Flaw::IdToken).unwrap().encoded;
    let parts = parts(&token);
    assert_eq!(json(parts[0])["typ"], "JWT");
    assert_eq!(json(parts[1])["typ"], "ID");
    let changed = ["typ", "nonce", "at_hash"].map(str::to_owned);
    assert_eq!(differences(Flaw::IdToken), BTreeSet::from(changed));
    assert!(rs256_verifies(&token));
}

#[test]
fn a_broken_signature_changes_nothing_else_and_is_well_formed() {
    assert_eq!(differences(Flaw::Signature), BTreeSet::new());
    let token = sign_flawed(&KEY, claims(), Flaw::Signature).unwrap().encoded;
    assert_eq!(URL_SAFE_NO_PAD.decode(parts(&token)[2]).unwrap().len(), 256);
    assert!(!rs256_verifies(&token));
}

#[test]
fn alg_none_has_an_empty_signature() {
    assert_eq!(
        differences(Flaw::AlgNone),
        BTreeSet::from(["alg".to_owned()])
    );
    let token = sign_flawed(&KEY, claims(), Flaw::AlgNone).unwrap().encoded;
    assert_eq!(json(parts(&token)[0])["alg"], "none");
    assert_eq!(parts(&token)[2], "");
}

#[test]
fn hs256_is_signed_with_the_public_key_file() {
    assert_eq!(differences(Flaw::Hs256), BTreeSet::from(["alg".to_owned()]));
    let token = sign_flawed(&KEY, claims(), Flaw::Hs256).unwrap().encoded;
    let secret = DecodingKey::from_secret(KEY.public_pem().as_bytes());
    assert!(verifies(&token, &secret, Algorithm::HS256));
}

#[test]
fn the_time_flaws_miss_by_an_hour() {
    let expired = sign_flawed(&KEY, claims(), Flaw::Expired).unwrap().claims;
    assert_eq!(
        expired.exp,
        Some(0),
        "1000 less an hour, and never below zero"
    );
    let early = sign_flawed(&KEY, claims(), Flaw::NotYetValid).unwrap().claims;
    assert_eq!(early.nbf, 4600);
}

#[test]
fn every_flaw_is_explained() {
    for flaw in Flaw::value_variants() {
        assert!(!flaw.explain().is_empty(), "{flaw:?}");
    }
}

#[test]
fn a_jti_is_22_characters_and_never_the_same() {
    let (one, two) = (new_jti().unwrap(), new_jti().unwrap());
    assert_eq!(one.len(), 22);
    assert_ne!(one, two);
}
