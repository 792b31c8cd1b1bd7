//! Sending mail: to an SMTP server over TLS, or in development to files that a person can open.
//!
//! Addresses are parsed types and headers are encoded by lettre, so that no input can add a header or a recipient. Without TLS no
//! letter is sent. Attacks: `tests/suite/attacks/s07_tls/mail_in_clear_text.rs`.

use crate::platform::files;
use anyhow::Context;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType},
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use url::Url;

/// A rendered letter.
#[derive(Clone, Serialize, Deserialize)]
pub struct Mail {
    /// The recipient's address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

/// Where mail goes.
#[derive(Clone)]
pub enum Transport {
    /// One `.eml` file a letter in this folder.
    Files(PathBuf),
    /// An SMTP server: `smtps://` (TLS from the start) or `smtp://…?tls=required` (STARTTLS).
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

impl Transport {
    /// Reads an SMTP address. Clear text is refused: passwords and links would travel in it.
    ///
    /// # Errors
    /// When it is no SMTP address or one without TLS.
    pub fn smtp(url: &SecretString) -> Result<Self, String> {
        let url = url.expose_secret();
        let parsed = Url::parse(url).map_err(|_| "is no SMTP address".to_owned())?;
        let options: Vec<_> = parsed.query_pairs().collect();
        let is_secure = match parsed.scheme() {
            "smtps" => options.is_empty(),
            "smtp" => matches!(&options[..], [(name, value)] if name == "tls" && value == "required"),
            _ => false,
        };
        if !is_secure {
            return Err("must be smtps://… or smtp://…?tls=required".into());
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| "is no SMTP address".to_owned())?;
        Ok(Self::Smtp(builder.timeout(Some(std::time::Duration::from_secs(20))).build()))
    }
}

/// Sends mail from one address.
#[derive(Clone)]
pub struct Mailer {
    /// Where it goes.
    pub transport: Transport,
    /// The sender.
    pub from: Mailbox,
}

impl Mailer {
    /// Sends one letter. `id` makes its Message-ID and, in development, its file name: sending again after a crash repeats
    /// both, so that a mail server, a reader or the folder can tell a copy from a second letter.
    ///
    /// # Errors
    /// When the server refuses or is away; the caller keeps the letter and tries again.
    pub async fn send(&self, mail: &Mail, id: uuid::Uuid) -> anyhow::Result<()> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(mail.to.parse()?)
            .subject(&mail.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // a machine wrote this: no out-of-office answers, please (RFC 3834)
            .header(AutoSubmitted)
            .multipart(
                MultiPart::alternative().singlepart(part(ContentType::TEXT_PLAIN, &mail.text)).singlepart(part(ContentType::TEXT_HTML, &mail.html)),
            )?;
        match &self.transport {
            Transport::Smtp(smtp) => {
                smtp.send(message).await?;
            }
            Transport::Files(folder) => {
                let path = folder.join(format!("{id}.eml"));
                let bytes = message.formatted();
                let shown = path.display().to_string();
                let folder = folder.clone();
                tokio::task::spawn_blocking(move || {
                    std::fs::create_dir_all(folder)?;
                    files::write_private(&path, &bytes)
                })
                .await?
                .with_context(|| format!("cannot write {shown}"))?;
                tracing::info!(file = shown, "letter written");
            }
        }
        Ok(())
    }
}

/// Longest line without its end (RFC 5322 §2.1.1).
const LONGEST_LINE: usize = 998;

/// ASCII in lines that every mail server takes travels as it is, so that a link can be copied from the file; lettre would encode
/// lines from 77 octets on. Other text is encoded.
fn part(content_type: ContentType, text: &str) -> SinglePart {
    let is_plain = text.is_ascii() && !text.contains(['\0', '\r']) && text.lines().all(|line| line.len() <= LONGEST_LINE);
    let body = if is_plain {
        Body::dangerous_pre_encoded(text.lines().collect::<Vec<_>>().join("\r\n").into_bytes(), ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text.to_owned())
    };
    SinglePart::builder().header(content_type).body(body)
}

#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
