//! What may be a password: NIST SP 800-63B-4 §3.1.1. Long rather than complicated, nothing common, nothing about its owner.
//!
//! No composition rules, no expiry, any Unicode. The refusal says why (§3.1.1.2). Context words refuse a whole password that is
//! nothing but such a word with decoration; a password that merely contains one is judged by its strength, in which such words
//! count as known. Practice 2.password-policy. Misuse: the tests below.

use zxcvbn::{Score, zxcvbn};

/// Fewest code points where the password is the only factor (NIST SP 800-63B-4 §3.1.1.1).
pub const MIN_CHARS: usize = 15;
/// Most code points. At least 64 must be possible; a bound keeps hashing and estimation cheap.
pub const MAX_CHARS: usize = 128;

/// Code points that the strength estimate looks at, from either end. Of a whole long password made of look-alike characters it
/// takes seconds, on threads that sign-ins wait for.
const ESTIMATED_CHARS: usize = 32;

/// Long passwords that are in every guesser's list and that strength estimation may rate too high, in plain form: lower case,
/// letters and digits only. Short common passwords never pass the length rule, and the estimator knows tens of thousands.
const BLOCKLIST: &str = include_str!("blocklist.txt");

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer than [`MIN_CHARS`].
    #[error("is shorter than 15 characters")]
    TooShort,
    /// More than [`MAX_CHARS`].
    #[error("is longer than 128 characters")]
    TooLong,
    /// On the blocklist.
    #[error("is a commonly used password")]
    Common,
    /// The owner's own words.
    #[error("is made of your own name or address, or of this service's name")]
    Context,
    /// Repetition, sequence or keyboard walk.
    #[error("is easy to guess: it repeats itself or follows a known pattern")]
    Guessable,
}

/// The rules that cost nothing.
///
/// # Errors
/// [`Weakness`].
pub fn check_length(password: &str) -> Result<(), Weakness> {
    match password.chars().count() {
        0..MIN_CHARS => Err(Weakness::TooShort),
        MIN_CHARS..=MAX_CHARS => Ok(()),
        _ => Err(Weakness::TooLong),
    }
}

/// The rules that cost milliseconds.
///
/// # Errors
/// [`Weakness`].
pub fn check_strength(password: &str, context: &[String]) -> Result<(), Weakness> {
    let plain = plain(password);
    if BLOCKLIST.lines().any(|known| known == plain) {
        return Err(Weakness::Common);
    }
    let words: Vec<String> = context.iter().map(String::as_str).chain(["portcullis"]).map(self::plain).filter(|word| word.len() >= 4).collect();
    if is_made_of(&plain, &words) {
        return Err(Weakness::Context);
    }
    let inputs: Vec<&str> = context.iter().map(|word| start(word)).chain(["portcullis"]).collect();
    // 3 of 4: at least 10^8 guesses
    let is_strong = |part: &str| zxcvbn(part, &inputs).score() >= Score::Three;
    // a part that is strong makes the whole strong; the estimate's work grows steeply with the length
    if is_strong(start(password)) || end(password) != password && is_strong(end(password)) { Ok(()) } else { Err(Weakness::Guessable) }
}

/// The first [`ESTIMATED_CHARS`].
fn start(text: &str) -> &str {
    text.char_indices().nth(ESTIMATED_CHARS).map_or(text, |(at, _)| &text[..at])
}

/// The last [`ESTIMATED_CHARS`].
fn end(text: &str) -> &str {
    text.char_indices().nth_back(ESTIMATED_CHARS - 1).map_or(text, |(at, _)| &text[at..])
}

/// Lower case, letters and digits only.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether nothing but digits is left when the words are taken out.
fn is_made_of(plain: &str, words: &[String]) -> bool {
    let mut longest_first: Vec<&String> = words.iter().collect();
    longest_first.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = longest_first.iter().fold(plain.to_owned(), |rest, word| rest.replace(word.as_str(), ""));
    rest.len() < plain.len() && rest.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), Weakness> {
        check_length(password)?;
        check_strength(password, &["ada.lovelace@example.org".into(), "ada.lovelace".into(), "Ada Lovelace".into()])
    }

    #[test]
    fn long_phrases_of_any_script_are_accepted() {
        for password in ["wet gravel under a tin moon", "ほしのひかりがとおいまどにふる", "tjqvnzkwbxrmfpg", "🐢🌋🎻🪁🧊🛶🪐🧵🌵🎲🥝🛎️🦑🪗🧩"]
        {
            assert_eq!(check(password), Ok(()), "{password}");
        }
        assert_eq!(check(&"wet gravel under a tin moon ".repeat(4)[..100]), Ok(()));
    }

    #[test]
    fn length_counts_code_points() {
        assert_eq!(check("tjqvnzkwbxrmfp"), Err(Weakness::TooShort));
        assert_eq!(check("ééééééé"), Err(Weakness::TooShort));
        assert_eq!(check(&"x".repeat(129)), Err(Weakness::TooLong));
    }

    #[test]
    fn common_own_and_patterned_passwords_are_refused_with_the_reason() {
        assert_eq!(check("Correct Horse Battery Staple"), Err(Weakness::Common));
        assert_eq!(check("ada.lovelace@example.org"), Err(Weakness::Context));
        assert_eq!(check("AdaLovelace-1815!!"), Err(Weakness::Context));
        assert_eq!(check("portcullis-2026"), Err(Weakness::Context));
        for password in ["aaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabc", "qwertyuiopasdfghjkl", "123456789012345", "passwordpassword"] {
            assert!(matches!(check(password), Err(Weakness::Guessable | Weakness::Common)), "{password}");
        }
    }
}
