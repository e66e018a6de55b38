//! Accounts, apps, and what was issued: the whole state, in memory.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use aws_lc_rs::digest;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::faults::Fault;

/// An OAuth app, as its owner registered it.
#[derive(Clone, Debug)]
pub struct App {
    /// "Client ID".
    pub client_id: String,
    /// "Client secret".
    pub client_secret: String,
    /// What people are shown.
    pub name: String,
    /// "Authorization callback URL".
    pub callback: String,
}

/// The client id of a second app, which belongs to somebody else. Its secret is `other-secret`.
pub const OTHER_APP: &str = "Ov23liOTHERAPP000000";

/// How long a code lives, in seconds.
const CODE_TTL: i64 = 600;

/// How long a refresh token lives, in seconds.
const REFRESH_TTL: i64 = 15_897_600;

/// Tokens for one user, app and scope; one more kills the oldest.
const MAX_TOKENS: usize = 10;

/// A user's way through the pages.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) app: App,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<String>,
}

/// What a code stands for.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) login: String,
    pub(crate) expires_at: i64,
}

/// An access token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) client_id: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) login: String,
    pub(crate) expires_at: Option<i64>,
}

pub(crate) struct World {
    pub(crate) origin: String,
    pub(crate) apps: Vec<App>,
    pub(crate) auto: Option<String>,
    pub(crate) expires_in: Option<i64>,
    pub(crate) faults: BTreeMap<String, Fault>,
    pub(crate) requests: HashMap<String, Request>,
    /// Cookie to login.
    pub(crate) sessions: HashMap<String, String>,
    pub(crate) codes: HashMap<String, Code>,
    /// The oldest first.
    pub(crate) tokens: Vec<Token>,
    /// Who has granted what to which app, for ever.
    grants: HashMap<(String, String), BTreeSet<String>>,
    pub(crate) refreshes: u64,
}

impl World {
    pub(crate) fn new(
        origin: &str,
        app: App,
    ) -> Self {
        let other = App {
            client_id: OTHER_APP.to_owned(),
            client_secret: "other-secret".to_owned(),
            name: "Somebody else's app".to_owned(),
            callback: "http://localhost:8001/callback".to_owned(),
        };
        Self {
            origin: origin.to_owned(),
            apps: vec![app, other],
            auto: None,
            expires_in: None,
            faults: BTreeMap::new(),
            requests: HashMap::new(),
            sessions: HashMap::new(),
            codes: HashMap::new(),
            tokens: Vec::new(),
            grants: HashMap::new(),
            refreshes: 0,
        }
    }

    pub(crate) fn app(
        &self,
        client_id: &str,
    ) -> Option<&App> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    /// Whether the account has granted all of that to the app before: then GitHub asks no more.
    pub(crate) fn has_granted(
        &self,
        login: &str,
        request: &Request,
    ) -> bool {
        let key = (login.to_owned(), request.app.client_id.clone());
        self.grants.get(&key).is_some_and(|granted| request.scopes.is_subset(granted))
    }

    /// The account takes back what it granted to an app.
    pub(crate) fn revoke_grant(
        &mut self,
        login: &str,
        client_id: &str,
    ) {
        self.grants.remove(&(login.to_owned(), client_id.to_owned()));
    }

    /// The account grants what the request asks for; the code for it.
    pub(crate) fn grant(
        &mut self,
        login: &str,
        request: &Request,
    ) -> String {
        let key = (login.to_owned(), request.app.client_id.clone());
        self.grants.entry(key).or_default().extend(request.scopes.iter().cloned());
        let code = random();
        let granted = Code {
            client_id: request.app.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            scopes: request.scopes.clone(),
            challenge: request.challenge.clone(),
            login: login.to_owned(),
            expires_at: now() + CODE_TTL,
        };
        self.codes.insert(code.clone(), granted);
        code
    }

    /// A new access token, with a refresh token where tokens expire.
    pub(crate) fn issue(
        &mut self,
        client_id: &str,
        login: &str,
        scopes: &BTreeSet<String>,
    ) -> Token {
        let token = Token {
            access: format!("gho_{}", random()),
            refresh: self.expires_in.map(|_| format!("ghr_{}", random())),
            client_id: client_id.to_owned(),
            scopes: scopes.clone(),
            login: login.to_owned(),
            expires_at: self.expires_in.map(|seconds| now() + seconds),
        };
        let alike = |other: &Token| {
            (&other.client_id, &other.login, &other.scopes)
                == (&token.client_id, &token.login, &token.scopes)
        };
        let count = self.tokens.iter().filter(|other| alike(other)).count();
        if count >= MAX_TOKENS
            && let Some(oldest) = self.tokens.iter().position(alike)
        {
            self.tokens.remove(oldest);
        }
        self.tokens.push(token.clone());
        token
    }

    pub(crate) fn token_for(
        &mut self,
        client_id: &str,
        login: &str,
    ) -> Option<String> {
        let client_id = self.app(client_id)?.client_id.clone();
        account(login)?;
        let scopes = BTreeSet::from(["read:user".to_owned()]);
        Some(self.issue(&client_id, login, &scopes).access)
    }

    /// A token that is good now.
    pub(crate) fn token(
        &self,
        access: &str,
    ) -> Option<&Token> {
        let found = self.tokens.iter().find(|token| token.access == access)?;
        found.expires_at.is_none_or(|at| at > now()).then_some(found)
    }

    /// A new pair for an old one, which dies with both its tokens.
    pub(crate) fn refresh(
        &mut self,
        client_id: &str,
        refresh: &str,
    ) -> Option<Token> {
        let of = |token: &Token| {
            token.refresh.as_deref() == Some(refresh) && token.client_id == client_id
        };
        let old = self.tokens.iter().position(of)?;
        let old = self.tokens.remove(old);
        self.refreshes += 1;
        Some(self.issue(client_id, &old.login, &old.scopes))
    }
}

impl Token {
    /// The members of the token endpoint's answer.
    pub(crate) fn members(&self) -> Vec<(&'static str, Value)> {
        let scopes: Vec<_> = self.scopes.iter().map(String::as_str).collect();
        let mut members = vec![
            ("access_token", json!(self.access)),
            ("scope", json!(scopes.join(","))),
            ("token_type", json!("bearer")),
        ];
        if let (Some(refresh), Some(expires_at)) = (&self.refresh, self.expires_at) {
            members.push(("expires_in", json!(expires_at - now())));
            members.push(("refresh_token", json!(refresh)));
            members.push(("refresh_token_expires_in", json!(REFRESH_TTL)));
        }
        members
    }
}

/// The accounts: login, id, name, public email address.
pub(crate) const ACCOUNTS: &[(&str, u64, &str, Option<&str>)] = &[
    (
        "octocat",
        583_231,
        "The Octocat",
        Some("octocat@github.example"),
    ),
    ("hubot", 480_938, "Hubot", None),
    ("monalisa", 2, "Mona Lisa Octocat", None),
];

/// The account, as `GET /user` shows it to a token with `read:user`: public and private members.
pub(crate) fn account(login: &str) -> Option<Value> {
    let (login, id, name, email) = ACCOUNTS.iter().find(|(name, ..)| *name == login)?;
    Some(json!({
        "login": login,
        "id": id,
        "node_id": format!("MDQ6VXNlcj{id}"),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
        "html_url": format!("https://github.com/{login}"),
        "type": "User",
        "site_admin": false,
        "name": name,
        "company": if *login == "octocat" { json!("@github") } else { Value::Null },
        "location": "San Francisco",
        "email": email,
        "bio": format!("{name} lives on this machine only"),
        "public_repos": 8,
        "followers": 20,
        "created_at": "2011-01-25T18:44:36Z",
        "private_gists": 81,
        "total_private_repos": 100,
        "disk_usage": 10_000,
        "two_factor_authentication": true,
        "plan": {"name": "pro", "space": 976_562_499},
    }))
}

/// 256 random bits as base64url.
pub(crate) fn random() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The `S256` transformation (RFC 7636 section 4.2).
pub(crate) fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
