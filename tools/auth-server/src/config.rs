//! What can be set, and the settings that this server refuses to start with.
//!
//! Everything is a flag, an environment variable or a default, in that order. Each absolute URL
//! that the server ever emits is built from `Issuer`, never from a request's `Host`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use clap::Args;
use clap::Parser;
use url::Url;

use crate::net;
use crate::upstream::settings::ClientSecret;
use crate::upstream::settings::GitHub;

/// The settings as given. All lifetimes are in seconds.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, env = "AUTH_BIND", default_value = "127.0.0.1:9001")]
    pub bind: SocketAddr,

    /// Name of this server in every token and document [default: http://localhost:PORT]
    #[arg(long, env = "MCP_ISSUER")]
    pub issuer: Option<String>,

    /// Resource that tokens are issued for; repeat it (or separate by spaces) for several
    #[arg(
        long,
        env = "MCP_RESOURCE",
        value_delimiter = ' ',
        default_value = "http://localhost:9000/mcp"
    )]
    pub resource: Vec<String>,

    /// Directory of the signing key pair, shared with gen-token
    #[arg(long, env = "AUTH_KEYS_DIR", default_value = "keys", global = true)]
    pub keys_dir: PathBuf,

    /// Database file
    #[arg(
        long,
        env = "AUTH_DATA",
        default_value = ".data/auth-server.db",
        global = true
    )]
    pub data: PathBuf,

    /// TOML file of users, instead of the demo users
    #[arg(long, env = "AUTH_USERS")]
    pub users: Option<PathBuf>,

    /// Nobody signs in with a password here: only at the upstream provider
    #[arg(long, env = "AUTH_NO_LOCAL_USERS", conflicts_with = "users")]
    pub no_local_users: bool,

    /// OpenID provider at which users can sign in as well
    #[arg(long, env = "MCP_UPSTREAM_ISSUER", requires = "upstream_client_id")]
    pub upstream_issuer: Option<String>,

    /// What this server is called there; its secret, if it has one, is MCP_UPSTREAM_CLIENT_SECRET
    #[arg(long, env = "MCP_UPSTREAM_CLIENT_ID", requires = "upstream_issuer")]
    #[arg(allow_hyphen_values = true)]
    pub upstream_client_id: Option<String>,

    /// Beginning of the names of users who sign in there [default: the host of its issuer]
    #[arg(long, env = "MCP_UPSTREAM_NAME")]
    pub upstream_name: Option<String>,

    /// Role of users who sign in there
    #[arg(long, env = "MCP_UPSTREAM_ROLE", default_value = "user", value_parser = ["admin", "user", "guest"])]
    pub upstream_role: String,

    /// The secret for the upstream provider, from the environment only.
    #[arg(skip = ClientSecret::from_environment())]
    pub upstream_client_secret: ClientSecret,

    /// GitHub as the upstream provider, for a program that takes this server as a library.
    #[arg(skip)]
    pub github: Option<GitHub>,

    /// TOML file of pre-registered clients
    #[arg(long, env = "AUTH_CLIENTS")]
    pub clients: Option<PathBuf>,

    /// Lifetime of an access token
    #[arg(long, env = "AUTH_ACCESS_TTL", default_value_t = 900, value_parser = clap::value_parser!(i64).range(1..=86_400))]
    pub access_ttl: i64,

    /// Lifetime of an authorization code
    #[arg(long, env = "AUTH_CODE_TTL", default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=600))]
    pub code_ttl: i64,

    /// Lifetime of a refresh token, counted from its last use
    #[arg(long, env = "AUTH_REFRESH_TTL", default_value_t = 2_592_000, value_parser = clap::value_parser!(i64).range(1..=31_536_000))]
    pub refresh_ttl: i64,

    /// How long a client can go on refreshing before the user has to be asked again, however often
    /// it does
    #[arg(long, env = "AUTH_GRANT_TTL", default_value_t = 7_776_000, value_parser = clap::value_parser!(i64).range(1..=315_360_000))]
    pub grant_ttl: i64,

    /// How long a rotated refresh token still works, until its successor is used
    #[arg(long, env = "AUTH_REFRESH_GRACE", default_value_t = 60, value_parser = clap::value_parser!(i64).range(0..=3_600))]
    pub refresh_grace: i64,

    /// How long a browser stays signed in
    #[arg(long, env = "AUTH_SESSION_TTL", default_value_t = 28_800, value_parser = clap::value_parser!(i64).range(1..=2_592_000))]
    pub session_ttl: i64,

    /// Registrations accepted from one address in a minute, and documents fetched for one user
    #[arg(long, env = "AUTH_REGISTRATIONS_PER_MINUTE", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    pub registrations_per_minute: u32,

    /// Login attempts accepted from one address in a minute
    #[arg(long, env = "AUTH_LOGINS_PER_MINUTE", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    pub logins_per_minute: u32,

    /// Most clients kept; beyond it the least needed one makes room
    #[arg(long, env = "AUTH_MAX_CLIENTS", default_value_t = 10_000, value_parser = clap::value_parser!(i64).range(1..))]
    pub max_clients: i64,

    /// Seconds until an unfinished request is answered 408
    #[arg(long, env = "AUTH_REQUEST_TIMEOUT", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub request_timeout: u64,

    /// Development: client metadata documents may lie on this machine, over https or http
    #[arg(long, env = "AUTH_ALLOW_LOOPBACK_CLIENT_METADATA")]
    pub allow_loopback_client_metadata: bool,
}

/// For [`Settings::from_environment`], which has a command line of its own.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Bare {
    #[command(flatten)]
    settings: Settings,
}

impl Settings {
    /// Each setting from its environment variable or its default, for a program whose flags are
    /// other ones.
    ///
    /// # Errors
    ///
    /// One sentence that names the variable.
    pub fn from_environment() -> Result<Self> {
        Ok(Bare::try_parse_from(Vec::<String>::new())?.settings)
    }
}

/// The settings after every check.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The settings they came from.
    pub(crate) settings: Settings,
    /// Who signs.
    pub(crate) issuer: Issuer,
}

impl Config {
    /// Checks the settings for a server listening on `address`, whose port completes the default
    /// issuer. The error is one sentence that names the setting to change.
    pub(crate) fn new(
        settings: Settings,
        address: SocketAddr,
    ) -> Result<Self> {
        let default = || format!("http://localhost:{}", address.port());
        let issuer = Issuer::parse(&settings.issuer.clone().unwrap_or_else(default))?;
        settings.resource.iter().try_for_each(|r| check_resource(r))?;
        refuse_exposure(&settings, &issuer, address)?;
        let elsewhere = settings.upstream_issuer.is_some() || settings.github.is_some();
        ensure!(
            elsewhere || !settings.no_local_users,
            "--no-local-users without an --upstream-issuer: nobody could sign in"
        );
        Ok(Self {
            settings,
            issuer,
        })
    }

    /// Whether the built-in users with their well-known passwords are in force.
    pub(crate) fn has_demo_users(&self) -> bool {
        self.settings.users.is_none() && !self.settings.no_local_users
    }

    /// How long a request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.settings.request_timeout)
    }
}

/// Passwords equal to names, or tokens over plain http, are fine on this machine and nowhere else.
fn refuse_exposure(
    settings: &Settings,
    issuer: &Issuer,
    address: SocketAddr,
) -> Result<()> {
    if net::is_loopback(address.ip()) {
        return Ok(());
    }
    ensure!(
        settings.users.is_some() || settings.no_local_users,
        "{address} is reachable from other machines and the demo users' passwords are known to \
         everybody: give --users FILE or --no-local-users, or --bind a loopback address"
    );
    ensure!(
        issuer.https,
        "{address} is reachable from other machines and the issuer is plain http: give an https \
         --issuer (and a TLS proxy in front), or --bind a loopback address"
    );
    Ok(())
}

fn check_resource(resource: &str) -> Result<()> {
    let url = Url::parse(resource)
        .with_context(|| format!("--resource {resource:?} is not an absolute URL"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https"),
        "--resource {resource:?} must be an http or https URL"
    );
    let has_extras = url.query().is_some() || url.fragment().is_some() || resource.ends_with('/');
    ensure!(
        !has_extras,
        "--resource {resource:?} must have no query, no fragment and no trailing slash: clients \
         and servers compare it byte for byte"
    );
    Ok(())
}

/// The issuer identifier (RFC 8414 section 2) and what is derived from it.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    /// The exact string of `iss`, compared byte for byte by everyone.
    pub(crate) text: String,
    /// What endpoint URLs start with: the text without a trailing slash.
    pub(crate) base: String,
    /// The path of `base`: empty, or `/tenant`.
    pub(crate) path: String,
    /// Scheme, host and port, as a browser writes them in `Origin`.
    pub(crate) origin: String,
    /// The host alone, as it comes in a `Host` header.
    pub(crate) host: Option<String>,
    /// Whether cookies can be `Secure`.
    pub(crate) https: bool,
}

impl Issuer {
    /// Takes the text apart; refuses what RFC 8414 section 2 forbids.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).with_context(|| format!("--issuer {text:?} is not a URL"))?;
        let https = match url.scheme() {
            "https" => true,
            "http" if net::has_loopback_host(&url) => false,
            _ => bail!("--issuer {text:?} must be https (http only for localhost)"),
        };
        let extras =
            url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
        ensure!(
            !extras && url.password().is_none(),
            "--issuer {text:?} must have no query, fragment or user name"
        );
        let base = text.strip_suffix('/').unwrap_or(text).to_owned();
        let path = url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
        ensure!(
            is_plain(&path) && base.ends_with(&path),
            "--issuer {text:?}: use only letters, digits, `-`, `.`, `_` and `~` in its path"
        );
        Ok(Self {
            text: text.to_owned(),
            base,
            path,
            host: url.host_str().map(str::to_owned),
            origin: url.origin().ascii_serialization(),
            https,
        })
    }

    /// The absolute URL of an endpoint, for example `url("/oauth/token")`.
    pub(crate) fn url(
        &self,
        path: &str,
    ) -> String {
        format!("{}{path}", self.base)
    }
}

/// Empty, or segments that the router takes literally and that need no percent-encoding.
fn is_plain(path: &str) -> bool {
    let letters = |segment: &str| {
        !segment.is_empty()
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    path.is_empty() || path.split('/').skip(1).all(letters)
}
