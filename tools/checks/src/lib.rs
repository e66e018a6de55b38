//! Tests that need more than one member of this workspace.
//!
//! Unit tests drive the router of one step from the inside. Here the real binaries run, and others
//! look at them: the official SDK as a client, a JSON Schema validator, a client that believes
//! every URL it is told. And the rules that all members share are checked, where no compiler looks.
//!
//! `cargo test` does not build the binaries of other packages, so build them first:
//!
//! ```sh
//! cargo build --workspace --bins && cargo test -p checks
//! ```

#[cfg(test)]
mod arguments;
#[cfg(test)]
mod exchanges;
#[cfg(test)]
mod features;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod root;
#[cfg(test)]
mod sabotage;
#[cfg(test)]
mod sdk;
#[cfg(test)]
mod server;
#[cfg(test)]
mod threats;
#[cfg(test)]
mod workspace;
