//! The report: what each check is about, how it ended, and how that is printed.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::print;
use crate::redact;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Pass,
    Warn,
    Fail,
    Skip,
}

/// What a check is about, apart from how it ended.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    /// What should be so.
    pub(crate) claim: &'static str,
    /// One line for whoever runs the server.
    pub(crate) fix: &'static str,
    /// Who stumbles where it is not so.
    pub(crate) clients: &'static str,
}

/// Makes the table of rules read like one.
pub(crate) const fn rule(
    id: &'static str,
    claim: &'static str,
    fix: &'static str,
    clients: &'static str,
) -> Rule {
    Rule {
        id,
        claim,
        fix,
        clients,
    }
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) rule: Rule,
    pub(crate) outcome: Outcome,
    pub(crate) seen: String,
}

/// All findings, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    /// What the doctor could not take back.
    left_behind: Vec<String>,
}

impl Report {
    /// Prints it. Exit status 1 where a check failed.
    pub(crate) fn print(
        &self,
        url: &str,
        as_json: bool,
    ) -> Result<ExitCode> {
        if as_json {
            println!("{}", serde_json::to_string_pretty(&self.json(url))?);
        } else {
            self.print_text(url);
        }
        let failed = self.count(Outcome::Fail) > 0;
        Ok(ExitCode::from(u8::from(failed)))
    }

    fn json(
        &self,
        url: &str,
    ) -> Value {
        json!({
            "url": url,
            "passed": self.count(Outcome::Pass),
            "warned": self.count(Outcome::Warn),
            "failed": self.count(Outcome::Fail),
            "skipped": self.count(Outcome::Skip),
            "checks": self.findings,
            "left_behind": self.left_behind,
        })
    }

    fn count(
        &self,
        outcome: Outcome,
    ) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.outcome == outcome)
            .count()
    }

    fn print_text(
        &self,
        url: &str,
    ) {
        let skipped = |finding: &&Finding| finding.outcome == Outcome::Skip;
        for finding in self.findings.iter().filter(|finding| !skipped(finding)) {
            println!("{}", line(finding));
        }
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for finding in self.findings.iter().filter(skipped) {
            match reasons
                .iter_mut()
                .find(|(reason, _)| *reason == finding.seen)
            {
                Some((_, ids)) => ids.push(finding.rule.id),
                None => reasons.push((&finding.seen, vec![finding.rule.id])),
            }
        }
        for (reason, ids) in reasons {
            let ids = print::wrap(&ids.join(", "), "        ");
            println!("skip  {reason}:\n{ids}");
        }
        println!(
            "\n{} passed, {} warned, {} failed, {} skipped: {}",
            self.count(Outcome::Pass),
            self.count(Outcome::Warn),
            self.count(Outcome::Fail),
            self.count(Outcome::Skip),
            url
        );
    }

    /// Adds a finding.
    pub(crate) fn find(
        &mut self,
        rule: Rule,
        outcome: Outcome,
        seen: impl Into<String>,
    ) {
        self.findings.push(Finding {
            rule,
            outcome,
            seen: redact::text(&seen.into()),
        });
    }

    /// Pass or fail.
    pub(crate) fn must(
        &mut self,
        rule: Rule,
        good: bool,
        seen: impl Into<String>,
    ) {
        let outcome = if good { Outcome::Pass } else { Outcome::Fail };
        self.find(rule, outcome, seen);
    }

    /// Pass or warn.
    pub(crate) fn should(
        &mut self,
        rule: Rule,
        good: bool,
        seen: impl Into<String>,
    ) {
        let outcome = if good { Outcome::Pass } else { Outcome::Warn };
        self.find(rule, outcome, seen);
    }

    pub(crate) fn skip(
        &mut self,
        rules: &[Rule],
        why: &str,
    ) {
        for rule in rules {
            self.find(*rule, Outcome::Skip, why);
        }
    }

    /// Names a thing that stays at the authorization server.
    pub(crate) fn leave_behind(
        &mut self,
        what: String,
    ) {
        self.left_behind.push(redact::text(&what));
    }
}

fn line(finding: &Finding) -> String {
    let (mark, colour) = match finding.outcome {
        Outcome::Pass => ("pass", "32"),
        Outcome::Warn => ("warn", "33"),
        Outcome::Fail => ("FAIL", "31"),
        Outcome::Skip => ("skip", "0"),
    };
    let mark = match print::colours_on_stdout() {
        true => format!("\x1b[{colour}m{mark}\x1b[0m"),
        false => mark.to_owned(),
    };
    let rule = finding.rule;
    let mut text = format!("{mark}  {:<24} {}", rule.id, rule.claim);
    if finding.outcome != Outcome::Pass {
        text.push_str(&format!("\n        seen:  {}", finding.seen));
    }
    if matches!(finding.outcome, Outcome::Warn | Outcome::Fail) {
        text.push_str(&format!(
            "\n        fix:   {}\n        hits:  {}",
            rule.fix, rule.clients
        ));
    }
    text
}
