//! A provider that is asked about tokens, for the tests to play with: an authorization server, and
//! beside it the two places where questions are answered, well or in all ways that are not.

use std::sync::Arc;
use std::sync::Mutex;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use tokio::sync::watch;

use super::*;

/// Our client at the provider. What needs to be encoded in a Basic header is in both names.
pub(super) const ID: &str = "who am i";
pub(super) const SECRET: &str = "s3cr:t%";

/// An opaque token.
pub(super) const OPAQUE: &str = "oq-7Yb1";

/// It answers what it is told to answer, and takes down what it was asked.
pub(super) struct Asked {
    /// Its metadata and keys.
    pub(super) issuer: Arc<Issuer>,
    url: String,
    reply: Mutex<Reply>,
    questions: watch::Sender<Vec<Question>>,
    held: watch::Sender<bool>,
}

/// What every question gets.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    pub(super) body: String,
    /// The body comes, but its end does not.
    pub(super) drips: bool,
}

/// What a server of ours has sent.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Question {
    pub(super) fn header(
        &self,
        name: &str,
    ) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A good answer in JSON.
pub(super) fn reply(claims: &Value) -> Reply {
    Reply {
        status: 200,
        media_type: "application/json; charset=utf-8",
        body: claims.to_string(),
        drips: false,
    }
}

/// The same with another status.
pub(super) fn status(status: u16) -> Reply {
    Reply {
        status,
        ..reply(&alice())
    }
}

/// What userinfo says about a user.
pub(super) fn alice() -> Value {
    json!({"sub": "alice", "preferred_username": "Alice", "email": "alice@example.com"})
}

/// What introspection says about a token for us.
pub(super) fn active() -> Value {
    json!({
        "active": true,
        "token_type": "Bearer",
        "sub": "alice",
        "aud": RESOURCE,
        "client_id": "test",
        "scope": "mcp:tools",
        "exp": now() + 600,
    })
}

impl Asked {
    /// One that knows alice.
    pub(super) async fn start() -> Arc<Self> {
        let issuer = Issuer::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let metadata = with(
            issuer.metadata(),
            "userinfo_endpoint",
            json!(format!("{url}/userinfo")),
        );
        let place = json!(format!("{url}/introspect"));
        let metadata = with(metadata, "introspection_endpoint", place);
        issuer.show(SERVER_METADATA, &metadata);
        let asked = Arc::new(Self {
            issuer,
            url,
            reply: Mutex::new(reply(&alice())),
            questions: watch::Sender::default(),
            held: watch::Sender::default(),
        });
        let routes = Router::new().fallback(Self::answer).with_state(asked.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        asked
    }

    async fn answer(
        State(asked): State<Arc<Self>>,
        request: Request,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let question = Question {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body: String::from_utf8(body).unwrap(),
        };
        asked.questions.send_modify(|questions| questions.push(question));
        let mut held = asked.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
        let reply = asked.reply.lock().unwrap().clone();
        let headers = [
            ("content-type", reply.media_type.to_owned()),
            ("location", format!("{}/elsewhere", asked.url)),
        ];
        let status = StatusCode::from_u16(reply.status).unwrap();
        if reply.drips {
            let (sender, body) = stream(&[&reply.body]).await;
            // Kept for ever, so it does not end.
            std::mem::forget(sender);
            return (status, headers, body).into_response();
        }
        (status, headers, reply.body).into_response()
    }

    /// From now on this is the answer.
    pub(super) fn says(
        &self,
        reply: Reply,
    ) {
        *self.reply.lock().unwrap() = reply;
    }

    /// From now on who asks waits, or no longer.
    pub(super) fn hold(
        &self,
        held: bool,
    ) {
        self.held.send_replace(held);
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        self.questions.borrow().clone()
    }

    /// How often it was asked.
    pub(super) fn times(&self) -> usize {
        self.questions.borrow().len()
    }

    /// Waits until it was asked so often.
    pub(super) async fn asked(
        &self,
        times: usize,
    ) {
        let mut questions = self.questions.subscribe();
        soon(questions.wait_for(|questions| questions.len() >= times)).await.unwrap();
    }

    pub(super) fn url_of(
        &self,
        path: &str,
    ) -> String {
        format!("{}{path}", self.url)
    }

    /// Settings that trust this provider, and check tokens in this way.
    pub(super) fn config(
        &self,
        verify: Verify,
    ) -> Config {
        let mut config = with_issuer(&self.issuer.url);
        config.provider.verify = verify;
        config.provider.introspection_client_id = Some(ID.to_owned());
        config.provider.introspection_client_secret = SECRET.to_owned().into();
        config
    }

    pub(super) fn server(
        &self,
        verify: Verify,
    ) -> Router {
        serving(self.config(verify))
    }
}

/// What `whoami` answers to this token, with all that comes along.
pub(super) async fn whoami_result(
    router: &Router,
    token: &str,
) -> Value {
    let request = modern("tools/call", call("whoami", json!({})));
    let request = request.with("Authorization", &bearer(token));
    let answer = send_to(router.clone(), request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()["result"].take()
}

pub(super) async fn whoami(
    router: &Router,
    token: &str,
) -> Value {
    serde_json::from_str(text_of(&whoami_result(router, token).await)).unwrap()
}

/// The lines of the log at this level.
pub(super) fn logged(level: &str) -> Vec<String> {
    let mut lines = Log::lines();
    lines.retain(|line| line.contains(&format!(" {level} ")));
    lines
}
