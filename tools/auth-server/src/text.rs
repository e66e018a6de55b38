//! Which characters of a name may be shown.
//!
//! Directional marks and overrides make a page read differently from what it says; characters
//! without a shape make two names look the same, or a name look like none.

/// Characters that are not shown, as ranges: the default-ignorable ones of Unicode (DerivedCore
/// Properties, `Default_Ignorable_Code_Point`), separators of lines, and the empty Braille pattern.
const INVISIBLE: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a reader sees the character for what it is.
pub(crate) fn is_visible(c: char) -> bool {
    let hidden = INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c));
    !c.is_control() && !hidden
}
