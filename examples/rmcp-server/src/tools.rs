//! The tools, by the macros of the SDK. None of them checks who may call it: nothing gets here that the
//! table in `rules.rs` does not permit.

use std::sync::Arc;

use axum::http::request::Parts;
use rmcp::ErrorData;
use rmcp::RoleServer;
use rmcp::ServerHandler;
use rmcp::handler::server::common::AsRequestContext;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolRouter;
use rmcp::handler::server::tool::schema_for_output;
use rmcp::handler::server::wrapper::Json;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CacheScope;
use rmcp::model::CallToolResult;
use rmcp::model::ContentBlock;
use rmcp::model::Extensions;
use rmcp::model::Implementation;
use rmcp::model::ListToolsResult;
use rmcp::model::PaginatedRequestParams;
use rmcp::model::ProtocolVersion;
use rmcp::model::ServerCapabilities;
use rmcp::model::ServerConfig;
use rmcp::schemars;
use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::tool;
use rmcp::tool_handler;
use rmcp::tool_router;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use crate::access;
use crate::auth::User;

/// How long a client may keep the list of tools, in milliseconds.
const TTL_MS: u64 = 300_000;

/// The server, as the SDK knows it.
pub(crate) struct Tools {
    tool_router: ToolRouter<Self>,
    notes: Vec<Note>,
}

/// What somebody wrote down.
#[derive(Clone, JsonSchema, Serialize)]
struct Note {
    /// The name of the user whose note it is
    owner: &'static str,
    text: &'static str,
}

/// The notes of all users.
#[derive(JsonSchema, Serialize)]
struct AllNotes {
    notes: Vec<Note>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EchoArguments {
    /// The text to return
    message: String,
}

#[derive(JsonSchema, Serialize)]
struct Echo {
    /// The same text
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

/// The user of a request, as an argument of a tool.
struct Caller(Arc<User>);

impl<C: AsRequestContext> FromContextPart<C> for Caller {
    fn from_context_part(context: &mut C) -> Result<Self, ErrorData> {
        caller(&context.as_request_context().extensions).map(Self)
    }
}

/// The user whom `auth.rs` has put among the extensions of the HTTP request; the SDK hands those on.
fn caller(extensions: &Extensions) -> Result<Arc<User>, ErrorData> {
    let request = extensions.get::<Parts>();
    let user = request.and_then(|parts| parts.extensions.get::<Arc<User>>());
    // Missing only where somebody routes requests past `auth.rs`. No user, no answer.
    user.cloned().ok_or_else(|| ErrorData::internal_error("there is no user", None))
}

#[tool_router]
impl Tools {
    pub(crate) fn new() -> Self {
        Self {
            tool_router: Self::tool_router(),
            notes: vec![
                Note {
                    owner: "alice",
                    text: "Water the plants",
                },
                Note {
                    owner: "bob",
                    text: "Return the books",
                },
            ],
        }
    }

    #[tool(
        title = "Echo",
        description = "Returns a message.",
        output_schema = schema_for_output::<Echo>(),
        annotations(read_only_hint = true)
    )]
    fn echo(
        &self,
        Parameters(EchoArguments {
            message,
        }): Parameters<EchoArguments>,
    ) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(message.as_str())]);
        result.structured_content = Some(json!(Echo {
            text: message
        }));
        result
    }

    #[tool(
        title = "Who am I?",
        description = "Returns what this server knows about the user it is called for.",
        annotations(read_only_hint = true)
    )]
    fn whoami(
        &self,
        Caller(user): Caller,
        Parameters(NoArguments {}): Parameters<NoArguments>,
    ) -> String {
        json!(*user).to_string()
    }

    #[tool(
        title = "All notes",
        description = "Returns the notes of all users, for admins.",
        annotations(read_only_hint = true)
    )]
    fn all_notes(
        &self,
        Parameters(NoArguments {}): Parameters<NoArguments>,
    ) -> Json<AllNotes> {
        Json(AllNotes {
            notes: self.notes.clone(),
        })
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let name = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities).with_server_info(name)
    }

    /// Only what the user's role permits: scopes can be asked for later, roles cannot. The list that
    /// the macro would write shows everything to everybody, and lets caches share it.
    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let user = caller(&context.extensions)?;
        let mut tools = self.tool_router.list_all();
        tools.retain(|tool| access::could_call(&user, Some(&tool.name)));
        let list = ListToolsResult::with_all_items(tools);
        if context.protocol_version() < Some(ProtocolVersion::V_2026_07_28) {
            return Ok(list);
        }
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    #[test]
    fn every_tool_has_a_row_and_every_row_a_tool() {
        let tools = Tools::tool_router().list_all();
        let tools: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        let rows = RULES.iter().filter(|rule| rule.method == "tools/call");
        let rows: Vec<_> = rows.map(|rule| rule.name).collect();
        for tool in &tools {
            assert!(
                rows.contains(tool),
                "the tool {tool} is refused to everybody: add a row for it to RULES in rules.rs"
            );
        }
        for row in rows {
            assert!(
                tools.contains(&row),
                "rules.rs has a row for {row:?}, and no tool has this name: correct or remove it"
            );
        }
    }
}
