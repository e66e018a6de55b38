//! What a client reads first: RFC 8414 authorization server metadata, which is also the OpenID
//! Connect discovery document.
//!
//! One document, served wherever a client may look for it. No member is null, and every URL in
//! it answers.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use serde_json::json;

use crate::client_key;
use crate::clients::AUTH_METHODS;
use crate::clients::Client;
use crate::config::Issuer;
use crate::machine;
use crate::scopes;
use crate::state::AppState;

/// Routes of the document: RFC 8414 section 3.1 inserts the well-known part before the issuer's
/// path, OpenID Connect Discovery section 4 appends it. Without a path both are the same.
pub(crate) fn router(issuer: &Issuer) -> Router<AppState> {
    let mut paths = Vec::new();
    for document in ["oauth-authorization-server", "openid-configuration"] {
        paths.push(format!("/.well-known/{document}{}", issuer.path));
        paths.push(format!("{}/.well-known/{document}", issuer.path));
    }
    paths.sort();
    paths.dedup();
    paths.iter().fold(Router::new(), |router, path| router.route(path, get(serve)))
}

async fn serve(State(state): State<AppState>) -> Response {
    let cache = [(header::CACHE_CONTROL, "public, max-age=300")];
    (cache, Json(document(&state))).into_response()
}

/// The document, with what belongs to the ways in which clients prove themselves.
fn document(state: &AppState) -> Value {
    let methods = auth_methods(state);
    let mut document = members(state, &methods);
    if methods.contains(&PRIVATE_KEY_JWT) {
        add_algorithms(&mut document);
    }
    document
}

/// Members beyond RFC 8414's required ones are there because real clients refuse servers without
/// them: `code_challenge_methods_supported` above all.
fn members(
    state: &AppState,
    methods: &[&str],
) -> Value {
    let issuer = &state.config.issuer;
    let upstream = state.upstream.as_ref().map(|upstream| upstream.name());
    let scopes: Vec<_> = scopes::offered(upstream).collect();
    let with_proof: Vec<_> = methods.iter().filter(|m| **m != "none").collect();
    json!({
        "issuer": issuer.text,
        "authorization_endpoint": issuer.url("/oauth/authorize"),
        "token_endpoint": issuer.url("/oauth/token"),
        "registration_endpoint": issuer.url("/oauth/register"),
        "revocation_endpoint": issuer.url("/oauth/revoke"),
        "introspection_endpoint": issuer.url("/oauth/introspect"),
        "userinfo_endpoint": issuer.url("/oauth/userinfo"),
        "end_session_endpoint": issuer.url("/oauth/end_session"),
        "jwks_uri": issuer.url("/.well-known/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types(state),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": with_proof,
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "name",
            "preferred_username",
        ],
        "prompt_values_supported": ["none", "login", "consent"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    })
}

/// RFC 8414 section 2: they belong to the method.
fn add_algorithms(document: &mut Value) {
    for endpoint in ["token", "revocation", "introspection"] {
        let member = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        document[member] = json!(client_key::ALGORITHMS);
    }
}

/// RFC 7523 section 2.2, by its name in OpenID Connect Core section 9.
const PRIVATE_KEY_JWT: &str = "private_key_jwt";

/// Every way in which some client can prove itself. Nobody can register a key, so keys are named
/// only where the operator configured one: a client that saw the method would try it.
fn auth_methods(state: &AppState) -> Vec<&'static str> {
    let mut methods = AUTH_METHODS.to_vec();
    if any_client(state, |client| !client.keys().is_empty()) {
        methods.push(PRIVATE_KEY_JWT);
    }
    methods
}

/// Every grant that some client can use.
fn grant_types(state: &AppState) -> Vec<&'static str> {
    let mut grants = vec!["authorization_code", "refresh_token"];
    if any_client(state, |client| client.machine.is_some()) {
        grants.push(machine::GRANT_TYPE);
    }
    grants
}

fn any_client(
    state: &AppState,
    is_one: impl Fn(&Client) -> bool,
) -> bool {
    state.preregistered.values().any(is_one)
}
