//! No code: this crate only asks for features, in its Cargo.toml.
//!
//! Cargo chooses the features of a dependency by what is built together. So after a build of the workspace, `cargo run
//! -p step1` would compile hyper, tokio and axum once more, with those few features fewer that only the HTTP client of a
//! later step asks for. Every member depends on this crate, so all of them ask for the same.
//!
//! A test in `tools/checks` compares what each member gets with what the workspace gets, and names what to add here.
//! Whoever copies a step leaves this dependency out, and misses nothing.
