//! The first administrator, and any other that nobody is there to appoint. Whoever can run this has the service's own database
//! login and key-encryption key: there is nothing more to prove. Works beside a running development service too.

use crate::{
    access::{
        role::{self, ADMINISTRATOR, Actor, Assignment, Holder},
        store::assignments_of,
    },
    accounts::{self, Account, AccountId, Email, Name, directory::Status},
    audit::{self, Entry, Event, Origin},
    cli::{Opened, open, passwords},
    credentials::{self, api_key, password::Password, second_factor},
    letters::{self, Letter},
    platform::{clock::Clock, crypto::SecretToken, outbox},
    sessions,
    settings::Settings,
};
use anyhow::{Context, anyhow, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::PgConnection;
use std::io::{IsTerminal, Write};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make an administrator: a new account, or one that exists.
    ///
    /// A new account's password is asked for on the terminal; without one, it is generated and printed once.
    Create {
        /// The address. It counts as proven.
        #[arg(long)]
        email: String,
        /// What a new account's owner is called.
        #[arg(long, default_value = "Administrator")]
        name: String,
    },
    /// Take a lost second factor away, where no other administrator is there to help.
    ///
    /// Authenticator app, passkeys and recovery codes are gone, everybody is signed out, and the owner gets a letter.
    ResetSecondFactor {
        /// The account's address.
        #[arg(long)]
        email: String,
    },
}

pub(super) async fn run(command: Command, settings: &Settings) -> anyhow::Result<()> {
    let (email, name) = match command {
        Command::Create { email, name } => (email, name),
        Command::ResetSecondFactor { email } => return reset_second_factor(&email, settings).await,
    };
    let email = Email::parse(&email).map_err(|reason| anyhow!("--email {reason}"))?;
    let name = Name::parse(&name).map_err(|reason| anyhow!("--name {reason}"))?;
    let clock = Clock::system();
    let Opened { pool, keyring, local: _local, .. } = open(settings, &clock).await?;
    let is_known = accounts::store::is_known(&mut *pool.acquire().await?, &email).await?;
    let new_password = if is_known { None } else { Some(choose_password()?) };
    let hash = match &new_password {
        Some((password, _)) => {
            let context = vec![email.as_str().to_owned(), name.as_str().to_owned()];
            let hash = passwords(settings, &keyring)?.create(&Password::new(password.expose_secret()), context).await;
            Some(hash.map_err(|error| anyhow!("{error}"))?)
        }
        None => None,
    };

    let now = clock.now();
    let origin = Origin::service();
    let mut transaction = pool.begin().await?;
    let account = match hash {
        Some(hash) => {
            let account = Account::new(&email, &name, now);
            accounts::store::insert(&mut transaction, &account).await?;
            credentials::store::set_password(&mut transaction, account.id.0, &hash, now).await?;
            accounts::proof::store::end_registrations(&mut transaction, &email, now).await?;
            let entry = Entry::new(Event::AccountCreated, &origin, None, Some(account.id.0)).email(email.as_str());
            audit::record(&mut transaction, &keyring, now, entry).await?;
            account.id
        }
        None => match accounts::store::find_by_email(&mut transaction, &email).await? {
            Some((account, Status::Active)) => account,
            _ => bail!("this account is disabled or closing: enable it first"),
        },
    };
    appoint(&mut transaction, account, &clock).await?;
    let entry = Entry::new(Event::RolesChanged, &origin, None, Some(account.0)).detail(json!({ "added": [{ "role": ADMINISTRATOR }] }));
    audit::record(&mut transaction, &keyring, now, entry).await?;
    transaction.commit().await?;

    let mut out = std::io::stdout();
    writeln!(out, "{} is an administrator", email.as_str())?;
    if let Some((password, true)) = new_password {
        writeln!(out, "password (shown this once): {}", password.expose_secret())?;
    }
    Ok(())
}

async fn reset_second_factor(email: &str, settings: &Settings) -> anyhow::Result<()> {
    let email = Email::parse(email).map_err(|reason| anyhow!("--email {reason}"))?;
    let clock = Clock::system();
    let Opened { pool, keyring, local: _local, .. } = open(settings, &clock).await?;
    let (now, origin) = (clock.now(), Origin::service());
    let mut transaction = pool.begin().await?;
    let (account, _) = accounts::store::find_by_email(&mut transaction, &email).await?.context("no account has this address")?;
    accounts::store::lock(&mut transaction, account).await?;
    if !second_factor::store::factors(&mut transaction, account.0).await?.is_on() {
        bail!("this account has no second factor");
    }
    second_factor::remove_all(&mut transaction, account.0, now).await?;
    sessions::store::revoke_all(&mut transaction, account.0, now).await?;
    // whoever got in may have made one
    let keys = api_key::store::revoke_all(&mut transaction, account.0, now).await?;
    if keys > 0 {
        let entry = Entry::new(Event::ApiKeyRevoked, &origin, None, Some(account.0)).detail(json!({ "keys": keys }));
        audit::record(&mut transaction, &keyring, now, entry).await?;
    }
    audit::record(&mut transaction, &keyring, now, Entry::new(Event::SecondFactorReset, &origin, None, Some(account.0))).await?;
    let letter = letters::write(&email, &settings.public_url, Letter::SecondFactorRemoved("all"));
    outbox::enqueue(&mut transaction, &keyring, now, &letter, None).await?;
    transaction.commit().await?;
    writeln!(std::io::stdout(), "{} has no second factor any more", email.as_str())?;
    Ok(())
}

/// Adds the role to those that the account has.
async fn appoint(connection: &mut PgConnection, account: AccountId, clock: &Clock) -> anyhow::Result<()> {
    let mut wanted = assignments_of(connection, account.0, clock.now()).await?;
    wanted.retain(|assignment| assignment.role != ADMINISTRATOR);
    wanted.push(Assignment { role: ADMINISTRATOR.into(), expires_at: None });
    role::assign(connection, Actor::CommandLine, Holder::Person(account.0), &wanted, clock.now()).await?;
    Ok(())
}

/// From the terminal, twice; generated where there is none. The second value: it was generated.
fn choose_password() -> anyhow::Result<(SecretString, bool)> {
    if !std::io::stdin().is_terminal() {
        return Ok((SecretToken::generate().expose().to_owned().into(), true));
    }
    let ask = |what: &str| rpassword::prompt_password(what).map(SecretString::from).context("cannot read from the terminal");
    let (first, second) = (ask("Password (at least 15 characters): ")?, ask("The same again: ")?);
    if first.expose_secret() != second.expose_secret() {
        bail!("the two passwords differ");
    }
    Ok((first, false))
}
