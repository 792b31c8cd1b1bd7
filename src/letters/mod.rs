//! What people get by mail: a plain template each, its first line the subject, from which the HTML is made. Links are built from
//! the public URL in the settings, never from a request (host-header poisoning), and carry their token in the fragment, which
//! no server and no log sees.
//! Attacks: `tests/suite/attacks/s15_broken_authentication/host_header_poisoning.rs`.

use crate::{
    accounts::{Email, proof::Issued},
    audit::alerts::Pattern,
    credentials::second_factor::recovery::FEW,
    platform::mail::Mail,
    settings::Origin,
};
use secrecy::ExposeSecret;
use std::borrow::Cow;
use time::Duration;
use uuid::Uuid;

/// The closed list of letters.
#[derive(Clone, Copy)]
pub enum Letter<'l> {
    /// Link and code that complete a registration.
    Registration(&'l Issued),
    /// To an address that has an account: whoever asked learns nothing, the owner learns that somebody asked.
    AlreadyRegistered,
    /// A link that makes an account, for somebody who was invited.
    Invitation(&'l Issued),
    /// Link and code that set a new password.
    PasswordReset(&'l Issued),
    /// Link and code that set a new password after the old one was voided.
    PasswordVoided(&'l Issued),
    /// To the address of a disabled account that asked for a new password.
    Disabled,
    /// To an address without an account that asked for a new password.
    NoAccount,
    /// A notice to the owner.
    PasswordChanged,
    /// A notice that a session ended because its refresh token was used twice.
    RefreshReplayed,
    /// A notice that a copy of a passkey was used.
    PasskeyCopied,
    /// Link and code that prove a new address.
    EmailChange(&'l Issued),
    /// To an address that has an account and that another one asked for.
    EmailTaken,
    /// A notice to the old address, with the link that takes the change back.
    EmailChanged(&'l Issued),
    /// A notice with the link of somebody who did not sign in.
    NewDevice(&'l Issued, &'l str),
    /// The link that an unknown device needs after too many wrong passwords.
    TrustDevice(&'l Issued),
    /// A notice with the link that keeps the account.
    Closing(&'l Issued),
    /// The last letter.
    Erased,
    /// A notice that somebody has the first factor and not the second, and on what device.
    SecondFactorRefused(&'l str),
    /// A notice that a second factor was set up, and which.
    SecondFactorAdded(&'l str),
    /// A notice that a second factor was removed, and which.
    SecondFactorRemoved(&'l str),
    /// A code by which the owner agrees to a second factor or another way in.
    Mailbox(&'l Issued),
    /// The link that takes a lost second factor away.
    SecondFactorReset(&'l Issued),
    /// A notice, and how many are left.
    RecoveryCodeUsed(i64),
    /// A notice.
    RecoveryCodesReplaced,
    /// A notice that an identity at this provider leads to the account.
    IdentityLinked(&'l str),
    /// A notice that one does not any more.
    IdentityUnlinked(&'l str),
    /// A notice.
    ApiKeyMade,
    /// A notice that an endpoint of this name is told nothing any more.
    WebhookDisabled(&'l str),
    /// Where the export can be fetched, and for how many days.
    ExportReady(Uuid, i64),
    /// To the operators: a suspicious pattern, and how many were counted.
    Alert(Pattern, i64),
}

impl Letter<'_> {
    fn template(self) -> &'static str {
        match self {
            Self::Registration(_) => include_str!("templates/registration.txt"),
            Self::AlreadyRegistered => include_str!("templates/already_registered.txt"),
            Self::Invitation(_) => include_str!("templates/invitation.txt"),
            Self::PasswordReset(_) => include_str!("templates/password_reset.txt"),
            Self::PasswordVoided(_) => include_str!("templates/password_voided.txt"),
            Self::Disabled => include_str!("templates/disabled.txt"),
            Self::NoAccount => include_str!("templates/no_account.txt"),
            Self::PasswordChanged => include_str!("templates/password_changed.txt"),
            Self::RefreshReplayed => include_str!("templates/refresh_replayed.txt"),
            Self::PasskeyCopied => include_str!("templates/passkey_copied.txt"),
            Self::EmailChange(_) => include_str!("templates/email_change.txt"),
            Self::EmailTaken => include_str!("templates/email_taken.txt"),
            Self::EmailChanged(_) => include_str!("templates/email_changed.txt"),
            Self::NewDevice(..) => include_str!("templates/new_device.txt"),
            Self::TrustDevice(_) => include_str!("templates/trust_device.txt"),
            Self::Closing(_) => include_str!("templates/closing.txt"),
            Self::Erased => include_str!("templates/erased.txt"),
            Self::SecondFactorRefused(_) => include_str!("templates/second_factor_refused.txt"),
            Self::SecondFactorAdded(_) => include_str!("templates/second_factor_added.txt"),
            Self::SecondFactorRemoved(_) => include_str!("templates/second_factor_removed.txt"),
            Self::Mailbox(_) => include_str!("templates/mailbox.txt"),
            Self::SecondFactorReset(_) => include_str!("templates/second_factor_reset.txt"),
            Self::RecoveryCodeUsed(left) if left <= FEW => include_str!("templates/recovery_codes_few.txt"),
            Self::RecoveryCodeUsed(_) => include_str!("templates/recovery_code_used.txt"),
            Self::RecoveryCodesReplaced => include_str!("templates/recovery_codes_replaced.txt"),
            Self::IdentityLinked(_) => include_str!("templates/identity_linked.txt"),
            Self::IdentityUnlinked(_) => include_str!("templates/identity_unlinked.txt"),
            Self::ApiKeyMade => include_str!("templates/api_key_made.txt"),
            Self::WebhookDisabled(_) => include_str!("templates/webhook_disabled.txt"),
            Self::ExportReady(..) => include_str!("templates/export_ready.txt"),
            Self::Alert(..) => include_str!("templates/alert.txt"),
        }
    }
}

impl<'l> Letter<'l> {
    /// The page behind its link, and what the link carries.
    fn link(self) -> Option<(&'static str, &'l Issued)> {
        match self {
            Self::Registration(issued) | Self::Invitation(issued) => Some(("register", issued)),
            Self::PasswordReset(issued) | Self::PasswordVoided(issued) => Some(("reset", issued)),
            Self::EmailChange(issued) => Some(("email", issued)),
            Self::EmailChanged(issued) => Some(("undo", issued)),
            Self::NewDevice(issued, _) => Some(("disown", issued)),
            Self::TrustDevice(issued) => Some(("trust", issued)),
            Self::Closing(issued) => Some(("keep", issued)),
            Self::SecondFactorReset(issued) => Some(("factor", issued)),
            Self::AlreadyRegistered
            | Self::Disabled
            | Self::NoAccount
            | Self::PasswordChanged
            | Self::RefreshReplayed
            | Self::PasskeyCopied
            | Self::EmailTaken
            | Self::Erased
            | Self::Mailbox(_)
            | Self::SecondFactorRefused(_)
            | Self::SecondFactorAdded(_)
            | Self::SecondFactorRemoved(_)
            | Self::RecoveryCodeUsed(_)
            | Self::RecoveryCodesReplaced
            | Self::IdentityLinked(_)
            | Self::IdentityUnlinked(_)
            | Self::ApiKeyMade
            | Self::WebhookDisabled(_)
            | Self::ExportReady(..)
            | Self::Alert(..) => None,
        }
    }
}

impl Letter<'_> {
    /// How long its link works.
    #[must_use]
    pub fn lifetime(self) -> Option<Duration> {
        match self {
            Self::Mailbox(issued) => Some(issued.lifetime),
            other => other.link().map(|(_, issued)| issued.lifetime),
        }
    }
}

/// Writes a letter.
#[must_use]
pub fn write(to: &Email, public_url: &Origin, letter: Letter<'_>) -> Mail {
    let mut values = vec![("{site}", Cow::Borrowed(public_url.as_str()))];
    if let Some((page, issued)) = letter.link() {
        values.push(("{link}", format!("{public_url}/go/{page}#token={}", issued.link.expose()).into()));
        values.push(("{hours}", issued.lifetime.whole_hours().to_string().into()));
        values.push(("{minutes}", issued.lifetime.whole_minutes().to_string().into()));
        values.push(("{days}", issued.lifetime.whole_days().to_string().into()));
        values.extend(issued.code.as_ref().map(|code| ("{code}", Cow::Borrowed(code.expose_secret()))));
    }
    match letter {
        Letter::NewDevice(_, device) | Letter::SecondFactorRefused(device) => values.push(("{device}", device.into())),
        Letter::SecondFactorAdded(method) | Letter::SecondFactorRemoved(method) => values.push(("{factor}", factor(method).into())),
        Letter::Mailbox(issued) => {
            values.push(("{minutes}", issued.lifetime.whole_minutes().to_string().into()));
            values.extend(issued.code.as_ref().map(|code| ("{code}", Cow::Borrowed(code.expose_secret()))));
        }
        Letter::RecoveryCodeUsed(left) => values.push(("{left}", left.to_string().into())),
        Letter::IdentityLinked(provider) | Letter::IdentityUnlinked(provider) => values.push(("{provider}", provider.into())),
        Letter::WebhookDisabled(name) => values.push(("{endpoint}", name.into())),
        Letter::ExportReady(id, days) => {
            values.push(("{export}", format!("{public_url}/go/export#id={id}").into()));
            values.push(("{days}", days.to_string().into()));
        }
        Letter::Alert(pattern, count) => {
            values.push(("{pattern}", pattern.name().into()));
            values.push(("{about}", pattern.about().into()));
            values.push(("{count}", count.to_string().into()));
            values.push(("{minutes}", pattern.window().whole_minutes().to_string().into()));
        }
        _ => {}
    }
    let (subject, body) = letter.template().split_once("\n\n").unwrap_or_default();
    let text = values.iter().fold(body.to_owned(), |text, (name, value)| text.replace(name, value));
    Mail { to: to.as_str().to_owned(), subject: subject.to_owned(), html: html(&text), text }
}

/// For people.
fn factor(method: &str) -> &'static str {
    match method {
        "totp" => "the authenticator app",
        "passkey" => "a passkey",
        _ => "every second factor",
    }
}

/// The same paragraphs in HTML; one that is nothing but a link can be clicked.
fn html(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n").map(|paragraph| {
        let escaped = escape(paragraph);
        let is_link = paragraph.starts_with("https://") && !paragraph.contains(char::is_whitespace);
        if is_link { format!("<p><a href=\"{escaped}\">{escaped}</a></p>\n") } else { format!("<p>{escaped}</p>\n") }
    });
    let body: String = paragraphs.collect();
    format!("<!doctype html>\n<html lang=\"en\">\n<body style=\"font-family: sans-serif; line-height: 1.5\">\n{body}</body>\n</html>\n")
}

/// For HTML text and quoted attributes.
fn escape(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::crypto::SecretToken;

    #[test]
    fn every_letter_is_filled_in_and_its_values_are_escaped_in_html() {
        let (to, site) = (Email::parse("ada@example.org").unwrap(), Origin::parse("https://a.example", false).unwrap());
        let issued = Issued { id: Uuid::nil(), link: SecretToken::generate(), code: Some("12345678".to_owned().into()), lifetime: Duration::days(2) };
        let i = &issued;
        let letters = [
            Letter::Registration(i),
            Letter::AlreadyRegistered,
            Letter::Invitation(i),
            Letter::PasswordReset(i),
            Letter::PasswordVoided(i),
            Letter::Disabled,
            Letter::NoAccount,
            Letter::PasswordChanged,
            Letter::RefreshReplayed,
            Letter::PasskeyCopied,
            Letter::EmailChange(i),
            Letter::EmailTaken,
            Letter::EmailChanged(i),
            Letter::NewDevice(i, "<\"'&>"),
            Letter::TrustDevice(i),
            Letter::Closing(i),
            Letter::Erased,
            Letter::SecondFactorRefused("<\"'&>"),
            Letter::SecondFactorAdded("totp"),
            Letter::SecondFactorRemoved("passkey"),
            Letter::Mailbox(i),
            Letter::SecondFactorReset(i),
            Letter::RecoveryCodeUsed(9),
            Letter::RecoveryCodeUsed(1),
            Letter::RecoveryCodesReplaced,
            Letter::IdentityLinked("corp"),
            Letter::IdentityUnlinked("https://id.example"),
            Letter::ApiKeyMade,
            Letter::WebhookDisabled("<\"'&>"),
            Letter::ExportReady(Uuid::nil(), 7),
            Letter::Alert(Pattern::CredentialStuffing, 7),
        ];
        for letter in letters {
            let mail = write(&to, &site, letter);
            assert!(!mail.subject.is_empty() && !mail.text.contains(['{', '}']) && mail.text.starts_with("Hello,"), "{}", mail.text);
            assert!(mail.html.contains("</p>") && !mail.html.contains("<\"'&>"), "{}", mail.html);
            let link = format!("#token={}", issued.link.expose());
            assert_eq!(letter.link().is_some(), mail.text.contains(&link), "{}", mail.text);
            assert_eq!(letter.link().is_some(), mail.html.contains(&format!("{link}\">")), "{}", mail.html);
        }
    }
}
