//! Environment → validated structs, once, at the start. Unknown and wrong settings are all reported together; production gets
//! nothing by default that is secret or that decides who is believed.
//! Practices 9.never-hardcode, 9.per-environment. Tests: `tests/suite/contract/settings.rs`.

pub mod database;
mod environment;
pub mod federation;
pub mod inbound;
pub mod limits;
pub mod list;
pub mod operators;
pub mod origin;
pub mod problem;
mod reader;
mod redis;
mod secrets;
pub mod sources;
pub mod tls;
mod values;
pub mod webhook_endpoints;

pub use database::Database;
pub use environment::Environment;
pub use federation::Federated;
pub use inbound::Inbound;
pub use limits::{Alerts, Connections, Documents, Hashing, Quotas, Terms};
pub use operators::Operators;
pub use origin::Origin;
pub use problem::{Problem, SettingsError};
pub use reader::is_entry_name;
pub use secrets::{DEVELOPMENT_KEY, NoKey, parse_key};
pub use sources::Sources;
pub use tls::{Acme, Profile, Redirecting, Tls, TlsFiles};
pub use values::Values;
pub use webhook_endpoints::WebhookEndpoints;

use crate::{
    credentials::passkey::RelyingParty,
    platform::{
        keyring::{KeyBytes, LONGEST_DEVICE_LIFE, signing::Algorithm},
        mail::Transport,
        redis::Address,
        telemetry::LogFormat,
    },
    sessions::{Lifetimes, device::AddressDetail, token::Parties},
};
use ipnet::IpNet;
use problem::Kind;
use reader::Reader;
use secrecy::SecretString;
use secrets::{Given, password_in};
use std::{collections::HashMap, fmt::Display, net::SocketAddr, path::PathBuf, time::Duration};
use tls::{TLS_CERTIFICATE, TLS_KEY};

/// The whole tree.
pub struct Settings {
    /// Development or production.
    pub environment: Environment,
    /// Where people reach the service.
    pub public_url: Origin,
    /// The same, as passkeys know it.
    pub relying_party: RelyingParty,
    /// The service's address.
    pub https_listen: SocketAddr,
    /// The listener that redirects.
    pub redirecting: Option<Redirecting>,
    /// The operators' listener.
    pub operators: Option<Operators>,
    /// What development makes lies here.
    pub data_dir: PathBuf,
    /// `None`: a private cluster.
    pub database: Option<Database>,
    /// `None`: shared counters are in Postgres.
    pub redis: Option<Address>,
    /// Most connections to Postgres.
    pub database_connections: u32,
    /// `None`: made in the data folder.
    pub key_encryption_key: Option<KeyBytes>,
    /// Opens what is left of the keyring under the key-encryption key of before.
    pub previous_key_encryption_key: Option<KeyBytes>,
    /// Who ends TLS.
    pub tls: Tls,
    /// Which versions of TLS are spoken.
    pub tls_profile: Profile,
    /// Whose forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Other origins whose pages may call the service.
    pub cors_origins: Vec<Origin>,
    /// Which other services are believed.
    pub federated: Federated,
    /// Who tells something by webhooks.
    pub inbound: Inbound,
    /// Sender of letters.
    pub mail_from: lettre::message::Mailbox,
    /// `None`: files in the data folder.
    pub smtp: Option<Transport>,
    /// Log directives.
    pub log: String,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Where faults are reported; `None`: nowhere.
    pub sentry_dsn: Option<SecretString>,
    /// Server threads; `None`: one a core.
    pub workers: Option<usize>,
    /// Largest body in bytes.
    pub body_limit: usize,
    /// Longest time for one request.
    pub request_timeout: Duration,
    /// How many connections, and how patient the service is with them.
    pub connections: Connections,
    /// Numbers of the quotas.
    pub quotas: Quotas,
    /// Alerts.
    pub alerts: Alerts,
    /// Password hashing.
    pub hashing: Hashing,
    /// Session life.
    pub sessions: Lifetimes,
    /// Issuer and audience of access tokens.
    pub parties: Parties,
    /// What access tokens are signed with.
    pub token_algorithm: Algorithm,
    /// A key that is used for longer is replaced.
    pub key_rotation: time::Duration,
    /// How long links, codes, invitations and the like are valid.
    pub terms: Terms,
    /// Where policies are; `None`: those that the binary brings along.
    pub policies: Option<PathBuf>,
    /// How many documents there are, and how long.
    pub documents: Documents,
    /// How long a browser that signed in is known.
    pub known_device: time::Duration,
    /// What the device list keeps of addresses.
    pub session_address: AddressDetail,
    /// Whether everybody may register, or invited people only.
    pub open_registration: bool,
    /// Tries to deliver a letter.
    pub mail_attempts: i32,
    /// Who is told of events, and how patiently.
    pub webhook_endpoints: WebhookEndpoints,
}

impl Settings {
    /// The settings in the environment and, in development, in `.env`: as they are, with references where secrets are kept elsewhere
    /// ([`sources::resolve`]).
    ///
    /// # Errors
    /// When `.env` cannot be read.
    pub fn process_values() -> Result<Values, SettingsError> {
        let mut values = Values::of_process();
        if values.get("PORTCULLIS_ENV").is_none_or(|environment| environment != "production") {
            match dotenvy::from_path_iter(".env") {
                Ok(lines) => {
                    for (at, line) in lines.enumerate() {
                        let malformed = || in_env_file(format_args!(": setting {} is no NAME=value (quote a value with spaces)", at + 1));
                        let (name, value) = line.map_err(|_| malformed())?;
                        if name == "PORTCULLIS_ENV" && value == "production" {
                            return Err(in_env_file(" is for development: set PORTCULLIS_ENV=production in the environment"));
                        }
                        values.insert_new(name, value);
                    }
                }
                Err(error) if error.not_found() => {}
                Err(error) => return Err(in_env_file(format_args!(" cannot be read: {error}"))),
            }
        }
        Ok(values)
    }

    /// Reads settings from a map.
    ///
    /// # Errors
    /// Everything that is wrong with the settings by themselves, in one error.
    pub fn from_map(values: HashMap<String, String>) -> Result<Self, SettingsError> {
        Self::from_values(values.into_iter().collect())
    }

    /// Reads settings.
    ///
    /// # Errors
    /// Everything that is wrong with the settings by themselves, in one error.
    pub fn from_values(values: Values) -> Result<Self, SettingsError> {
        Self::demanding(values, &DEMANDED_IN_PRODUCTION)
    }

    /// The same for `migrate`, which needs no secret of the service but a database.
    ///
    /// # Errors
    /// Everything that is wrong, in one error.
    pub fn for_migration(mut values: Values) -> Result<Self, SettingsError> {
        // the owner's address alone is enough
        values.lend("PORTCULLIS_OWNER_DATABASE_URL", "DATABASE_URL");
        Self::demanding(values, &["DATABASE_URL"])
    }

    fn demanding(values: Values, demanded_in_production: &[&str]) -> Result<Self, SettingsError> {
        let (mut read, mut given) = (Reader::new(values), Vec::new());
        // a word that is neither starts nothing; what only production demands would hide it
        let environment = read.value("PORTCULLIS_ENV", Environment::Development, |text| match text {
            "development" => Ok(Environment::Development),
            "production" => Ok(Environment::Production),
            _ => Err("must be development or production"),
        });
        let is_production = environment == Environment::Production;
        // `migrate` needs no secret of the service, and judges none
        let is_service = demanded_in_production.contains(&TLS_CERTIFICATE);
        // they were used before this, to read the others: what is wrong with them is told here
        sources::rules(&mut read, &mut given);
        let tls = tls::read(&mut read, is_production, is_service);
        if is_production {
            read.demand(
                demanded_in_production
                    .iter()
                    .copied()
                    .filter(|name| !matches!(tls, Tls::Proxy | Tls::Acme(_)) || ![TLS_CERTIFICATE, TLS_KEY].contains(name)),
            );
        }
        let https_listen = read.value("PORTCULLIS_HTTPS_LISTEN", NOWHERE, socket_address);
        // development on another port: links and pages follow it
        let is_elsewhere = !is_production && https_listen.port() != 0 && !read.is_given("PORTCULLIS_PUBLIC_URL");
        let public_url = if is_elsewhere {
            Origin::parse(&format!("https://localhost:{}", https_listen.port()), false).ok()
        } else {
            read.optional("PORTCULLIS_PUBLIC_URL", |text| Origin::parse(text, false))
        };
        let issuer = public_url.as_ref().map_or_else(String::new, |origin| origin.as_str().to_owned());
        let terms = limits::terms(&mut read);
        let relying_party = origin::relying_party(&mut read, public_url.as_ref(), terms.challenge);
        let mail_from = read.optional("PORTCULLIS_MAIL_FROM", |text| text.parse().map_err(|_| "must be an address or `Name <address>`"));
        let cors_origins = read.list("PORTCULLIS_CORS_ORIGINS", |item| Origin::parse(item, !is_production));
        let settings = Self {
            environment,
            https_listen,
            redirecting: tls::redirecting(&mut read),
            operators: operators::read(&mut read),
            data_dir: read.value("PORTCULLIS_DATA_DIR", PathBuf::new(), |text| Ok::<_, &str>(text.into())),
            database: database::read(&mut read, &mut given, is_production),
            redis: redis::read(&mut read, &mut given, is_production),
            database_connections: read.number("PORTCULLIS_DATABASE_CONNECTIONS", 5..=1000),
            key_encryption_key: secrets::key_encryption_key(&mut read, &mut given, "PORTCULLIS_KEY_ENCRYPTION_KEY"),
            previous_key_encryption_key: secrets::key_encryption_key(&mut read, &mut given, "PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY"),
            trusted_proxies: tls::trusted_proxies(&mut read, &tls, is_production),
            tls,
            tls_profile: tls::profile(&mut read),
            federated: federation::read(&mut read, &mut given, is_production, public_url.as_ref(), &cors_origins),
            cors_origins,
            inbound: inbound::read(&mut read, &mut given),
            smtp: smtp(&mut read, &mut given),
            log: read.value("PORTCULLIS_LOG", String::new(), |text| {
                tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_| "must be a level or tracing directives")
            }),
            log_format: read
                .optional("PORTCULLIS_LOG_FORMAT", |text| match text {
                    "json" => Ok(LogFormat::Json),
                    "pretty" => Ok(LogFormat::Pretty),
                    _ => Err("must be json or pretty"),
                })
                .unwrap_or(if is_production { LogFormat::Json } else { LogFormat::Pretty }),
            sentry_dsn: secrets::sentry_dsn(&mut read),
            workers: read.optional_number("PORTCULLIS_WORKERS", 1..=512),
            body_limit: read.number("PORTCULLIS_BODY_LIMIT", 1024..=10 << 20),
            request_timeout: Duration::from_secs(read.number("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", 1..=300)),
            connections: limits::connections(&mut read),
            quotas: limits::quotas(&mut read),
            alerts: limits::alerts(&mut read),
            hashing: limits::hashing(&mut read),
            sessions: limits::lifetimes(&mut read),
            parties: Parties { issuer: issuer.clone(), audience: read.optional("PORTCULLIS_TOKEN_AUDIENCE", audience).unwrap_or(issuer) },
            token_algorithm: read
                .value("PORTCULLIS_TOKEN_ALGORITHM", Algorithm::EdDsa, |text| Algorithm::named(text).ok_or("must be EdDSA, ES256 or RS256")),
            key_rotation: time::Duration::days(read.number("PORTCULLIS_KEY_ROTATION_DAYS", 1..=365)),
            terms,
            policies: read.optional("PORTCULLIS_POLICIES", |text| Ok::<_, &str>(text.into())),
            documents: limits::documents(&mut read),
            known_device: time::Duration::days(read.number("PORTCULLIS_KNOWN_DEVICE_DAYS", 1..=LONGEST_DEVICE_LIFE.whole_days())),
            session_address: read.value("PORTCULLIS_SESSION_ADDRESS", AddressDetail::Nothing, |text| match text {
                "network" => Ok(AddressDetail::Network),
                "full" => Ok(AddressDetail::Full),
                "none" => Ok(AddressDetail::Nothing),
                _ => Err("must be network, full or none"),
            }),
            open_registration: read.value("PORTCULLIS_REGISTRATION", false, |text| match text {
                "open" => Ok(true),
                "invited" => Ok(false),
                _ => Err("must be open or invited"),
            }),
            mail_attempts: read.number("PORTCULLIS_MAIL_ATTEMPTS", 1..=100),
            webhook_endpoints: webhook_endpoints::read(&mut read, is_production),
            // the last ones, so that everything before them has been read when one is wrong
            public_url: match public_url {
                Some(origin) => origin,
                None => return Err(all_problems(read, &given, is_production && is_service)),
            },
            relying_party: match relying_party {
                Some(party) => party,
                None => return Err(all_problems(read, &given, is_production && is_service)),
            },
            mail_from: match mail_from {
                Some(mailbox) => mailbox,
                None => return Err(all_problems(read, &given, is_production && is_service)),
            },
        };
        let error = all_problems(read, &given, is_production && is_service);
        if error.0.is_empty() { Ok(settings) } else { Err(error) }
    }
}

fn in_env_file(says: impl Display) -> SettingsError {
    SettingsError(vec![Problem::new(Kind::Form, ".env", format_args!(".env{says}"))])
}

/// What the reader found, and what production has against the secrets.
fn all_problems(mut read: Reader, given: &[Given], is_judged: bool) -> SettingsError {
    if is_judged {
        let data = read.value("PORTCULLIS_DATA_DIR", PathBuf::new(), |text| Ok::<_, &str>(text.into()));
        secrets::judge(&mut read, given, &data);
    }
    read.into_error()
}

/// What production must be told: it invents nothing.
const DEMANDED_IN_PRODUCTION: [&str; 7] = [
    "DATABASE_URL",
    "PORTCULLIS_KEY_ENCRYPTION_KEY",
    "PORTCULLIS_MAIL_FROM",
    "PORTCULLIS_PUBLIC_URL",
    "PORTCULLIS_SMTP_URL",
    TLS_CERTIFICATE,
    TLS_KEY,
];

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn socket_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "must be an address and a port like 127.0.0.1:8443")
}

fn optional_address(text: &str) -> Result<Option<SocketAddr>, &'static str> {
    if text == "off" { Ok(None) } else { socket_address(text).map(Some) }
}

fn smtp(read: &mut Reader, given: &mut Vec<Given>) -> Option<Transport> {
    let url = read.secret("PORTCULLIS_SMTP_URL")?;
    given.extend(password_in(&url).map(|secret| Given { name: "PORTCULLIS_SMTP_URL", secret }));
    Transport::smtp(&url).inspect_err(|reason| read.refuse("PORTCULLIS_SMTP_URL", reason)).ok()
}

fn audience(text: &str) -> Result<String, &'static str> {
    let is_fine = text.len() <= 200 && text.chars().all(|c| c.is_ascii_graphic());
    if is_fine { Ok(text.to_owned()) } else { Err("must be at most 200 visible ASCII characters") }
}
