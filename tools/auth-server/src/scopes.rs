//! The scopes that exist, in the user's words, and which of them a role can lend to a client.
//!
//! A scope is what a user lends to one client; a role is what the user may do at all. So what is
//! granted is never more than the role permits. Both tables are data, in one place.

use std::collections::BTreeSet;

/// What a token lets its bearer do. Order is that of the table below.
pub(crate) type Scopes = BTreeSet<&'static str>;

/// Given when a client asks for nothing: what every MCP server here needs for its daily work.
pub(crate) const BASIC: &[&str] = &["mcp:read", "mcp:tools", "mcp:prompts"];

/// Identity scopes (OpenID Connect) and `offline_access`: about the login, not about the server,
/// so every role may lend them.
const IDENTITY: &[&str] = &["openid", "profile", "offline_access"];

/// Each scope with the sentence the consent page shows for it.
pub(crate) const ALL: &[(&str, &str)] = &[
    ("mcp:read", "List tools and prompts"),
    ("mcp:tools", "Use tools on your behalf"),
    ("mcp:prompts", "Use prompts on your behalf"),
    ("mcp:audit", "Read the audit log of all users"),
    ("openid", "Know your user name"),
    ("profile", "See your display name"),
    ("offline_access", "Stay connected while you are away"),
];

/// What each role can lend, identity scopes aside.
const PERMITTED: &[(&str, &[&str])] = &[
    (
        "admin",
        &["mcp:read", "mcp:tools", "mcp:prompts", "mcp:audit"],
    ),
    ("user", &["mcp:read", "mcp:tools", "mcp:prompts"]),
    ("guest", &["mcp:read", "mcp:prompts"]),
];

/// The scopes of a space-delimited list that exist here. Unknown ones are dropped, not refused:
/// clients ask for whatever some document listed (`email`, `openid profile`).
pub(crate) fn known(list: &str) -> Scopes {
    ALL.iter()
        .map(|(name, _)| *name)
        .filter(|name| list.split(' ').any(|asked| asked == *name))
        .collect()
}

/// Everything that the roles can lend: the union over all of them; no known role is a guest.
pub(crate) fn permitted(roles: &[String]) -> Scopes {
    let of = |role: &str| PERMITTED.iter().find(|(name, _)| *name == role);
    let known: Vec<_> = roles.iter().filter_map(|role| of(role)).collect();
    let rows = if known.is_empty() {
        of("guest").into_iter().collect()
    } else {
        known
    };
    rows.into_iter()
        .flat_map(|(_, scopes)| *scopes)
        .chain(IDENTITY)
        .copied()
        .collect()
}

/// What a request for `asked` may give a user with these roles. Nothing asked for (or nothing
/// that exists) means the basic scopes. Empty when the role permits none of it.
pub(crate) fn grantable(
    asked: &str,
    roles: &[String],
) -> Scopes {
    let mut wanted = known(asked);
    if wanted.is_empty() {
        wanted = BASIC.iter().copied().collect();
    }
    &wanted & &permitted(roles)
}

/// The space-delimited form of RFC 6749 section 3.3, in the order of the table.
pub(crate) fn join(scopes: &Scopes) -> String {
    in_order(scopes).map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// Names and sentences, in the order of the table.
pub(crate) fn in_order(scopes: &Scopes) -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().copied().filter(move |(name, _)| scopes.contains(name))
}
