//! `doctor`: what would clients stumble over at this server, and what is the fix?
//!
//! Each check looks at one thing, says what it saw, and names the clients that depend on it. A
//! failed check breaks a rule or a client; a warning costs comfort or safety; a skipped one could
//! not be made (the reason is given). Nothing is changed on the MCP server. At the authorization
//! server clients are registered, and with `--as` a user logs in; in the end all of it is taken
//! back as far as that server lets it, and the rest is listed.
//!
//! A server that does not pass the checks of `walk` gets no password and no token: then the checks
//! that need one are skipped.
//!
//! Left out: everything behind the tools themselves, load, TLS configuration.

mod cleanup;
mod exam;
mod issuer;
mod login;
mod report;
mod server;
mod token;

use std::process::ExitCode;

use anyhow::Result;

use crate::doctor::exam::Exam;
use crate::doctor::exam::Known;
pub(crate) use crate::doctor::exam::Tokens;
use crate::doctor::report::Report;
use crate::gate::pass::ServerUrl;
use crate::http::Http;
use crate::login::How;
use crate::mcp;

/// Runs all checks and prints the report. Exit status 1 where one failed. A server that is not there
/// has no findings: that is an error of its own.
pub(crate) async fn examine(
    http: Http,
    server: &ServerUrl,
    how: How,
    given: Tokens,
    as_json: bool,
) -> Result<ExitCode> {
    let mut exam = Exam {
        http,
        server: server.clone(),
        how,
        given,
        report: Report::default(),
        registered: Vec::new(),
    };
    let reply = exam.http.quiet(&exam.discover(None)).await?;
    mcp::ask_about_path(server.as_str(), &reply)?;
    let mut known = Known::default();
    server::examine(&mut exam, &mut known).await;
    issuer::examine(&mut exam, &mut known).await;
    let stay = token::examine(&mut exam, &known).await;
    cleanup::examine(&mut exam, stay).await;
    Ok(exam.report.print(server.as_str(), as_json))
}
