//! The attacks that a step stops, as a chapter of the book: those that `scripts/attack.sh` plays, as it tells them, and
//! those of `scripts/sabotage/stepN-*.patch`, made from their first lines.
//!
//! Those lines are `# Key: words`. Read are `Threat` (what happens), `Costs`, `Check` (what stops it) and `Red` (the claim
//! that proves it); a patch without a threat is no attack.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// One attack, and the change that would let it through again.
struct Attack {
    name: String,
    words: BTreeMap<String, String>,
    patch: String,
}

/// The chapter of a step, if there is any attack that it stops.
pub(crate) fn page(
    root: &Path,
    step: &str,
) -> anyhow::Result<Option<String>> {
    let number = step.trim_start_matches("step");
    let script = fs::read_to_string(root.join("scripts/attack.sh")).unwrap_or_default();
    let played = played(&script, number);
    let attacks = attacks(root, step)?;
    if played.is_empty() && attacks.is_empty() {
        return Ok(None);
    }
    let mut text = format!("# What step {number} stops\n");
    if !played.is_empty() {
        let _ = write!(
            text,
            "\n## To watch\n\nThis makes each attack twice, where it succeeds and where it is stopped, and says who was fooled:\n\n\
             ```sh\nscripts/attack.sh {number}\n```\n\n{played}"
        );
    }
    if !attacks.is_empty() {
        text.push_str("\n## To break\n\nEach of these comes true when one check is taken away.\n");
    }
    for attack in &attacks {
        text.push_str(&attack.page(step));
    }
    Ok(Some(text))
}

/// What `attack.sh` says of the attacks of a step: `attack "TITLE"`, what the attacker does, what the servers do, each in
/// quotes and on a line of its own.
fn played(
    script: &str,
    number: &str,
) -> String {
    let begin = format!("attacks_of_{number}() {{");
    let lines = script.lines().skip_while(|line| *line != begin).take_while(|line| *line != "}");
    let lines: Vec<_> = lines.map(str::trim).collect();
    let quoted =
        |line: &str| Some(line.split_once('"')?.1.rsplit_once('"')?.0.replace("\\\"", "\""));
    let told = lines.windows(3).filter(|lines| lines[0].starts_with("attack \""));
    told.filter_map(|lines| {
        let (title, attacker, servers) = (quoted(lines[0])?, quoted(lines[1])?, quoted(lines[2])?);
        let mut servers = servers.chars();
        let first: String = servers.next().into_iter().flat_map(char::to_uppercase).collect();
        let told = format!(
            "- **{title}.** The attacker {attacker} *{first}{}*\n",
            servers.as_str()
        );
        Some(told)
    })
    .collect()
}

fn attacks(
    root: &Path,
    step: &str,
) -> anyhow::Result<Vec<Attack>> {
    let folder = root.join("scripts/sabotage");
    let mut found = Vec::new();
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let file = entry?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with(&format!("{step}-")) {
            continue;
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        found.extend(Attack::parse(name, &text));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

impl Attack {
    fn parse(
        name: String,
        text: &str,
    ) -> Option<Self> {
        let start = text.find("diff --git ")?;
        let (head, patch) = text.split_at(start);
        let words: BTreeMap<_, _> = head
            .lines()
            .filter_map(|line| line.strip_prefix("# ")?.split_once(": "))
            .map(|(key, words)| (key.to_owned(), words.to_owned()))
            .collect();
        words.contains_key("Threat").then(|| Self {
            name,
            words,
            patch: patch.to_owned(),
        })
    }

    fn page(
        &self,
        step: &str,
    ) -> String {
        let words = |key: &str| self.words.get(key).map_or("", String::as_str);
        let mut text = format!("\n### {}\n\n", words("Threat").trim_end_matches('.'));
        for (title, key) in [("What it costs", "Costs"), ("What stops it", "Check")] {
            if !words(key).is_empty() {
                let _ = writeln!(text, "- **{title}**: {}", words(key));
            }
        }
        let _ = writeln!(
            text,
            "- **What proves it**: the claim `{}`",
            words("Red").replace('`', "")
        );
        let _ = write!(
            text,
            "\n<details class=\"claims\"><summary>Break it</summary>\n\n\
             ```sh\ngit apply scripts/sabotage/{}.patch\nscripts/test_{step}.sh\n```\n\n```diff\n{}\n```\n\n</details>\n",
            self.name,
            self.patch.trim_end(),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "# Step: 6\n# Threat: A token leaks.\n# Costs: Much.\n# Check: `exp` has come.\n# Red: an old one -> 401\n\
                         diff --git a/x b/x\n+y\n";

    fn with(patch: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("scripts/sabotage")).unwrap();
        fs::write(
            folder.path().join("scripts/sabotage/step6-old.patch"),
            patch,
        )
        .unwrap();
        fs::write(
            folder.path().join("scripts/sabotage/step7-other.patch"),
            PATCH,
        )
        .unwrap();
        page(folder.path(), "step6").unwrap()
    }

    #[test]
    fn an_attack_is_told_with_what_stops_it() {
        let page = with(PATCH).unwrap();
        for words in [
            "### A token leaks\n",
            "- **What it costs**: Much.\n",
            "- **What stops it**: `exp` has come.\n",
            "the claim `an old one -> 401`",
            "git apply scripts/sabotage/step6-old.patch\nscripts/test_step6.sh\n",
            "```diff\ndiff --git a/x b/x\n+y\n```",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert_eq!(page.matches("\n### ").count(), 1, "{page}");
    }

    #[test]
    fn what_is_played_is_told_as_the_script_tells_it() {
        let script = "attacks_of_4() {\n    attack \"Four\" \\\n        \"a.\" \\\n        \"b.\"\n}\n\
                      attacks_of_6() {\n    attack \"Two \\\"keys\\\"\" \\\n        \"takes one.\" \\\n        \"it has none.\"\n    at x\n}\n";
        assert_eq!(
            played(script, "6"),
            "- **Two \"keys\".** The attacker takes one. *It has none.*\n"
        );
        assert_eq!(played(script, "5"), "");
    }

    #[test]
    fn a_patch_without_a_threat_is_no_attack() {
        assert_eq!(with("# Red: an old one -> 401\ndiff --git a/x b/x\n"), None);
    }
}
