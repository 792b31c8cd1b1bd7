//! The secrets of the Compose deployment, made on its first start: a folder for each container, so that none sees another's. What is
//! there already stays. Files are readable to whoever reaches their folder, because the containers run as different users.

use crate::{
    platform::{
        clock::Clock,
        crypto::{self, SecretToken},
    },
    server::tls,
};
use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

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
    if !folder.join("owner/password").exists() {
        forget(folder, "owner/database-url")?;
    }
    let password = make(folder, "owner/password", || Ok(SecretToken::generate().expose().to_owned()))?;
    make(folder, "owner/database-url", || Ok(address("portcullis_owner", &password)))?;
    make(folder, "login/database-url", || Ok(address("portcullis_service", SecretToken::generate().expose())))?;
    make(folder, "service/key-encryption-key", || Ok(STANDARD.encode(crypto::random::<32>())))?;
    // these three belong together: where one is missing, all are made anew
    let mail = ["service/mail-authority.pem", "mail/certificate.pem", "mail/key.pem"];
    if !mail.iter().all(|name| folder.join(name).exists()) {
        let issued = tls::issue_once(mail_host, &Clock::system())?;
        for (name, contents) in mail.into_iter().zip([issued.authority, issued.certificate, issued.key]) {
            forget(folder, name)?;
            make(folder, name, || Ok(contents))?;
        }
    }
    Ok(())
}

fn forget(folder: &Path, name: &str) -> anyhow::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(|| format!("cannot replace {name}")),
        _ => Ok(()),
    }
}

/// The contents of a file, made when it is missing: under another name first, so that a crash leaves nothing half-written.
fn make(folder: &Path, name: &str, contents: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<String> {
    let path = folder.join(name);
    let shown = || format!("cannot make {}", path.display());
    if path.exists() {
        return fs::read_to_string(&path).with_context(shown);
    }
    let (contents, draft) = (contents()?, path.with_extension("draft"));
    fs::create_dir_all(path.parent().unwrap_or(folder)).with_context(shown)?;
    let mut file = fs::File::create(&draft).with_context(shown)?;
    file.set_permissions(fs::Permissions::from_mode(0o444)).with_context(shown)?;
    file.write_all(contents.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, &path)).with_context(shown)?;
    writeln!(std::io::stdout(), "made {}", path.display())?;
    Ok(contents)
}
