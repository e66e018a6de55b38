//! Dynamic client registration (RFC 7591): a client describes itself and gets an identifier.
//!
//! Open to everybody, so a registration proves nothing: it only fixes where codes may be sent.
//! What the client sends is echoed, unknown members included, without nulls (some SDKs refuse
//! them). The scope it asks for is not a limit: it is the scope of its first challenge, and a
//! later step-up would fail. Left out: software statements.

use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::audit;
use crate::clients;
use crate::clients::AUTH_METHODS;
use crate::clients::Client;
use crate::clients::MAX_REDIRECT_URIS;
use crate::clients::Metadata;
use crate::clients::Proof;
use crate::clients::SecretHash;
use crate::clients::Source;
use crate::config::Issuer;
use crate::error::OAuthError;
use crate::error::uncached;
use crate::limits::Peer;
use crate::manage;
use crate::params;
use crate::redirect;
use crate::secret;
use crate::state::AppState;
use crate::store;
use crate::store::clients::Managed;
use crate::store::clients::Stored;

/// Members that only this server can set.
const OURS: &[&str] = &[
    "client_id",
    "client_id_issued_at",
    "client_secret",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
    "software_statement",
];

/// `POST /oauth/register`.
pub(crate) async fn post(
    State(state): State<AppState>,
    Peer(address): Peer,
    request: Request,
) -> Result<Response, OAuthError> {
    state.registrations.check(&address).map_err(|seconds| {
        OAuthError::too_many("Too many registrations from this address.", seconds)
    })?;
    let body = register(&state, request).await.inspect_err(|error| {
        audit::denied(audit::Entry {
            event: EVENT,
            detail: &error.description,
            ..Default::default()
        });
    })?;
    Ok(uncached(StatusCode::CREATED, body))
}

const EVENT: &str = "client.register";

async fn register(
    state: &AppState,
    request: Request,
) -> Result<Value, OAuthError> {
    let sent = read(request).await?;
    let registration = Registration::new(&sent)?;
    let description = registration.description(sent, state.now());
    let stored = description.to_string();
    let answer = registration.answer(&state.config.issuer, description);
    registration.keep(state, stored).await?;
    Ok(answer)
}

async fn read(request: Request) -> Result<Map<String, Value>, OAuthError> {
    let (parts, body) = request.into_parts();
    if !params::has_type(&parts.headers, "application/json") {
        return Err(OAuthError::invalid_client_metadata(
            "Send the client's metadata as application/json.",
        ));
    }
    let body = params::read(body).await?;
    let value = serde_json::from_slice(&body).map_err(|_| not_an_object())?;
    match clients::without_nulls(value) {
        Value::Object(members) => Ok(members),
        _ => Err(not_an_object()),
    }
}

fn not_an_object() -> OAuthError {
    OAuthError::invalid_client_metadata("The body is not a JSON object.")
}

struct Registration {
    client: Client,
    method: &'static str,
    secret: Option<String>,
    /// Lets the client read and delete its registration (see `manage`).
    access_token: String,
}

impl Registration {
    fn new(sent: &Map<String, Value>) -> Result<Self, OAuthError> {
        check_types(sent)?;
        let method = auth_method(sent)?;
        let secret = (method != "none").then(secret::random);
        let client = Client {
            id: secret::random(),
            source: Source::Registration,
            metadata: Metadata {
                redirect_uris: redirect_uris(sent)?,
                post_logout_redirect_uris: post_logout_redirect_uris(sent)?,
                client_name: text(sent, "client_name")?,
                grant_types: grant_types(sent)?,
            },
            proof: secret.as_deref().map_or(Proof::Nothing, proof),
            machine: None,
        };
        Ok(Self {
            client,
            method,
            secret,
            access_token: secret::random(),
        })
    }

    /// What was sent, with what was decided, but for the secrets (RFC 7591 section 3.2.1).
    fn description(
        &self,
        sent: Map<String, Value>,
        now: i64,
    ) -> Value {
        let mut body = sent;
        body.retain(|name, _| !OURS.contains(&name.as_str()));
        let grants = self.client.metadata.grant_types.clone();
        let grants = grants.unwrap_or_else(|| GRANTS.iter().map(|g| (*g).to_owned()).collect());
        body.insert("client_id".into(), json!(self.client.id));
        body.insert("client_id_issued_at".into(), json!(now));
        body.insert("token_endpoint_auth_method".into(), json!(self.method));
        body.insert("grant_types".into(), json!(grants));
        body.insert("response_types".into(), json!(["code"]));
        body.into()
    }

    /// The answer to the registration: the description, and what only the client may know.
    fn answer(
        &self,
        issuer: &Issuer,
        mut description: Value,
    ) -> Value {
        if let Some(secret) = &self.secret {
            description["client_secret"] = json!(secret);
            // Zero: it does not expire.
            description["client_secret_expires_at"] = json!(0);
        }
        manage::add_access(description, issuer, &self.client.id, &self.access_token)
    }

    async fn keep(
        self,
        state: &AppState,
        description: String,
    ) -> Result<(), OAuthError> {
        let id = self.client.id.clone();
        let stored = Stored {
            client: self.client,
            fresh_until: None,
            managed: Some(Managed {
                access_hash: secret::sha256(&self.access_token),
                answer: description,
            }),
        };
        let (now, max) = (state.now(), state.config.settings.max_clients);
        let kept = state.store.run(move |tx| store::clients::put(tx, &stored, now, max)).await?;
        if kept {
            audit::allowed(audit::Entry {
                event: EVENT,
                client: &id,
                detail: self.method,
                ..Default::default()
            });
            return Ok(());
        }
        Err(OAuthError::unavailable(
            "This server is full: every client it knows is in use.",
            3600,
        ))
    }
}

/// The grants there are; a client that names none may use both.
const GRANTS: &[&str] = &["authorization_code", "refresh_token"];

/// The known text members must be text: a client that sends something else is broken, and should
/// hear so now rather than find nonsense on the consent page.
fn check_types(sent: &Map<String, Value>) -> Result<(), OAuthError> {
    for name in [
        "client_name",
        "client_uri",
        "logo_uri",
        "scope",
        "application_type",
        "software_id",
    ] {
        text(sent, name)?;
    }
    let types = list(sent, "response_types")?;
    if types.is_some_and(|types| !types.iter().any(|name| name == "code")) {
        return Err(OAuthError::invalid_client_metadata(
            "Only the response type code is supported.",
        ));
    }
    Ok(())
}

fn proof(secret: &str) -> Proof {
    Proof::Secret(SecretHash::Sha256(secret::sha256(secret)))
}

fn text(
    sent: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<String>, OAuthError> {
    match sent.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(OAuthError::invalid_client_metadata(format!(
            "The member {name} must be a string."
        ))),
    }
}

fn list(
    sent: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Vec<String>>, OAuthError> {
    let Some(value) = sent.get(name) else {
        return Ok(None);
    };
    serde_json::from_value(value.clone()).map(Some).map_err(|_| {
        OAuthError::invalid_client_metadata(format!(
            "The member {name} must be an array of strings."
        ))
    })
}

fn redirect_uris(sent: &Map<String, Value>) -> Result<Vec<String>, OAuthError> {
    let uris = list(sent, "redirect_uris")?.unwrap_or_default();
    if uris.is_empty() {
        return Err(OAuthError::invalid_redirect_uri(
            "Register at least one redirect URI, in the member redirect_uris.",
        ));
    }
    if uris.len() > MAX_REDIRECT_URIS {
        return Err(OAuthError::invalid_redirect_uri(
            "Register at most 10 redirect URIs.",
        ));
    }
    for uri in &uris {
        redirect::check(uri).map_err(OAuthError::invalid_redirect_uri)?;
    }
    Ok(uris)
}

/// OpenID Connect RP-Initiated Logout section 3.1. Held to the same rules.
fn post_logout_redirect_uris(sent: &Map<String, Value>) -> Result<Vec<String>, OAuthError> {
    let uris = list(sent, "post_logout_redirect_uris")?.unwrap_or_default();
    if uris.len() > MAX_REDIRECT_URIS {
        return Err(OAuthError::invalid_redirect_uri(
            "Register at most 10 URIs to go to after signing out.",
        ));
    }
    for uri in &uris {
        redirect::check(uri).map_err(OAuthError::invalid_redirect_uri)?;
    }
    Ok(uris)
}

/// Those of the client's grants that exist here; others are ignored, not refused.
fn grant_types(sent: &Map<String, Value>) -> Result<Option<Vec<String>>, OAuthError> {
    let Some(mut grants) = list(sent, "grant_types")? else {
        return Ok(None);
    };
    grants.retain(|grant| GRANTS.contains(&grant.as_str()));
    if !grants.iter().any(|grant| grant == "authorization_code") {
        return Err(OAuthError::invalid_client_metadata(
            "The grant type authorization_code has to be among grant_types.",
        ));
    }
    Ok(Some(grants))
}

/// A secret is given to those who ask for one. RFC 7591 section 2 makes `client_secret_basic` the
/// default; section 3.2.1 lets the server choose, and MCP clients that say nothing run on the
/// user's machine, where a secret would not be one.
fn auth_method(sent: &Map<String, Value>) -> Result<&'static str, OAuthError> {
    let asked = text(sent, "token_endpoint_auth_method")?;
    let Some(asked) = asked else {
        return Ok("none");
    };
    AUTH_METHODS.iter().copied().find(|method| *method == asked).ok_or_else(|| {
        OAuthError::invalid_client_metadata(
            "Use the token_endpoint_auth_method none, client_secret_basic or client_secret_post.",
        )
    })
}
