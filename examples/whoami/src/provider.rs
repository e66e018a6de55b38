//! How tokens are checked, and what the operator knows better than the issuer's metadata: settings.
//!
//! Not every provider can be discovered, signs tokens for us, or says what it should. Each of these
//! settings gives up something that step by step was proved, so none of them is the default.

use clap::Args;
use clap::ValueEnum;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use url::Host;
use url::Url;

use crate::rules::BASIC_SCOPES;

/// Who finds out whether a token is good, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verify {
    /// This server: the token is a JWT, signed by the issuer for us
    Jwt,
    /// The issuer: it says whether the token is active, and for whom (RFC 7662)
    Introspection,
    /// The issuer: it says who its user is, but not for whom the token is: any application of this
    /// issuer can act as its users here
    Userinfo,
}

/// What the operator decides about the issuer. The doc comment of each field is its `--help` text.
#[derive(Args, Clone, Debug)]
pub(crate) struct Provider {
    /// Who checks tokens
    #[arg(long, env = "MCP_VERIFY", value_enum, default_value = "jwt")]
    pub(crate) verify: Verify,

    /// Our client at the issuer, for --verify introspection. Its secret comes from the variable
    /// MCP_INTROSPECTION_CLIENT_SECRET alone: everybody on a machine can read the flags of a program
    #[arg(long, env = "MCP_INTROSPECTION_CLIENT_ID", value_name = "ID")]
    #[arg(required_if_eq("verify", "introspection"), allow_hyphen_values = true)]
    pub(crate) introspection_client_id: Option<String>,

    /// Its secret.
    #[arg(skip = std::env::var("MCP_INTROSPECTION_CLIENT_SECRET").unwrap_or_default())]
    pub(crate) introspection_client_secret: SecretString,

    /// Where the issuer says who a user is, instead of the `userinfo_endpoint` in its metadata
    #[arg(long, env = "MCP_USERINFO", value_name = "URL")]
    pub(crate) userinfo: Option<String>,

    /// Metadata of an issuer that cannot be discovered: a JSON file, or the URL of one
    #[arg(long, env = "MCP_ISSUER_METADATA", value_name = "FILE|URL")]
    pub(crate) issuer_metadata: Option<String>,

    /// Host in a private network that is trusted without https
    #[arg(long, env = "MCP_ALLOW_HTTP_ISSUER", value_name = "HOST", value_parser = Host::parse)]
    pub(crate) allow_http_issuer: Option<Host>,

    /// Member of the issuer's metadata to put right, for example response_types_supported=["code"];
    /// null takes it out. May be given several times
    #[arg(long, env = "MCP_SET_METADATA", value_name = "NAME=JSON", value_parser = member)]
    pub(crate) set_metadata: Vec<(String, Value)>,

    /// The claim that names the user, where the issuer is asked
    #[arg(long, env = "MCP_SUBJECT_CLAIM", value_parser = ["sub", "id"], default_value = "sub")]
    pub(crate) subject_claim: String,

    /// Scopes that clients are told to ask for, with spaces between them; without this, those of
    /// the tools, or with --verify userinfo those of a user's profile
    #[arg(long, env = "MCP_SCOPES", value_name = "LIST", value_parser = scopes)]
    #[arg(default_value_t = BASIC_SCOPES.join(" "))]
    #[arg(default_value_if("verify", "userinfo", "openid profile email"))]
    pub(crate) scopes: String,
}

impl Provider {
    /// What must be said about the issuer's tokens, wherever somebody might look.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let anybody = "--verify userinfo: any application of this issuer can act as its users here";
        let anybody = (self.verify == Verify::Userinfo).then(|| anybody.to_owned());
        let host = self.allow_http_issuer.as_ref();
        let plain = host.map(|host| {
            format!("--allow-http-issuer {host}: who is on the way there can read and make tokens")
        });
        anybody.into_iter().chain(plain).collect()
    }

    /// Whether this is a place on the host that is trusted without https.
    pub(crate) fn allows_http(
        &self,
        url: &Url,
    ) -> bool {
        let host = url.host().map(|host| host.to_owned());
        url.scheme() == "http" && host == self.allow_http_issuer
    }

    /// The metadata of the issuer, put right.
    pub(crate) fn repair(
        &self,
        mut metadata: Value,
    ) -> Value {
        if let Value::Object(members) = &mut metadata {
            members.extend(self.set_metadata.iter().cloned());
        }
        without_nulls(&metadata)
    }
}

/// The same without members that are `null`: providers send them, and clients refuse them.
pub(crate) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        Value::Array(items) => {
            items.iter().filter(|item| !item.is_null()).map(without_nulls).collect()
        }
        other => other.clone(),
    }
}

/// A member of the metadata, but not its `issuer`: with that it would vouch for another one.
fn member(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some(("issuer", _)) => Err("the issuer of the metadata is compared, never set".to_owned()),
        Some((name, value)) => serde_json::from_str(value)
            .map(|value| (name.to_owned(), value))
            .map_err(|_| format!("not JSON; a text has quotes, as in '{name}=\"text\"'")),
        None => Err("expected NAME=JSON".to_owned()),
    }
}

/// Scopes that may stand in a challenge (RFC 6749, section 3.3).
fn scopes(text: &str) -> Result<String, String> {
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let may_stand = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    if words.is_empty() || !words.iter().all(|word| word.bytes().all(may_stand)) {
        return Err("expected scopes with spaces between them".to_owned());
    }
    Ok(words.join(" "))
}
