//! The report: what each check is about, how it ended, and how that is printed.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::out;
use crate::out::Line;
use crate::out::Style;
use crate::redact;
use crate::visible;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Pass,
    Warn,
    Fail,
    Skip,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Fail, Self::Skip];

    fn word(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::Warn => "warned",
            Self::Fail => "failed",
            Self::Skip => "skipped",
        }
    }
}

/// What is kept of what a check saw, in characters.
const LONGEST: usize = 600;

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
    ) -> ExitCode {
        if as_json {
            out::print_json(&self.json(url));
        } else {
            out::print(&self.lines(url));
        }
        let failed = self.count(Outcome::Fail) > 0;
        ExitCode::from(u8::from(failed))
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
        findings.filter(|finding| finding.outcome == outcome).count()
    }

    fn lines(
        &self,
        url: &str,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        for group in &GROUPS {
            let is_own = |finding: &&Finding| title_of(finding.rule.id) == group.title;
            let own: Vec<_> = self.findings.iter().filter(is_own).collect();
            if !own.is_empty() {
                lines.extend(section(group.title, &own));
            }
        }
        let all: Vec<_> = self.findings.iter().collect();
        let total = format!("{}: {url}", summary(&all, &Outcome::ALL));
        lines.push(Line::new(total).styled(Style::Bold));
        if !self.left_behind.is_empty() {
            lines.push(Line::empty());
            lines.push(Line::new("Left behind at the authorization server:"));
        }
        let left = self.left_behind.iter();
        lines.extend(left.map(|what| Line::new(what).marked("  - ", Style::Plain)));
        lines
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
            seen: visible::cut(&redact::text(&seen.into()), LONGEST).into_owned(),
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
        let what = redact::text(&what);
        self.left_behind.push(visible::cut(&what, LONGEST).into_owned());
    }
}

/// A part of the report, and how the ids of its rules begin.
struct Group {
    title: &'static str,
    ids: &'static [&'static str],
}

/// The first that fits is the one.
const GROUPS: [Group; 10] = [
    Group {
        title: "What a stranger gets",
        ids: &["auth.", "challenge."],
    },
    Group {
        title: "Pages in a browser",
        ids: &["cors."],
    },
    Group {
        title: "What the server says of itself",
        ids: &["prm.", "wellknown."],
    },
    Group {
        title: "What the authorization server says of itself",
        ids: &["as."],
    },
    Group {
        title: "Registration, and requests that must fail",
        ids: &["dcr.", "redirect.", "pkce.", "token.error-json"],
    },
    Group {
        title: "Logging in",
        ids: &["login.", "token.lifetime", "refresh.", "stepup."],
    },
    Group {
        title: "The token",
        ids: &["token."],
    },
    Group {
        title: "The protocol",
        ids: &["era.", "mcp."],
    },
    Group {
        title: "What the server refuses",
        ids: &["refuse.", "origin.", "host."],
    },
    Group {
        title: "Other checks",
        ids: &[""],
    },
];

/// The part of the report that a rule belongs to.
fn title_of(id: &str) -> &'static str {
    let fits = |group: &&Group| group.ids.iter().any(|start| id.starts_with(start));
    let found = GROUPS.iter().find(fits);
    found.map_or("Other checks", |group| group.title)
}

/// `3 passed, 1 failed`: the outcomes that are there.
fn summary(
    findings: &[&Finding],
    always: &[Outcome],
) -> String {
    let count = |outcome| findings.iter().filter(|f| f.outcome == outcome).count();
    let parts = Outcome::ALL.iter().filter_map(|outcome| {
        let count = count(*outcome);
        (count > 0 || always.contains(outcome)).then(|| format!("{count} {}", outcome.word()))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// A group: its title with how it ended, its findings, and those that could not be made by reason.
fn section(
    title: &str,
    findings: &[&Finding],
) -> Vec<Line> {
    let text = format!("{title}: {}", summary(findings, &[]));
    let mut lines = vec![Line::new(text).styled(Style::Bold)];
    let is_skipped = |finding: &&&Finding| finding.outcome == Outcome::Skip;
    for finding in findings.iter().filter(|finding| !is_skipped(finding)) {
        lines.extend(told(finding));
    }
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for finding in findings.iter().filter(is_skipped) {
        let known = reasons.iter_mut().find(|(why, _)| *why == finding.seen);
        match known {
            Some((_, ids)) => ids.push(finding.rule.id),
            None => reasons.push((&finding.seen, vec![finding.rule.id])),
        }
    }
    for (reason, ids) in reasons {
        let text = format!("{}: {reason}", ids.join(", "));
        lines.push(Line::new(text).marked("  skip  ", Style::Plain));
    }
    lines.push(Line::empty());
    lines
}

fn told(finding: &Finding) -> Vec<Line> {
    let (mark, style) = match finding.outcome {
        Outcome::Pass => ("  pass  ", Style::Green),
        Outcome::Warn => ("  warn  ", Style::Yellow),
        Outcome::Fail => ("  FAIL  ", Style::Red),
        Outcome::Skip => ("  skip  ", Style::Plain),
    };
    let rule = finding.rule;
    let text = format!("{}: {}", rule.id, rule.claim);
    let mut lines = vec![Line::new(text).marked(mark, style)];
    if finding.outcome == Outcome::Pass {
        return lines;
    }
    for (what, text) in [
        ("seen", finding.seen.as_str()),
        ("fix", rule.fix),
        ("hits", rule.clients),
    ] {
        let mark = format!("        {what:<6}");
        lines.push(Line::new(text).marked(mark, Style::Dim));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_that_fits_is_the_one() {
        let registration = "Registration, and requests that must fail";
        assert_eq!(title_of("token.error-json"), registration);
        assert_eq!(title_of("token.lifetime"), "Logging in");
        assert_eq!(title_of("token.aud"), "The token");
        assert_eq!(title_of("new.one"), "Other checks");
    }
}
