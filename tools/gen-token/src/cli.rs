//! The command line: flags, their defaults, and what is refused with exit status 2.
//!
//! Values are checked here, once, so that the rest of the program only meets good ones. Left out:
//! any guess about the user, such as a role taken from a name.

use std::path::PathBuf;

use clap::ArgGroup;
use clap::Parser;
use gen_token::algorithm::Algorithm;
use gen_token::token::Flaw;

/// The scopes that any client may ask for; `mcp:audit` is not among them.
pub(crate) const BASIC_SCOPES: &str = "mcp:read mcp:tools mcp:prompts";

/// OpenID Connect Core section 2 limits `sub` to 255 characters.
const LONGEST_NAME: usize = 255;

/// Ten years: longer is a slip of the keyboard, and nothing here may overflow.
const LONGEST_LIFE: u64 = 3650 * DAY;
const DAY: u64 = 24 * 60 * 60;

const EXAMPLES: &str = "\
Examples:
  A token in a shell variable (people's text goes to standard error):
    TOKEN=$(cargo run -q -p gen-token -- --username alice)

  Less than everything:
    cargo run -q -p gen-token -- --username alice --scopes mcp:read --expires-in 15m
    cargo run -q -p gen-token -- --username admin --roles admin --scopes mcp:tools,mcp:audit

  Four users at once, as $ALICE, $BOB, $ADMIN and $GUEST:
    eval \"$(cargo run -q -p gen-token -- --demo)\"

  An issuer that signs otherwise: its key set, and a token of its:
    cargo run -q -p gen-token -- --jwks --algorithm ES256 --keys-dir keys-es256 > jwks.json
    cargo run -q -p gen-token -- --username alice --algorithm ES256 --keys-dir keys-es256

  A token that every server must refuse, and what is inside it:
    cargo run -q -p gen-token -- --username alice --break audience --json

Exit status: 0 done, 1 a key or file cannot be used, 2 a flag is wrong.";

/// Prints an access token for an MCP server; makes the signing key on first use.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
#[command(group(ArgGroup::new("what").required(true)))]
pub(crate) struct Args {
    /// A token for this user: becomes sub and preferred_username
    #[arg(long, value_name = "NAME", group = "what", value_parser = username, help_heading = "What to make (one of)")]
    pub(crate) username: Option<String>,

    /// Four tokens as shell assignments: ALICE and BOB (role user), ADMIN (admin, also mcp:audit), GUEST (guest)
    #[arg(long, group = "what", help_heading = "What to make (one of)")]
    pub(crate) demo: bool,

    /// A new key pair and no token; refuses to replace a pair that exists
    #[arg(long, group = "what", help_heading = "What to make (one of)")]
    pub(crate) generate_keys: bool,

    /// The public key as a JSON Web Key Set, for an issuer of your own to serve
    #[arg(long, group = "what", help_heading = "What to make (one of)")]
    pub(crate) jwks: bool,

    /// Scopes, separated by commas or spaces; "" for a token without the claim
    #[arg(
        long,
        value_name = "SCOPES",
        default_value = BASIC_SCOPES,
        value_parser = words,
        conflicts_with_all = ["demo", "generate_keys", "jwks"],
        help_heading = "What the token says"
    )]
    pub(crate) scopes: Words,

    /// Roles, separated by commas or spaces; "" for a token without the claim
    #[arg(
        long,
        value_name = "ROLES",
        default_value = "user",
        value_parser = words,
        conflicts_with_all = ["demo", "generate_keys", "jwks"],
        help_heading = "What the token says"
    )]
    pub(crate) roles: Words,

    /// How long it is valid: 30s, 15m, 1h, 7d, or plain seconds
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1h",
        value_parser = lifetime,
        conflicts_with_all = ["generate_keys", "jwks"],
        help_heading = "What the token says"
    )]
    pub(crate) expires_in: u64,

    /// Who issued it; the server's --issuer must be the same string
    #[arg(
        long,
        env = "MCP_ISSUER",
        value_name = "URL",
        default_value = "http://localhost:9001",
        value_parser = identifier,
        help_heading = "What the token says"
    )]
    pub(crate) issuer: String,

    /// The server it is for; the server's --resource must be the same string
    #[arg(
        long,
        visible_alias = "resource",
        env = "MCP_RESOURCE",
        value_name = "URL",
        default_value = "http://localhost:9000/mcp",
        value_parser = identifier,
        help_heading = "What the token says"
    )]
    pub(crate) audience: String,

    /// The client it was issued to
    #[arg(
        long,
        value_name = "ID",
        default_value = "gen-token",
        value_parser = identifier,
        conflicts_with_all = ["generate_keys", "jwks"],
        help_heading = "What the token says"
    )]
    pub(crate) client_id: String,

    /// One flaw, and everything else right: servers answer 401 invalid_token
    #[arg(
        long = "break",
        value_name = "KIND",
        conflicts_with_all = ["demo", "generate_keys", "jwks"],
        help_heading = "What the token says"
    )]
    pub(crate) flaw: Option<Flaw>,

    /// Print one JSON object instead: token, header, claims
    #[arg(long, conflicts_with_all = ["demo", "generate_keys", "jwks"], help_heading = "Output and keys")]
    pub(crate) json: bool,

    /// How tokens are signed; keys of each kind need a --keys-dir of their own
    #[arg(
        long,
        value_name = "ALG",
        value_enum,
        ignore_case = true,
        default_value_t,
        help_heading = "Output and keys"
    )]
    pub(crate) algorithm: Algorithm,

    /// Where private.pem and public.pem are, or shall be
    #[arg(
        long,
        value_name = "DIR",
        default_value = "keys",
        help_heading = "Output and keys"
    )]
    pub(crate) keys_dir: PathBuf,

    /// With --generate-keys: replace the pair; every token signed so far becomes invalid
    #[arg(long, conflicts_with_all = ["username", "demo", "jwks"], help_heading = "Output and keys")]
    pub(crate) force: bool,
}

/// A list of scopes or roles. (A bare `Vec` would mean a flag that may be repeated.)
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Words(pub(crate) Vec<String>);

/// Keeps the order and drops repetitions.
pub(crate) fn words(text: &str) -> Result<Words, String> {
    let mut words = Words::default();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        if !word.bytes().all(is_scope_byte) {
            return Err(format!(
                "{word:?} holds a character that a scope or role cannot have"
            ));
        }
        if !words.0.iter().any(|known| known == word) {
            words.0.push(word.to_owned());
        }
    }
    Ok(words)
}

/// RFC 6749 section 3.3: visible ASCII without `"` and `\`.
fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}

/// Letters of any script, but nothing that could forge a line of a log or a terminal.
fn username(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a user needs a name: sub must not be empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a name must not hold control characters".to_owned());
    }
    if text.chars().count() > LONGEST_NAME {
        return Err(format!("a name has at most {LONGEST_NAME} characters"));
    }
    Ok(text.to_owned())
}

/// Kept as it is, never through a URL type: issuers and audiences are compared byte for byte, and
/// a URL type would add slashes.
fn identifier(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be visible ASCII without spaces, and not empty".to_owned());
    }
    Ok(text.to_owned())
}

/// Seconds.
fn lifetime(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let seconds = plain_number(number).and_then(|number| number.checked_mul(seconds_in(unit)));
    match seconds {
        Some(seconds @ 1..=LONGEST_LIFE) => Ok(seconds),
        Some(_) => Err("must be at least one second and at most 3650d".to_owned()),
        None => Err("write seconds, or a whole number with s, m, h or d, such as 15m".to_owned()),
    }
}

/// Digits only: `parse` alone would also take `+5`.
fn plain_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn seconds_in(unit: &str) -> u64 {
    match unit {
        "d" => DAY,
        "h" => 60 * 60,
        "m" => 60,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
