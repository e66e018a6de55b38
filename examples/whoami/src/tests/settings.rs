//! What the operator knows better than the issuer's metadata: each setting with a provider that needs
//! it, and what each one does not allow.

use std::path::Path;

use tempfile::TempDir;

use super::provider::*;
use super::*;

/// The settings with these arguments; none where they are refused with exit status 2.
fn settings(arguments: &[&str]) -> Option<Config> {
    Log::start();
    let arguments = [&["server"], arguments].concat();
    match Config::try_parse_from(&arguments) {
        Ok(config) => Some(config),
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
            None
        }
    }
}

#[test]
fn the_settings_are_what_discovery_needs_unless_something_else_is_said() {
    let config = settings(&[]).unwrap();
    assert_eq!(config.bind, "127.0.0.1:3001".parse().unwrap());
    let provider = config.provider;
    assert_eq!(provider.verify, Verify::Jwt);
    assert_eq!(provider.subject_claim, "sub");
    assert_eq!(provider.scopes, BASIC_SCOPES);
    assert_eq!(provider.userinfo, None);
    assert_eq!(provider.issuer_metadata, None);
    assert_eq!(provider.allow_http_issuer, None);
    assert!(provider.set_metadata.is_empty());
    assert!(provider.warnings().is_empty());
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in [
        &["--verify=signature"][..],
        &["--verify=introspection"],
        &["--subject-claim=login"],
        &["--subject-claim="],
        &["--allow-http-issuer=http://keycloak"],
        &["--allow-http-issuer=keycloak:8080"],
        &["--set-metadata=issuer=\"https://evil.example\""],
        &["--set-metadata=x"],
        &["--set-metadata=x=y"],
        &["--scopes="],
        &["--scopes= "],
        &["--scopes=a\"b"],
        &["--scopes=a\\b"],
        &["--scopes=ä"],
        // Everybody on the machine could read it.
        &["--introspection-client-secret=x"],
    ] {
        assert!(settings(arguments).is_none(), "{arguments:?}");
    }
    for arguments in [
        &["--verify=introspection", "--introspection-client-id=x"][..],
        &["--verify=userinfo", "--userinfo=https://api.example/user"],
        // As some issuers make them up.
        &[
            "--verify=introspection",
            "--introspection-client-id",
            "-FAkevt0",
        ],
        &["--allow-http-issuer=keycloak"],
        &["--set-metadata=x=1", "--set-metadata=y=[\"code\"]"],
    ] {
        assert!(settings(arguments).is_some(), "{arguments:?}");
    }
}

#[tokio::test]
async fn clients_are_told_the_scopes_of_the_settings() {
    for (arguments, scopes) in [
        (&[][..], BASIC_SCOPES),
        (&["--verify=jwt"], BASIC_SCOPES),
        (&["--verify=userinfo"], "openid profile email"),
        (&["--scopes=openid  api:read"], "openid api:read"),
        (&["--verify=userinfo", "--scopes=read:user"], "read:user"),
    ] {
        let router = serving(settings(arguments).unwrap());
        let stranger = ping("").without("Authorization");
        let answer = send_to(router.clone(), stranger).await;
        assert_eq!(challenge(&answer)["scope"], scopes, "{arguments:?}");
        let document = send_to(router, get("/.well-known/oauth-protected-resource")).await;
        let words: Vec<_> = scopes.split(' ').collect();
        assert_eq!(document.json()["scopes_supported"], json!(words));
    }
}

#[tokio::test(start_paused = true)]
async fn userinfo_is_said_loudly() {
    const LOUD: &str =
        "--verify userinfo: any application of this issuer can act as its users here";
    let provider = Asked::start().await;
    for (verify, name, loud) in [
        (Verify::Jwt, "jwt", false),
        (Verify::Introspection, "introspection", false),
        (Verify::Userinfo, "userinfo", true),
    ] {
        Log::clear();
        assert_eq!(start_lookup(provider.config(verify)).await, Ok(()));
        let said = logged("WARN").iter().any(|line| line.contains(LOUD));
        assert_eq!(said, loud, "{name}");
        let health = send_to(provider.server(verify), get("/health")).await.json();
        assert_eq!(health["auth"]["verify"], name);
        let warnings = if loud { vec![LOUD] } else { Vec::new() };
        assert_eq!(health["auth"]["warnings"], json!(warnings), "{name}");
        // Where the issuer is asked, no key is.
        assert_eq!(health["auth"]["keys"], verify == Verify::Jwt, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_start_fails_where_the_settings_can_never_work() {
    let provider = Asked::start().await;
    let mut secretless = provider.config(Verify::Introspection);
    secretless.provider.introspection_client_secret = String::new().into();
    let problem = start_lookup(secretless).await.unwrap_err();
    assert!(
        problem.contains("MCP_INTROSPECTION_CLIENT_SECRET"),
        "{problem}"
    );
    // Metadata without a place where to ask.
    provider.issuer.come_up(&[&KEY]);
    for (verify, hint) in [
        (Verify::Userinfo, "--userinfo"),
        (Verify::Introspection, "introspection_endpoint"),
    ] {
        let problem = start_lookup(provider.config(verify)).await.unwrap_err();
        assert!(problem.contains(hint), "{problem}");
    }
    // Nor can a place that no question may be sent to.
    for place in ["/userinfo", "http://api.example/user", "file:///etc/passwd"] {
        let mut config = provider.config(Verify::Userinfo);
        config.provider.userinfo = Some(place.to_owned());
        let problem = start_lookup(config).await.unwrap_err();
        assert!(problem.contains("--userinfo"), "{problem}");
    }
    // The signature needs none of it, and nobody is waited for.
    let visits = provider.issuer.visits().len();
    assert_eq!(start_lookup(provider.config(Verify::Jwt)).await, Ok(()));
    assert_eq!(provider.issuer.visits().len(), visits);
    // An issuer that is not there may come later.
    provider.issuer.go_down();
    let config = provider.config(Verify::Userinfo);
    assert_eq!(start_lookup(config).await, Ok(()));
}

/// A provider as many of OAuth 2.0 are: no metadata, no `sub`, and nobody who does not say its name.
fn github() -> Value {
    json!({
        "login": "octocat",
        "id": 583_231,
        "name": "The Octocat",
        "email": null,
        "site_admin": false,
    })
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_discovery_whose_user_is_id() {
    let provider = Asked::start().await;
    provider.issuer.go_down();
    provider.says(reply(&github()));
    let mut config = provider.config(Verify::Userinfo);
    config.provider.userinfo = Some(provider.url_of("/user"));
    assert_eq!(start_lookup(config.clone()).await, Ok(()));
    // Without the name of the claim there is no user.
    assert_eq!(status_of(&serving(config.clone()), OPAQUE).await, 503);
    config.provider.subject_claim = "id".to_owned();
    let router = serving(config);
    let user = whoami(&router, OPAQUE).await;
    assert_eq!(user["sub"], "583231");
    assert_eq!(user["id"], 583_231);
    assert_eq!(user["login"], "octocat");
    assert_eq!(user.get("email"), None);
    assert_eq!(provider.questions()[0].path, "/user");
    // Nobody looked for the metadata.
    assert!(provider.issuer.visits().is_empty());
    for id in [
        json!(null),
        json!(""),
        json!([1]),
        json!({"x": 1}),
        json!(true),
    ] {
        later(60).await;
        provider.says(reply(&with(github(), "id", id.clone())));
        assert_eq!(status_of(&router, OPAQUE).await, 503, "{id}");
    }
}

/// Settings with the metadata of the issuer from here.
fn with_metadata(
    provider: &Asked,
    place: &str,
) -> Config {
    let mut config = provider.config(Verify::Jwt);
    config.provider.issuer_metadata = Some(place.to_owned());
    config
}

fn write(
    folder: &TempDir,
    document: &Value,
) -> String {
    let file = folder.path().join("metadata.json");
    std::fs::write(&file, document.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_discovery_whose_metadata_is_given() {
    let provider = Asked::start().await;
    let metadata = provider.issuer.metadata();
    let token = provider.issuer.token();
    provider.issuer.go_down();
    provider.issuer.rotate(&[&KEY]);
    assert_eq!(status_of(&provider.issuer.server(), &token).await, 503);
    // In a file.
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, &metadata);
    let router = serving(with_metadata(&provider, &file));
    assert_eq!(status_of(&router, &token).await, 200);
    // Somewhere else in the network.
    provider.issuer.show("/elsewhere", &metadata);
    let place = provider.issuer.url_of("/elsewhere");
    let router = serving(with_metadata(&provider, &place));
    assert_eq!(status_of(&router, &token).await, 200);
}

#[tokio::test(start_paused = true)]
async fn given_metadata_must_be_of_the_issuer_and_can_be_wrong_in_every_way() {
    let provider = Asked::start().await;
    let metadata = provider.issuer.metadata();
    let token = provider.issuer.token();
    let folder = tempfile::tempdir().unwrap();
    for document in [
        with(metadata.clone(), "issuer", json!("https://evil.example")),
        without(metadata.clone(), "issuer"),
        json!([metadata]),
        json!("text"),
        json!(null),
    ] {
        let file = write(&folder, &document);
        let config = with_metadata(&provider, &file);
        let problem = start_lookup(config.clone()).await.unwrap_err();
        assert!(problem.contains(&file), "{problem}");
        assert_eq!(status_of(&serving(config), &token).await, 503, "{document}");
    }
    for place in [
        Path::new("nothing/here").to_str().unwrap(),
        "http://metadata.example/x",
        "ftp://127.0.0.1/x",
    ] {
        Log::clear();
        let config = with_metadata(&provider, place);
        assert_eq!(status_of(&serving(config), &token).await, 503, "{place}");
        let said = logged("WARN").iter().any(|line| line.contains(place));
        assert!(said, "{place}");
        // Only what is in a network may come later.
        let started = start_lookup(with_metadata(&provider, place)).await;
        assert_eq!(started.is_ok(), place.contains("://"), "{place}");
    }
    // A document must not make us read a file.
    let keys = json!({"keys": [jwk(&KEY)]});
    let file = write(&folder, &keys);
    provider.issuer.show(SERVER_METADATA, &with(metadata, "jwks_uri", json!(file)));
    assert_eq!(status_of(&provider.server(Verify::Jwt), &token).await, 503);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_put_right_before_it_is_used_and_passed_on() {
    const PLACE: &str = "/.well-known/oauth-authorization-server";
    let provider = Asked::start().await;
    let metadata = with(
        provider.issuer.metadata(),
        "service_documentation",
        json!(null),
    );
    provider.issuer.show(SERVER_METADATA, &metadata);
    let mut config = provider.config(Verify::Userinfo);
    // Clients of 2025-03-26 insist on this member.
    let types = ("response_types_supported".to_owned(), json!(["code"]));
    let place = json!(provider.url_of("/me"));
    config.provider.set_metadata = vec![
        types,
        ("userinfo_endpoint".to_owned(), place),
        ("jwks_uri".to_owned(), json!(null)),
    ];
    assert_eq!(start_lookup(config.clone()).await, Ok(()));
    let router = serving(config);
    let document = send_to(router.clone(), get(PLACE)).await.json();
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["issuer"], provider.issuer.url);
    assert_eq!(document.get("jwks_uri"), None);
    assert_eq!(document.get("service_documentation"), None);
    assert_eq!(status_of(&router, OPAQUE).await, 200);
    assert_eq!(provider.questions()[0].path, "/me");
}

#[tokio::test(start_paused = true)]
async fn plain_http_is_for_this_machine_and_one_named_host() {
    let provider = Asked::start().await;
    // The same socket under an address that is no loopback one.
    let name = provider.issuer.url.replace("127.0.0.1", "0.0.0.0");
    let metadata = json!({
        "issuer": name,
        "jwks_uri": format!("{name}/keys"),
        "userinfo_endpoint": provider.url_of("/userinfo").replace("127.0.0.1", "0.0.0.0"),
    });
    provider.issuer.show(SERVER_METADATA, &metadata);
    let token = sign(&jose(), with(claims(), "iss", json!(name)));
    for verify in [Verify::Jwt, Verify::Userinfo] {
        for (allowed, status) in [(None, 503), (Some("0.0.0.1"), 503), (Some("0.0.0.0"), 200)] {
            let mut config = provider.config(verify);
            config.issuer = name.clone();
            config.provider.allow_http_issuer = allowed.map(|host| url::Host::parse(host).unwrap());
            let router = serving(config.clone());
            assert_eq!(status_of(&router, &token).await, status, "{allowed:?}");
            Log::clear();
            assert_eq!(start_lookup(config).await, Ok(()));
            let said = logged("WARN").iter().any(|line| line.contains("--allow-http-issuer"));
            assert_eq!(said, allowed.is_some(), "{allowed:?}");
        }
    }
    assert_eq!(provider.times(), 1);
}
