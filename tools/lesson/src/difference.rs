//! What changed between two texts, line by line, with the lines around it.
//!
//! The library slides a change to where a reader would put it, as git does: a new function is shown from its comment to
//! its brace, not from the brace of the one before.

use std::ops::Range;

use imara_diff::Algorithm;
use imara_diff::Diff;
use imara_diff::InternedInput;

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 3;

/// What happened to a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    Same,
    Removed,
    Added,
}

/// A line of either text. Numbers count from 1; a line that is not in a text has that text's number of the line before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'t> {
    pub(crate) mark: Mark,
    pub(crate) old: usize,
    pub(crate) new: usize,
    pub(crate) text: &'t str,
}

impl Line<'_> {
    pub(crate) fn is_change(&self) -> bool {
        self.mark != Mark::Same
    }
}

/// All lines of both texts, removed ones before those that take their place.
pub(crate) fn lines<'t>(
    old: &'t str,
    new: &'t str,
) -> Vec<Line<'t>> {
    let input = InternedInput::new(old, new);
    // The other algorithms there are quicker, and take a line too many now and then.
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let before: Vec<_> = old.lines().collect();
    let after: Vec<_> = new.lines().collect();
    let mut all = Vec::new();
    let (mut at_old, mut at_new) = (0, 0);
    let mut push = |mark, at_old: &mut usize, at_new: &mut usize| {
        *at_old += usize::from(mark != Mark::Added);
        *at_new += usize::from(mark != Mark::Removed);
        let text = if mark == Mark::Removed {
            before[*at_old - 1]
        } else {
            after[*at_new - 1]
        };
        all.push(Line {
            mark,
            old: *at_old,
            new: *at_new,
            text,
        });
    };
    for hunk in diff.hunks() {
        while at_old < hunk.before.start as usize {
            push(Mark::Same, &mut at_old, &mut at_new);
        }
        while at_old < hunk.before.end as usize {
            push(Mark::Removed, &mut at_old, &mut at_new);
        }
        while at_new < hunk.after.end as usize {
            push(Mark::Added, &mut at_old, &mut at_new);
        }
    }
    while at_old < before.len() {
        push(Mark::Same, &mut at_old, &mut at_new);
    }
    all
}

/// The parts of the lines that are worth showing: each change with what is around it; near ones are one part.
pub(crate) fn hunks(lines: &[Line<'_>]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| line.is_change()) {
        let start = at.saturating_sub(CONTEXT);
        let end = (at + 1 + CONTEXT).min(lines.len());
        match hunks.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

/// How many lines were added, and how many removed.
pub(crate) fn count(lines: &[Line<'_>]) -> (usize, usize) {
    let with = |mark| lines.iter().filter(|line| line.mark == mark).count();
    (with(Mark::Added), with(Mark::Removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_the_numbers_of_both_sides() {
        let all = lines("a\nb\nc\n", "a\nx\nc\nd\n");
        let seen: Vec<_> =
            all.iter().map(|line| (line.mark, line.old, line.new, line.text)).collect();
        let expected = [
            (Mark::Same, 1, 1, "a"),
            (Mark::Removed, 2, 1, "b"),
            (Mark::Added, 2, 2, "x"),
            (Mark::Same, 3, 3, "c"),
            (Mark::Added, 3, 4, "d"),
        ];
        assert_eq!(seen, expected);
        assert_eq!(count(&all), (2, 1));
    }

    #[test]
    fn a_new_function_is_shown_from_its_comment_to_its_brace() {
        let old = "/// One.\nfn one() {\n}\n\n/// Three.\nfn three() {\n}\n";
        let new =
            "/// One.\nfn one() {\n}\n\n/// Two.\nfn two() {\n}\n\n/// Three.\nfn three() {\n}\n";
        let all = lines(old, new);
        let added: Vec<_> =
            all.iter().filter(|line| line.is_change()).map(|line| line.text).collect();
        assert_eq!(added, ["/// Two.", "fn two() {", "}", ""]);
    }

    #[test]
    fn changes_near_each_other_are_one_hunk() {
        let old: String = (0..30).map(|number| format!("{number}\n")).collect();
        let new = old
            .replace("\n2\n", "\nx\n")
            .replace("\n6\n", "\ny\n")
            .replace("\n20\n", "\nz\n");
        let all = lines(&old, &new);
        // Two lines for each of the three that changed.
        assert_eq!(hunks(&all), [0..12, 19..27]);
    }
}
