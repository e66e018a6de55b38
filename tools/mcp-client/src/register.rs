//! Becoming a client that the authorization server knows.
//!
//! In the order of the specification: an id from before, then the URL of a metadata document (where
//! the server can read one), then registration on the spot (RFC 7591). Spec: MCP 2026-07-28,
//! basic/authorization/client-registration. Left out: registering a key.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use reqwest::Method;
use serde_json::Value;
use serde_json::json;

use crate::gate::discovery::Issuer;
use crate::gate::discovery::strings;
use crate::gate::secret::Secret;
use crate::gate::signing::ClientKey;
use crate::gate::trusted::Trusted;
use crate::http::Http;
use crate::http::Outgoing;
use crate::mcp;
use crate::recorder::Recorder;
use crate::story;
use crate::story::prevents;

/// What the user gave to identify this client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    /// Instead of a secret.
    pub(crate) key: Option<ClientKey>,
    pub(crate) metadata_url: Option<String>,
}

/// A client as one authorization server knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
    /// Instead of a secret.
    pub(crate) key: Option<ClientKey>,
    /// How this run's own registration is taken back; `None` for a client from before.
    pub(crate) registration: Registration,
}

/// What became of a registration.
#[derive(Clone, Debug, Default)]
pub(crate) enum Registration {
    /// It was there before, so it stays.
    #[default]
    FromBefore,
    /// It was made in this run and the server offers no way to take it back.
    Lasting,
    /// It was made in this run and can be deleted (RFC 7592 section 2.3).
    Deletable(Management),
}

/// Where a client manages its registration, and the token for it (RFC 7592 section 3).
#[derive(Clone, Debug)]
pub(crate) struct Management {
    place: Trusted,
    token: Secret,
}

impl Registration {
    /// Reads the answer of a registration endpoint. The place to manage it must be where the client
    /// was registered: a token goes there.
    pub(crate) fn read(
        issuer: &Issuer,
        answer: &Value,
    ) -> Self {
        let url = answer["registration_client_uri"].as_str();
        let token = answer["registration_access_token"].as_str();
        let endpoint = issuer.endpoint("registration_endpoint").ok();
        let place = endpoint.zip(url).and_then(|(home, url)| home.sibling(url));
        match place.zip(token) {
            Some((place, token)) => Self::Deletable(Management {
                place,
                token: Secret::new(token),
            }),
            None => Self::Lasting,
        }
    }
}

impl Management {
    /// Deletes the registration. An error where the server keeps it.
    pub(crate) async fn delete(
        &self,
        http: &mut Http,
    ) -> Result<()> {
        let request = self.place.request(Method::DELETE).bearer(&self.token);
        let reply = http.send(story::QUIET, request).await?;
        anyhow::ensure!(reply.status == 204, "{}", reply.status_text());
        Ok(())
    }
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
        http.recorder.local(story::PREREGISTERED, lines);
        return Ok(Client {
            id: id.clone(),
            secret: given.client_secret.clone(),
            key: given.key.clone(),
            ..Client::default()
        });
    }
    let by_document = issuer.is_true("client_id_metadata_document_supported");
    let by_registration = issuer.text("registration_endpoint").is_some();
    match &given.metadata_url {
        Some(url) if by_document => Ok(use_document(&mut http.recorder, url)),
        _ if by_registration => dynamic(http, issuer, redirect_uri).await,
        _ if by_document => bail!(
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
    recorder: &mut Recorder,
    url: &str,
) -> Client {
    recorder.local(story::METADATA_DOCUMENT, vec![format!("client_id = {url}")]);
    Client {
        id: url.to_owned(),
        ..Client::default()
    }
}

async fn dynamic(
    http: &mut Http,
    issuer: &Issuer,
    redirect_uri: &str,
) -> Result<Client> {
    let endpoint = issuer.endpoint("registration_endpoint")?;
    let request = Outgoing::json(endpoint.url().as_str(), &metadata(redirect_uri));
    let reply = http.send(story::REGISTER, request).await?;
    let body = reply.json();
    if !matches!(reply.status, 200 | 201) {
        let why = mcp::problem(&reply).unwrap_or_else(|| reply.status_text());
        bail!("the registration was refused: {why}");
    }
    let id = body["client_id"].as_str().context("the registration gave no client_id")?;
    let echoed = strings(&body["redirect_uris"]);
    http.recorder.check(
        echoed.is_empty() || echoed.iter().any(|uri| uri == redirect_uri),
        "the registered redirect_uris have ours",
        prevents::CHANGED_REDIRECT,
    )?;
    Ok(Client {
        id: id.to_owned(),
        secret: body["client_secret"].as_str().map(Secret::new),
        key: None,
        registration: Registration::read(issuer, &body),
    })
}

/// What this client says of itself.
pub(crate) fn metadata(redirect_uri: &str) -> Value {
    json!({
        "client_name": "mcp-client of the step-by-step workspace",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    })
}
