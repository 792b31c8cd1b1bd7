//! Names of people: almost any text, but no control characters and nothing that turns the writing direction around, so that a
//! name cannot disguise what stands beside it in a letter, a list or a log. Practices 3.schema, 3.xss-escape.

use std::str::FromStr;
use unicode_normalization::UnicodeNormalization;

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
            return Err("contains control or direction-changing characters");
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

/// Control characters, line and paragraph separators, bidirectional embeddings, overrides and isolates (UAX 9), zero-width
/// space and byte order mark. Zero-width joiners stay: names in several scripts need them.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
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
        for name in ["", "   ", "a\0b", "a\nb", "a\u{202e}b", "a\u{2066}b", "\u{feff}x\u{200b}"] {
            assert!(Name::parse(name).is_err(), "{name:?}");
        }
        assert!(Name::parse(&"x".repeat(101)).is_err());
    }
}
