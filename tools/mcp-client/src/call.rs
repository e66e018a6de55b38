//! `call`, `prompt`, `tools`: one request, and its result in the plainest form.
//!
//! Text goes to standard output as it is, but for what cannot be seen (see `visible.rs`); anything else as JSON. A tool that failed, or a call
//! that was refused, is exit status 1.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;
use serde_json::json;

use crate::out;
use crate::out::Line;
use crate::out::Style;
use crate::redact;
use crate::session::Session;

/// Calls a tool and prints what it returns.
pub(crate) async fn tool(
    mut session: Session,
    name: &str,
    arguments: Value,
) -> Result<ExitCode> {
    session.open().await?;
    let params = json!({"name": name, "arguments": arguments});
    let result = session.result("tools/call", params).await?;
    for item in result["content"].as_array().into_iter().flatten() {
        match item["text"].as_str() {
            Some(text) => out::print_data(text),
            None => out::print_data(&pretty(item)),
        }
    }
    let failed = result["isError"] == true;
    Ok(ExitCode::from(u8::from(failed)))
}

/// Gets a prompt and prints its messages.
pub(crate) async fn prompt(
    mut session: Session,
    name: &str,
    arguments: Value,
) -> Result<ExitCode> {
    session.open().await?;
    let params = json!({"name": name, "arguments": arguments});
    let result = session.result("prompts/get", params).await?;
    for message in result["messages"].as_array().into_iter().flatten() {
        let role = message["role"].as_str().unwrap_or("?");
        let content = match message["content"]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => pretty(&message["content"]),
        };
        out::print_data(&format!("{role}: {content}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the tools with their arguments.
pub(crate) async fn tools(mut session: Session) -> Result<ExitCode> {
    session.open().await?;
    let result = session.result("tools/list", json!({})).await?;
    for tool in result["tools"].as_array().into_iter().flatten() {
        let (name, usage) = (text(tool, "name"), usage(&tool["inputSchema"]));
        let mut lines = vec![Line::new(format!("{name} {usage}")).hanging("    ")];
        let description = text(tool, "description").lines();
        lines.extend(description.map(|line| Line::new(line).marked("    ", Style::Plain)));
        out::print(&lines);
    }
    Ok(ExitCode::SUCCESS)
}

fn text<'a>(
    value: &'a Value,
    member: &str,
) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// `message=string [repeat_count=integer]`: what may be left out is in brackets.
fn usage(schema: &Value) -> String {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|list| list.iter().any(|n| n == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let arguments = properties.map(|(name, property)| {
        let usage = format!("{name}={}", property["type"].as_str().unwrap_or("json"));
        if is_required(name) {
            usage
        } else {
            format!("[{usage}]")
        }
    });
    arguments.collect::<Vec<_>>().join(" ")
}

fn pretty(value: &Value) -> String {
    redact::result_json(&value.to_string())
}
