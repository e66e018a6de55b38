//! A stand-in for your company's issuer, with tokens of another shape than ours: signed ES256, without
//! a `typ`, permissions and groups in places of its own. It is for this exercise only: whoever asks
//! gets a token.
//!
//! `POST /token` takes a JSON object and answers a token with these claims in place of the usual ones;
//! `null` leaves a claim out. `header` in it does the same for the token's header.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::routing::post;
use clap::Parser;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

/// The settings; `--keys` is a folder with `private.pem` and `jwks.json`.
#[derive(Parser)]
struct Config {
    #[arg(long, env = "MCP_BIND", default_value = "127.0.0.1:9002")]
    bind: SocketAddr,
    #[arg(long)]
    keys: PathBuf,
    /// The `aud` of its tokens
    #[arg(long)]
    audience: String,
}

/// What the handlers need.
struct Company {
    issuer: String,
    audience: String,
    key: EncodingKey,
    jwks: Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::parse();
    let listener = TcpListener::bind(config.bind).await?;
    let address = listener.local_addr()?;
    let company = Company {
        issuer: format!("http://{address}"),
        audience: config.audience,
        key: EncodingKey::from_ec_pem(&std::fs::read(config.keys.join("private.pem"))?)?,
        jwks: serde_json::from_slice(&std::fs::read(config.keys.join("jwks.json"))?)?,
    };
    println!("company is listening on http://{address}");
    let app = Router::new()
        .route("/health", get(|| async { "healthy" }))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .with_state(Arc::new(company));
    axum::serve(listener, app).await?;
    Ok(())
}

/// As any OpenID provider has it, as far as a resource server looks.
async fn metadata(State(company): State<Arc<Company>>) -> Json<Value> {
    let issuer = &company.issuer;
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/keys"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
    }))
}

async fn keys(State(company): State<Arc<Company>>) -> Json<Value> {
    Json(company.jwks.clone())
}

async fn token(
    State(company): State<Arc<Company>>,
    Json(mut wanted): Json<Map<String, Value>>,
) -> Result<String, (StatusCode, String)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = json!({"alg": "ES256", "kid": company.jwks["keys"][0]["kid"]});
    let claims = json!({
        "iss": company.issuer,
        "sub": "ana",
        "aud": [company.audience],
        "iat": now,
        "exp": now + 600,
        "azp": "intranet",
        "scope": "openid profile",
        "permissions": ["tools.read", "tools.call"],
        "groups": ["staff"],
        "roles": ["Head of Plants"],
    });
    let header = merged(header, wanted.remove("header"));
    let claims = merged(claims, Some(Value::Object(wanted)));
    sign(&company, header, &claims).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// An object with other members in place of its own; `null` takes one away.
fn merged(
    mut usual: Value,
    wanted: Option<Value>,
) -> Value {
    for (name, value) in wanted.iter().flat_map(Value::as_object).flatten() {
        usual[name] = value.clone();
    }
    if let Some(members) = usual.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    usual
}

fn sign(
    company: &Company,
    header: Value,
    claims: &Value,
) -> Result<String, Box<dyn Error>> {
    let header: Header = serde_json::from_value(header)?;
    if header.alg != Algorithm::ES256 {
        return Err("this company signs ES256 and nothing else".into());
    }
    Ok(jsonwebtoken::encode(&header, claims, &company.key)?)
}
