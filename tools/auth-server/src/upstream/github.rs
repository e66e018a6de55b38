//! GitHub as the upstream provider: OAuth 2.0 with manners of its own.
//!
//! It has no ID token, and reports errors of its token endpoint with status 200. Any GitHub token
//! opens `/user`, whichever app it was issued to; so the one proof that a token is ours is
//! `POST /applications/{client_id}/token`, and a token without that proof signs nobody in.
//!
//! Clauses: GitHub's pages "Authorizing OAuth apps", "REST API endpoints for OAuth authorizations",
//! "Rate limits for the REST API"; RFC 7636 (S256), RFC 9207.

use anyhow::Context;
use anyhow::ensure;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use serde_json::json;
use url::Url;

use crate::secret;
use crate::upstream::failure::Failure;
use crate::upstream::http::Http;
use crate::upstream::http::Reply;
use crate::upstream::identity::Answer;
use crate::upstream::identity::Ask;
use crate::upstream::identity::Identity;
use crate::upstream::identity::Tokens;
use crate::upstream::identity::shown;
use crate::upstream::settings;
use crate::upstream::settings::GitHub;

/// Where GitHub sends the browser back to, below this server's issuer.
pub(crate) const CALLBACK: &str = "/github/callback";

/// What is asked for: the profile, and the email addresses.
const SCOPE: &str = "read:user user:email";

/// How long to wait where GitHub limits us and does not say for how long, in seconds.
const USUAL_WAIT: i64 = 60;

/// One OAuth app.
pub(crate) struct Provider {
    client_id: String,
    client_secret: String,
    auth_url: Url,
    token_url: Url,
    /// Without a slash at its end.
    api_url: Url,
    /// What an `iss` in the answer has to be.
    issuer: String,
    redirect_uri: String,
    http: Http,
}

/// Why a call of the API in a user's name brought nothing.
#[derive(Debug)]
pub(crate) enum ApiFailure {
    /// The token is worth nothing any more.
    Dead,
    /// So many seconds to wait.
    Limited(i64),
    /// The token does not reach that.
    OutOfReach,
    Unavailable(String),
}

impl Provider {
    /// # Errors
    ///
    /// One sentence that says which setting to change.
    pub(crate) fn new(
        app: &GitHub,
        redirect_uri: String,
    ) -> anyhow::Result<Self> {
        let auth_url = settings::endpoint("GitHub's authorization URL", &app.auth_url)?;
        let secret = app.client_secret.reveal().context("GitHub's client secret is missing")?;
        ensure!(!app.client_id.is_empty(), "GitHub's client id is missing");
        Ok(Self {
            client_id: app.client_id.clone(),
            client_secret: secret.to_owned(),
            issuer: issuer_of(&app.auth_url),
            auth_url,
            token_url: settings::endpoint("GitHub's token URL", &app.token_url)?,
            api_url: settings::endpoint("GitHub's API URL", app.api_url.trim_end_matches('/'))?,
            redirect_uri,
            http: Http::new()?,
        })
    }

    /// What its users' sessions and grants hang on: another app is another sign-in.
    pub(crate) fn credential(&self) -> String {
        secret::sha256(&format!("github {} {}", self.issuer, self.client_id))
    }

    /// RFC 9207, where it is sent at all.
    pub(crate) fn is_issuer(
        &self,
        iss: Option<&str>,
    ) -> bool {
        iss.is_none_or(|iss| iss == self.issuer)
    }

    /// Where the browser goes.
    pub(crate) fn authorization_url(
        &self,
        ask: &Ask<'_>,
    ) -> Url {
        let mut url = self.auth_url.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", SCOPE)
            .append_pair("state", ask.state)
            .append_pair("code_challenge", &secret::sha256(ask.verifier))
            .append_pair("code_challenge_method", "S256");
        if ask.again {
            // Who has granted once is sent back without a page, as whoever is signed in there.
            url.query_pairs_mut().append_pair("prompt", "select_account");
        }
        url
    }

    /// From the code to somebody whose token is ours.
    pub(crate) async fn identify(
        &self,
        answer: &Answer<'_>,
    ) -> Result<Identity, Failure> {
        let tokens = self.redeem(answer).await?;
        let owner = self.owner_by_our_app(&tokens.access).await?;
        let user = match self.api(&tokens.access, "/user", answer.now).await {
            Ok(user) => user,
            Err(ApiFailure::Unavailable(why)) => return Err(Failure::Unavailable(why)),
            Err(ApiFailure::Limited(_)) => return Err(Failure::unavailable("its rate limit")),
            Err(_) => return Err(Failure::Refused("GitHub does not say who the user is.")),
        };
        let id = id(&user).ok_or(Failure::unavailable("/user has no integer id"))?;
        if id != owner {
            return Err(Failure::Refused("GitHub names two users for one sign-in."));
        }
        let text = |name: &str| user[name].as_str().and_then(shown);
        Ok(Identity {
            subject: id.to_string(),
            login: text("login").unwrap_or_else(|| id.to_string()),
            name: text("name"),
            tokens: Some(tokens),
        })
    }

    async fn redeem(
        &self,
        answer: &Answer<'_>,
    ) -> Result<Tokens, Failure> {
        let form = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", &self.client_secret),
            ("code", answer.code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", answer.verifier),
        ];
        let document = self.token_request(&form).await?;
        match document["error"].as_str() {
            None => tokens(&document, answer.now),
            Some("bad_verification_code") => Err(Failure::Refused(
                "GitHub does not take the code that came back.",
            )),
            Some("unverified_user_email") => Err(Failure::Refused(
                "The user's email address at GitHub is not verified.",
            )),
            // The settings of the app are wrong: nothing that the user or the client could change.
            Some(error) => Err(Failure::unavailable(format!(
                "the token endpoint says {error:?}"
            ))),
        }
    }

    /// A new pair for an old one, both of whose tokens die at once.
    pub(crate) async fn refresh(
        &self,
        refresh_token: &str,
        now: i64,
    ) -> Result<Tokens, ApiFailure> {
        let form = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", &self.client_secret),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        let document = self.token_request(&form).await?;
        match document["error"].as_str() {
            None => Ok(tokens(&document, now)?),
            Some("bad_refresh_token") => Err(ApiFailure::Dead),
            Some(error) => {
                let why = format!("the token endpoint says {error:?} on refresh");
                Err(Failure::unavailable(why).into())
            }
        }
    }

    /// Form-encoded is what GitHub answers to who does not ask for JSON, so that is not what was
    /// asked for.
    async fn token_request(
        &self,
        form: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let request = self.http.post_form(self.token_url.clone(), form);
        self.http.send(request).await?.document()
    }

    /// The id of the user whose token it is, provided that it was issued to our app: "Check a
    /// token". The token of another app, however good, is answered 404.
    async fn owner_by_our_app(
        &self,
        token: &str,
    ) -> Result<u64, Failure> {
        let url = self.api_at(&format!("/applications/{}/token", self.client_id));
        let request = self
            .http
            .post_json(url, &json!({"access_token": token}))
            .basic_auth(&self.client_id, Some(&self.client_secret));
        let reply = self.http.send(request).await?;
        if matches!(
            reply.status,
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY
        ) {
            return Err(Failure::Refused(
                "GitHub's token was not issued to this server.",
            ));
        }
        let document = reply.document()?;
        let app = &document["app"]["client_id"];
        if !app.is_null() && *app != self.client_id {
            return Err(Failure::Refused(
                "GitHub's token was not issued to this server.",
            ));
        }
        id(&document["user"]).ok_or(Failure::unavailable("the check of the token names no user"))
    }

    /// `GET path` of the API with a user's token. Its answer must be JSON with status 200.
    pub(crate) async fn api(
        &self,
        token: &str,
        path: &str,
        now: i64,
    ) -> Result<Value, ApiFailure> {
        let request = self.http.get(self.api_at(path)).bearer_auth(token);
        let reply = self.http.send(request).await?;
        refused_by_api(&reply, now)?;
        Ok(reply.document()?)
    }

    fn api_at(
        &self,
        path: &str,
    ) -> Url {
        let mut url = self.api_url.clone();
        url.set_path(&format!(
            "{}{path}",
            self.api_url.path().trim_end_matches('/')
        ));
        url
    }
}

impl From<Failure> for ApiFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(why) => Self::Unavailable(why),
            other => Self::Unavailable(other.description().to_owned()),
        }
    }
}

/// The authorization URL without its last segment: `https://github.com/login/oauth`.
fn issuer_of(auth_url: &str) -> String {
    let path = auth_url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit_once('/').map_or(path, |(before, _)| before).to_owned()
}

/// What the statuses of the API mean for a token.
fn refused_by_api(
    reply: &Reply,
    now: i64,
) -> Result<(), ApiFailure> {
    match reply.status {
        StatusCode::UNAUTHORIZED => Err(ApiFailure::Dead),
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            // 403 also says that the token reaches too little.
            let limited = reply.status == StatusCode::TOO_MANY_REQUESTS;
            match wait(&reply.headers, now) {
                Some(seconds) => Err(ApiFailure::Limited(seconds)),
                None if limited => Err(ApiFailure::Limited(USUAL_WAIT)),
                None => Err(ApiFailure::OutOfReach),
            }
        }
        StatusCode::NOT_FOUND => Err(ApiFailure::OutOfReach),
        _ => Ok(()),
    }
}

/// Seconds to wait, where the answer says that a rate limit is used up.
fn wait(
    headers: &HeaderMap,
    now: i64,
) -> Option<i64> {
    let number = |name: &str| -> Option<i64> { headers.get(name)?.to_str().ok()?.parse().ok() };
    if let Some(seconds) = number("retry-after") {
        return Some(seconds.clamp(1, 86_400));
    }
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let reset = number("x-ratelimit-reset").map_or(USUAL_WAIT, |at| at.saturating_sub(now));
    used_up.then(|| reset.clamp(1, 86_400))
}

/// A whole number: login names change hands.
fn id(user: &Value) -> Option<u64> {
    user["id"].as_u64()
}

fn tokens(
    document: &Value,
    now: i64,
) -> Result<Tokens, Failure> {
    let text = |name: &str| document[name].as_str().filter(|text| !text.is_empty());
    let bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let access = text("access_token").filter(|_| bearer);
    Ok(Tokens {
        access: access
            .ok_or(Failure::unavailable(
                "the token endpoint gave no bearer token",
            ))?
            .to_owned(),
        refresh: text("refresh_token").map(str::to_owned),
        expires_at: document["expires_in"].as_i64().map(|seconds| now.saturating_add(seconds)),
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    #[test]
    fn the_issuer_is_the_authorization_url_without_its_end() {
        assert_eq!(
            issuer_of(GitHub::AUTH_URL),
            "https://github.com/login/oauth"
        );
        assert_eq!(
            issuer_of("http://localhost:9100/login/oauth/authorize?a=/b"),
            "http://localhost:9100/login/oauth"
        );
    }

    #[test]
    fn a_used_up_limit_says_when_it_is_over() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            pairs.collect()
        };
        let used_up = headers(&[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1090"),
        ]);
        assert_eq!(wait(&used_up, 1000), Some(90));
        assert_eq!(wait(&used_up, 2000), Some(1));
        assert_eq!(wait(&headers(&[("retry-after", "7")]), 1000), Some(7));
        let long_ago = i64::MIN.to_string();
        let strange = headers(&[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", &long_ago),
        ]);
        assert_eq!(wait(&strange, 1000), Some(1));
        assert_eq!(
            wait(&headers(&[("x-ratelimit-remaining", "3")]), 1000),
            None
        );
    }
}
