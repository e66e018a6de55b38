//! Tokens of other issuers: keys of every kind that they sign with, and access tokens in the shapes
//! that widespread providers give them.

use std::slice::from_ref;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use aws_lc_rs::signature::ECDSA_P521_SHA512_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RSA_PKCS1_SHA384;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use aws_lc_rs::signature::RsaEncoding;

use super::discovery::published;
use super::*;

/// From what is signed to the signature.
type Sign = dyn Fn(&[u8]) -> Vec<u8>;

/// A key of an issuer: as it is published, without an `alg`, and as it signs.
struct Signer {
    alg: &'static str,
    jwk: Value,
    sign: Box<Sign>,
}

impl Signer {
    /// A new key for this algorithm.
    fn of(alg: &'static str) -> Self {
        match alg {
            "RS256" => Self::rsa(alg, &RSA_PKCS1_SHA256),
            "RS384" => Self::rsa(alg, &RSA_PKCS1_SHA384),
            "PS256" => Self::rsa(alg, &RSA_PSS_SHA256),
            "ES256" => Self::elliptic(alg, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => Self::elliptic(alg, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => Self::elliptic(alg, "P-521", &ECDSA_P521_SHA512_FIXED_SIGNING),
            _ => Self::edwards(alg),
        }
    }

    fn rsa(
        alg: &'static str,
        padding: &'static dyn RsaEncoding,
    ) -> Self {
        let sign = move |input: &[u8]| {
            let mut signature = vec![0; KEY.public_modulus_len()];
            KEY.sign(padding, &SystemRandom::new(), input, &mut signature).unwrap();
            signature
        };
        Self {
            alg,
            jwk: without(jwk(&KEY), "alg"),
            sign: Box::new(sign),
        }
    }

    fn elliptic(
        alg: &'static str,
        curve: &str,
        algorithm: &'static EcdsaSigningAlgorithm,
    ) -> Self {
        let key = EcdsaKeyPair::generate(algorithm).unwrap();
        // The uncompressed form: a byte that says so, then both coordinates.
        let coordinates = key.public_key().as_ref()[1..].to_vec();
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        let sign = move |input: &[u8]| {
            let signature = key.sign(&SystemRandom::new(), input).unwrap();
            signature.as_ref().to_vec()
        };
        Self {
            alg,
            jwk: json!({
                "kty": "EC",
                "use": "sig",
                "crv": curve,
                "kid": alg,
                "x": base64url(x),
                "y": base64url(y),
            }),
            sign: Box::new(sign),
        }
    }

    fn edwards(alg: &'static str) -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let x = base64url(key.public_key().as_ref());
        Self {
            alg,
            jwk: json!({"kty": "OKP", "use": "sig", "crv": "Ed25519", "kid": alg, "x": x}),
            sign: Box::new(move |input| key.sign(input).as_ref().to_vec()),
        }
    }

    fn jwk_with_alg(
        &self,
        alg: &str,
    ) -> Value {
        with(self.jwk.clone(), "alg", json!(alg))
    }

    /// The header of a good token.
    fn jose(&self) -> Value {
        json!({"typ": "at+jwt", "alg": self.alg, "kid": self.jwk["kid"]})
    }

    fn token(
        &self,
        jose: &Value,
        claims: &Value,
    ) -> String {
        let input = signing_input(jose, claims);
        let signature = (self.sign)(input.as_bytes());
        format!("{input}.{}", base64url(&signature))
    }
}

/// A server that takes this set of keys from an issuer.
fn server_of(
    issuer: &Issuer,
    keys: &[Value],
) -> Router {
    issuer.show("/keys", &json!({"keys": keys}));
    issuer.server()
}

/// Sends a bad token, and returns the sentence that says why.
async fn refusal_of(
    case: &str,
    router: &Router,
    token: &str,
) -> String {
    let answer = send_to(router.clone(), ping(token)).await;
    assert_refused(case, &answer, 401, "invalid_token")
}

#[tokio::test(start_paused = true)]
async fn a_key_of_any_kind_checks_tokens_of_its_own_algorithm_and_no_other() {
    let issuer = Issuer::start().await;
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let signer = Signer::of(alg);
        let mut jwks = vec![signer.jwk_with_alg(alg)];
        // An RSA key that does not say so is not for PS256.
        if alg != "PS256" {
            jwks.push(signer.jwk.clone());
        }
        for jwk in jwks {
            let router = server_of(&issuer, from_ref(&jwk));
            let good = signer.token(&signer.jose(), &issuer.claims());
            assert_eq!(status_of(&router, &good).await, 200, "{jwk}");
            assert_eq!(published(&router).await, [jwk]);
            for other in "HS256 RS256 RS384 RS512 PS256 PS384 ES256 ES384 EdDSA".split(' ') {
                let named = with(signer.jose(), "alg", json!(other));
                let token = signer.token(&named, &issuer.claims());
                if other != alg {
                    let case = format!("{alg} called {other}");
                    let why = refusal_of(&case, &router, &token).await;
                    let expected = "the token is signed with another algorithm than its key's";
                    assert_eq!(why, expected, "{case}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_of_another_key_of_the_same_kind_does_not_match() {
    let issuer = Issuer::start().await;
    for alg in ["ES256", "ES384", "EdDSA"] {
        let [ours, other] = [(); 2].map(|()| Signer::of(alg));
        let router = server_of(&issuer, from_ref(&ours.jwk));
        for (case, token) in [
            ("another key", other.token(&ours.jose(), &issuer.claims())),
            ("another kind", sign(&ours.jose(), issuer.claims())),
        ] {
            let why = refusal_of(case, &router, &token).await;
            assert_eq!(why, "the signature does not match", "{alg} {case}");
        }
    }
    // The same RSA key, padded otherwise.
    let ours = Signer::of("PS256");
    let router = server_of(&issuer, &[ours.jwk_with_alg("PS256")]);
    let token = Signer::of("RS256").token(&ours.jose(), &issuer.claims());
    let why = refusal_of("padding", &router, &token).await;
    assert_eq!(why, "the signature does not match");
}

/// RFC 9864 gives EdDSA on this curve a name of its own.
#[tokio::test(start_paused = true)]
async fn the_newer_name_of_eddsa_is_known_in_a_key_and_explained_in_a_token() {
    let issuer = Issuer::start().await;
    let signer = Signer::of("EdDSA");
    let jwk = signer.jwk_with_alg("Ed25519");
    let router = server_of(&issuer, &[jwk]);
    let token = signer.token(&signer.jose(), &issuer.claims());
    assert_eq!(status_of(&router, &token).await, 200);
    // Published again by the name that others know.
    assert_eq!(published(&router).await, [signer.jwk_with_alg("EdDSA")]);
    let jose = with(signer.jose(), "alg", json!("Ed25519"));
    let token = signer.token(&jose, &issuer.claims());
    let why = refusal_of("Ed25519", &router, &token).await;
    let expected = "the token names its algorithm Ed25519, known here only as EdDSA";
    assert_eq!(why, expected);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_members_do_not_fit_together_is_skipped() {
    let issuer = Issuer::start().await;
    let [rsa, p256, p384, ed] = ["RS256", "ES256", "ES384", "EdDSA"].map(Signer::of);
    let rsa_key = with(rsa.jwk.clone(), "kid", json!("RS256"));
    let mut odd = vec![
        Signer::of("ES512").jwk,
        Signer::of("ES512").jwk_with_alg("ES512"),
        with(p256.jwk.clone(), "crv", json!("secp256k1")),
        with(p256.jwk.clone(), "y", json!(null)),
        without(p256.jwk.clone(), "crv"),
        without(p256.jwk.clone(), "y"),
        with(ed.jwk.clone(), "crv", json!("Ed448")),
        with(ed.jwk.clone(), "crv", json!("X25519")),
        with(ed.jwk.clone(), "kty", json!("EC")),
        with(p256.jwk.clone(), "kty", json!("OKP")),
        with(rsa_key.clone(), "alg", json!(null)),
        with(rsa_key.clone(), "alg", json!(256)),
        json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": "c2VjcmV0"}),
        json!({"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}),
    ];
    for (key, others) in [
        (
            &rsa_key,
            "RS384 RS512 PS384 PS512 RSA-OAEP HS256 ES256 EdDSA none",
        ),
        (&p256.jwk, "ES384 ES512 RS256 HS256 EdDSA ECDH-ES"),
        (&p384.jwk, "ES256 ES512 RS256 HS256"),
        (&ed.jwk, "ES256 RS256 HS256 Ed448"),
    ] {
        let misfits = others.split(' ').map(|alg| with(key.clone(), "alg", json!(alg)));
        odd.extend(misfits);
        for other_use in [json!("enc"), json!(""), json!(null), json!(["sig"])] {
            odd.push(with(key.clone(), "use", other_use));
        }
    }
    // All at once, with a good one at the end.
    odd.push(jwk(&KEY));
    assert_eq!(published(&server_of(&issuer, &odd)).await, [jwk(&KEY)]);
}

/// Okta and Cognito send access tokens without a `typ`, and sign their ID tokens likewise.
#[tokio::test(start_paused = true)]
async fn a_token_without_typ_is_accepted_only_where_the_settings_say_so() {
    let flag = Config::parse_from(["server", "--accept-untyped"]);
    assert!(flag.accept_untyped);
    let issuer = Issuer::start().await;
    let strict = issuer.server();
    let lax = serving(accepting_untyped(with_issuer(&issuer.url)));
    let untyped = |claims: Value| sign(&without(jose(), "typ"), claims);
    let good = untyped(with(issuer.claims(), "token_use", json!("access")));
    let why = refusal_of("untyped", &strict, &good).await;
    assert_eq!(why, "the typ of the token is not at+jwt");
    assert_eq!(status_of(&lax, &good).await, 200);
    for (claim, value) in [
        ("nonce", json!("n")),
        ("nonce", json!("")),
        ("at_hash", json!("x")),
        ("token_use", json!("id")),
    ] {
        let claims = with(issuer.claims(), claim, value);
        // Where there is a typ, it decides.
        assert_eq!(
            status_of(&lax, &sign(&jose(), &claims)).await,
            200,
            "{claim}"
        );
        let why = refusal_of(claim, &lax, &untyped(claims)).await;
        assert_eq!(why, "this is an ID token, not an access token", "{claim}");
    }
    // The flag is for a missing typ, not for a wrong one, and everything else is checked as always.
    for (case, token) in [
        (
            "typ",
            sign(&with(jose(), "typ", json!("id+jwt")), issuer.claims()),
        ),
        ("(typ)", untyped(with(issuer.claims(), "typ", json!("ID")))),
        (
            "(aud)",
            untyped(with(issuer.claims(), "aud", json!("client"))),
        ),
        ("(cnf)", untyped(with(issuer.claims(), "cnf", json!({})))),
    ] {
        let why = refusal_of(case, &lax, &token).await;
        assert!(why.contains(case), "{case}: {why}");
    }
}

/// The access token of a provider, as its documentation or its code has it.
pub(super) struct Shape {
    pub(super) provider: &'static str,
    /// The path of the issuer's URL.
    path: &'static str,
    alg: &'static str,
    /// The members of the header beside `alg` and `kid`.
    header: Value,
    /// The claims beside `iss`, `iat` and `exp`.
    claims: Value,
}

impl Shape {
    /// Settings that trust this provider, and a token of it.
    pub(super) fn serve(
        &self,
        issuer: &Issuer,
    ) -> (Config, String) {
        let signer = Signer::of(self.alg);
        let url = issuer.url_of(self.path);
        let path = self.path.trim_end_matches('/');
        let place = format!("{SERVER_METADATA}{path}");
        issuer.show(&place, &with(issuer.metadata(), "issuer", json!(url)));
        // Many publish a key for encryption beside.
        let encrypting = with(jwk(&OTHER_KEY), "use", json!("enc"));
        let keys = [encrypting, signer.jwk_with_alg(self.alg)];
        issuer.show("/keys", &json!({"keys": keys}));
        let mut jose = without(signer.jose(), "typ");
        merge(&mut jose, &self.header);
        let now = now();
        let mut claims = json!({"iss": url, "iat": now, "exp": now + 300});
        merge(&mut claims, &self.claims);
        (with_issuer(&url), signer.token(&jose, &claims))
    }
}

fn merge(
    object: &mut Value,
    more: &Value,
) {
    for (name, value) in more.as_object().unwrap() {
        object[name] = value.clone();
    }
}

/// A token of each provider for this server, unless it cannot make one.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        keycloak(),
        auth0(),
        entra(1),
        entra(2),
        okta(),
        cognito(),
        logto(),
        supabase("authenticated"),
        supabase(RESOURCE),
        better_auth(),
    ]
}

fn keycloak() -> Shape {
    Shape {
        provider: "Keycloak",
        path: "/realms/mcp-realm",
        alg: "RS256",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "jti": "onrtac:6d7c1e3e",
            "aud": [RESOURCE, "account"],
            "sub": "f8a0b3a5-5a6e-4f57",
            "typ": "Bearer",
            "azp": "mcp-client",
            "sid": "0b6c",
            "acr": "1",
            "realm_access": {"roles": ["default-roles-mcp-realm", "offline_access", "user"]},
            "resource_access": {"account": {"roles": ["manage-account"]}},
            "scope": "openid mcp:tools profile",
            "preferred_username": "alice",
        }),
    }
}

fn auth0() -> Shape {
    Shape {
        provider: "Auth0",
        path: "/",
        alg: "RS256",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "sub": "auth0|507f1f77bcf86cd799439011",
            "aud": [RESOURCE, "https://tenant.auth0.example/userinfo"],
            "azp": "my_client_id",
            "scope": "openid profile mcp:tools",
            "permissions": ["mcp:tools"],
            // An Action may add claims, under names that are URLs.
            "https://mcp.example/roles": ["user"],
        }),
    }
}

/// The second version puts the number of the application into `aud`, always.
fn entra(version: u8) -> Shape {
    let application = json!("6e74172b-be56-4843-9ff4-e66a39bb12e3");
    Shape {
        provider: if version == 1 { "Entra v1" } else { "Entra v2" },
        path: "/72f988bf-86f1-41af/",
        alg: "RS256",
        header: json!({"typ": "JWT", "x5t": "i6lGk3FZzxRcUb2C3nEQ7syHJlY"}),
        claims: json!({
            "aud": if version == 1 { json!(RESOURCE) } else { application.clone() },
            "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
            "oid": "690222be-ff1a-4d56",
            "tid": "72f988bf-86f1-41af",
            "appid": application,
            "scp": "mcp:tools mcp:read",
            "roles": ["user"],
            "unique_name": "alice@example.com",
            "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": format!("{version}.0"),
            "nbf": 0,
        }),
    }
}

fn okta() -> Shape {
    Shape {
        provider: "Okta",
        path: "/oauth2/default",
        alg: "RS256",
        header: json!({}),
        claims: json!({
            "ver": 1,
            "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "aud": RESOURCE,
            "sub": "alice@example.com",
            "cid": "nmdP1fcyvdVO11AL7ECm",
            "uid": "00ujmkLgagxeRrAg20g3",
            "scp": ["openid", "mcp:tools"],
            "auth_time": 1_468_000_000,
            "groups": ["Everyone", "user"],
        }),
    }
}

fn cognito() -> Shape {
    Shape {
        provider: "Cognito",
        path: "/eu-west-1_example",
        alg: "RS256",
        header: json!({}),
        claims: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd",
            "aud": RESOURCE,
            "client_id": "xxxxxxxxxxxxexample",
            "token_use": "access",
            // The name of the resource server comes before each of its scopes.
            "scope": format!("openid {RESOURCE}/mcp:tools"),
            "cognito:groups": ["user"],
            "username": "alice",
            "version": 2,
            "jti": "5c4d",
            "origin_jti": "aaaa",
            "event_id": "64f5",
            "auth_time": 1_676_000_000,
        }),
    }
}

fn logto() -> Shape {
    Shape {
        provider: "Logto",
        path: "/oidc",
        alg: "ES384",
        header: json!({"typ": "at+jwt"}),
        claims: json!({
            "jti": "2dDKhkwWj5QhVf2v6oJVJ",
            "sub": "r7x0yk6mxfui",
            "aud": RESOURCE,
            "client_id": "c1u6gx5nq7rr",
            "scope": "mcp:tools",
        }),
    }
}

/// What is in `aud` can be changed by a hook alone. Scopes are not in its tokens at all.
fn supabase(audience: &str) -> Shape {
    let is_hooked = audience == RESOURCE;
    Shape {
        provider: if is_hooked {
            "Supabase with a hook"
        } else {
            "Supabase"
        },
        path: "/auth/v1",
        alg: "ES256",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "sub": "123e4567-e89b-12d3-a456-426614174000",
            "aud": audience,
            "role": "authenticated",
            "client_id": "9a8b7c6d-5e4f-3a2b-1c0d",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": 1_735_815_600}],
            "session_id": "2c9f",
            "email": "alice@example.com",
            "phone": "",
            "is_anonymous": false,
            "app_metadata": {"provider": "email", "roles": ["user"]},
            "user_metadata": {"roles": ["admin"]},
        }),
    }
}

fn better_auth() -> Shape {
    Shape {
        provider: "Better Auth",
        path: "/api/auth",
        alg: "EdDSA",
        header: json!({}),
        claims: json!({
            "sub": "MnUTAcBRaDHfCyCs",
            "aud": RESOURCE,
            "azp": "GvJGVoGkHHVbqHpM",
            "scope": "openid mcp:tools",
            "sid": "k2Yb",
        }),
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_in_the_shapes_of_widespread_providers() {
    let issuer = Issuer::start().await;
    let untyped = "the typ of the token is not at+jwt";
    let audience = "the token is for another audience (aud)";
    // What is said without and with --accept-untyped; nothing where the token is good.
    let expected = [
        ("Keycloak", "", ""),
        ("Auth0", "", ""),
        ("Entra v1", "", ""),
        ("Entra v2", audience, audience),
        ("Okta", untyped, ""),
        ("Cognito", untyped, ""),
        ("Logto", "", ""),
        ("Supabase", audience, audience),
        ("Supabase with a hook", "", ""),
        ("Better Auth", untyped, ""),
    ];
    assert_eq!(shapes().len(), expected.len());
    for (shape, (provider, strict, lax)) in shapes().iter().zip(expected) {
        assert_eq!(shape.provider, provider);
        let (config, token) = shape.serve(&issuer);
        let tolerant = accepting_untyped(config.clone());
        for (config, expected) in [(config, strict), (tolerant, lax)] {
            let answer = send_to(serving(config), ping(&token)).await;
            let body = answer.json();
            let said = body["error_description"].as_str().unwrap_or_default();
            assert_eq!(said, expected, "{provider}");
            let status = if expected.is_empty() { 200 } else { 401 };
            assert_eq!(answer.status.as_u16(), status, "{provider}");
        }
    }
}

/// What providers give out as well: what only they can read, and what is meant for somebody else.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_for_us_is_refused_whoever_gives_it() {
    let issuer = Issuer::start().await;
    let router = issuer.server();
    for (shape, token) in [
        ("Google's access token", "ya29.a0AfB_byC-1x2y3z"),
        ("GitHub's", "gho_16C7e42F292c6912E7710c838347Ae178B4a"),
        (
            "Auth0's or Logto's, where no audience was asked for",
            "H8nhTnvvv3gJv0bjLH_aFZJvYmOIhEbSAjkPuk0ZpkX",
        ),
        (
            "Auth0's, encrypted for itself",
            "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVydGV4dA.dGFn",
        ),
    ] {
        let why = refusal_of(shape, &router, token).await;
        assert_eq!(why, "the token is not a JWT that we know", "{shape}");
    }
    let jose = with(jose(), "typ", json!("JWT"));
    let client = json!("1234-abcd.apps.googleusercontent.com");
    let no_audience = "one of exp, iss, aud and sub is missing";
    for (shape, claims, expected) in [
        (
            "Google's ID token",
            with(issuer.claims(), "aud", client),
            "the token is for another audience (aud)",
        ),
        (
            "Keycloak's, without an audience mapper",
            without(issuer.claims(), "aud"),
            no_audience,
        ),
        (
            "Keycloak's ID token",
            with(issuer.claims(), "typ", json!("ID")),
            "this is not an access token (typ)",
        ),
        (
            "Keycloak's refresh token",
            with(issuer.claims(), "typ", json!("Refresh")),
            "this is not an access token (typ)",
        ),
        (
            "Cognito's, where no resource was asked for",
            without(issuer.claims(), "aud"),
            no_audience,
        ),
    ] {
        let why = refusal_of(shape, &router, &sign(&jose, claims)).await;
        assert_eq!(why, expected, "{shape}");
    }
}
