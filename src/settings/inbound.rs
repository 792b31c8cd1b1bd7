//! Who may tell this service something: sources of webhooks, a list in JSON. A mistake is told by its entry's name and never shows a secret.
//! Practices 11.signature, 11.ip-allow-list, 9.never-hardcode. Tests: `tests/suite/contract/webhook_sources.rs`.

use crate::{
    settings::{
        reader::{Reader, is_entry_name},
        secrets::Given,
    },
    webhooks::{
        inbound::{Effect, Keys, Source},
        signature::{PublicKey, Secret},
    },
};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{collections::HashSet, ops::RangeInclusive, str::FromStr};
use time::Duration;

const SOURCES: &str = "PORTCULLIS_WEBHOOK_SOURCES";

/// Most sources.
const MAX_SOURCES: usize = 50;
/// Most keys of one kind of one source: two overlap while one replaces the other.
const MAX_KEYS: usize = 4;
/// Most networks of one source.
const MAX_NETWORKS: usize = 50;
/// Longest body that a source may have, in bytes.
const SIZES: RangeInclusive<usize> = 1024..=10 << 20;
/// Longest body where nothing is said. The specification advises senders to stay below 20 kB.
const USUAL_SIZE: usize = 65_536;
/// Lengths of GitHub's and Stripe's secrets, in bytes.
const LENGTHS: RangeInclusive<usize> = 16..=500;

/// What comes in by webhooks.
pub struct Inbound {
    /// Who may.
    pub sources: Vec<Source>,
    /// How far a message's time may be from ours.
    pub tolerance: Duration,
    /// Messages are kept for so long once they were dealt with.
    pub kept: Duration,
    /// Tries to deal with one.
    pub attempts: i32,
}

impl Inbound {
    /// The source of this name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SchemeName {
    Standard,
    GitHub,
    Stripe,
}

#[derive(Deserialize, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum EffectName {
    Record,
    Offboard,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    scheme: SchemeName,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    public_keys: Vec<String>,
    #[serde(default)]
    networks: Vec<String>,
    max_bytes: Option<usize>,
    effect: Option<EffectName>,
}

pub(super) fn read(read: &mut Reader, given: &mut Vec<Given>) -> Inbound {
    Inbound {
        sources: sources(read, given),
        tolerance: Duration::seconds(read.number("PORTCULLIS_WEBHOOK_TOLERANCE_SECONDS", 30..=900)),
        // longer than the tolerance, and than senders try: what was spent must not be new again
        kept: Duration::days(read.number("PORTCULLIS_WEBHOOK_INBOX_DAYS", 7..=365)),
        attempts: read.number("PORTCULLIS_WEBHOOK_INBOX_ATTEMPTS", 1..=100),
    }
}

fn sources(read: &mut Reader, given: &mut Vec<Given>) -> Vec<Source> {
    let Some(text) = read.secret(SOURCES) else { return Vec::new() };
    let Some(entries) = read.array::<Entry>(SOURCES, text.expose_secret()) else { return Vec::new() };
    if entries.len() > MAX_SOURCES {
        read.refuse(SOURCES, format_args!("has more than {MAX_SOURCES} entries"));
    }
    let (mut names, mut found) = (HashSet::new(), Vec::new());
    for (at, entry) in entries.into_iter().enumerate() {
        if !is_entry_name(&entry.name) {
            read.refuse(SOURCES, format_args!("has a name at entry {} that is not 1 to 30 of a-z, 0-9 and -", at + 1));
            continue;
        }
        let name = entry.name.clone();
        if !names.insert(name.clone()) {
            read.refuse(SOURCES, format_args!("has {name} twice"));
        }
        // without what they all begin with, which is no randomness
        given.extend(entry.secrets.iter().map(|secret| Given { name: SOURCES, secret: secret.trim_start_matches("whsec_").into() }));
        match source(entry) {
            Ok(source) => found.push(source),
            Err(reason) => read.refuse(SOURCES, format_args!("has {name}, which {reason}")),
        }
    }
    found
}

fn source(entry: Entry) -> Result<Source, &'static str> {
    let Entry { name, scheme, secrets, public_keys, networks, max_bytes, effect } = entry;
    if secrets.len() > MAX_KEYS || public_keys.len() > MAX_KEYS || secrets.is_empty() && public_keys.is_empty() {
        return Err("needs 1 to 4 secrets, or public keys");
    }
    if networks.len() > MAX_NETWORKS {
        return Err("has more than 50 networks");
    }
    let keys = match scheme {
        SchemeName::Standard => Keys::Standard { secrets: all::<Secret>(&secrets)?, public_keys: all::<PublicKey>(&public_keys)? },
        _ if !public_keys.is_empty() => return Err("has public keys, which only the scheme standard has"),
        SchemeName::GitHub => Keys::GitHub(plain(secrets)?),
        SchemeName::Stripe => Keys::Stripe(plain(secrets)?),
    };
    let effect = match effect {
        // whoever copied one message could have it act whenever the nonce is forgotten, say from a backup
        Some(EffectName::Offboard) if matches!(keys, Keys::GitHub(_)) => return Err("has an effect that needs a scheme with a signed time"),
        Some(EffectName::Offboard) => Effect::Offboard,
        Some(EffectName::Record) | None => Effect::Record,
    };
    let max_bytes = max_bytes.unwrap_or(USUAL_SIZE);
    if !SIZES.contains(&max_bytes) {
        return Err("has max_bytes that is not 1024 to 10485760");
    }
    let networks: Result<Vec<IpNet>, _> = networks.iter().map(|text| text.parse::<IpNet>()).collect();
    let networks = networks.map_err(|_| "has a network that is not like 203.0.113.0/24")?;
    if networks.iter().any(|network| network.prefix_len() == 0) {
        return Err("has a network of everybody: leave networks out");
    }
    Ok(Source { name, keys, networks, max_bytes, effect })
}

fn all<T: FromStr<Err = &'static str>>(texts: &[String]) -> Result<Vec<T>, &'static str> {
    texts.iter().map(|text| text.parse()).collect()
}

fn plain(secrets: Vec<String>) -> Result<Vec<SecretString>, &'static str> {
    let is_fine = |text: &String| LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if secrets.iter().all(is_fine) {
        Ok(secrets.into_iter().map(Into::into).collect())
    } else {
        Err("needs secrets of 16 to 500 visible ASCII characters")
    }
}
