//! The client's side of MCP authorization: `walk` narrates a login, `call`, `prompt` and `tools`
//! just use one, and `doctor` says what clients would stumble over.

mod browser;
mod cache;
mod call;
mod callback;
mod challenge;
mod doctor;
mod exchange;
mod export;
mod gate;
mod http;
mod login;
mod mcp;
mod out;
mod page;
mod pkce;
mod print;
mod recorder;
mod redact;
mod register;
mod scopes;
mod session;
mod story;
mod tools;
mod urls;
mod visible;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use anyhow::anyhow;
use anyhow::ensure;
use clap::Args;
use clap::Parser;
use clap::Subcommand;
use serde_json::Value;
use serde_json::json;

use crate::browser::User;
use crate::cache::Cache;
use crate::doctor::exam::Tokens;
use crate::doctor::examine::examine;
use crate::export::Files;
use crate::gate::pass::GivenToken;
use crate::gate::pass::ServerUrl;
use crate::gate::secret::Secret;
use crate::gate::signing::ClientKey;
use crate::http::Http;
use crate::login::How;
use crate::print::Printer;
use crate::recorder::Recorder;
use crate::register::Given;
use crate::session::Session;
use crate::walk::Plan;

/// Logs in to MCP servers and shows how: every exchange, with its reason and its clause
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Narrate the whole authorization flow against a server
    Walk(WalkArgs),
    /// Check a server as clients would; exit status 1 if a check fails
    Doctor(DoctorArgs),
    /// Call one tool and print its result
    Call(OneArgs),
    /// Get one prompt and print its messages
    Prompt(OneArgs),
    /// List the tools
    Tools(ToolsArgs),
}

#[derive(Args)]
struct ToolsArgs {
    /// URL of the MCP endpoint
    url: ServerUrl,

    #[command(flatten)]
    login: LoginArgs,

    #[command(flatten)]
    machine: MachineArgs,

    /// Folder of the cached logins [default: mcp-client in the user's cache folder]
    #[arg(long, env = "MCP_CLIENT_CACHE", value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
}

#[derive(Args)]
struct DoctorArgs {
    /// URL of the MCP endpoint
    url: ServerUrl,

    #[command(flatten)]
    login: LoginArgs,

    /// A token of the same issuer for another server, which this one must refuse
    #[arg(long, value_name = "TOKEN")]
    foreign_token: Option<Secret>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct OneArgs {
    #[command(flatten)]
    server: ToolsArgs,

    /// Name of the tool or prompt
    name: String,

    /// Arguments: key=value, where the value may be JSON
    #[arg(value_name = "KEY=VALUE")]
    arguments: Vec<String>,
}

impl ToolsArgs {
    fn session(&self) -> Result<Session> {
        let http = Http::new(Recorder::silent(), self.url.as_str())?;
        let cache = Cache::open(self.cache_dir.clone())?;
        let token = self.login.token.as_ref();
        let how = self.machine.apply(self.login.how())?;
        Session::new(http, &self.url, how, token, cache)
    }
}

/// How to log in.
#[derive(Args, Clone)]
struct LoginArgs {
    /// Log in without a browser, as this user of a development server (user:password)
    #[arg(long, value_name = "USER:PASSWORD")]
    r#as: Option<User>,

    /// Use this access token instead of logging in
    #[arg(long, env = "MCP_CLIENT_TOKEN", hide_env_values = true)]
    token: Option<GivenToken>,

    /// For a machine without a browser: print the address, and take the one you end up at
    #[arg(long)]
    paste_callback: bool,

    /// Port of the callback on this machine [default: a free one]
    #[arg(long)]
    callback_port: Option<u16>,

    /// Client id that the authorization server knows already; its secret, if it has one, is
    /// MCP_CLIENT_SECRET
    #[arg(long, env = "MCP_CLIENT_ID", allow_hyphen_values = true)]
    client_id: Option<String>,

    /// The secret of that client, from the environment only: others can read flags.
    #[arg(skip = secret_from_environment())]
    client_secret: Option<Secret>,

    /// URL of this client's metadata document, used where the authorization server reads such
    #[arg(long, value_name = "URL")]
    client_metadata_url: Option<String>,

    /// Authorization server to use where the MCP server names none; where it names others, that is
    /// an error
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

impl LoginArgs {
    fn how(&self) -> How {
        How {
            machine: false,
            user: self.r#as.clone(),
            paste: self.paste_callback,
            port: self.callback_port,
            given: Given {
                client_id: self.client_id.clone(),
                client_secret: self.client_secret.clone(),
                key: None,
                metadata_url: self.client_metadata_url.clone(),
            },
            issuer: self.issuer.clone(),
        }
    }
}

fn secret_from_environment() -> Option<Secret> {
    let secret = std::env::var("MCP_CLIENT_SECRET").ok();
    secret.filter(|secret| !secret.is_empty()).map(Secret::new)
}

/// For programs without a user.
#[derive(Args, Clone)]
struct MachineArgs {
    /// Come without a user, in the name of the client itself: MCP_CLIENT_ID, with
    /// MCP_CLIENT_SECRET or --client-key
    #[arg(
        long,
        requires = "client_id",
        conflicts_with_all = ["as", "token", "paste_callback", "callback_port", "client_metadata_url"]
    )]
    client_credentials: bool,

    /// Private key of that client (PKCS#8 in PEM, RSA or EC on P-256), instead of a secret
    #[arg(long, value_name = "FILE", requires = "client_credentials")]
    client_key: Option<ClientKey>,
}

impl MachineArgs {
    /// An error where the client could not prove itself, or could in two ways.
    fn apply(
        &self,
        how: How,
    ) -> Result<How> {
        if !self.client_credentials {
            return Ok(how);
        }
        ensure!(
            how.given.client_secret.is_some() != self.client_key.is_some(),
            "--client-credentials takes one proof of the client: MCP_CLIENT_SECRET in the \
             environment, or --client-key FILE"
        );
        let mut how = how;
        how.machine = true;
        how.given.key.clone_from(&self.client_key);
        Ok(how)
    }
}

#[derive(Args)]
struct WalkArgs {
    /// URL of the MCP endpoint
    url: ServerUrl,

    #[command(flatten)]
    login: LoginArgs,

    #[command(flatten)]
    machine: MachineArgs,

    /// Scopes of the first login, separated by spaces [default: the first that the server names]
    #[arg(long)]
    scope: Option<String>,

    /// Tool to call [default: one that is harmless]
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,

    /// Arguments of the tool: key=value, where the value may be JSON
    #[arg(requires = "tool", value_name = "KEY=VALUE")]
    arguments: Vec<String>,

    /// Wait for Enter after each exchange
    #[arg(long)]
    step: bool,

    /// Show the exchanges only, without reasons and clauses
    #[arg(long)]
    no_explain: bool,

    /// Also write what happened as a Markdown page
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Also write what happened as a Mermaid sequence diagram
    #[arg(long, value_name = "FILE")]
    mermaid: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Walk(args) => walk_command(args).await,
        Command::Doctor(args) => doctor_command(args).await,
        Command::Call(args) => one_command(args, true).await,
        Command::Prompt(args) => one_command(args, false).await,
        Command::Tools(args) => tools_command(args).await,
    };
    outcome.unwrap_or_else(|error| {
        out::say(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn walk_command(args: WalkArgs) -> Result<ExitCode> {
    let arguments = arguments(&args.arguments)?;
    let plan = Plan {
        how: args.machine.apply(args.login.how())?,
        token: args.login.token.clone(),
        scope: args.scope,
        tool: args.tool.map(|name| (name, arguments)),
    };
    let printer = Printer::new(!args.no_explain, args.step);
    let mut http = Http::new(Recorder::telling(printer), args.url.as_str())?;
    let files = Files {
        markdown: args.markdown,
        mermaid: args.mermaid,
    };
    let outcome = walk::walk(&mut http, &args.url, &plan).await;
    // A walk that failed is the one that goes into a bug report.
    files.write(args.url.as_str(), &http.recorder.events)?;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn doctor_command(args: DoctorArgs) -> Result<ExitCode> {
    let http = Http::new(Recorder::silent(), args.url.as_str())?;
    let given = Tokens {
        own: args.login.token.clone(),
        foreign: args.foreign_token,
    };
    examine(http, &args.url, args.login.how(), given, args.json).await
}

async fn one_command(
    args: OneArgs,
    is_tool: bool,
) -> Result<ExitCode> {
    let session = args.server.session()?;
    let mut arguments = arguments(&args.arguments)?;
    if is_tool {
        return call::tool(session, &args.name, arguments).await;
    }
    // Arguments of a prompt are strings, whatever they look like.
    for (key, value) in args.arguments.iter().filter_map(|pair| pair.split_once('=')) {
        arguments[key] = json!(value);
    }
    call::prompt(session, &args.name, arguments).await
}

async fn tools_command(args: ToolsArgs) -> Result<ExitCode> {
    call::tools(args.session()?).await
}

/// `key=value` pairs as an object; a value that is JSON keeps its type.
fn arguments(pairs: &[String]) -> Result<Value> {
    let mut object = json!({});
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| anyhow!("{pair:?} is no argument: write key=value"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        object[key] = value;
    }
    Ok(object)
}
