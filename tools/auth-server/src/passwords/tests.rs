//! Memory that is used again, and checks that cost the same for everybody.

use std::sync::Arc;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_checks_uses_as_many_pieces_of_memory_as_there_are_slots() {
    let checker = Arc::new(Checker::new(2));
    let right = hash("sesame").unwrap();
    let mut checks = Vec::new();
    for at in 0..40 {
        let (checker, right) = (checker.clone(), right.clone());
        let password = if at == 7 { "sesame" } else { "wrong" };
        checks.push(tokio::spawn(async move {
            checker.matches(&right, password).await
        }));
    }
    let mut matches = 0;
    for check in checks {
        matches += usize::from(check.await.unwrap());
    }
    assert_eq!(matches, 1);
    let pieces = checker.memory.0.lock().unwrap();
    assert!((1..=2).contains(&pieces.len()), "{}", pieces.len());
    assert!(pieces.iter().all(|blocks| blocks.len() == 8));
}

#[tokio::test]
async fn hashes_of_all_sizes_share_the_memory() {
    let checker = Checker::new(1);
    let small = hash("sesame").unwrap();
    let params = Params::new(64, 2, 2, None).unwrap();
    let large = Argon2::new(Algorithm::Argon2i, Version::V0x13, params);
    let large = hash_with(&large, "sesame").unwrap();
    for hash in [&small, &large, &small, &large] {
        assert!(checker.matches(hash, "sesame").await, "{hash}");
        assert!(!checker.matches(hash, "other").await, "{hash}");
    }
    assert!(!checker.matches("$argon2id$v=19$m=8,t=1,p=1", "").await);
}

#[test]
fn an_unknown_user_costs_as_much_as_the_most_expensive_known_one() {
    let params = Params::new(64, 3, 1, None).unwrap();
    let slow = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashes = [hash("a").unwrap(), hash_with(&slow, "b").unwrap()];
    let decoy = decoy(hashes.iter().map(String::as_str)).unwrap();
    assert!(decoy.starts_with("$argon2id$v=19$m=64,t=3,p=1$"), "{decoy}");
}

#[test]
fn only_a_complete_argon2_hash_is_one() {
    let good = hash("x").unwrap();
    assert!(is_hash(&good));
    let without_output = good.rsplit_once('$').unwrap().0;
    for text in [
        "",
        "x",
        "$2b$12$abcdefghijklmnopqrstuv",
        without_output,
        "$argon2id$v=99$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert!(!is_hash(text), "{text}");
    }
}
