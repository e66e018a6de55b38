//! The drawer itself, on small made-up crates.

use std::fs;

use tempfile::TempDir;

use super::Graph;

/// A package with these files, as (path below `src`, content).
fn package(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, content) in files {
        let path = folder.path().join("src").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn draw(files: &[(&str, &str)]) -> Graph {
    Graph::of_package(package(files).path())
}

/// What `a` uses if it says this, beside its neighbours `b`, `c` and `d`.
fn uses_of(a: &str) -> Vec<String> {
    let graph = draw(&[
        ("main.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", a),
        ("b.rs", ""),
        ("c.rs", ""),
        ("d.rs", ""),
    ]);
    graph.uses["a"].iter().cloned().collect()
}

/// The circle among `a`, `b` and `c`.
fn circle_of(
    a: &str,
    b: &str,
    c: &str,
) -> Option<String> {
    let graph = draw(&[
        ("main.rs", "mod a; mod b; mod c;"),
        ("a.rs", a),
        ("b.rs", b),
        ("c.rs", c),
    ]);
    graph.circle()
}

#[test]
fn a_circle_of_two_is_named() {
    let circle = circle_of("use crate::b::B;", "use crate::a::A;", "");
    assert_eq!(circle.as_deref(), Some("a -> b -> a"));
}

#[test]
fn a_circle_of_three_is_named_in_order() {
    let circle = circle_of("use crate::c::C;", "use crate::a::A;", "use crate::b::B;");
    assert_eq!(circle.as_deref(), Some("a -> c -> b -> a"));
}

#[test]
fn the_shortest_circle_is_named() {
    let circle = circle_of(
        "use crate::b::B;",
        "use crate::c::C;",
        "use crate::a::A; use crate::b::B;",
    );
    assert_eq!(circle.as_deref(), Some("b -> c -> b"));
}

#[test]
fn without_a_circle_there_is_none() {
    let circle = circle_of("use crate::b::B; use crate::c::C;", "use crate::c::C;", "");
    assert_eq!(circle, None);
}

#[test]
fn who_uses_the_root_closes_a_circle() {
    let circle = circle_of("", "fn f() { crate::start(); }", "");
    assert_eq!(circle.as_deref(), Some("b -> main -> b"));
}

#[test]
fn use_is_read_in_all_its_forms() {
    assert_eq!(uses_of("use crate::b::B;"), ["b"]);
    assert_eq!(uses_of("use crate::b;"), ["b"]);
    assert_eq!(uses_of("use crate::b::*;"), ["b"]);
    assert_eq!(uses_of("use crate::b as other;"), ["b"]);
    assert_eq!(uses_of("pub(crate) use crate::b::B as C;"), ["b"]);
    assert_eq!(uses_of("use crate::{b::{self, x::{Y, Z}}, c};"), ["b", "c"]);
    assert_eq!(uses_of("fn f() { use crate::d::D; }"), ["d"]);
}

#[test]
fn super_and_self_are_read() {
    assert_eq!(uses_of("use super::b::B;"), ["b"]);
    assert_eq!(uses_of("fn f() { self::super::b::go() }"), ["b"]);
    assert_eq!(uses_of("use super::*;"), ["main"]);
    assert_eq!(
        uses_of("mod inner { use super::here; use super::super::b; }"),
        ["b"]
    );
}

#[test]
fn inline_paths_are_read() {
    assert_eq!(
        uses_of("fn f(b: crate::b::B) -> crate::c::C {}"),
        ["b", "c"]
    );
    assert_eq!(
        uses_of("fn f() { crate::b::go::<crate::c::C>() }"),
        ["b", "c"]
    );
    assert_eq!(uses_of("impl crate::b::T for X {}"), ["b"]);
    assert_eq!(uses_of("#[derive(crate::b::D)] struct X;"), ["b"]);
    assert_eq!(uses_of("fn f() { let crate::b::B { .. } = x; }"), ["b"]);
}

#[test]
fn the_tokens_of_a_macro_are_read() {
    assert_eq!(
        uses_of("fn f() { vec![crate::b::B, (crate::c::C)]; }"),
        ["b", "c"]
    );
    assert_eq!(uses_of("fn f() { crate::b::shout!(1); }"), ["b"]);
    assert_eq!(uses_of("make! { use crate::{b::B, c}; }"), ["b", "c"]);
    assert_eq!(
        uses_of("make! { pub(crate) struct X; }"),
        Vec::<String>::new()
    );
    assert_eq!(
        uses_of("macro_rules! m { () => { $crate::b::go() } }"),
        ["b"]
    );
}

#[test]
fn mere_mentions_are_no_uses() {
    let mentions = "
        //! See [`crate::b`].
        // crate::b::go()
        /* use crate::b; */
        /// Like `crate::c::C`.
        pub(in crate::b) struct X;
        pub(crate) struct Y;
        const TEXT: &str = \"crate::d::D\";
        fn f(b: u8) { b; other::b::go(); ::b::go(); println!(\"crate::b\"); }
        use serde::b as c;
    ";
    assert_eq!(uses_of(mentions), Vec::<String>::new());
}

#[test]
fn what_only_tests_see_is_left_out() {
    let for_tests = "
        #[cfg(test)] mod tests { use crate::b::B; }
        #[cfg(test)] mod elsewhere;
        #[cfg(all(unix, test))] use crate::b::B;
        #[test] fn f() { crate::b::go() }
        impl X { #[cfg(test)] fn f() { crate::b::go() } }
    ";
    assert_eq!(uses_of(for_tests), Vec::<String>::new());
    assert_eq!(uses_of("#[cfg(not(test))] use crate::b::B;"), ["b"]);
    assert_eq!(uses_of("#[cfg(any(unix, test))] use crate::b::B;"), ["b"]);
}

#[test]
fn a_file_may_declare_others() {
    let graph = draw(&[
        ("main.rs", "mod store;"),
        ("store.rs", "mod keys; fn f() { keys::load() } mod codes;"),
        ("store/keys.rs", "use super::codes::Code;"),
        ("store/codes.rs", "use super::Store;"),
    ]);
    assert_eq!(
        graph.circle().as_deref(),
        Some("store -> store::keys -> store::codes -> store")
    );
    let graph = draw(&[
        ("main.rs", "mod store;"),
        ("store/mod.rs", "mod keys;"),
        ("store/keys.rs", "use super::Store;"),
    ]);
    assert_eq!(graph.circle(), None);
    assert!(graph.uses["store::keys"].contains("store"));
}

#[test]
fn the_modules_of_a_library_and_of_its_program_are_read() {
    let graph = draw(&[
        ("lib.rs", "mod a; mod b;"),
        ("main.rs", "mod c;"),
        ("a.rs", "use crate::b::B;"),
        ("b.rs", ""),
        ("c.rs", "use super::run;"),
    ]);
    assert!(graph.uses["a"].contains("b"));
    assert!(graph.uses["lib"].contains("a"));
    assert_eq!(graph.circle().as_deref(), Some("c -> main -> c"));
}

#[test]
fn a_path_attribute_leads_to_a_file_elsewhere() {
    let folder = package(&[
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "mod inner;"),
        ("inner.rs", "use crate::a::A;"),
        (
            "../guest/src/main.rs",
            "#[path = \"../../src/a.rs\"] mod a; #[path = \"../../src/b.rs\"] mod b;",
        ),
    ]);
    let graph = Graph::of_package(&folder.path().join("guest"));
    // A file that `#[path]` names has its own modules beside it.
    assert!(graph.uses["b::inner"].contains("a"));
    assert!(graph.uses["a"].contains("b"));
    assert_eq!(graph.circle(), None);
}

#[test]
fn an_inline_module_is_a_part_of_its_file() {
    let graph = draw(&[
        ("main.rs", "mod a; mod b;"),
        ("a.rs", "mod inner { pub fn f() {} }"),
        ("b.rs", "use crate::a::inner::f;"),
    ]);
    assert_eq!(graph.uses["b"].iter().collect::<Vec<_>>(), ["a"]);
    assert!(!graph.uses.contains_key("a::inner"));
    let graph = draw(&[
        ("main.rs", "mod a;"),
        ("a.rs", "mod inner { mod deep; }"),
        ("a/inner/deep.rs", "use super::super::A;"),
    ]);
    assert!(graph.uses["a::inner::deep"].contains("a"));
}

#[test]
fn an_edge_that_a_longer_way_says_is_left_out() {
    let graph = draw(&[
        ("main.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; use crate::c::C;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", ""),
    ]);
    let reduced = graph.reduced();
    assert_eq!(reduced["main"].iter().collect::<Vec<_>>(), [&"a"]);
    assert_eq!(reduced["a"].iter().collect::<Vec<_>>(), [&"b"]);
    assert_eq!(reduced["b"].iter().collect::<Vec<_>>(), [&"c"]);
}
