//! Everyone may do what they may, and no more: scope and role of each operation, what a refusal
//! asks for, what is listed, recorded and limited.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::discovery::PAGE;
use super::discovery::assert_readable;
use super::providers::shapes;
use super::*;

/// An operation: a method, a name where it has one, and the scopes and roles of which one each is
/// needed. Written down here once more, so that a slip in the server's own table shows.
#[rustfmt::skip]
const RIGHTS: [(&str, &str, &str, &str); 8] = [
    ("tools/list",   "",          "mcp:read mcp:tools",   "admin user guest"),
    ("prompts/list", "",          "mcp:read mcp:prompts", "admin user guest"),
    ("prompts/get",  "greeting",  "mcp:read mcp:prompts", "admin user guest"),
    ("prompts/get",  "help",      "mcp:read mcp:prompts", "admin user guest"),
    ("tools/call",   "echo",      "mcp:tools",            "admin user"),
    ("tools/call",   "get_time",  "mcp:tools",            "admin user"),
    ("tools/call",   "whoami",    "mcp:tools",            "admin user"),
    ("tools/call",   "audit_log", "mcp:audit",            "admin"),
];

/// The scopes that are asked for somewhere.
const SCOPES: &str = "mcp:read mcp:tools mcp:prompts mcp:audit";

/// A server that does not limit how often it is called.
fn unlimited() -> Router {
    serving(with_calls_per_minute(0))
}

/// A token with this subject, this scope and these roles.
fn token_of(
    sub: &str,
    scope: &str,
    roles: &[&str],
) -> String {
    let claims = with(claims(), "sub", json!(sub));
    let claims = with(claims, "scope", json!(scope));
    sign(&jose(), with(claims, "roles", json!(roles)))
}

/// A good request for an operation.
fn operation(
    method: &str,
    name: &str,
) -> Request {
    match name {
        "" => modern(method, json!({})),
        "echo" => modern(method, call(name, json!({"message": "x"}))),
        _ => modern(method, call(name, json!({}))),
    }
}

/// Sends a request with this token.
async fn send_as(
    router: &Router,
    request: Request,
    token: &str,
) -> Answer {
    let request = request.with("Authorization", &bearer(token));
    send_to(router.clone(), request).await
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

/// What both refusals have in common.
fn assert_refused(
    case: &str,
    answer: &Answer,
) {
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{case}");
    assert_eq!(answer.code(), 403, "{case}");
    assert_eq!(answer.json()["id"], 1, "{case}");
}

/// The role forbids it: no challenge, since asking for more cannot help.
fn assert_forbidden(
    case: &str,
    answer: &Answer,
) {
    assert_refused(case, answer);
    assert_eq!(answer.headers.get("www-authenticate"), None, "{case}");
}

/// The token does not reach so far: the challenge names all the scopes to ask for.
fn assert_step_up(
    case: &str,
    answer: &Answer,
    scopes: &BTreeSet<&str>,
) {
    assert_refused(case, answer);
    let mut challenge = challenge(answer);
    let asked = challenge.remove("scope").unwrap_or_default();
    assert_eq!(words(&asked), *scopes, "{case}");
    assert_eq!(asked.split(' ').count(), scopes.len(), "{case}: {asked}");
    let description = challenge.remove("error_description").unwrap_or_default();
    assert!(!description.is_empty(), "{case}");
    let rest = [
        ("error", "insufficient_scope"),
        ("realm", "mcp"),
        ("resource_metadata", METADATA_URL),
    ];
    let rest = rest.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(challenge, BTreeMap::from(rest), "{case}");
}

/// Whether this is the right answer to a token with these roles and this scope.
fn assert_right(
    (method, name, needed, permitted): (&str, &str, &str, &str),
    roles: &[&str],
    scope: &str,
    answer: &Answer,
) {
    let case = format!("{method} {name} by {roles:?} with {scope:?}");
    let [granted, needed_set, permitted] = [scope, needed, permitted].map(words);
    let is_permitted = roles.iter().any(|role| permitted.contains(role));
    // Whoever has no role that we know is a guest.
    if !is_permitted && !permitted.contains("guest") {
        assert_forbidden(&case, answer);
    } else if granted.is_disjoint(&needed_set) {
        let mut asked: BTreeSet<_> = &granted & &words(SCOPES);
        asked.extend(needed.split(' ').next());
        assert_step_up(&case, answer, &asked);
    } else {
        assert_eq!(answer.status, StatusCode::OK, "{case}");
        assert!(answer.json()["result"].is_object(), "{case}");
    }
}

#[tokio::test]
async fn each_operation_needs_one_of_its_roles_and_one_of_its_scopes() {
    let router = unlimited();
    let roles: [&[&str]; 7] = [
        &[],
        &["guest"],
        &["user"],
        &["guest", "admin"],
        &["auditor", "user"],
        &["auditor"],
        &["ADMIN", "users", "admin ", "user,admin", "mcp:tools"],
    ];
    let scopes = [
        "",
        "mcp:read",
        "mcp:tools",
        "mcp:prompts",
        "mcp:audit",
        SCOPES,
        "openid mcp:tools profile",
        "mcp:tools2 mcp:tool xmcp:tools tools mcp:tools:x",
        "MCP:TOOLS MCP:READ MCP:PROMPTS MCP:AUDIT",
        "mcp:read,mcp:tools,mcp:prompts,mcp:audit",
        "mcp:* mcp mcp: * admin",
    ];
    for roles in roles {
        for scope in scopes {
            let token = token_of("alice", scope, roles);
            for right in RIGHTS {
                let request = operation(right.0, right.1);
                let answer = send_as(&router, request, &token).await;
                assert_right(right, roles, scope, &answer);
            }
        }
    }
}

#[tokio::test]
async fn scopes_and_roles_count_wherever_issuers_put_them_and_nowhere_else() {
    let admin = json!({"roles": ["offline_access", "admin"]});
    let claims = with(claims(), "scope", json!("mcp:audit"));
    let [no_role, no_scope] = ["roles", "scope"].map(|claim| without(claims.clone(), claim));
    let no_scope = with(no_scope, "roles", json!(["admin"]));
    for (claims, claim, value, status) in [
        (&no_role, "roles", json!(["admin"]), 200),
        (&no_role, "realm_access", admin.clone(), 200),
        (&no_role, "resource_access", json!({"mcp": admin}), 403),
        (&no_role, "roles", json!({"admin": true}), 403),
        (&no_role, "roles", json!([["admin"]]), 403),
        (&no_role, "roles", json!(null), 403),
        (&no_role, "role", json!("admin"), 403),
        (&no_role, "groups", json!(["admin"]), 403),
        (&no_scope, "scp", json!(["mcp:audit"]), 200),
        (&no_scope, "scope", json!({"mcp:audit": true}), 403),
        (&no_scope, "permissions", json!(["mcp:audit"]), 403),
    ] {
        let token = sign(&jose(), with(claims.clone(), claim, value.clone()));
        let request = operation("tools/call", "audit_log");
        let answer = send_as(&unlimited(), request, &token).await;
        assert_eq!(answer.status.as_u16(), status, "{claim} {value}");
    }
}

#[tokio::test]
async fn the_list_of_tools_is_that_of_the_role() {
    for (roles, listed) in [
        (&["guest"][..], &[][..]),
        (&[], &[]),
        (&["guest", "user"], &["echo", "get_time", "whoami"]),
        (&["admin"], &["echo", "get_time", "whoami", "audit_log"]),
    ] {
        // The scope can be stepped up, so it hides nothing.
        for scope in ["mcp:read", "mcp:tools"] {
            let token = token_of("alice", scope, roles);
            let answer = send_as(&unlimited(), operation("tools/list", ""), &token).await;
            let result = &answer.json()["result"];
            assert_eq!(names(&result["tools"]), listed, "{roles:?} {scope}");
            assert_eq!(result["cacheScope"], "private", "{roles:?} {scope}");
        }
    }
}

/// The row for a tool or prompt.
fn row(
    method: &str,
    name: &str,
) -> Option<&'static Rule> {
    RULES.iter().find(|rule| (rule.method, rule.name) == (method, name))
}

#[tokio::test]
async fn everything_that_is_defined_has_a_row_and_can_be_called() {
    let router = unlimited();
    for (method, definitions) in defined() {
        assert!(!definitions.is_empty(), "{method}");
        for definition in definitions {
            let name = definition["name"].as_str().unwrap();
            let row = row(method, name);
            let row = row.unwrap_or_else(|| panic!("no row in rules.rs for {method} {name}"));
            let scope = row.scopes.first().unwrap_or(&"");
            let token = token_of("alice", scope, &row.roles[..1]);
            let answer = send_as(&router, operation(method, name), &token).await;
            let answered = (answer.status.as_u16(), answer.code());
            assert_eq!(answered, (200, 0), "{method} {name}");
        }
    }
}

#[test]
fn every_row_is_for_something_that_is_there_and_names_who_may() {
    for rule in RULES {
        let case = format!("{} {}", rule.method, rule.name);
        assert!(!rule.roles.is_empty(), "{case}: nobody may do this");
        let blank = |word: &&str| word.is_empty() || word.contains(' ');
        assert!(!rule.roles.iter().any(blank), "{case}");
        assert!(!rule.scopes.iter().any(blank), "{case}");
        let same = |other: &&Rule| (other.method, other.name) == (rule.method, rule.name);
        assert_eq!(RULES.iter().filter(same).count(), 1, "{case}: two rows");
        let of_method = defined().into_iter().find(|(method, _)| *method == rule.method);
        if let Some((_, definitions)) = of_method {
            let is_it = |definition: &Value| definition["name"] == rule.name;
            let is_defined = definitions.iter().any(is_it);
            assert!(
                is_defined,
                "a row in rules.rs for {case}, which is not there"
            );
        } else {
            assert_eq!(rule.name, "", "{case}: only tools and prompts have names");
        }
    }
}

#[test]
fn the_settings_say_where_the_roles_are() {
    let usual = ["/roles", "/realm_access/roles"].map(str::to_owned).to_vec();
    assert_eq!(roles_claim_of(&[]), Ok(usual));
    // Given ones take the place of the usual ones, in their order.
    let given = ["/groups", "/a/b"].map(str::to_owned).to_vec();
    let twice = roles_claim_of(&["--roles-claim=/groups", "--roles-claim=/a/b"]);
    assert_eq!(twice, Ok(given.clone()));
    assert_eq!(roles_claim_of(&["--roles-claim=/groups,/a/b"]), Ok(given));
    for bad in [
        "groups",
        "",
        "/",
        "/groups,",
        "$.groups",
        "https://a.example/roles",
    ] {
        let refused = roles_claim_of(&[&format!("--roles-claim={bad}")]);
        assert_eq!(refused, Err(2), "{bad:?}");
    }
}

#[tokio::test]
async fn roles_count_where_the_settings_say_and_nowhere_else() {
    let user = json!(["user"]);
    let claims = without(claims(), "roles");
    let of = |claim, value: &Value| with(claims.clone(), claim, value.clone());
    let nested = json!({"app": {"roles": ["user"]}});
    let indexed = json!([["guest"], ["user"]]);
    let namespaced = "/https:~1~1mcp.example~1roles";
    for (places, claims, status) in [
        (&["/groups"][..], of("groups", &user), 200),
        (&["/groups"], of("groups", &json!("guest user")), 200),
        (&["/groups"], of("roles", &user), 403),
        (
            &["/groups"],
            of("realm_access", &json!({"roles": user})),
            403,
        ),
        (&["/cognito:groups"], of("cognito:groups", &user), 200),
        (&[namespaced], of("https://mcp.example/roles", &user), 200),
        (&[namespaced], of("roles", &user), 403),
        (&["/x/app/roles"], of("x", &nested), 200),
        (&["/x/app"], of("x", &nested), 403),
        (&["/x/1"], of("x", &indexed), 200),
        (&["/x/0"], of("x", &indexed), 403),
        // The first that leads anywhere counts alone.
        (&["/a", "/groups"], of("groups", &user), 200),
        (
            &["/roles", "/groups"],
            with(of("groups", &user), "roles", json!(["guest"])),
            403,
        ),
        (
            &["/groups", "/roles"],
            with(of("groups", &user), "roles", json!(["guest"])),
            200,
        ),
    ] {
        let router = serving(with_roles_at(config(), places));
        let token = sign(&jose(), &claims);
        let answer = send_as(&router, operation("tools/call", "get_time"), &token).await;
        assert_eq!(answer.status.as_u16(), status, "{places:?} {claims}");
    }
}

/// What a provider's token may do: everything that a user may, or what is missing.
async fn right_of(
    config: Config,
    token: &str,
) -> &'static str {
    let router = serving(accepting_untyped(config));
    let answer = send_as(&router, operation("tools/call", "get_time"), token).await;
    match answer.status.as_u16() {
        200 => "all",
        403 if challenge(&answer).is_empty() => "no role",
        403 => "no scope",
        _ => "no token",
    }
}

#[tokio::test(start_paused = true)]
async fn what_tokens_in_the_shapes_of_widespread_providers_may_do() {
    let issuer = Issuer::start().await;
    let namespaced = "/https:~1~1mcp.example~1roles";
    // Where the roles are, what may be done without that setting, and what with it.
    let expected = [
        ("Keycloak", "/realm_access/roles", "all", "all"),
        ("Auth0", namespaced, "no role", "all"),
        ("Entra v1", "/roles", "all", "all"),
        ("Entra v2", "/roles", "no token", "no token"),
        ("Okta", "/groups", "no role", "all"),
        ("Cognito", "/cognito:groups", "no role", "no scope"),
        ("Logto", "/roles", "no role", "no role"),
        ("Supabase", "/app_metadata/roles", "no token", "no token"),
        (
            "Supabase with a hook",
            "/app_metadata/roles",
            "no role",
            "no scope",
        ),
        ("Better Auth", "/roles", "no role", "no role"),
    ];
    assert_eq!(shapes().len(), expected.len());
    for (shape, (provider, place, usually, with_place)) in shapes().iter().zip(expected) {
        assert_eq!(shape.provider, provider);
        let (config, token) = shape.serve(&issuer);
        assert_eq!(
            right_of(config.clone(), &token).await,
            usually,
            "{provider}"
        );
        let config = with_roles_at(config, &[place]);
        assert_eq!(right_of(config, &token).await, with_place, "{provider}");
    }
}

/// What `audit_log` tells an admin.
async fn audit_log(router: &Router) -> Vec<Value> {
    let token = token_of("root", "mcp:audit", &["admin"]);
    let request = operation("tools/call", "audit_log");
    let body = send_as(router, request, &token).await.json();
    let log: Value = serde_json::from_str(text_of(&body["result"])).unwrap();
    log["decisions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_audit_log_has_every_decision_newest_first() {
    let before = Timestamp::now();
    let router = unlimited();
    for (method, name, sub, scope, role) in [
        ("tools/call", "echo", "alice", "mcp:tools", "user"),
        ("tools/call", "echo", "bob", "mcp:read", "user"),
        ("tools/call", "echo", "gus", "mcp:tools", "guest"),
        ("prompts/get", "help", "gus", "mcp:read", "guest"),
    ] {
        let token = token_of(sub, scope, &[role]);
        send_as(&router, operation(method, name), &token).await;
    }
    let mut reasons = BTreeSet::new();
    let log = audit_log(&router).await;
    assert_eq!(log.len(), 5);
    for (decision, (sub, operation, allowed)) in log.iter().zip([
        ("root", "tools/call audit_log", true),
        ("gus", "prompts/get help", true),
        ("gus", "tools/call echo", false),
        ("bob", "tools/call echo", false),
        ("alice", "tools/call echo", true),
    ]) {
        let time: Timestamp = decision["time"].as_str().unwrap().parse().unwrap();
        assert!((before..=Timestamp::now()).contains(&time), "{decision}");
        assert!(is_text(&decision["reason"]), "{decision}");
        reasons.insert(decision["reason"].to_string());
        let told = without(without(decision.clone(), "time"), "reason");
        let expected = json!({
            "sub": sub,
            "client_id": "test",
            "operation": operation,
            "allowed": allowed,
        });
        assert_eq!(told, expected);
    }
    // Permitted, and two different reasons why not.
    assert_eq!(reasons.len(), 3, "{reasons:?}");
}

#[tokio::test]
async fn the_audit_log_keeps_the_newest_hundred() {
    let router = unlimited();
    let token = token();
    send_as(&router, operation("tools/call", "echo"), &token).await;
    for _ in 0..99 {
        send_as(&router, operation("tools/call", "get_time"), &token).await;
    }
    let log = audit_log(&router).await;
    assert_eq!(log.len(), 100);
    assert_eq!(log[0]["operation"], "tools/call audit_log");
    assert_eq!(log[99]["operation"], "tools/call get_time");
}

#[tokio::test]
async fn a_call_without_an_id_is_not_carried_out() {
    let router = unlimited();
    let params = call("get_time", json!({}));
    let body = json!({"jsonrpc": "2.0", "method": "tools/call", "params": params});
    let answer = send_as(&router, post(body.to_string()), &token()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(audit_log(&router).await.len(), 1);
}

#[tokio::test]
async fn each_decision_is_one_log_line() {
    for (scope, role, reason) in [
        ("mcp:tools", "user", "permitted"),
        ("mcp:read", "user", "mcp:tools"),
        ("mcp:tools", "guest", "role"),
    ] {
        let token = token_of("alice", scope, &[role]);
        let request = operation("tools/call", "echo");
        Log::clear();
        send_as(&unlimited(), request, &token).await;
        let mut lines = Log::lines();
        assert!(!lines.concat().contains(&token), "{lines:?}");
        lines.retain(|line| line.contains("tools/call echo"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(" INFO "), "{lines:?}");
        assert!(lines[0].contains(reason), "{lines:?}");
    }
}

#[test]
fn the_limit_is_six_hundred_calls_a_minute_unless_told_otherwise() {
    assert_eq!(default_of("calls_per_minute"), "600");
    for calls in ["-1", "1.5", ""] {
        let argument = format!("--calls-per-minute={calls}");
        assert!(config_with(&argument).is_none(), "{calls}");
    }
}

#[tokio::test]
async fn whoever_has_to_wait_for_less_than_a_second_is_told_to_wait_for_one() {
    // One more call is allowed every 0.98 s.
    let router = serving(with_calls_per_minute(61));
    let token = token();
    for _ in 0..1000 {
        let answer = send_as(&router, operation("tools/call", "get_time"), &token).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.header("retry-after"), "1");
            return;
        }
    }
    panic!("nobody was refused");
}

#[tokio::test]
async fn a_page_of_this_machine_reads_why_it_may_not_call_and_for_how_long() {
    let router = serving(with_calls_per_minute(1));
    for (sub, scope, status) in [
        ("alice", "mcp:read", 403),
        // Another token, and what is refused, are still calls of the same user.
        ("alice", "mcp:tools", 429),
        ("bob", "mcp:tools", 200),
    ] {
        let request = operation("tools/call", "get_time").with("Origin", PAGE);
        let answer = send_as(&router, request, &token_of(sub, scope, &["user"])).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_readable(status, &answer, PAGE);
        let wait = answer.header("retry-after").parse().unwrap_or(0);
        assert_eq!((1..=60).contains(&wait), status == 429, "{wait}");
    }
    // What is no call of a tool is not counted.
    let answer = send_as(&router, operation("prompts/get", "help"), &token()).await;
    assert_eq!(answer.status, StatusCode::OK);
}
