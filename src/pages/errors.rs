//! The page that every refusal's `docs` leads to: what each error code means, and what a client should do (practice 8.envelope).
//! Written from the list in `src/error/code.rs`; `docs/errors.md` says the same. Tests: `tests/suite/contract/errors.rs`.

use std::fmt::Write;

/// One code.
pub struct ErrorEntry {
    /// The code.
    pub name: &'static str,
    /// Its place on the page.
    pub anchor: String,
    /// The HTTP status that it comes with.
    pub status: u16,
    /// The public text.
    pub message: &'static str,
    /// When it is given.
    pub about: &'static str,
    /// What a client should do.
    pub remedy: &'static str,
}

/// The page, in HTML.
#[must_use]
pub fn page(entries: impl Iterator<Item = ErrorEntry>) -> String {
    let mut list = String::new();
    for ErrorEntry { name, anchor, status, message, about, remedy } in entries {
        let (message, about, remedy) = (html(message), html(about), html(remedy));
        // writing to a text cannot fail
        let _ = writeln!(
            list,
            "<h2 id=\"{anchor}\">{name}</h2>\n<p>{status}: “{message}”</p>\n<p>{about}</p>\n<p><strong>What to do:</strong> {remedy}</p>"
        );
    }
    include_str!("assets/errors.html").replace("{codes}", &list)
}

/// Text as HTML; what stands in backticks is code.
fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let parts = escaped.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}
