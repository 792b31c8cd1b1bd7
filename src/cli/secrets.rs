//! The secrets of the Compose deployment, made on its first start: a folder for each container, so that none sees another's. What is
//! there already stays. Files are readable to whoever reaches their folder, because the containers run as different users.

use crate::{
    platform::{
        clock::Clock,
        crypto::{self, SecretToken},
        files,
    },
    server::tls,
};
use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fs, io::Write, path::Path};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the folders `owner`, `login`, `service` and `mail` are.
    folder: std::path::PathBuf,
    /// How the service reaches Postgres.
    #[arg(long, default_value = "postgres")]
    database_host: String,
    /// How the service reaches the mail server.
    #[arg(long, default_value = "mail")]
    mail_host: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let Args { folder, database_host, mail_host } = args;
    let address = |login: &str, password: &str| format!("postgres://{login}:{password}@{database_host}/portcullis");
    // the address follows its password, the mail server's files each other: where one is missing, all are made anew
    let password = folder.join("owner/password");
    if !password.exists() {
        let fresh = SecretToken::generate();
        write(folder, "owner/database-url", &address("portcullis_owner", fresh.expose()))?;
        // last: it says that the address is its own
        write(folder, "owner/password", fresh.expose())?;
    }
    let password = fs::read_to_string(&password).with_context(|| format!("cannot read {}", password.display()))?;
    make(folder, "owner/database-url", || address("portcullis_owner", &password))?;
    make(folder, "login/database-url", || address("portcullis_service", SecretToken::generate().expose()))?;
    make(folder, "service/key-encryption-key", || STANDARD.encode(crypto::random::<32>()))?;
    let mail = ["service/mail-authority.pem", "mail/certificate.pem", "mail/key.pem"];
    if !mail.iter().all(|name| folder.join(name).exists()) {
        let issued = tls::issue_once(mail_host, &Clock::system())?;
        for (name, contents) in mail.into_iter().zip([issued.authority, issued.certificate, issued.key]) {
            write(folder, name, &contents)?;
        }
    }
    Ok(())
}

fn make(folder: &Path, name: &str, contents: impl FnOnce() -> String) -> anyhow::Result<()> {
    if folder.join(name).exists() { Ok(()) } else { write(folder, name, &contents()) }
}

fn write(folder: &Path, name: &str, contents: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap_or(folder))
        .and_then(|()| files::write(&path, contents.as_bytes(), 0o444))
        .with_context(|| format!("cannot make {}", path.display()))?;
    writeln!(std::io::stdout(), "made {}", path.display())?;
    Ok(())
}
