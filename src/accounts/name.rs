//! Names of people: almost any text, but no control characters and nothing that turns the writing direction around, so that a
//! name cannot disguise what stands beside it in a letter, a list or a log. Practices 3.schema, 3.xss-escape.

use std::str::FromStr;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longest name in code points.
pub const MAX_CHARS: usize = 100;

/// A trimmed name of 1 to [`MAX_CHARS`] code points in normalization form C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// A reason that can be shown to the sender.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name: String = text.trim().nfc().collect();
        if name.is_empty() {
            return Err("is empty");
        }
        if name.chars().count() > MAX_CHARS {
            return Err("is longer than 100 characters");
        }
        if name.chars().any(is_deceptive) {
            return Err("contains control, invisible or direction-changing characters");
        }
        if !name.chars().any(char::is_alphanumeric) {
            return Err("has no letter or digit");
        }
        if name.chars().collect::<Vec<_>>().windows(MAX_MARKS + 1).any(|run| run.iter().all(|c| is_combining_mark(*c))) {
            return Err("has too many accents on one letter");
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

/// Most combining marks in a row; no script needs more, and a pile of them runs over the lines around.
const MAX_MARKS: usize = 4;

/// Control characters, line and paragraph separators, what turns the writing direction (UAX 9), what is not seen at all (UAX 44,
/// `Default_Ignorable_Code_Point`), private use and noncharacters. Zero-width joiners stay: names in several scripts need them.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}')
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_of_many_scripts_are_kept() {
        for name in ["Ada", "Zoë", "李小龍", "محمد", "O'Brien", "Jean-Luc", "नरेंद्र", "<b>"] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
        assert_eq!(Name::parse("  Zoe\u{308} ").unwrap().as_str(), "Zoë");
    }

    #[test]
    fn deceptive_names_are_refused() {
        for name in [
            "",
            "   ",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "a\u{2066}b",
            "\u{feff}x\u{200b}",
            "a\u{61c}",
            "a\u{ad}b",
            "\u{3164}",
            "\u{2800}",
            "x\u{e0041}",
            "x\u{e000}",
            "x\u{fffe}",
            "--",
            "o\u{308}\u{308}\u{308}\u{308}\u{308}\u{308}",
        ] {
            assert!(Name::parse(name).is_err(), "{name:?}");
        }
        assert!(Name::parse(&"x".repeat(101)).is_err());
    }
}
