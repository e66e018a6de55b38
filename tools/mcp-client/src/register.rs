//! Becoming a client that the authorization server knows.
//!
//! In the order of the specification: an id from before, then the URL of a metadata document (where
//! the server can read one), then registration on the spot (RFC 7591). Spec: MCP 2026-07-28,
//! basic/authorization/client-registration. Left out: `private_key_jwt`.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::json;

use crate::discovery::Issuer;
use crate::discovery::strings;
use crate::exchange::Note;
use crate::http::Http;
use crate::http::Outgoing;
use crate::mcp;

const CLAUSE: &str = "MCP client registration";

/// What the user gave to identify this client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
    pub(crate) metadata_url: Option<String>,
}

/// A client as one authorization server knows it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

/// Chooses the way and becomes a client.
pub(crate) async fn register(
    http: &mut Http,
    issuer: &Issuer,
    given: &Given,
    redirect_uri: &str,
) -> Result<Client> {
    if let Some(id) = &given.client_id {
        let lines = vec![format!("client_id = {id}")];
        let why = "Somebody registered this client before, so there is nothing to ask for.";
        http.recorder
            .local("Use the pre-registered client", why, CLAUSE, lines);
        return Ok(Client {
            id: id.clone(),
            secret: given.client_secret.clone(),
        });
    }
    let by_document = issuer.is_true("client_id_metadata_document_supported");
    match (&given.metadata_url, issuer.text("registration_endpoint")) {
        (Some(url), _) if by_document => Ok(use_document(http, url)),
        (_, Some(endpoint)) => {
            let endpoint = endpoint.to_owned();
            dynamic(http, &endpoint, redirect_uri).await
        }
        (_, None) if by_document => bail!(
            "this authorization server reads client metadata documents: publish one and name it \
             with --client-metadata-url"
        ),
        _ => bail!(
            "this authorization server registers nobody by itself: get a client id from its \
             operator and give it with --client-id"
        ),
    }
}

fn use_document(
    http: &mut Http,
    url: &str,
) -> Client {
    let why = "The URL of a document that describes this client is its id: nothing to register, and \
               the same id at every authorization server.";
    let clause = "OAuth Client ID Metadata Document draft; MCP client registration";
    let lines = vec![format!("client_id = {url}")];
    http.recorder
        .local("Use the client metadata document", why, clause, lines);
    Client {
        id: url.to_owned(),
        secret: None,
    }
}

async fn dynamic(
    http: &mut Http,
    endpoint: &str,
    redirect_uri: &str,
) -> Result<Client> {
    let note = Note::to_issuer(
        "Register this client",
        "They have never met: the client says what it is called and where codes may be sent, and \
         gets an id. It asks for no secret (`none`), because a program on the user's machine cannot \
         keep one.",
        "RFC 7591 section 3; MCP client registration, \"Dynamic Client Registration\"",
    );
    let reply = http
        .send(note, Outgoing::json(endpoint, &metadata(redirect_uri)))
        .await?;
    let body = reply.json();
    if !matches!(reply.status, 200 | 201) {
        let why = mcp::problem(&reply).unwrap_or_else(|| reply.status_text());
        bail!("the registration was refused: {why}");
    }
    let id = body["client_id"]
        .as_str()
        .context("the registration gave no client_id")?;
    let echoed = strings(&body["redirect_uris"]);
    http.recorder.check(
        echoed.is_empty() || echoed.iter().any(|uri| uri == redirect_uri),
        "the registered redirect_uris have ours",
        "the server may change what was asked for (RFC 7591 section 3.2.1); better to know now",
    )?;
    Ok(Client {
        id: id.to_owned(),
        secret: body["client_secret"].as_str().map(str::to_owned),
    })
}

/// What this client says of itself.
pub(crate) fn metadata(redirect_uri: &str) -> serde_json::Value {
    json!({
        "client_name": "mcp-client of the step-by-step workspace",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    })
}
