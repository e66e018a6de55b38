//! Makes keys and access tokens.

fn main() {}
