//! Tools run and prompts are rendered: what they answer, what they say about wrong arguments, and
//! how a modern request names them in a header.

use jiff::Timestamp;

use super::*;

#[tokio::test]
async fn echo_repeats_its_message() {
    for (arguments, text) in [
        (json!({"message": "a b", "repeat_count": 3}), "a b a b a b"),
        (json!({"message": "x", "repeat_count": 2.0}), "x x"),
        (json!({"message": "\u{1f512}\"\n\0"}), "\u{1f512}\"\n\0"),
    ] {
        for request in both_eras("tools/call", &call("echo", arguments)) {
            let result = result_of(request).await;
            assert_eq!(text_of(&result), text);
            assert_eq!(result["structuredContent"], json!({"text": text}));
            assert_eq!(result["isError"], false);
        }
    }
}

/// What counts is what is sent: the text goes out twice, and in JSON one byte of it may be six.
#[tokio::test]
async fn echo_sends_one_mebibyte_of_text_at_most() {
    const MIB: usize = 1024 * 1024;
    for (letter, count, longest) in [
        ("x", 4, MIB / 8 - 2),
        ("\u{1f512}", 4, (MIB / 8 - 2) / 4),
        ("\"", 8, (MIB / 16 - 2) / 2),
        ("\0", 10, (MIB / 20 - 2) / 6),
    ] {
        for (length, is_error) in [(longest, false), (longest + 1, true)] {
            let case = format!("{letter:?} {length}");
            let arguments = json!({"message": letter.repeat(length), "repeat_count": count});
            let answer = send(modern("tools/call", call("echo", arguments))).await;
            let result = &answer.json()["result"];
            assert_eq!(result["isError"], is_error, "{case}");
            let says_why = text_of(result).contains("repeat");
            assert_eq!(says_why, is_error, "{case}");
            // Beside the text there is little more than the name of this server.
            assert!(answer.body.len() < MIB + 1024, "{case}");
            assert_eq!(answer.body.len() > MIB * 9 / 10, !is_error, "{case}");
        }
    }
}

#[tokio::test]
async fn get_time_tells_the_time_in_utc() {
    let before = Timestamp::now().as_second();
    for request in both_eras("tools/call", &json!({"name": "get_time"})) {
        let result = result_of(request).await;
        let text = text_of(&result);
        let time: Timestamp = text.parse().unwrap();
        // The one form that RFC 3339 has for UTC, and not another that the parser takes, too.
        assert_eq!(text, time.to_string());
        assert!((before..=Timestamp::now().as_second()).contains(&time.as_second()));
    }
}

#[tokio::test]
async fn wrong_arguments_are_a_result_that_names_them() {
    let count = |count: Value| json!({"message": "x", "repeat_count": count});
    for (tool, arguments, named) in [
        ("echo", json!({}), "message"),
        ("echo", json!({"message": null}), "message"),
        ("echo", count(json!(0)), "repeat_count"),
        ("echo", count(json!(11)), "repeat_count"),
        ("echo", count(json!(1e300)), "repeat_count"),
        ("echo", count(json!(u64::MAX)), "repeat_count"),
        ("echo", count(json!(null)), "repeat_count"),
        ("echo", json!({"message": "x", "Message": "y"}), "Message"),
        ("get_time", json!({"zone": "UTC"}), "zone"),
        ("whoami", json!({"name": "alice"}), "name"),
    ] {
        for request in both_eras("tools/call", &call(tool, arguments.clone())) {
            let result = result_of(request).await;
            assert_eq!(result["isError"], true, "{tool} {arguments}");
            assert_eq!(result.get("structuredContent"), None, "{tool} {arguments}");
            let text = text_of(&result);
            assert!(text.contains(named), "{tool} {arguments}: {text}");
        }
    }
}

#[tokio::test]
async fn unknown_names_and_malformed_params_are_no_errors_of_http() {
    for (method, name, other) in [
        ("tools/call", "get_time", "help"),
        ("prompts/get", "help", "get_time"),
    ] {
        for params in [
            call("no_such", json!({})),
            call(other, json!({})),
            call(&format!("{name} "), json!({})),
            call("", json!({})),
            call(name, json!([])),
            call(name, json!(null)),
        ] {
            for request in both_eras(method, &params) {
                expect(format!("{method} {params}"), request, 200, -32602).await;
            }
        }
        let number = handshake(method, json!({"name": 1}));
        expect(method, number, 200, -32602).await;
    }
}

#[tokio::test]
async fn a_modern_call_repeats_the_name_in_a_header() {
    for (method, name) in [("tools/call", "get_time"), ("prompts/get", "help")] {
        let good = || modern(method, call(name, json!({})));
        let encoded = sentinel(name);
        expect("plain", good(), 200, 0).await;
        expect("encoded", good().with("Mcp-Name", &encoded), 200, 0).await;
        for value in [
            "",
            "echo",
            &sentinel("echo"),
            &name.to_uppercase(),
            &format!("{name:?}"),
            "=?base64?%%%?=",
            "=?base64?/w==?=",
            encoded.strip_suffix("?=").unwrap(),
            &encoded.replace("base64", "BASE64"),
        ] {
            expect(value, good().with("Mcp-Name", value), 400, -32020).await;
        }
        for (case, request) in [
            ("missing", good().without("Mcp-Name")),
            ("twice", good().also("Mcp-Name", name)),
            ("two", good().also("Mcp-Name", "echo")),
        ] {
            expect(case, request, 400, -32020).await;
        }
    }
    // Decoded before it is compared.
    for name in ["\u{e9}cho", " echo", "=?base64?ZWNobw==?="] {
        for (value, status, code) in [(name, 200, -32602), ("echo", 400, -32020)] {
            let request = modern("tools/call", call(name, json!({})));
            let request = request.with("Mcp-Name", &sentinel(value));
            expect(name, request, status, code).await;
        }
    }
}

#[tokio::test]
async fn the_name_is_compared_where_the_protocol_asks_for_it_before_it_is_looked_up() {
    for method in ["tools/call", "prompts/get"] {
        let unknown = || modern(method, call("no_such", json!({})));
        let nameless = || modern(method, json!({"arguments": {}}));
        for (case, request) in [
            ("another name", unknown().with("Mcp-Name", "x")),
            ("no name at all", nameless()),
            ("no name in the body", nameless().with("Mcp-Name", "x")),
            ("the method first", unknown().with("Mcp-Method", "x")),
        ] {
            expect(case, request, 400, -32020).await;
        }
    }
    let list = modern("tools/list", json!({}));
    let old = handshake("tools/call", call("get_time", json!({})));
    for (case, request) in [("another method", list), ("the handshake era", old)] {
        expect(case, request.with("Mcp-Name", "x"), 200, 0).await;
    }
}

#[tokio::test]
async fn greeting_greets_whom_it_is_told_to() {
    const NAME: &str = "\u{c6}gir \"S\"";
    for request in both_eras("prompts/get", &call("greeting", json!({"name": NAME}))) {
        let result = result_of(request).await;
        assert!(prompt_of(&result).contains(NAME), "{result}");
    }
}

#[tokio::test]
async fn wrong_arguments_of_a_prompt_are_an_error_that_names_them() {
    for (prompt, arguments, named) in [
        ("greeting", json!({"name": 5}), "name"),
        ("greeting", json!({"mood": "merry"}), "mood"),
        ("help", json!({"topic": "echo"}), "topic"),
    ] {
        for request in both_eras("prompts/get", &call(prompt, arguments.clone())) {
            let answer = send(request).await;
            assert_eq!(answer.status, StatusCode::OK, "{prompt} {arguments}");
            assert_eq!(answer.code(), -32602, "{prompt} {arguments}");
            let message = answer.json()["error"]["message"].to_string();
            assert!(message.contains(named), "{prompt} {arguments}: {message}");
        }
    }
}

/// A page whose name was rebound to this machine has no way in.
#[tokio::test]
async fn only_our_own_names_are_answered() {
    let router = serving(with_resource("https://mcp.example.com/mcp"));
    let good = "localhost LOCALHOST:9000 127.1.2.3 [::1] [::1]:9000 mcp.example.com \
                MCP.example.com:8443";
    let bad = "example.com evil.mcp.example.com mcp.example.com.evil.com notlocalhost \
               evil.com:9000 localhost:9000@evil.com evil.com/localhost 127.0.0.1.nip.io \
               192.168.0.1:9000 0.0.0.0:9000 [::2] localhost:x localhost,evil.com \
               user@localhost @localhost user:password@localhost:9000 localhost/evil \
               localhost/ localhost\\evil localhost?evil localhost#evil";
    for (hosts, is_refused) in [(good, false), (bad, true), ("", true)] {
        for host in hosts.split(' ') {
            let request = handshake("ping", json!({})).with("Host", host);
            let answer = send_to(router.clone(), request).await;
            assert_eq!(answer.status == StatusCode::FORBIDDEN, is_refused, "{host}");
        }
    }
    // A browser sends an address in its normal form, however the setting has it.
    let router = serving(with_resource("http://[2001:0db8::0:1]:9000/mcp"));
    let request = handshake("ping", json!({})).with("Host", "[2001:db8::1]:9000");
    assert_ne!(send_to(router, request).await.status, StatusCode::FORBIDDEN);
    for request in [
        handshake("ping", json!({})).without("Host"),
        handshake("ping", json!({})).also("Host", "evil.com"),
    ] {
        assert_eq!(send(request).await.status, StatusCode::FORBIDDEN);
    }
}

#[test]
fn the_resource_is_kept_as_it_is_written() {
    for url in [
        "http://localhost:80",
        "https://MCP.example.com:443/a/../b",
        "https://[::1]/mcp",
    ] {
        let config = config_with(&format!("--resource={url}")).unwrap();
        assert_eq!(config.resource(), url);
    }
    let bad = "/mcp ftp://localhost/mcp http:/localhost/mcp http:///mcp http://localhost:65536/mcp \
               http://user@localhost/mcp http://localhost/\" http://localhost\\mcp \
               http://localhost/\u{e9} http://localhost/mcp? http://localhost/mcp# \
               http://localhost/ http://localhost/mcp/";
    for url in bad.split(' ').chain(["", "http://localhost/a b", "http://localhost/\r\nx"]) {
        assert!(
            config_with(&format!("--resource={url}")).is_none(),
            "{url:?}"
        );
    }
    assert_eq!(resource_at(1234), "http://localhost:1234/mcp");
}
