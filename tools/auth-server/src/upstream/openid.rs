//! Any OpenID provider as the upstream: discovery, code and PKCE, and an ID token that is checked.
//!
//! Clauses: OpenID Connect Discovery 1.0 section 4, OpenID Connect Core 1.0 sections 3.1.2 and
//! 3.1.3, RFC 7636, RFC 9207. Left out: userinfo (where the ID token has no name, the subject is
//! shown), encrypted ID tokens, `private_key_jwt`.

use std::sync::Arc;

use anyhow::ensure;
use serde_json::Value;
use url::Url;

use crate::secret;
use crate::upstream::discovery::Discovery;
use crate::upstream::discovery::Metadata;
use crate::upstream::failure::Failure;
use crate::upstream::http::Http;
use crate::upstream::id_token;
use crate::upstream::id_token::Expected;
use crate::upstream::identity::Answer;
use crate::upstream::identity::Ask;
use crate::upstream::identity::Identity;
use crate::upstream::identity::shown;
use crate::upstream::settings;
use crate::upstream::settings::ClientSecret;

/// Where the provider sends the browser back to, below this server's issuer.
pub(crate) const CALLBACK: &str = "/oauth/upstream/callback";

/// One provider, at which this server is a client.
pub(crate) struct Provider {
    /// What stands before the colon in the `sub` of its users.
    pub(crate) name: String,
    issuer: String,
    client_id: String,
    client_secret: ClientSecret,
    redirect_uri: String,
    http: Http,
    discovery: Discovery,
}

/// The operator's settings for one provider.
pub(crate) struct Registration<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: ClientSecret,
    /// The issuer's host where it is not given.
    pub(crate) name: Option<&'a str>,
}

impl Provider {
    /// Asks the provider nothing yet: the start waits for nobody.
    ///
    /// # Errors
    ///
    /// One sentence that says which setting to change.
    pub(crate) fn new(
        registration: &Registration<'_>,
        redirect_uri: String,
    ) -> anyhow::Result<Self> {
        let url = settings::endpoint("--upstream-issuer", registration.issuer)?;
        ensure!(
            url.query().is_none(),
            "--upstream-issuer {:?} must have no query",
            registration.issuer
        );
        let name = registration.name.unwrap_or(url.host_str().unwrap_or_default());
        settings::check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            issuer: registration.issuer.to_owned(),
            client_id: registration.client_id.to_owned(),
            client_secret: registration.client_secret.clone(),
            redirect_uri,
            http: Http::new()?,
            discovery: Discovery::default(),
        })
    }

    /// What its users' sessions and grants hang on: another issuer is another sign-in, and so is
    /// another name.
    pub(crate) fn credential(&self) -> String {
        let Self {
            name,
            issuer,
            client_id,
            ..
        } = self;
        secret::sha256(&format!("openid {name} {issuer} {client_id}"))
    }

    /// RFC 9207 section 2.4: a provider that says it sends `iss` has to. Who cannot be asked is
    /// held to what was sent.
    pub(crate) async fn is_issuer(
        &self,
        iss: Option<&str>,
    ) -> bool {
        match iss {
            Some(iss) => iss == self.issuer,
            None => !self.metadata().await.is_ok_and(|metadata| metadata.sends_issuer),
        }
    }

    /// Where the browser goes.
    pub(crate) async fn authorization_url(
        &self,
        ask: &Ask<'_>,
    ) -> Result<Url, Failure> {
        let mut url = self.metadata().await?.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid profile")
            .append_pair("state", ask.state)
            .append_pair("nonce", ask.nonce)
            .append_pair("code_challenge", &secret::sha256(ask.verifier))
            .append_pair("code_challenge_method", "S256");
        if ask.again {
            url.query_pairs_mut().append_pair("prompt", "login");
        }
        Ok(url)
    }

    /// From the code to a verified ID token. The access token is not kept.
    pub(crate) async fn identify(
        &self,
        answer: &Answer<'_>,
    ) -> Result<Identity, Failure> {
        let document = self.redeem(answer).await?;
        let token = document["id_token"]
            .as_str()
            .ok_or(Failure::unavailable("the token endpoint gave no ID token"))?;
        let metadata = self.metadata().await?;
        let kid = id_token::key_id(token)?;
        let key = self.discovery.key(&self.http, &metadata, kid.as_deref()).await?;
        let expected = Expected {
            issuer: &self.issuer,
            client_id: &self.client_id,
            nonce: answer.nonce,
            now: answer.now,
        };
        let claims = id_token::verify(token, &key, &expected)?;
        let text = |name: &str| claims.other.get(name).and_then(Value::as_str).and_then(shown);
        Ok(Identity {
            login: text("preferred_username").unwrap_or_else(|| claims.sub.clone()),
            name: text("name"),
            subject: claims.sub,
            tokens: None,
        })
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, Failure> {
        self.discovery.metadata(&self.http, &self.issuer).await
    }

    async fn redeem(
        &self,
        answer: &Answer<'_>,
    ) -> Result<Value, Failure> {
        let metadata = self.metadata().await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", answer.code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", answer.verifier),
        ];
        let secret = self.client_secret.reveal();
        let in_header = secret.filter(|_| metadata.takes_basic);
        if in_header.is_none() {
            form.push(("client_id", &self.client_id));
            form.extend(secret.map(|secret| ("client_secret", secret)));
        }
        let mut request = self.http.post_form(metadata.token_endpoint.clone(), &form);
        if let Some(secret) = in_header {
            request = request.basic_auth(encoded(&self.client_id), Some(encoded(secret)));
        }
        let reply = self.http.send(request).await?;
        if reply.status.is_success() {
            return reply.document();
        }
        let error = reply.json().map(|document| document["error"].clone()).unwrap_or_default();
        if error == "invalid_grant" {
            return Err(Failure::Refused(
                "The provider does not take the code that came back.",
            ));
        }
        Err(Failure::unavailable(format!(
            "status {} of the token endpoint, error {error}",
            reply.status
        )))
    }
}

/// RFC 6749 section 2.3.1: form-encoded before they become a Basic header.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
