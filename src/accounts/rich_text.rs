//! Rich text, as people write it about themselves and in documents: cleaned on the way in by `ammonia`, which parses it as a browser does and
//! writes down again only what is on a list. Whoever shows it in a page may insert it as it is.
//! Practice 3.html-sanitize. Attacks: `tests/suite/attacks/s03_validation/active_content.rs`.

use crate::accounts::text::is_steering;
use ammonia::{Builder, UrlRelative};
use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    str::FromStr,
};
use unicode_normalization::char::is_combining_mark;
use url::{SyntaxViolation, Url};

/// Longest text as it is sent, in code points.
pub const MAX_INPUT: usize = 8000;
/// Longest text as it is stored, in code points, markup included.
pub const MAX_CHARS: usize = 4000;

/// Most tags of a text as it is sent. Open ones are repeated in every paragraph behind, so that the work grows with the square of their
/// number.
pub const MAX_TAGS: usize = 400;

/// Passes after which a text must not change any more. One is enough for all but elements that lost the one between them.
const MAX_PASSES: usize = 5;

/// Clean rich text, possibly empty. Elements: `p br b i em strong ul ol li blockquote code` and `a` with an `https://` or `mailto:`
/// address; no images, styles, ids or classes. Cleaning it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RichText(String);

impl RichText {
    /// Cleans and trims a text. What is taken out is no error: people paste from pages. Not normalised: composing a combining mark with the `>`
    /// before it would break the markup.
    ///
    /// # Errors
    /// A reason that can be shown to the sender.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().count() > MAX_INPUT {
            return Err("is longer than 8000 characters");
        }
        if text.matches('<').count() > MAX_TAGS {
            return Err("has more than 400 tags");
        }
        let clean = clean(text)?;
        // before and after: a character reference hides what it stands for
        if [text, &clean].iter().any(|text| text.chars().any(|c| is_steering(c) && !matches!(c, '\n' | '\r' | '\t'))) {
            return Err("contains control or direction-changing characters");
        }
        Ok(Self(clean.trim().to_owned()))
    }

    /// The clean text, as HTML.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RichText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

/// Cleans until nothing changes, so that whoever parses the result sees what was looked at here (mutation XSS).
fn clean(text: &str) -> Result<String, &'static str> {
    let cleaner = cleaner();
    let mut before = cleaner.clean(text).to_string();
    for _ in 1..MAX_PASSES {
        if before.chars().count() > MAX_CHARS {
            return Err("is longer than 4000 characters, markup included");
        }
        let after = cleaner.clean(&before).to_string();
        if after == before {
            return Ok(after);
        }
        before = after;
    }
    Err("is nested in a way that cannot be kept")
}

fn cleaner() -> Builder<'static> {
    let mut cleaner = Builder::empty();
    cleaner
        .tags(HashSet::from(["p", "br", "b", "i", "em", "strong", "ul", "ol", "li", "blockquote", "code", "a"]))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"]))]))
        .generic_attributes(HashSet::new())
        .url_schemes(HashSet::from(["https", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .attribute_filter(|_, name, value| (name != "href" || reads_as_written(value)).then(|| value.into()))
        .link_rel(Some("noopener noreferrer nofollow ugc"));
    cleaner
}

/// Whether a link leads where a person who reads it would say. Browsers mend what is wrong with it (URL Standard §4.4):
/// `https:alert(1)` and `https:///x` get a host, backslashes become slashes, line breaks go; and what stands before an `@` is taken for
/// the host by people only.
fn reads_as_written(href: &str) -> bool {
    let is_mended = Cell::new(href.contains('\\'));
    let note = |violation| {
        // characters that are written percent-encoded change nothing of where it leads
        if !matches!(violation, SyntaxViolation::NonUrlCodePoint | SyntaxViolation::PercentDecode) {
            is_mended.set(true);
        }
    };
    let Ok(url) = Url::options().syntax_violation_callback(Some(&note)).parse(href) else { return false };
    !is_mended.get() && url.host_str().map_or_else(|| is_bare_address(&url), |host| is_host_as_written(href, host))
}

/// A mailbox and nothing else: what stands behind a question mark fills a letter in, copies and attachments too (RFC 6068).
fn is_bare_address(url: &Url) -> bool {
    url.query().is_none() && !url.path().contains('%')
}

/// Percent-encoded, mapped and ignored characters, and numbers in other notations, lead to another host than the one that is read; a
/// sign may look like the slash behind it.
fn is_host_as_written(href: &str, host: &str) -> bool {
    let written = href.split(['/', '?', '#']).nth(2).unwrap_or_default().to_lowercase();
    let is = |host: &str| written.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':'));
    let has_no_signs = written.chars().all(|c| c.is_alphanumeric() || is_combining_mark(c) || "-.:[]".contains(c));
    has_no_signs && (is(host) || is(&idna::domain_to_unicode(host).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_kept_and_nothing_else() {
        for (text, expected) in [
            ("plain & <b>bold</b>", "plain &amp; <b>bold</b>"),
            ("<p class=x id=y style='color:red'>a<br>b</p>", "<p>a<br>b</p>"),
            ("<ul><li>a</li></ul><ol start=3><li>b</li></ol>", "<ul><li>a</li></ul><ol><li>b</li></ol>"),
            ("<a href=https://example.org target=_blank>x</a>", r#"<a href="https://example.org" rel="noopener noreferrer nofollow ugc">x</a>"#),
            ("<a href=mailto:ada@example.org>x</a>", r#"<a href="mailto:ada@example.org" rel="noopener noreferrer nofollow ugc">x</a>"#),
            (
                "<a href=http://example.org>x</a><a href=/v1/me>y</a>",
                r#"<a rel="noopener noreferrer nofollow ugc">x</a><a rel="noopener noreferrer nofollow ugc">y</a>"#,
            ),
            (
                "<a href='HTTPS://example.org:8443/a b/ü?q=100%&@#@'>x</a>",
                r#"<a href="HTTPS://example.org:8443/a b/ü?q=100%&amp;@#@" rel="noopener noreferrer nofollow ugc">x</a>"#,
            ),
            (
                "<a href='https://BÜCHER.example:8443/?q#x'>x</a><a href='https://[2001:db8::1]/'>y</a>",
                r#"<a href="https://BÜCHER.example:8443/?q#x" rel="noopener noreferrer nofollow ugc">x</a><a href="https://[2001:db8::1]/" rel="noopener noreferrer nofollow ugc">y</a>"#,
            ),
            ("a<img src=x>b<!-- c --><h1>d</h1>", "abd"),
            (" \n<u> </u>a <b>b</b>\t", "a <b>b</b>"),
            (" \n\u{2003}", ""),
            ("", ""),
        ] {
            assert_eq!(RichText::parse(text).unwrap().as_str(), expected, "{text}");
        }
    }

    #[test]
    fn a_link_that_a_browser_would_mend_is_taken_away() {
        for href in [
            "https:alert(1)",
            "https:",
            "https:/example.org",
            "https://",
            "https:///x",
            "https:\\\\evil",
            "https:/\\evil",
            "https://example.org\\@evil",
            "https://example.org?\\",
            "https://u:p@host/",
            "https://example.org@evil/",
            "https://@host/",
            "https://:@host/",
            "https://ev\til/",
            "https://ev\nil/",
            " https://evil/",
            "https://a:b/",
            "https://%65vil.example/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://good.example\u{3002}evil.example",
            "https://e\u{ad}vil.example",
            "https://good.example\u{2044}evil.example",
            "https://\u{ff45}vil.example",
            "mailto:ada@example.org?bcc=eve@example.org",
            "mailto:ada@example.org%0d%0aBcc:eve@example.org",
        ] {
            assert_eq!(
                RichText::parse(&format!("<a href='{href}'>x</a>")).unwrap().as_str(),
                r#"<a rel="noopener noreferrer nofollow ugc">x</a>"#,
                "{href}"
            );
        }
    }

    #[test]
    fn length_is_bounded_before_and_after() {
        assert!(RichText::parse(&"x".repeat(MAX_CHARS)).is_ok());
        assert_eq!(RichText::parse(&"x".repeat(MAX_CHARS + 1)), Err("is longer than 4000 characters, markup included"));
        assert_eq!(RichText::parse(&"&".repeat(1000)), Err("is longer than 4000 characters, markup included"), "five characters each");
        assert!(RichText::parse(&"<u></u>".repeat(200)).unwrap().as_str().is_empty());
        assert_eq!(RichText::parse(&"x".repeat(MAX_INPUT + 1)), Err("is longer than 8000 characters"));
        assert_eq!(RichText::parse(&"<u></u>".repeat(201)), Err("has more than 400 tags"));
    }

    #[test]
    fn text_that_steers_is_refused_written_or_referred_to() {
        for text in ["a\0b", "a\u{1b}[31m", "a\u{202e}b", "a&#x202e;b", "a&#8294;b", "a&#1;b"] {
            assert!(RichText::parse(text).is_err(), "{text:?}");
        }
        assert!(RichText::parse("two\nlines\tand 🛎️ 👩\u{200d}💻").is_ok());
    }
}
