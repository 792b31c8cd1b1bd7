//! Where the database is, for whom.

use crate::settings::{
    Settings, Values,
    reader::Reader,
    secrets::{Given, password_in},
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

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
        read(&mut Reader::new(values.clone()), &mut Vec::new())
    }
}

pub(super) fn read(read: &mut Reader, given: &mut Vec<Given>) -> Option<Database> {
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
    let login = password_in(&url).filter(|_| is_own).map(|password| Login { name: service.get_username().to_owned(), password });
    Some(Database { owner: owner.unwrap_or_else(|| service.clone()), service, login })
}
