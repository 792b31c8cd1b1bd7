//! What checks judge: the settings as they were given and as they are read, and what they lead to: policies, certificate, files of secrets,
//! the database, Redis. Gathered without changing anything; what cannot be had is said. Practice 16.checklist.
//! Tests: `tests/suite/contract/check.rs`.

use super::{deployment, rows::Finding};
use crate::{
    access::{policy::cases, role::Role},
    api,
    platform::{clock::Clock, db::Inspected, keyring::store::Listed, redis::Redis},
    server::tls::{Identity, inspect::Certificate},
    settings::{Database, Settings, SettingsError, TlsFiles, Values, list::SETTINGS},
    state::policies,
};
use anyhow::Context;
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use time::OffsetDateTime;

/// Everything that checks look at. Tests spoil one thing at a time.
pub struct Facts {
    /// Settings by name, as they were given.
    pub values: Values,
    /// The settings, or all that is wrong with them by themselves.
    pub settings: Result<Settings, SettingsError>,
    /// When this was gathered.
    pub now: OffsetDateTime,
    /// What came of the policies' examples, where there are any.
    pub policies: Result<Option<cases::Report>, String>,
    /// Who ends TLS, where that is said.
    pub tls: Option<TlsBy>,
    /// The certificate, where the settings name files.
    pub certificate: Option<Result<Certificate, String>>,
    /// Files of secrets.
    pub files: Vec<SecretFile>,
    /// Operations whose bodies may have fields that are not listed.
    pub open_bodies: Vec<String>,
    /// Whether this build counts ordinary calls.
    pub has_buckets: bool,
    /// Whether this build can report faults.
    pub has_reports: bool,
    /// Whether the database is on this machine; `None`: none is named.
    pub database_is_near: Option<bool>,
    /// The database, or why it cannot be looked at; `None`: none is named.
    pub database: Option<Result<Deployed, String>>,
    /// Whether Redis takes values; `None`: there is none, or nobody asked.
    pub redis_answers: Option<bool>,
}

/// Who ends TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsBy {
    /// The service.
    Service,
    /// Proxies in front.
    Proxy,
}

/// A file with a secret in it.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// The setting that names it.
    pub setting: String,
    /// Its permissions.
    pub mode: u32,
}

/// What is in the database. Each part by itself: an old schema, or a wrong key, keeps only some of it from being read.
pub struct Deployed {
    /// The server, the schema and the login.
    pub inspected: Inspected,
    /// Whether the key-encryption key is the one of this database.
    pub sealing: Sealing,
    /// All keys there ever were.
    pub keys: Result<Vec<Listed>, String>,
    /// People who are administrators for good.
    pub administrators: Result<i64, String>,
    /// All roles.
    pub roles: Result<Vec<Role>, String>,
    /// The end of the audit chain.
    pub chain: Result<Chain, String>,
}

/// Whether the key-encryption key is the one of a database.
#[derive(Debug, Clone)]
pub enum Sealing {
    /// It is.
    Opens,
    /// It is not.
    Wrong(String),
    /// Why nobody can tell.
    Unknown(String),
}

/// The end of the audit chain.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Its last place; 0: nothing is chained.
    pub end: i64,
    /// Why it is not ours.
    pub broken: Option<String>,
    /// Events that wait for it.
    pub waiting: i64,
    /// Since when the oldest of them does.
    pub oldest: Option<OffsetDateTime>,
}

impl Facts {
    /// Looks at all that these settings lead to.
    pub async fn gather(values: Values, clock: &Clock, asks_redis: bool) -> Self {
        let settings = Settings::from_values(values.clone());
        Self::of(values, settings, clock, asks_redis).await
    }

    /// The same, where the settings are read.
    pub async fn of(values: Values, settings: Result<Settings, SettingsError>, clock: &Clock, asks_redis: bool) -> Self {
        let tls = match text(&values, "PORTCULLIS_TLS") {
            "proxy" => Some(TlsBy::Proxy),
            "on" | "acme" => Some(TlsBy::Service),
            _ => None,
        };
        let named = Settings::database_in(&values);
        let database = match &named {
            None => None,
            Some(database) => Some(deployment::look(&database.service, settings.as_ref().ok(), clock).await),
        };
        let redis = settings.as_ref().ok().and_then(|settings| settings.redis.clone()).filter(|_| asks_redis);
        let redis_answers = match redis.map(Redis::new) {
            None => None,
            Some(Err(_)) => Some(false),
            Some(Ok(redis)) => {
                redis.probe().await;
                Some(redis.is_up())
            }
        };
        Self {
            tls,
            policies: examples(&values).map_err(|error| format!("{error:#}")),
            certificate: certificate(&values, clock.now()).map(|found| found.map_err(|error| format!("{error:#}"))),
            files: files(&values),
            open_bodies: open_bodies(&serde_json::to_value(api::document()).unwrap_or_default()),
            has_buckets: cfg!(feature = "governor"),
            has_reports: cfg!(feature = "sentry"),
            database_is_near: named.as_ref().map(Database::is_on_this_machine),
            database,
            redis_answers,
            now: clock.now(),
            values,
            settings,
        }
    }

    /// The text of a setting that is no secret, as it is set or by default; empty where there is neither.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        text(&self.values, name)
    }

    /// The same as a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).trim().parse().ok()
    }

    /// The same as a list.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        list(&self.values, name)
    }

    /// Whether somebody set it, or named the file that has it.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.values.is_given(name)
    }

    /// What a check finds in the database, where that can be looked at.
    pub(super) fn in_database(&self, judge: impl FnOnce(&Deployed) -> Finding) -> Finding {
        match &self.database {
            None => Finding::cannot_tell("no database is named"),
            Some(Err(_)) => Finding::cannot_tell("the database cannot be looked at"),
            Some(Ok(deployed)) => judge(deployed),
        }
    }
}

/// What holds when a setting is not set.
pub(super) fn default_of(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|setting| setting.name == name)?.default
}

fn text<'v>(values: &'v Values, name: &str) -> &'v str {
    values.get(name).filter(|value| !value.is_empty()).or_else(|| default_of(name)).unwrap_or_default()
}

pub(super) fn list<'v>(values: &'v Values, name: &str) -> Vec<&'v str> {
    text(values, name).split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// The policies and the examples beside them.
fn examples(values: &Values) -> anyhow::Result<Option<cases::Report>> {
    let folder = Some(text(values, "PORTCULLIS_POLICIES")).filter(|folder| !folder.is_empty()).map(Path::new);
    let policies = policies(folder)?;
    let examples = match folder.map(|folder| folder.join(cases::FILE)) {
        None => cases::BUILT_IN.to_owned(),
        Some(file) if file.exists() => fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?,
        Some(_) => return Ok(None),
    };
    let report = cases::run(&policies, &examples).with_context(|| format!("PORTCULLIS_POLICIES: {} cannot be read", cases::FILE))?;
    Ok(Some(report))
}

fn certificate(values: &Values, now: OffsetDateTime) -> Option<anyhow::Result<Certificate>> {
    let path = |name| Some(text(values, name)).filter(|path| !path.is_empty()).map(Into::into);
    let files = TlsFiles { certificate: path("PORTCULLIS_TLS_CERTIFICATE_FILE")?, key: path("PORTCULLIS_TLS_KEY_FILE")? };
    let is_used = text(values, "PORTCULLIS_TLS") == "on";
    is_used.then(|| {
        let identity = Identity::from_files(&files)?;
        let certificate = Certificate::of(&identity, now)?;
        identity.certified()?;
        Ok(certificate)
    })
}

fn files(values: &Values) -> Vec<SecretFile> {
    let names = SETTINGS.iter().filter(|setting| setting.secret).map(|setting| format!("{}_FILE", setting.name));
    let names = names.chain(["PORTCULLIS_TLS_KEY_FILE".to_owned()]);
    let found = names.filter_map(|setting| {
        // one that is not there is told by whoever reads it
        let mode = fs::metadata(text(values, &setting)).ok()?.permissions().mode();
        Some(SecretFile { setting, mode })
    });
    found.collect()
}

/// Operations of an API document whose bodies may have fields that they do not list.
#[must_use]
pub fn open_bodies(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |(method, operation)| (method, path, operation)));
    let open = operations.filter(|(_, _, operation)| {
        let contents = operation["requestBody"]["content"].as_object().into_iter().flatten();
        contents.into_iter().any(|(_, content)| !is_closed(document, &content["schema"]))
    });
    open.map(|(method, path, _)| format!("{} {path}", method.to_uppercase())).collect()
}

fn is_closed(document: &Value, schema: &Value) -> bool {
    if let Some(pointer) = schema["$ref"].as_str() {
        return document.pointer(pointer.trim_start_matches('#')).is_some_and(|schema| is_closed(document, schema));
    }
    match schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        Some(any) => any.iter().all(|schema| is_closed(document, schema)),
        None => schema["additionalProperties"] == false,
    }
}
