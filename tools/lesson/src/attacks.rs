//! The attacks that a step stops, as a chapter of the book: made from the first lines of `scripts/sabotage/stepN-*.patch`.
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
    let attacks = attacks(root, step)?;
    if attacks.is_empty() {
        return Ok(None);
    }
    let number = step.trim_start_matches("step");
    let mut text = format!("# What step {number} stops\n");
    if plays(root, number) {
        let _ = write!(
            text,
            "\nSee them happen: this plays attacks against the step before, where they succeed, and against this one.\n\n\
             ```sh\nscripts/attack.sh {number}\n```\n"
        );
    }
    for attack in &attacks {
        text.push_str(&attack.page(step));
    }
    Ok(Some(text))
}

/// Whether `scripts/attack.sh` knows this step.
fn plays(
    root: &Path,
    number: &str,
) -> bool {
    let is_played = ["2", "4", "6", "7", "8"].contains(&number);
    is_played && root.join("scripts/attack.sh").is_file()
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
        let mut text = format!("\n## {}\n\n", words("Threat").trim_end_matches('.'));
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
            "## A token leaks\n",
            "- **What it costs**: Much.\n",
            "- **What stops it**: `exp` has come.\n",
            "the claim `an old one -> 401`",
            "git apply scripts/sabotage/step6-old.patch\nscripts/test_step6.sh\n",
            "```diff\ndiff --git a/x b/x\n+y\n```",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert_eq!(page.matches("\n## ").count(), 1, "{page}");
    }

    #[test]
    fn a_patch_without_a_threat_is_no_attack() {
        assert_eq!(with("# Red: an old one -> 401\ndiff --git a/x b/x\n"), None);
    }
}
