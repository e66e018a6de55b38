//! The policy of this server: what an adopter changes. How it is enforced is written elsewhere.

/// The scopes to begin with. Clients ask for exactly these, and many never ask for more later.
pub(crate) const BASIC_SCOPES: [&str; 4] =
    ["mcp:read", "mcp:tools", "mcp:prompts", "github:profile"];

const ANYBODY: &[&str] = &["admin", "user", "guest"];
const MEMBERS: &[&str] = &["admin", "user"];

/// One row of the table: what a call is, and what it needs.
pub(crate) struct Rule {
    pub(crate) method: &'static str,
    /// The tool or prompt; empty where the method has none.
    pub(crate) name: &'static str,
    /// One of these must be in the token; none is needed where the list is empty.
    pub(crate) scopes: &'static [&'static str],
    /// One of these the user must have.
    pub(crate) roles: &'static [&'static str],
}

/// Who may do what. What is not in this table does not exist for anybody.
#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    Rule { method: "server/discover", name: "",                 scopes: &[],                                          roles: ANYBODY },
    Rule { method: "initialize",      name: "",                 scopes: &[],                                          roles: ANYBODY },
    Rule { method: "ping",            name: "",                 scopes: &[],                                          roles: ANYBODY },
    Rule { method: "tools/list",      name: "",                 scopes: &["mcp:read", "mcp:tools", "github:profile"], roles: ANYBODY },
    Rule { method: "prompts/list",    name: "",                 scopes: &["mcp:read", "mcp:prompts"],                 roles: ANYBODY },
    Rule { method: "prompts/get",     name: "greeting",         scopes: &["mcp:read", "mcp:prompts"],                 roles: ANYBODY },
    Rule { method: "prompts/get",     name: "help",             scopes: &["mcp:read", "mcp:prompts"],                 roles: ANYBODY },
    Rule { method: "tools/call",      name: "get_user_profile", scopes: &["github:profile"],                          roles: MEMBERS },
];
