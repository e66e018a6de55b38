//! Figures for Prometheus: how many requests came, how they ended, how long they took, how old the
//! keys are.
//!
//! All but the method is read from the answers, on their way out. So this lies around the whole
//! router, and nothing that protects the server knows of it; whoever reads the message tells its
//! [`Method`].
//!
//! The figures have an address of their own, where nobody is asked for a token: it is for the
//! collector alone. No label holds anything that a caller may choose. Each value is from a short
//! list, so nobody can make series without end, and no name or token gets in.
//!
//! Spec: OpenMetrics 1.0, which Prometheus reads. Left out: requests whose client went away before
//! the answer was there, and other paths than that of MCP.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::error::not_found;
use crate::keys::Keys;
use crate::rules::RULES;

/// The path whose requests are counted.
const ENDPOINT: &str = "/mcp";

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: from a token that was verified a moment ago to keys that their issuer is
/// slow to give.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Why requests are refused. Counted from 0, because an alert sees a counter that rises, and not one
/// that appears.
const REASONS: [&str; 10] = [
    "no_credentials",
    "invalid_token",
    "invalid_request",
    "insufficient_scope",
    "role",
    "origin_or_host",
    "timeout",
    "too_large",
    "too_many_calls",
    "unavailable",
];

/// The method of a message as the figures have it: one of the table, `other`, or `none` where a
/// request was refused before its message was read. It travels among the extensions of the answer.
#[derive(Clone, Copy)]
pub(crate) struct Method(&'static str);

impl Method {
    /// What is not in the table counts as `other`: anybody can make up names.
    pub(crate) fn of(method: &str) -> Self {
        let rule = RULES.iter().find(|rule| rule.method == method);
        Self(rule.map_or("other", |rule| rule.method))
    }
}

/// The labels of a counter of requests.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    method: &'static str,
    status: u16,
}

/// The label of a counter of refusals.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Refusal {
    reason: &'static str,
}

/// The label of a histogram.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Called {
    method: &'static str,
}

/// What was counted since the start.
pub(crate) struct Metrics {
    keys: Arc<Keys>,
    requests: Family<Outcome, Counter>,
    refusals: Family<Refusal, Counter>,
    durations: Family<Called, Histogram>,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new(keys: Arc<Keys>) -> Self {
        let requests = Family::default();
        let refusals = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> _);
        for reason in REASONS {
            drop(refusals.get_or_create(&Refusal {
                reason,
            }));
        }
        let mut registry = Registry::with_prefix("mcp");
        registry.register(
            "requests",
            "Requests for MCP by method and HTTP status",
            requests.clone(),
        );
        registry.register(
            "refusals",
            "Requests for MCP that were refused, by reason",
            refusals.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request for MCP to its answer",
            Unit::Seconds,
            durations.clone(),
        );
        Self {
            keys,
            requests,
            refusals,
            durations,
            registry,
        }
    }

    /// The router, with everything that it answers counted.
    pub(crate) fn around(
        self: &Arc<Self>,
        app: Router,
    ) -> Router {
        app.layer(from_fn_with_state(self.clone(), observe))
    }

    /// Serves the figures at `/metrics` of this address as long as the process runs, also while the
    /// last requests are finished.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        address: SocketAddr,
    ) -> io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        info!("metrics are at http://{address}/metrics");
        if !address.ip().is_loopback() {
            warn!("nobody is asked for a token at {address}: let only your collector reach it");
        }
        let app = Router::new()
            .route("/metrics", get(scrape))
            .fallback(not_found)
            .with_state(self.clone());
        tokio::spawn(async {
            if let Err(reason) = axum::serve(listener, app).await {
                error!("there are no metrics any more: {reason}");
            }
        });
        Ok(())
    }

    fn count(
        &self,
        response: &Response,
        duration: Duration,
    ) {
        let Method(method) = method(response).unwrap_or(Method("none"));
        let status = response.status().as_u16();
        self.requests
            .get_or_create(&Outcome {
                method,
                status,
            })
            .inc();
        self.durations
            .get_or_create(&Called {
                method,
            })
            .observe(duration.as_secs_f64());
        if let Some(reason) = reason(response) {
            self.refusals
                .get_or_create(&Refusal {
                    reason,
                })
                .inc();
        }
    }

    /// All figures in the text format. The age of the keys is that of this moment, and missing where
    /// there are none.
    async fn text(&self) -> String {
        let mut now = Registry::with_prefix("mcp");
        if let Some(age) = self.keys.age().await {
            now.register_with_unit(
                "keys_age",
                "How long ago the keys that check tokens were asked for",
                Unit::Seconds,
                ConstGauge::new(age.as_secs_f64()),
            );
        }
        let mut page = String::new();
        text::encode_registry(&mut page, &self.registry)
            .and_then(|()| text::encode(&mut page, &now))
            .expect("a String takes all that is written");
        page
    }
}

/// The middleware: what comes back is counted, whoever has answered.
async fn observe(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path() != ENDPOINT {
        return next.run(request).await;
    }
    let start = Instant::now();
    let response = next.run(request).await;
    metrics.count(&response, start.elapsed());
    response
}

/// `GET /metrics`
async fn scrape(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text().await)
}

fn method(response: &Response) -> Option<Method> {
    response.extensions().get().copied()
}

/// Why a request was refused, as its answer says it: by the status, and by the `error` of the
/// challenge (RFC 6750, section 3.1). A 403 without a challenge is about the role where the message
/// was read, and about `Origin` or `Host` where nobody has looked at it.
fn reason(response: &Response) -> Option<&'static str> {
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    let challenge = challenge.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is = |error: &str| challenge.split(", ").any(|part| part == format!("error=\"{error}\""));
    match response.status() {
        StatusCode::BAD_REQUEST if is("invalid_request") => Some("invalid_request"),
        StatusCode::UNAUTHORIZED if is("invalid_token") => Some("invalid_token"),
        StatusCode::UNAUTHORIZED => Some("no_credentials"),
        StatusCode::FORBIDDEN if is("insufficient_scope") => Some("insufficient_scope"),
        StatusCode::FORBIDDEN if method(response).is_some() => Some("role"),
        StatusCode::FORBIDDEN => Some("origin_or_host"),
        StatusCode::REQUEST_TIMEOUT => Some("timeout"),
        StatusCode::PAYLOAD_TOO_LARGE => Some("too_large"),
        StatusCode::TOO_MANY_REQUESTS => Some("too_many_calls"),
        StatusCode::SERVICE_UNAVAILABLE => Some("unavailable"),
        _ => None,
    }
}

/// An address, or a port alone, which is one of this machine: figures are not for everybody.
pub(crate) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse()
        .map_err(|_| "expected a port, such as 9100, or an address with a port")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::Extension;
    use axum::body::Body;
    use clap::Parser;
    use tower::ServiceExt;
    use tower_http::timeout::TimeoutLayer;

    use super::*;
    use crate::config::Config;
    use crate::server::Server;

    #[test]
    fn every_refusal_is_known_by_its_answer() {
        let scope = r#"Bearer realm="mcp", error="insufficient_scope", scope="mcp:audit""#;
        let token = r#"Bearer realm="mcp", error="invalid_token", error_description="exp, iss""#;
        let usage = r#"Bearer realm="mcp", error="invalid_request""#;
        let without = r#"Bearer realm="mcp", scope="mcp:read""#;
        for (status, challenge, is_read, expected) in [
            (200, "", true, None),
            (400, "", true, None),
            (404, "", true, None),
            (400, usage, false, Some("invalid_request")),
            (401, token, false, Some("invalid_token")),
            (401, without, false, Some("no_credentials")),
            (403, scope, true, Some("insufficient_scope")),
            (403, "", true, Some("role")),
            (403, "", false, Some("origin_or_host")),
            (408, "", false, Some("timeout")),
            (413, "", false, Some("too_large")),
            (429, "", true, Some("too_many_calls")),
            (503, "", false, Some("unavailable")),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = (status, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
            if is_read {
                response = (Extension(Method::of("ping")), response).into_response();
            }
            assert_eq!(reason(&response), expected, "{status} {challenge}");
            assert!(expected.is_none_or(|reason| REASONS.contains(&reason)));
        }
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_counted() {
        let server = Server::new(Config::parse_from(["rmcp-server"]));
        let metrics = Arc::new(Metrics::new(server.keys));
        let limit =
            TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(1));
        let app = Router::new().route("/mcp", get(pending::<()>)).layer(limit);
        let request = Request::get("/mcp").body(Body::empty()).unwrap();
        let response = metrics.around(app).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        let reason = "timeout";
        let counted = metrics.refusals.get(&Refusal {
            reason,
        });
        assert_eq!(counted.map(|counter| counter.get()), Some(1));
    }

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for (text, expected) in [
            ("9100", "127.0.0.1:9100"),
            ("0", "127.0.0.1:0"),
            ("0.0.0.0:9100", "0.0.0.0:9100"),
            ("[::1]:9100", "[::1]:9100"),
        ] {
            assert_eq!(address(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "70000",
            ":9100",
            "127.0.0.1",
            "localhost:9100",
            "9100/metrics",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
