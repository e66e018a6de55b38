//! The tools, by the macros of the SDK. None of them knows who calls.

use rmcp::ServerHandler;
use rmcp::handler::server::tool::ToolRouter;
use rmcp::handler::server::tool::schema_for_output;
use rmcp::handler::server::wrapper::Json;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::model::ContentBlock;
use rmcp::model::Implementation;
use rmcp::model::ServerCapabilities;
use rmcp::model::ServerConfig;
use rmcp::schemars;
use rmcp::schemars::JsonSchema;
use rmcp::tool;
use rmcp::tool_handler;
use rmcp::tool_router;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

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
        Parameters(NoArguments {}): Parameters<NoArguments>,
    ) -> String {
        json!({"error": "Not authenticated"}).to_string()
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
}
