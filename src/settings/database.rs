//! Where the database is, for whom.

use crate::settings::{
    Settings, Values,
    problem::Kind,
    reader::Reader,
    secrets::{Given, password_in},
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};

/// The databases by role.
#[derive(Debug, Clone)]
pub struct Database {
    /// For the service.
    pub service: PgConnectOptions,
    /// For migrations.
    pub owner: PgConnectOptions,
    /// The service's own login, where it is not the owner's: `migrate` makes it.
    pub login: Option<Login>,
}

/// A login of the database.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: SecretString,
}

impl Settings {
    /// The database that the settings name, whatever else is wrong with them.
    #[must_use]
    pub fn database_in(values: &Values) -> Option<Database> {
        read(&mut Reader::new(values.clone()), &mut Vec::new(), false)
    }
}

/// How the service connects after its password changed; `None`: the address is none, or differs in more than that, which waits for a
/// restart.
#[must_use]
pub fn with_changed_password(current: &PgConnectOptions, url: &SecretString) -> Option<PgConnectOptions> {
    let changed = url.expose_secret().parse::<PgConnectOptions>().ok()?;
    // how the server proves itself among it
    let rest = |options: &PgConnectOptions| options.clone().password("").to_url_lossy();
    let password = password_in(url)?;
    (rest(&changed) == rest(current)).then(|| current.clone().password(password.expose_secret()))
}

pub(super) fn read(read: &mut Reader, given: &mut Vec<Given>, is_production: bool) -> Option<Database> {
    const SERVICE: &str = "DATABASE_URL";
    const OWNER: &str = "PORTCULLIS_OWNER_DATABASE_URL";
    let (service, owner) = (read.secret(SERVICE), read.secret(OWNER));
    if service.is_none() && owner.is_some() {
        read.refuse(OWNER, "needs DATABASE_URL beside it");
    }
    let mut parse = |name, url: &SecretString| {
        // the parser's message is left out: it may quote the password
        let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose_secret().starts_with(scheme));
        let options = if is_postgres { url.expose_secret().parse::<PgConnectOptions>().map_err(drop) } else { Err(()) };
        given.extend(password_in(url).map(|secret| Given { name, secret }));
        options.inspect_err(|_| read.refuse(name, "is no Postgres address like postgres://user:password@host/database")).ok()
    };
    let owner = match &owner {
        Some(url) => Some(parse(OWNER, url)?),
        None => None,
    };
    let url = service?;
    let service = parse(SERVICE, &url)?;
    let is_own = owner.as_ref().is_some_and(|owner| owner.get_username() != service.get_username());
    if is_production {
        refuse_clear_text(read, SERVICE, &service);
        if let Some(owner) = &owner {
            refuse_clear_text(read, OWNER, owner);
        }
    }
    let login = password_in(&url).filter(|_| is_own).map(|password| Login { name: service.get_username().to_owned(), password });
    Some(Database { owner: owner.unwrap_or_else(|| service.clone()), service, login })
}

impl Database {
    /// Whether the service reaches it without a network.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        is_here(&self.service)
    }
}

fn is_here(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || ["localhost", "127.0.0.1", "::1"].contains(&options.get_host()) || options.get_host().starts_with('/')
}

/// Whoever sits between the service and its database sees and changes everything, unless the server proves who it is.
fn refuse_clear_text(read: &mut Reader, name: &str, options: &PgConnectOptions) {
    if !is_here(options) && !matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull) {
        read.refuse_as(
            Kind::Transport,
            name,
            "goes over a network without TLS that knows the server: add sslmode=verify-full (and sslrootcert=… for an authority of your own)",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_password_changes_while_the_service_runs() {
        const BEFORE: &str = "postgres://service:one@db.internal/p?sslmode=verify-full&sslrootcert=/etc/a.pem";
        let current = BEFORE.parse::<PgConnectOptions>().unwrap().application_name("portcullis");
        let changed = |from: &str, to: &str| with_changed_password(&current, &SecretString::from(BEFORE.replace(from, to)));
        assert!(changed("one", "two").is_some());
        for (from, to) in [
            ("verify-full", "disable"),
            ("verify-full", "verify-ca"),
            ("sslmode=verify-full&", ""),
            ("a.pem", "b.pem"),
            ("&sslrootcert=/etc/a.pem", ""),
            ("db.internal", "db.elsewhere"),
            ("service", "owner"),
            ("/p?", "/q?"),
        ] {
            assert!(changed(from, to).is_none(), "{from} {to}");
        }
    }
}
