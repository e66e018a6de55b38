//! The gate: every request that carries a credential goes through it.
//!
//! A credential is a [`secret::Secret`], and nothing outside of this folder can read one. Inside, a
//! secret is written into a request by [`sealed::Sealed`] alone, whose address is a
//! [`trusted::Trusted`] and cannot be changed. A trusted address is made by the checks alone: those
//! of [`discovery`], which `walk` tells about, or, for a token that the user gave by hand, the user's
//! own words. So a command that forgets a check has nothing to send a credential with.
//!
//! Spec: MCP 2026-07-28, basic/authorization, "Security Considerations"; OAuth 2.1 section 1.5.

pub(crate) mod discovery;
pub(crate) mod jar;
pub(crate) mod jwt;
pub(crate) mod pass;
pub(crate) mod sealed;
pub(crate) mod secret;
pub(crate) mod signing;
pub(crate) mod trusted;
