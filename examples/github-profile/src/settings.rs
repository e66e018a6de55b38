//! What can be set: four flags, and GitHub's side by environment variables.
//!
//! One origin says it all: the authorization server's issuer is the origin, the resource is its `/mcp`,
//! GitHub's callback its `/github/callback`. So the three can never disagree.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use anyhow::bail;
use auth_server::ClientSecret;
use auth_server::GitHub;
use auth_server::config::Settings;
use clap::Parser;
use url::Url;

use crate::config::Config;

/// An MCP server whose users sign in with GitHub
#[derive(Debug, Parser)]
#[command(version)]
#[command(
    after_help = "GitHub's side comes from the environment: MCP_GITHUB_GITHUB_CLIENT_ID and \
    MCP_GITHUB_GITHUB_CLIENT_SECRET; for a stand-in also MCP_GITHUB_GITHUB_AUTH_URL, \
    MCP_GITHUB_GITHUB_TOKEN_URL and MCP_GITHUB_GITHUB_API_URL."
)]
pub(crate) struct Cli {
    /// Address and port to listen on; port 0 picks a free one and logs it
    #[arg(long, env = "MCP_BIND", default_value = "127.0.0.1:8000")]
    pub(crate) bind: SocketAddr,

    /// Database file
    #[arg(long, env = "AUTH_DATA", default_value = ".data/github-profile.db")]
    data: PathBuf,

    /// Directory of the signing key pair and of the key that GitHub's tokens are sealed with
    #[arg(long, env = "AUTH_KEYS_DIR", default_value = "keys")]
    keys_dir: PathBuf,

    /// What browsers and clients reach this server by [default: http://localhost:PORT]
    #[arg(long, env = "MCP_ORIGIN", value_name = "URL", value_parser = origin)]
    origin: Option<String>,
}

impl Cli {
    /// The origin, once the port is known.
    pub(crate) fn origin(
        &self,
        address: SocketAddr,
    ) -> String {
        let default = || format!("http://localhost:{}", address.port());
        self.origin.clone().unwrap_or_else(default)
    }
}

/// Scheme, host and perhaps a port, and nothing behind them: clients compare it byte for byte.
fn origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.origin().ascii_serialization() != text {
        return Err("expected https://host[:port], without path and slash at the end".to_owned());
    }
    Ok(text.to_owned())
}

/// GitHub's side, from variables that `read` knows. A secret is never a flag: everybody on the machine
/// can read those (`ps`).
pub(crate) fn github(read: impl Fn(&str) -> Option<String>) -> Result<GitHub> {
    // An empty variable counts as missing: that is how some shells unset one.
    let read = |name: &str| read(name).filter(|value| !value.is_empty());
    let client_id = read("MCP_GITHUB_GITHUB_CLIENT_ID");
    let client_secret = read("MCP_GITHUB_GITHUB_CLIENT_SECRET");
    let (Some(client_id), Some(client_secret)) = (client_id, client_secret) else {
        bail!(
            "set MCP_GITHUB_GITHUB_CLIENT_ID and MCP_GITHUB_GITHUB_CLIENT_SECRET to what \
             github.com shows under Settings, Developer settings, OAuth Apps; without GitHub: \
             scripts/demo_github.sh"
        );
    };
    let or = |name: &str, real: &str| read(name).unwrap_or_else(|| real.to_owned());
    Ok(GitHub {
        client_id,
        client_secret: ClientSecret::new(client_secret),
        auth_url: or("MCP_GITHUB_GITHUB_AUTH_URL", GitHub::AUTH_URL),
        token_url: or("MCP_GITHUB_GITHUB_TOKEN_URL", GitHub::TOKEN_URL),
        api_url: or("MCP_GITHUB_GITHUB_API_URL", GitHub::API_URL),
    })
}

/// The authorization server's settings: users come from GitHub, and from nowhere else.
pub(crate) fn sign_in(
    cli: &Cli,
    origin: &str,
    github: GitHub,
) -> Result<Settings> {
    let mut settings = Settings::from_environment()?;
    settings.bind = cli.bind;
    settings.issuer = Some(origin.to_owned());
    settings.resource = vec![format!("{origin}/mcp")];
    settings.keys_dir = cli.keys_dir.clone();
    settings.data = cli.data.clone();
    settings.users = None;
    settings.no_local_users = true;
    settings.upstream_issuer = None;
    settings.upstream_role = "user".to_owned();
    settings.github = Some(github);
    Ok(settings)
}

/// The settings of step 8's files. The keys come from the file that the authorization server writes.
pub(crate) fn resource(
    cli: &Cli,
    origin: &str,
    address: SocketAddr,
) -> Result<Config> {
    let resource = format!("{origin}/mcp");
    let arguments: [OsString; 9] = [
        env!("CARGO_PKG_NAME").into(),
        "--bind".into(),
        address.to_string().into(),
        "--issuer".into(),
        origin.into(),
        "--resource".into(),
        resource.into(),
        "--public-key".into(),
        cli.keys_dir.join("public.pem").into(),
    ];
    Ok(Config::try_parse_from(arguments)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_an_origin_and_nothing_else() {
        for good in [
            "https://mcp.example.com",
            "http://localhost:8000",
            "https://a.example:8443",
        ] {
            assert_eq!(origin(good).as_deref(), Ok(good));
        }
        for bad in [
            "https://mcp.example.com/",
            "https://mcp.example.com/mcp",
            "https://mcp.example.com:443",
            "https://me@mcp.example.com",
            "https://MCP.example.com",
            "mcp.example.com",
            "ftp://mcp.example.com",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_both_variables_one_sentence_names_both() {
        let only =
            |wanted: &'static str| move |name: &str| (name == wanted).then(|| "x".to_owned());
        let empty = |_: &str| Some(String::new());
        let reasons = [
            github(|_| None).unwrap_err(),
            github(only("MCP_GITHUB_GITHUB_CLIENT_ID")).unwrap_err(),
            github(only("MCP_GITHUB_GITHUB_CLIENT_SECRET")).unwrap_err(),
            github(empty).unwrap_err(),
        ];
        for reason in reasons {
            let reason = reason.to_string();
            assert!(reason.contains("MCP_GITHUB_GITHUB_CLIENT_ID"), "{reason}");
            assert!(
                reason.contains("MCP_GITHUB_GITHUB_CLIENT_SECRET"),
                "{reason}"
            );
        }
    }

    #[test]
    fn the_real_github_is_what_nobody_has_to_name() {
        let read = |name: &str| name.contains("CLIENT").then(|| "x".to_owned());
        let github = github(read).unwrap();
        assert_eq!(
            github.token_url,
            "https://github.com/login/oauth/access_token"
        );
        assert_eq!(github.api_url, "https://api.github.com");
    }
}
