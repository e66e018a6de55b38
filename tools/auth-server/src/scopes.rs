//! The scopes that exist, in the user's words, and which of them a role can lend to a client.
//!
//! A scope is what a user lends to one client; a role is what the user may do at all. So what is
//! granted is never more than the role permits. Both tables are data, in one place.

use std::collections::BTreeSet;

use crate::users::User;

/// What a token lets its bearer do. Order is that of the table below.
pub(crate) type Scopes = BTreeSet<&'static str>;

/// Given when a client asks for nothing: what every MCP server here needs for its daily work.
pub(crate) const BASIC: &[&str] = &["mcp:read", "mcp:tools", "mcp:prompts"];

/// Identity scopes (OpenID Connect) and `offline_access`: about the login, not about the server,
/// so every role may lend them.
const IDENTITY: &[&str] = &["openid", "profile", "offline_access"];

/// What the users of an upstream provider can lend besides, whatever their role: it is theirs.
/// Given as the basic ones are.
const THEIR_OWN: &[(&str, &[&str])] = &[("github", &["github:profile"])];

/// Each scope with the sentence the consent page shows for it.
pub(crate) const ALL: &[(&str, &str)] = &[
    ("mcp:read", "List tools and prompts"),
    ("mcp:tools", "Use tools on your behalf"),
    ("mcp:prompts", "Use prompts on your behalf"),
    ("mcp:audit", "Read the audit log of all users"),
    ("github:profile", "Read your GitHub profile"),
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

/// Those of the `asked` list that are not in the `granted` one, for the log; at most 200
/// characters, because a client sends what it likes.
pub(crate) fn missing(
    asked: &str,
    granted: &str,
) -> String {
    let missing: Vec<_> = asked
        .split_ascii_whitespace()
        .filter(|name| !granted.split(' ').any(|other| other == *name))
        .collect();
    missing.join(" ").chars().take(200).collect()
}

/// The names that a server has where users can sign in at that provider as well.
pub(crate) fn offered(upstream: Option<&str>) -> impl Iterator<Item = &'static str> {
    let foreign = THEIR_OWN
        .iter()
        .filter(move |(name, _)| upstream != Some(name))
        .flat_map(|(_, scopes)| *scopes);
    let foreign: Scopes = foreign.copied().collect();
    ALL.iter().map(|(name, _)| *name).filter(move |name| !foreign.contains(name))
}

/// What a user of that provider has beyond the role.
fn their_own(upstream: Option<&str>) -> &'static [&'static str] {
    let row = THEIR_OWN.iter().find(|(name, _)| upstream == Some(name));
    row.map_or(&[], |(_, scopes)| scopes)
}

/// Whether there is such a role.
pub(crate) fn is_role(role: &str) -> bool {
    PERMITTED.iter().any(|(name, _)| *name == role)
}

/// What these roles permit, apart from what is about a login: nobody logs in to a machine.
pub(crate) fn of_roles(roles: &[String]) -> Scopes {
    let identity: Scopes = IDENTITY.iter().copied().collect();
    &by_role(roles).collect::<Scopes>() - &identity
}

/// Everything that the user can lend: the union over all roles, where no known role is a guest,
/// and what comes with the upstream provider.
pub(crate) fn permitted(user: &User) -> Scopes {
    let upstream = their_own(user.upstream.as_deref());
    by_role(&user.roles).chain(upstream.iter().copied()).collect()
}

fn by_role(roles: &[String]) -> impl Iterator<Item = &'static str> {
    let of = |role: &str| PERMITTED.iter().find(|(name, _)| *name == role);
    let known: Vec<_> = roles.iter().filter_map(|role| of(role)).collect();
    let rows = if known.is_empty() {
        of("guest").into_iter().collect()
    } else {
        known
    };
    rows.into_iter().flat_map(|(_, scopes)| *scopes).chain(IDENTITY).copied()
}

/// What a request for `asked` may give this user. Nothing asked for means the basic scopes. Empty
/// when the role permits none of it.
pub(crate) fn grantable(
    asked: &str,
    user: &User,
) -> Scopes {
    let wanted = if asked.is_empty() {
        let upstream = their_own(user.upstream.as_deref());
        BASIC.iter().chain(upstream).copied().collect()
    } else {
        known(asked)
    };
    &wanted & &permitted(user)
}

/// The space-delimited form of RFC 6749 section 3.3, in the order of the table.
pub(crate) fn join(scopes: &Scopes) -> String {
    in_order(scopes).map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// Names and sentences, in the order of the table.
pub(crate) fn in_order(scopes: &Scopes) -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().copied().filter(move |(name, _)| scopes.contains(name))
}
