//! Characters by which text disguises itself or what stands beside it. What is decided with them, and what is not, is in `docs/input.md`.
//! Practices 3.schema, 3.xss-escape.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, Script},
};
use unicode_normalization::char::is_combining_mark;

/// Control characters, line and paragraph separators, and what turns the writing direction (UAX 9).
pub(super) fn is_steering(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is not seen at all (UAX 44): `Default_Ignorable_Code_Point`, format characters, private use, and what is not assigned,
/// noncharacters too: what PRECIS (RFC 8264) disallows everywhere. The joiners are looked at by [`has_stray_joiner`].
pub(super) fn is_unseen(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || matches!(category, GeneralCategory::Format | GeneralCategory::PrivateUse | GeneralCategory::Unassigned);
    !is_joiner(c) && (is_ignorable || is_blank(c))
}

/// Letters and symbols by their category, and blank: the Braille pattern, the Khitan filler, the object's place, the empty notehead, and
/// the controls of hieroglyphs that are none of category Cf.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{fffc}' | '\u{13440}'..='\u{1345f}' | '\u{16fe4}' | '\u{1d159}')
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// A letter's script, where it is one of those whose letters look alike.
fn script(c: char) -> Option<Script> {
    let script = CodePointMapData::<Script>::new().get(c);
    (c.is_alphabetic() && [Script::Latin, Script::Greek, Script::Cyrillic].contains(&script)).then_some(script)
}

/// Whether a word has letters of two of the scripts that look alike: one of them is there to be taken for the other.
pub(super) fn mixes_scripts(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c)).any(|word| {
        let mut scripts = word.chars().filter_map(script);
        scripts.next().is_some_and(|first| scripts.any(|other| other != first))
    })
}

/// Whether a zero-width joiner or non-joiner stands where no script needs one: they belong between letters of Indic scripts and Arabic.
pub(super) fn has_stray_joiner(text: &str) -> bool {
    let joins = |c: Option<&char>| c.is_some_and(|c| (c.is_alphabetic() || is_combining_mark(*c)) && !c.is_ascii() && script(*c).is_none());
    let characters: Vec<char> = text.chars().collect();
    characters.iter().enumerate().any(|(at, c)| {
        let before = at.checked_sub(1).and_then(|before| characters.get(before));
        is_joiner(*c) && !(joins(before) && joins(characters.get(at + 1)))
    })
}
