//! Reading `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750 section 3).
//!
//! Written for what servers really send: quoted and bare values, any order, other schemes before
//! or behind. The crate `http-auth` does it by the grammar, and one byte outside of it costs the
//! whole header: a `Negotiate` with data in front, a URL without quotes, a missing comma, a letter
//! with an accent. Clients that ignored all those servers would help nobody. Left out: more than one Bearer challenge in one answer; the first counts.

/// The parameters of a Bearer challenge, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Challenge(Vec<(String, String)>);

impl Challenge {
    /// The Bearer challenge in the value of the header; `None` where there is none.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut rest = after_scheme(header)?;
        let mut parameters = Vec::new();
        while let Some((name, value, after)) = parameter(rest) {
            parameters.push((name.to_ascii_lowercase(), value));
            rest = after;
        }
        Some(Self(parameters))
    }

    pub(crate) fn get(
        &self,
        name: &str,
    ) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The scopes it asks for.
    pub(crate) fn scopes(&self) -> Vec<String> {
        words(self.get("scope").unwrap_or_default())
    }

    /// Whether the token lacks a scope, so that a new login can help.
    pub(crate) fn wants_step_up(&self) -> bool {
        self.get("error") == Some("insufficient_scope")
    }
}

/// A space-separated list.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// What stands behind `Bearer`, as the name of a scheme and not as a part of something else.
fn after_scheme(header: &str) -> Option<&str> {
    let lower = header.to_ascii_lowercase();
    for (at, found) in lower.match_indices("bearer") {
        let before = lower[..at].trim_end();
        let after = &header[at + found.len()..];
        let quoted = before.matches('"').count() % 2 == 1;
        let starts = !quoted && (before.is_empty() || before.ends_with(','));
        if starts && (after.is_empty() || after.starts_with(' ')) {
            return Some(after);
        }
    }
    None
}

/// The next `name=value`, and what follows. Another scheme has no `=` behind its name.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', ',', '\t']);
    let (name, rest) = text.split_once('=')?;
    let name = name.trim();
    if name.is_empty() || name.contains([' ', '"', ',']) {
        return None;
    }
    let rest = rest.trim_start();
    let (value, after) = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    Some((name, value, after))
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return (value, &text[at + 1..]),
            '\\' if !escaped => escaped = true,
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_quoted_and_bare() {
        let header = r#"Basic realm="a, Bearer b", Bearer realm="m\"cp", scope="a b", error=x"#;
        let challenge = Challenge::parse(header).unwrap();
        assert_eq!(challenge.get("realm"), Some("m\"cp"));
        assert_eq!(challenge.scopes(), ["a", "b"]);
        assert_eq!(challenge.get("error"), Some("x"));
    }

    #[test]
    fn what_breaks_the_grammar_is_read_as_well() {
        for (header, name, value) in [
            ("Negotiate YII=, Bearer realm=x", "realm", "x"),
            (
                "Bearer resource_metadata=https://h/x, a=b",
                "resource_metadata",
                "https://h/x",
            ),
            (
                "Bearer error=\"e\" error_description=\"d\"",
                "error_description",
                "d",
            ),
            (
                "Bearer error_description=\"grüße\"",
                "error_description",
                "grüße",
            ),
            ("bearer realm = \"x\" , scope=\"\"", "realm", "x"),
        ] {
            let challenge = Challenge::parse(header).unwrap();
            assert_eq!(challenge.get(name), Some(value), "{header}");
        }
    }

    #[test]
    fn another_scheme_is_no_bearer_challenge() {
        assert_eq!(Challenge::parse("Basic realm=\"Bearer\""), None);
        assert_eq!(Challenge::parse(""), None);
        assert_eq!(Challenge::parse("Bearer").unwrap().get("realm"), None);
    }
}
