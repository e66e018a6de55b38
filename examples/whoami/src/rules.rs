//! The policy of this server: what an adopter changes. How it is enforced is written elsewhere.

/// The scopes to begin with. Clients ask for exactly these, and many never ask for more later.
pub(crate) const BASIC_SCOPES: [&str; 3] = ["mcp:read", "mcp:tools", "mcp:prompts"];
