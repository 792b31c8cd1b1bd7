//! The secrets of the Compose deployments, made on their first start: a folder for each container, so that none sees another's. What is
//! there already stays. Files are readable to whoever reaches their folder, because the containers run as different users.
//! Practices 9.least-privilege, 12.sandbox. Tests: `tests/suite/journeys/deployment.rs`, `tests/cluster/edge.rs`.

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
    /// Also what `docker-compose.cluster.yml` needs, in `redis`, `proxy` and `alerts`.
    #[arg(long)]
    cluster: bool,
    /// How the nodes of a cluster reach Redis or Valkey; with a port, if it is another than 6379.
    #[arg(long, default_value = "valkey")]
    redis_host: String,
    /// How people reach the proxy of a cluster.
    #[arg(long, default_value = "localhost")]
    site_host: String,
}

/// How the proxy calls whichever node it asks: the name in the nodes' certificate.
const NODE: &str = "node";

/// Of Redis what the service does there, and nothing else: two scripts a call at most, a mark that it can write, and what those run.
const REDIS_POWERS: &str = "resetchannels ~portcullis:* -@all +evalsha +script|load +set +hget +hgetall +hdel +hincrby +pexpire +del";

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let Args { folder, database_host, mail_host, .. } = args;
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
    issue(folder, mail_host, ["mail/certificate.pem", "mail/key.pem"], "service/mail-authority.pem")?;
    if args.cluster { cluster(args) } else { Ok(()) }
}

/// Who reaches Redis, how nodes prove to the proxy who they are, and the proxy to people; what the mail server is known by to whoever sends alerts.
fn cluster(args: &Args) -> anyhow::Result<()> {
    let Args { folder, redis_host, site_host, .. } = args;
    // the server gets a digest: of a random password that tells nothing
    let (address, users) = ("service/redis-url", "redis/users.acl");
    if ![address, users].iter().all(|name| folder.join(name).exists()) {
        let password = SecretToken::generate();
        let digest = crypto::hex(&crypto::sha256(password.expose().as_bytes()));
        write(folder, users, &format!("user default off\nuser portcullis on #{digest} {REDIS_POWERS}\n"))?;
        write(folder, address, &format!("redis://portcullis:{}@{redis_host}/0", password.expose()))?;
    }
    issue(folder, NODE, ["service/certificate.pem", "service/key.pem"], "proxy/node-authority.pem")?;
    issue(folder, site_host, ["proxy/certificate.pem", "proxy/key.pem"], "proxy/authority.pem")?;
    let mail = folder.join("service/mail-authority.pem");
    let authority = fs::read_to_string(&mail).with_context(|| format!("cannot read {}", mail.display()))?;
    renew(folder, "alerts/mail-authority.pem", &authority)
}

/// A certificate and its key, and for those who must know it the authority that is no more. They belong to each other: where one is missing,
/// all are made anew.
fn issue(folder: &Path, host: &str, own: [&str; 2], authority: &str) -> anyhow::Result<()> {
    if own.iter().chain([&authority]).all(|name| folder.join(name).exists()) {
        return Ok(());
    }
    let issued = tls::issue_once(host, &Clock::system())?;
    write(folder, authority, &issued.authority)?;
    let [certificate, key] = own;
    write(folder, certificate, &issued.certificate)?;
    write(folder, key, &issued.key)
}

/// A copy, which follows what it was copied from.
fn renew(folder: &Path, name: &str, contents: &str) -> anyhow::Result<()> {
    if fs::read_to_string(folder.join(name)).is_ok_and(|old| old == contents) { Ok(()) } else { write(folder, name, contents) }
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
