//! Names of people: almost any text, but no control characters, nothing that turns the writing direction around or is not seen, and no
//! word that mixes scripts which look alike, so that a name disguises neither itself nor what stands beside it in a letter, a list or a
//! log. The rules are in `docs/input.md`. Practices 3.schema, 3.xss-escape.

use crate::accounts::text::{has_stray_joiner, is_steering, is_unseen, mixes_scripts};
use std::str::FromStr;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longest name in code points.
pub const MAX_CHARS: usize = 100;

/// A name of 1 to [`MAX_CHARS`] code points in normalization form C, trimmed, its words one U+0020 apart whatever spaces they had
/// between them (RFC 8266 §2.1): two names differ by what is seen.
#[derive(Debug, Clone, PartialEq, Eq, utoipa::ToSchema)]
#[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]+$", example = "Ada")]
pub struct Name(String);

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// A reason that can be shown to the sender.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const DISGUISED: &str = "contains control, invisible or direction-changing characters";
        let text: String = text.trim().nfc().collect();
        // before they are taken for spaces between words
        if text.chars().any(is_steering) {
            return Err(DISGUISED);
        }
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return Err("is empty");
        }
        if name.chars().count() > MAX_CHARS {
            return Err("is longer than 100 characters");
        }
        if name.chars().any(is_unseen) || has_stray_joiner(&name) {
            return Err(DISGUISED);
        }
        if mixes_scripts(&name) {
            return Err("mixes Latin, Greek or Cyrillic letters in one word");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_scripts_are_kept() {
        for name in [
            "Ada",
            "Zoë",
            "李小龍",
            "محمد",
            "O'Brien",
            "Jean-Luc",
            "नरेंद्र",
            "<b>",
            "José Ángel",
            "Nguyễn Thị Minh Khai",
            "Đặng",
            "Анна Müller",
            "Δημήτρης (Jim)",
            "Ω-Team",
            "山田 Taro",
            "田中taro",
            "가나다",
            "ශ්\u{200d}රී",
            "می\u{200c}نا",
            "Ælfgifu þórðr",
            "R2-D2",
            "𝐀𝐝𝐚",
            "𓀀𓁐",
        ] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
        assert_eq!(Name::parse("  Zoe\u{308} ").unwrap().as_str(), "Zoë");
    }

    #[test]
    fn words_are_one_space_apart() {
        for spaces in ["  ", "\u{a0}", "\u{3000}", "\u{1680} ", "\u{2000}\u{2003}", " \u{202f}\u{205f} "] {
            assert_eq!(Name::parse(&format!("{spaces}Ada{spaces}Lovelace{spaces}")).unwrap().as_str(), "Ada Lovelace", "{spaces:?}");
        }
        for separator in ["\t", "\n", "\u{85}", "\u{2028}", "\u{200b}"] {
            assert!(Name::parse(&format!("Ada{separator}Lovelace")).is_err(), "{separator:?}");
        }
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
            "x\u{fffc}",
            "x\u{1d159}",
            "x\u{13430}",
            "x\u{13441}",
            "x\u{1345f}",
            "x\u{16fe4}",
            "x\u{378}",
            "x\u{e0100}",
            "x\u{110bd}",
            "--",
            "Аda",
            "\u{430}\u{ab30}",
            "\u{430}\u{1d7b}",
            "\u{430}\u{2170}",
            "a\u{1d2b}",
            "a\u{1e030}",
            "Adа",
            "Αda",
            "Мaрия",
            "Jean-Luс",
            "Ad\u{200d}a",
            "\u{200c}Ada",
            "Анна\u{200d}",
            "o\u{308}\u{308}\u{308}\u{308}\u{308}\u{308}",
        ] {
            assert!(Name::parse(name).is_err(), "{name:?}");
        }
        assert!(Name::parse(&"x".repeat(101)).is_err());
    }

    /// Any text is refused or becomes a name that stays as it is, and of which nothing is unseen.
    #[test]
    fn what_is_taken_is_stable_and_seen() {
        const PARTS: &str = "aZé\u{301}\u{308} -'.9<&\u{430}\u{391}\u{5d0}\u{645}\u{200d}\u{200c}\u{200b}\u{202e}\u{2067}\u{ad}\u{0}\n\u{3000}\u{fffc}李ﾀＡ𝐀ﬁ\u{212b}\u{fe0f}\u{e0041}";
        let parts: Vec<char> = PARTS.chars().collect();
        let (mut state, mut taken) = (1_u64, 0);
        for _ in 0..20_000 {
            let mut next = |below: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                usize::try_from(state >> 33).unwrap() % below
            };
            let text: String = (0..next(9)).map(|_| parts[next(parts.len())]).collect();
            let Ok(name) = Name::parse(&text) else { continue };
            taken += 1;
            assert_eq!(Name::parse(name.as_str()).as_ref(), Ok(&name), "{text:?}");
            assert!(unicode_normalization::is_nfc(name.as_str()) && name.as_str().split(' ').all(|word| !word.is_empty()), "{text:?}");
            assert!(!name.as_str().chars().any(|c| is_steering(c) || is_unseen(c)) && !mixes_scripts(name.as_str()), "{text:?}");
            let decomposed: String = text.nfd().collect();
            assert_eq!(Name::parse(&decomposed).as_ref(), Ok(&name), "one name, whatever the keyboard");
        }
        assert!(taken > 1000, "{taken} were taken");
    }
}
