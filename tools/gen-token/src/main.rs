//! `gen-token`: prints a signed access token, whole or deliberately broken.
//!
//! The token is what an authorization server would have issued after a login, without the login:
//! it lets a resource server be tried, and attacked, with nothing else running. Standard output
//! carries the token and not a byte more; what is meant for people goes to standard error.

mod cli;
mod report;

use std::collections::BTreeMap;
use std::io;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::Result;
use clap::Parser;
use gen_token::keys::KeyPair;
use gen_token::token;
use gen_token::token::Claims;
use gen_token::token::Token;
use serde_json::json;

use crate::cli::Args;
use crate::cli::Words;
use crate::report::Origin;

/// Variable, role and scopes of each demo user; the user is the variable in lower case.
const DEMO: [(&str, &str, &[&str]); 4] = [
    ("ALICE", "user", &[]),
    ("BOB", "user", &[]),
    ("ADMIN", "admin", &["mcp:audit"]),
    ("GUEST", "guest", &[]),
];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // `gen-token .. | head -0`: the reader has what it wanted.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.generate_keys {
        return generate_keys(args);
    }
    let (pair, created) = KeyPair::load_or_create_for(args.algorithm, &args.keys_dir)?;
    let origin = Origin::new(&args.keys_dir, &pair, created);
    if args.jwks {
        return jwks(&pair, &origin);
    }
    if args.demo {
        return demo(args, &pair, &origin);
    }
    one(args, &pair, &origin)
}

fn generate_keys(args: &Args) -> Result<()> {
    let pair = KeyPair::generate_for(args.algorithm)?;
    pair.store(&args.keys_dir, args.force)?;
    say(&report::new_keys(&Origin::new(&args.keys_dir, &pair, true)));
    Ok(())
}

/// RFC 7517 section 5: what an issuer serves at its `jwks_uri`.
fn jwks(
    pair: &KeyPair,
    origin: &Origin,
) -> Result<()> {
    let set = json!({"keys": [pair.public_jwk()]});
    print(&(serde_json::to_string_pretty(&set)? + "\n"))?;
    say(&report::jwks(origin));
    Ok(())
}

fn one(
    args: &Args,
    pair: &KeyPair,
    origin: &Origin,
) -> Result<()> {
    // The parser asks for --username wherever neither --demo nor --generate-keys is given.
    let username = args.username.as_deref().unwrap_or_default();
    let claims = claims(args, username, &args.scopes, &args.roles)?;
    let token = match args.flaw {
        None => token::sign(pair, claims)?,
        Some(flaw) => token::sign_flawed(pair, claims, flaw)?,
    };
    print(&shape(args, &token)?)?;
    say(&report::one(args, &token, origin));
    Ok(())
}

fn shape(
    args: &Args,
    token: &Token,
) -> Result<String> {
    if args.json {
        return Ok(serde_json::to_string_pretty(token)? + "\n");
    }
    Ok(format!("{}\n", token.encoded))
}

fn demo(
    args: &Args,
    pair: &KeyPair,
    origin: &Origin,
) -> Result<()> {
    let mut assignments = String::new();
    let mut users = Vec::new();
    for (variable, role, extra) in DEMO {
        let token = demo_token(args, pair, &variable.to_lowercase(), role, extra)?;
        assignments += &format!("{variable}={}\n", token.encoded);
        users.push((variable, token));
    }
    print(&assignments)?;
    say(&report::demo(args, &users, origin));
    Ok(())
}

fn demo_token(
    args: &Args,
    pair: &KeyPair,
    username: &str,
    role: &str,
    extra: &[&str],
) -> Result<Token> {
    let scopes = cli::BASIC_SCOPES.split(' ').chain(extra.iter().copied());
    let scopes = Words(scopes.map(str::to_owned).collect());
    let roles = Words(vec![role.to_owned()]);
    token::sign(pair, claims(args, username, &scopes, &roles)?)
}

fn claims(
    args: &Args,
    username: &str,
    scopes: &Words,
    roles: &Words,
) -> Result<Claims> {
    let now = token::now();
    Ok(Claims {
        iss: args.issuer.clone(),
        sub: username.to_owned(),
        aud: args.audience.clone(),
        exp: Some(now + args.expires_in),
        iat: now,
        nbf: now,
        jti: token::new_jti()?,
        client_id: args.client_id.clone(),
        scope: (!scopes.0.is_empty()).then(|| scopes.0.join(" ")),
        roles: roles.0.clone(),
        preferred_username: username.to_owned(),
        others: BTreeMap::new(),
    })
}

fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Nobody reading is no failure: the token is what counts. `eprintln!` would panic.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
