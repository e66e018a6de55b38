//! The least that an HTTP server does which takes JSON and answers JSON: the yardstick of
//! `scripts/bench.sh`. It checks nothing and logs nothing.

use std::io;

use axum::Json;
use axum::Router;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("bench is listening on http://{}", listener.local_addr()?);
    let app = Router::new().route("/mcp", post(echo));
    axum::serve(listener, app).await
}

/// The same value back.
async fn echo(Json(value): Json<Value>) -> Json<Value> {
    Json(value)
}
