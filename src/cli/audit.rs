//! The audit log for whoever answers for it: is it whole, what is in it, what may go. `verify` and `export` act as the service's role
//! and change nothing; `prune` needs the owner's login. Practice 9.least-privilege.

use crate::{
    audit::{
        self, Entry, Event, Origin,
        chain::{
            Head,
            export::{self, Part},
            prune, store, verify,
        },
    },
    cli::{Opened, open},
    platform::{
        clock::Clock,
        crypto,
        keyring::{Keyring, Purpose},
    },
    settings::Settings,
};
use anyhow::{Context, bail};
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};
use std::io::{self, Write};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Say what somebody altered, removed, inserted or reordered in the audit log; otherwise, its head.
    ///
    /// Fails where anything is wrong. A tail that was cut off whole shows against a head of before only: keep them elsewhere.
    Verify {
        /// A head of before, as this command or the service's log showed it.
        #[arg(long, value_name = "HEAD")]
        anchor: Option<Head>,
    },
    /// Write the audit log to standard output: a line of JSON for each event that is chained and each signed head.
    ///
    /// It does not judge what it writes: `verify` does.
    Export {
        /// From this place in the chain.
        #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        from: i64,
        /// Up to this one.
        #[arg(long, value_name = "SEQ", default_value_t = i64::MAX, hide_default_value = true)]
        until: i64,
        /// With addresses, devices and e-mail addresses of people who were not erased. This is recorded.
        #[arg(long)]
        personal: bool,
    },
    /// Print the public keys of signed heads, by version.
    Keys,
    /// Remove what is old, as the owner of the database (PORTCULLIS_OWNER_DATABASE_URL); the rest stays provable. Export it first.
    ///
    /// Never the last 90 days. Development is the owner itself.
    Prune(Age),
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Age {
    /// What was chained before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = |text: &str| OffsetDateTime::parse(text, &Rfc3339))]
    before: Option<OffsetDateTime>,
    /// What was chained more than so many days ago.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    keep_days: Option<u16>,
}

pub(super) async fn run(command: Command, settings: &Settings) -> anyhow::Result<()> {
    let clock = Clock::system();
    let Opened { pool, owner, keyring, local: _local, .. } = open(settings, &clock).await?;
    let done = match command {
        Command::Verify { anchor } => verify(&pool, &keyring, anchor.as_ref()).await,
        Command::Export { from, until, personal } => {
            let part = Part { beyond: from - 1, through: until, opened: personal };
            export(&pool, &keyring, clock.now(), part).await
        }
        Command::Keys => keys(&pool, &keyring).await,
        Command::Prune(age) => {
            let mut connection = PgConnection::connect_with(&owner).await.context("cannot reach the database as its owner")?;
            prune(&mut connection, &keyring, &age, clock.now()).await
        }
    };
    // a reader that has seen enough (`| head`) is no fault of ours
    done.or_else(|error| match error.downcast_ref::<io::Error>() {
        Some(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

async fn verify(pool: &PgPool, keyring: &Keyring, anchor: Option<&Head>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let mut connection = pool.acquire().await?;
    let mut transaction = store::still(&mut connection).await?;
    // what is wrong must reach the exit status even when nobody reads on
    let found = verify::verify(&mut transaction, keyring, anchor, |damage| _ = writeln!(out, "{damage}")).await?;
    if found.damage > 0 {
        bail!("the audit log is not as it was written: {} findings", found.damage);
    }
    let verify::Findings { start, links, waiting, head, .. } = found;
    if start > 0 {
        writeln!(out, "what was up to {start} was removed by its owner; the rest goes on from a signed checkpoint")?;
    }
    writeln!(out, "{links} events are chained, {waiting} wait for it; nothing was altered, removed, inserted or reordered")?;
    match (head, anchor) {
        (None, _) => writeln!(out, "there is no head yet")?,
        (Some(head), None) => writeln!(out, "head {head}\nwithout --anchor a tail that was cut off is not seen: keep this head elsewhere")?,
        (Some(head), Some(_)) => writeln!(out, "head {head}")?,
    }
    Ok(())
}

async fn export(pool: &PgPool, keyring: &Keyring, now: OffsetDateTime, mut part: Part) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await?;
    if part.opened {
        let (origin, mut transaction) = (Origin::service(), connection.begin().await?);
        let detail = json!({ "from": part.beyond + 1, "until": Some(part.through).filter(|through| *through < i64::MAX) });
        audit::record(&mut transaction, keyring, now, Entry::new(Event::AuditOpened, &origin, None, None).detail(detail)).await?;
        transaction.commit().await?;
    }
    let mut transaction = store::still(&mut connection).await?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if let Some(line) = export::beginning(&mut transaction).await? {
        writeln!(out, "{line}")?;
    }
    loop {
        let lines = export::lines(&mut transaction, keyring, &mut part).await?;
        if lines.is_empty() {
            return Ok(out.flush()?);
        }
        for line in lines {
            writeln!(out, "{line}")?;
        }
    }
}

async fn keys(pool: &PgPool, keyring: &Keyring) -> anyhow::Result<()> {
    let mut versions = store::key_versions(&mut *pool.acquire().await?).await?;
    versions.push(keyring.active(Purpose::AuditChain).0);
    versions.sort_unstable();
    versions.dedup();
    for version in versions {
        let key = keyring.attesting_key(Purpose::AuditChain, version).map_or_else(|| "revoked".to_owned(), |key| crypto::hex(&key));
        writeln!(io::stdout(), "v{version} Ed25519 {key}")?;
    }
    Ok(())
}

async fn prune(connection: &mut PgConnection, keyring: &Keyring, age: &Age, now: OffsetDateTime) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let before = age.before.or(age.keep_days.map(|days| now - Duration::days(days.into()))).context("no time was given")?;
    match prune::prune(connection, keyring, before, now, |damage| _ = writeln!(out, "{damage}")).await? {
        None => writeln!(out, "nothing is that old")?,
        Some(gone) => writeln!(out, "removed {} events, up to {}; the rest goes on from a signed checkpoint", gone.events, gone.through)?,
    }
    Ok(())
}
