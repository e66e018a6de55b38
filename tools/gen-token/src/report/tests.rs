//! The few pieces of text that others paste or rely on.

use super::*;

#[test]
fn words_are_quoted_for_a_shell() {
    assert_eq!(
        quoted("http://localhost:9000/mcp"),
        "http://localhost:9000/mcp"
    );
    assert_eq!(quoted(""), "''");
    assert_eq!(quoted("a b"), "'a b'");
    assert_eq!(quoted("$(id)"), "'$(id)'");
    assert_eq!(quoted("it's"), r"'it'\''s'");
}

#[test]
fn the_expiry_is_in_utc() {
    assert_eq!(expiry(Some(1_767_225_600)), "2026-01-01T00:00:00Z");
    assert_eq!(expiry(None), "never");
    assert_eq!(expiry(Some(u64::MAX)), u64::MAX.to_string());
}
