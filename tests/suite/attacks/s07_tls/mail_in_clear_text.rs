//! Somebody between the service and its mail server takes the offer of TLS away, to read passwords and links. The letter waits.

use crate::support::smtp::{Offers, SmtpServer};
use portcullis::platform::{
    clock::Clock,
    crypto,
    mail::{Mail, Mailer, Transport},
};
use std::path::{Path, PathBuf};

/// lettre trusts the system's authorities, read from `SSL_CERT_FILE` where that is set: so this runs in a process of its own, which
/// is this test binary again.
const CHILD: &str = "PORTCULLIS_TEST_SMTP_URL";

fn tls_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn send_in_child(url: &str) -> bool {
    let authority = portcullis::server::tls::authority_certificate(&tls_folder());
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "attacks::s07_tls::mail_in_clear_text::sends_one_letter_when_it_is_the_child", "--ignored"])
        .env("SSL_CERT_FILE", authority)
        .env(CHILD, url)
        .output()
        .unwrap()
        .status
        .success()
}

#[tokio::test]
#[ignore = "the test below runs this in processes of its own"]
async fn sends_one_letter_when_it_is_the_child() {
    let url = std::env::var(CHILD).unwrap();
    let mailer = Mailer { transport: Transport::smtp(&url.into()).unwrap(), from: "portcullis@example.org".parse().unwrap() };
    let mail = Mail { to: "ada@example.org".into(), subject: "s".into(), text: "canary-link".into(), html: "<p>canary-link</p>".into() };
    mailer.send(&mail, crypto::uuid_v7(Clock::system().now())).await.unwrap();
}

#[test]
fn letters_and_the_password_go_through_tls_or_not_at_all() {
    for (offers, url, arrives) in [
        (Offers::Tls, "smtps://user:canary-password@localhost:PORT", true),
        (Offers::StartTls, "smtp://user:canary-password@localhost:PORT?tls=required", true),
        (Offers::ClearTextOnly, "smtp://user:canary-password@localhost:PORT?tls=required", false),
        (Offers::ClearTextOnly, "smtps://user:canary-password@localhost:PORT", false),
    ] {
        let server = SmtpServer::start(&tls_folder(), offers);
        assert_eq!(send_in_child(&url.replace("PORT", &server.port.to_string())), arrives, "{url}");
        let (in_clear, in_tls) = (server.in_clear.lock().unwrap().join("\n"), server.in_tls.lock().unwrap().join("\n"));
        assert_eq!(in_tls.contains("canary-link") && in_tls.contains("RCPT TO:<ada@example.org>"), arrives, "{url}: {in_tls}");
        for secret in ["canary", "AUTH", "RCPT", "ada@"] {
            assert!(!in_clear.contains(secret), "{url}: {in_clear}");
        }
    }
    for url in [
        "smtp://user:x@localhost",
        "smtp://localhost?tls=opportunistic",
        "http://localhost",
        "smtp://u:tls=required@localhost",
        "smtp://localhost?tls=opportunistic&x=tls=required",
        "smtp://localhost?tls=required&tls=opportunistic",
    ] {
        assert!(Transport::smtp(&url.into()).is_err(), "{url}");
    }
}
