//! The whole examination, part by part.

use std::process::ExitCode;

use anyhow::Result;

use crate::doctor::cleanup;
use crate::doctor::exam::Exam;
use crate::doctor::exam::Known;
use crate::doctor::exam::Tokens;
use crate::doctor::issuer;
use crate::doctor::report::Report;
use crate::doctor::server;
use crate::doctor::token;
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
