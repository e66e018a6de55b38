//! What people read, on standard error: whom a token is for, until when, and how to use it.
//!
//! Never holds a token: standard error ends up in logs. The commands shown take it from a shell
//! variable.

use std::env;
use std::io;
use std::io::IsTerminal;
use std::path;
use std::path::Path;
use std::path::PathBuf;

use gen_token::keys;
use gen_token::keys::KeyPair;
use gen_token::token::Flaw;
use gen_token::token::Token;
use jiff::Timestamp;

use crate::cli::Args;

/// The shortest call that shows who one is: without headers it is protocol 2025-03-26.
const WHOAMI: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}"#;

/// Where the signing key came from.
pub(crate) struct Origin {
    dir: PathBuf,
    key: String,
    created: bool,
}

impl Origin {
    pub(crate) fn new(
        dir: &Path,
        pair: &KeyPair,
        created: bool,
    ) -> Self {
        Self {
            dir: path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
            key: format!("{} ({})", pair.kid(), pair.algorithm()),
            created,
        }
    }

    fn lines(&self) -> String {
        let how = if self.created {
            "made just now: private.pem (mode 0600) and public.pem"
        } else {
            "already there"
        };
        let mut text = row("key", &self.key);
        text += &row("keys in", &format!("{} ({how})", self.dir.display()));
        if let Some(exposure) = keys::exposure(&self.dir) {
            text += &row("WARNING", &exposure);
        }
        text
    }
}

pub(crate) fn new_keys(origin: &Origin) -> String {
    format!(
        "A new key pair. Servers that read it refuse what any other key signed.\n{}",
        origin.lines()
    )
}

pub(crate) fn jwks(origin: &Origin) -> String {
    format!(
        "A key set, as an issuer serves it at its jwks_uri. It holds nothing secret.\n{}",
        origin.lines()
    )
}

pub(crate) fn one(
    args: &Args,
    token: &Token,
    origin: &Origin,
) -> String {
    let mut text = format!("An access token for {}.\n", token.claims.sub);
    if let Some(flaw) = args.flaw {
        text += &broken(flaw);
    }
    text += &facts(token);
    text += &origin.lines();
    if !args.json {
        text += &usage(args);
    }
    text
}

pub(crate) fn demo(
    args: &Args,
    users: &[(&str, Token)],
    origin: &Origin,
) -> String {
    let mut text = "Four access tokens as shell variables.\n".to_owned();
    for (variable, token) in users {
        text += &row(variable, &grants(token));
    }
    if let Some((_, token)) = users.first() {
        text += &place_and_time(token);
    }
    text += &origin.lines();
    text += &capture(&format!("eval \"$({})\"", this_command()));
    text + &call(args, "ALICE")
}

fn broken(flaw: Flaw) -> String {
    row(
        "broken",
        &format!("{}; the answer is 401 invalid_token", flaw.explain()),
    )
}

fn facts(token: &Token) -> String {
    let claims = &token.claims;
    row("scope", claims.scope.as_deref().unwrap_or("(none)"))
        + &row("roles", &roles(token))
        + &place_and_time(token)
}

fn grants(token: &Token) -> String {
    let scope = token.claims.scope.as_deref().unwrap_or("(none)");
    format!("role {}, scope {scope}", roles(token))
}

fn roles(token: &Token) -> String {
    match token.claims.roles.as_slice() {
        [] => "(none)".to_owned(),
        roles => roles.join(" "),
    }
}

fn place_and_time(token: &Token) -> String {
    let claims = &token.claims;
    row("issuer", &claims.iss)
        + &row("audience", &claims.aud)
        + &row("expires", &expiry(claims.exp))
}

/// In UTC, so that it reads the same everywhere and compares with `exp`.
fn expiry(exp: Option<u64>) -> String {
    let Some(exp) = exp else {
        return "never".to_owned();
    };
    i64::try_from(exp)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| exp.to_string(), |time| time.to_string())
}

fn usage(args: &Args) -> String {
    capture(&format!("TOKEN=$({})", this_command())) + &call(args, "TOKEN")
}

/// The command that was run, flags and all, in a form that works from the workspace.
fn this_command() -> String {
    env::args_os()
        .skip(1)
        .map(|word| quoted(&word.to_string_lossy()))
        .fold("cargo run -q -p gen-token --".to_owned(), |line, word| {
            line + " " + &word
        })
}

/// Only for those who saw the token pass by on the terminal: the others have caught it already.
fn capture(command: &str) -> String {
    if !io::stdout().is_terminal() {
        return String::new();
    }
    format!("Keep it in the shell:\n  {command}\n")
}

fn call(
    args: &Args,
    variable: &str,
) -> String {
    // A refusal is in the status and in `WWW-Authenticate`, which only -i shows.
    let show = args.flaw.map_or("", |_| "-i ");
    let url = quoted(&args.audience);
    format!(
        "Try it:\n  curl {show}{url} -H \"Authorization: Bearer ${variable}\" --json '{WHOAMI}'\n"
    )
}

/// For pasting into a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=:/.,@+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn row(
    name: &str,
    value: &str,
) -> String {
    format!("  {name:<9}{value}\n")
}

#[cfg(test)]
mod tests;
