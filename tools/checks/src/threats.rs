//! `docs/threats.md`: what may happen, what it costs, the check that stands against it, and how one sees that it does.
//! Made from the sabotages, so that it is complete: what has no sabotage is not seen to fail, and what has one is listed.
//!
//! When the page is stale, write it anew:
//!
//! ```sh
//! UPDATE_THREATS=1 cargo test -p checks threats
//! ```

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::root::root;
use crate::sabotage::Flaw;
use crate::sabotage::Place;
use crate::sabotage::Sabotage;
use crate::sabotage::makes_claim;

const PAGE: &str = "docs/threats.md";
const COMMAND: &str = "UPDATE_THREATS=1 cargo test -p checks threats";

/// What stands above the tables.
const OPENING: &str = "\
# Threats

What may happen to an MCP server with authorization, and to its users: what it costs, which check stands against it and where,
the claim that proves the check, and the sabotage that proves the claim. Each line is a patch in `scripts/sabotage/`, and this
page is made from their first lines; `CONTRIBUTING.md` says how.

To see one of them happen, break the check and watch the claim turn red:

```text
scripts/break_it.sh step6-audience-unchecked
```

<!-- Generated. Do not edit: change the patches, then run UPDATE_THREATS=1 cargo test -p checks threats -->
";

const CLOSING: &str = "
## What else is claimed

The scripts make many more claims than those above: [scripts/checks](../scripts/checks) step by step, the others in
[scripts](../scripts/README.md). What no check here can stop is in the Caveats of each step's README, and what is left to whoever
runs it in [production.md](production.md).
";

/// A topic: as the patches name it, its title, and what is common to its threats.
struct Topic {
    key: &'static str,
    title: &'static str,
    opening: &'static str,
}

const TOPICS: [Topic; 10] = [
    Topic {
        key: "pages",
        title: "Pages in the user's browser",
        opening: "A server at localhost is reached by every page that the user visits.",
    },
    Topic {
        key: "messages",
        title: "Requests that are not what they seem",
        opening: "Whoever may send a request chooses its size and its words.",
    },
    Topic {
        key: "tokens",
        title: "Tokens",
        opening: "Whoever holds a token is believed. So it must be a real one, for this server, of this kind, and not too old.",
    },
    Topic {
        key: "keys",
        title: "Keys",
        opening: "A key that was stolen signs what the thief likes, until every server has obeyed its end.",
    },
    Topic {
        key: "discovery",
        title: "The way in",
        opening: "A client that cannot find the way in helps nobody; one that is shown a wrong way harms its user.",
    },
    Topic {
        key: "rights",
        title: "Rights",
        opening: "Who got in may still not do everything: the scope says what was lent to the client, the role what the user may do.",
    },
    Topic {
        key: "logs",
        title: "Logs, figures and the process",
        opening: "What was not written down cannot be looked up, and what should not have been written down can.",
    },
    Topic {
        key: "issuer",
        title: "The authorization server",
        opening: "It knows the passwords and signs the tokens; `tools/auth-server` shows what that takes.",
    },
    Topic {
        key: "upstream",
        title: "Signing in elsewhere",
        opening: "Where GitHub or another provider says who the user is, its answer must be for this browser, this user and this app.",
    },
    Topic {
        key: "client",
        title: "A client among hostile servers",
        opening: "The client carries the password and the tokens, and the server it talks to may be anybody's.",
    },
];

/// The step that a script tests.
fn step_of(script: &str) -> Option<u8> {
    script.strip_prefix("test_step")?.strip_suffix(".sh")?.parse().ok()
}

/// Where a script's own claims are, in `scripts/`.
fn home(script: &str) -> String {
    step_of(script).map_or_else(|| script.to_owned(), |step| format!("checks/step{step}.sh"))
}

/// The sources of the claims that a script makes: its own, or those of the checks of its step and of earlier ones.
fn claims(
    root: &Path,
    script: &str,
) -> String {
    let files = match step_of(script) {
        Some(step) => (1..=step).map(|step| format!("checks/step{step}.sh")).collect(),
        None => vec![home(script)],
    };
    let read = |file| fs::read_to_string(root.join("scripts").join(file)).unwrap_or_default();
    files.into_iter().map(read).collect()
}

/// The names of the tests that this script runs, as it prints them.
fn tests_of_mcp_client(root: &Path) -> String {
    let mut names = String::new();
    for file in ["hostile", "manners", "output"] {
        let source = root.join(format!("tools/mcp-client/tests/{file}.rs"));
        let source = fs::read_to_string(source).unwrap_or_default();
        for line in source.lines() {
            let test = line.trim_start_matches("async ").strip_prefix("fn ");
            if let Some((name, _)) = test.and_then(|rest| rest.split_once('(')) {
                writeln!(names, "'{}'", name.replace('_', " ")).expect("a String takes it");
            }
        }
    }
    names
}

fn is_claimed(
    root: &Path,
    script: &str,
    claim: &str,
) -> bool {
    let sources = if script == "test_mcp_client.sh" {
        tests_of_mcp_client(root)
    } else {
        claims(root, script)
    };
    makes_claim(&sources, claim)
}

/// The row of one sabotage.
fn row(
    root: &Path,
    sabotage: &Sabotage,
) -> Result<String, Flaw> {
    let Place {
        file,
        item,
    } = sabotage.place(root)?;
    let script = sabotage.script()?;
    let claim = sabotage.head("Red")?;
    if !is_claimed(root, &script, claim) {
        return Err(Flaw::Claim(claim.to_owned()));
    }
    sabotage.head("Breaks")?;
    let home = home(&script);
    let name = &sabotage.name;
    let row = format!(
        "| {} | {} | {} [{file}](../{file}), `{item}` | `{}` in [{home}](../scripts/{home}), red with \
         [{name}](../scripts/sabotage/{name}.patch) |\n",
        cell(sabotage.head("Threat")?),
        cell(sabotage.head("Costs")?),
        cell(sabotage.head("Check")?),
        cell(claim),
    );
    Ok(row)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The tables, topic by topic, or what is wrong with which patch.
fn tables(
    root: &Path,
    sabotages: &[Sabotage],
) -> Result<String, Vec<String>> {
    let mut text = String::new();
    let mut flaws = Vec::new();
    for topic in TOPICS {
        let mut rows = String::new();
        for sabotage in sabotages.iter().filter(|one| one.head("Topic") == Ok(topic.key)) {
            match row(root, sabotage) {
                Ok(row) => rows.push_str(&row),
                Err(flaw) => flaws.push(format!("{}: {flaw}", sabotage.name)),
            }
        }
        let Topic {
            title,
            opening,
            ..
        } = topic;
        let heads = "| what happens | what it costs | the check, and where | the claim, and its sabotage |\n|---|---|---|---|\n";
        text.push_str(&format!("\n## {title}\n\n{opening}\n\n{heads}{rows}"));
    }
    flaws.extend(without_topic(sabotages));
    if flaws.is_empty() {
        Ok(text)
    } else {
        Err(flaws)
    }
}

/// The patches that no table would show.
fn without_topic(sabotages: &[Sabotage]) -> Vec<String> {
    let known: BTreeSet<_> = TOPICS.iter().map(|topic| topic.key).collect();
    let is_lost =
        |sabotage: &&Sabotage| !sabotage.head("Topic").is_ok_and(|topic| known.contains(topic));
    let lost = sabotages.iter().filter(is_lost);
    lost.map(|sabotage| {
        format!(
            "{}: its line `# Topic: ..` names none of {known:?}",
            sabotage.name
        )
    })
    .collect()
}

#[test]
fn the_page_of_threats_is_that_of_the_sabotages() {
    let sabotages = Sabotage::all(&root().join("scripts/sabotage"));
    let tables = tables(&root(), &sabotages).unwrap_or_else(|flaws| panic!("{}", flaws.join("\n")));
    let wanted = format!("{OPENING}{tables}{CLOSING}");
    let page = root().join(PAGE);
    if env::var_os("UPDATE_THREATS").is_some() {
        fs::write(&page, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&page).unwrap_or_default();
    let differs = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    assert!(
        found == wanted,
        "{PAGE} is stale: run {COMMAND}\n{differs:#?}"
    );
}

#[test]
fn a_topic_without_a_threat_is_none() {
    let sabotages = Sabotage::all(&root().join("scripts/sabotage"));
    for topic in TOPICS {
        let has_one = sabotages.iter().any(|sabotage| sabotage.head("Topic") == Ok(topic.key));
        assert!(has_one, "{}", topic.key);
    }
}

/// A patch of step 6, as they are, with one line of its head changed.
fn with(
    line: &str,
    instead: &str,
) -> Result<String, Vec<String>> {
    let name = "scripts/sabotage/step6-audience-unchecked.patch";
    let text = fs::read_to_string(root().join(name)).unwrap();
    assert!(text.contains(line), "{name}: no {line}");
    tables(
        &root(),
        &[Sabotage::made_up(&text.replacen(line, instead, 1))],
    )
}

#[test]
fn a_patch_that_does_not_say_all_is_named() {
    assert!(with("# Topic", "# Topic").is_ok());
    for key in ["Topic", "Threat", "Costs", "Check", "Breaks", "Red"] {
        let flaws = with(&format!("# {key}: "), "# Nothing: ").unwrap_err();
        assert!(
            flaws[0].starts_with("made-up: ") && flaws[0].contains(key),
            "{flaws:?}"
        );
    }
    let flaws = with("# Topic: tokens", "# Topic: toads").unwrap_err();
    assert!(flaws[0].contains("Topic"), "{flaws:?}");
    let flaws = with("# Red: --break", "# Red: --brake").unwrap_err();
    assert!(flaws[0].contains("makes the claim"), "{flaws:?}");
}
