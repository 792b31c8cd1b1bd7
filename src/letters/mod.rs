//! What people get by mail, as text and as HTML. Links are built from the public URL in the settings, never from a request
//! (host-header poisoning), and carry their token in the fragment, which no server and no log sees.
//! Attacks: `tests/suite/attacks/s15_broken_authentication/host_header_poisoning.rs`.

use crate::{
    accounts::{Email, registration::Issued},
    platform::mail::Mail,
    settings::Origin,
};
use secrecy::ExposeSecret;
use time::Duration;

/// For an address without an account: link and code that complete the registration.
#[must_use]
pub fn registration(to: &Email, public_url: &Origin, issued: &Issued, lifetime: Duration) -> Mail {
    let link = format!("{public_url}/go/register#token={}", issued.link.expose());
    let minutes = lifetime.whole_minutes().to_string();
    let values = [("site", public_url.as_str()), ("link", &link), ("code", issued.code.expose_secret()), ("minutes", &minutes)];
    render(to, "Complete your registration", include_str!("templates/registration.txt"), include_str!("templates/registration.html"), &values)
}

/// For an address that has an account: whoever asked learns nothing, the owner learns that somebody asked.
#[must_use]
pub fn already_registered(to: &Email, public_url: &Origin) -> Mail {
    let (text, html) = (include_str!("templates/already_registered.txt"), include_str!("templates/already_registered.html"));
    render(to, "You already have an account", text, html, &[("site", public_url.as_str())])
}

fn render(to: &Email, subject: &str, text: &str, html: &str, values: &[(&str, &str)]) -> Mail {
    let fill = |template: &str, escape: fn(&str) -> String| {
        values.iter().fold(template.to_owned(), |letter, (name, value)| letter.replace(&format!("{{{{{name}}}}}"), &escape(value)))
    };
    Mail { to: to.as_str().to_owned(), subject: subject.to_owned(), text: fill(text, str::to_owned), html: fill(html, escape) }
}

/// For HTML text and quoted attributes.
fn escape(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_in_html_only() {
        let to = Email::parse("ada@example.org").unwrap();
        let mail = render(&to, "s", "{{x}}", r#"<a href="{{x}}">"#, &[("x", r#"<"'&>"#)]);
        assert_eq!(mail.text, r#"<"'&>"#);
        assert_eq!(mail.html, r#"<a href="&lt;&quot;&#39;&amp;&gt;">"#);
    }
}
