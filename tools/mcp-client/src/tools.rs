//! Which tool may be called for a demonstration.

use serde_json::Value;
use serde_json::json;

/// Tools that are known to change nothing, preferred for the demonstration.
const HARMLESS: [&str; 2] = ["whoami", "get_time"];

/// A tool that can be called without harm: one of ours, or one that says it only reads, and that
/// needs no arguments. Its name, and the arguments to call it with.
pub(crate) fn harmless(tools: &[Value]) -> Option<(String, Value)> {
    let known = HARMLESS.iter().find_map(|name| tools.iter().find(|tool| tool["name"] == *name));
    let tool = known.or_else(|| tools.iter().find(|tool| only_reads(tool)))?;
    Some((tool["name"].as_str()?.to_owned(), json!({})))
}

fn only_reads(tool: &Value) -> bool {
    let required = tool["inputSchema"]["required"].as_array();
    tool["annotations"]["readOnlyHint"] == true && required.is_none_or(Vec::is_empty)
}
