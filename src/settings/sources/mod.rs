//! Where secrets are kept: in the setting itself, in a file, in `HashiCorp` Vault (`vault:mount/path#field`) or in AWS Secrets Manager
//! (`aws:id#key`). All are read once, before the settings; what cannot be read is told with everything else that is wrong, and never shows
//! a secret. What is in a file is never taken for a name of another place.
//! Practices 9.env-or-manager, 9.per-environment. Attacks: `tests/suite/attacks/s09_secrets/lying_vault.rs`,
//! `tests/suite/attacks/s09_secrets/shown_secrets.rs`; journeys: `tests/suite/journeys/kept_secrets.rs`.

#[cfg_attr(not(feature = "aws"), path = "no_aws.rs")]
mod aws;
mod field;
pub(super) mod file;
mod reference;
#[cfg_attr(not(feature = "vault"), path = "no_vault.rs")]
mod vault;

pub(super) use reference::Reference;

use crate::{
    platform::crypto,
    settings::{
        list::SETTINGS,
        reader::Reader,
        secrets,
        values::{Given, Values},
    },
};
use aws::Aws;
use field::Fields;
use secrecy::{ExposeSecret, SecretString};
use std::{
    io::Write,
    time::{Duration, Instant},
};
use vault::Vault;

/// The longest secret, in bytes: that of AWS Secrets Manager.
pub(super) const LONGEST: usize = 64 * 1024;
/// How long one question to a manager may take.
#[cfg_attr(not(any(feature = "vault", feature = "aws")), expect(dead_code, reason = "nobody is asked"))]
const PATIENCE: Duration = Duration::from_secs(5);
/// Between the first tries to reach a manager; then it doubles, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(250);
/// Between later tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Why a secret could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// Who keeps it is away for now.
    #[error("cannot be read: {0}")]
    Away(String),
    /// It will not be had like this.
    #[error("cannot be read: {0}")]
    Refused(String),
}

/// How managers are asked.
pub(super) struct Rules {
    vault: Option<vault::Access>,
    /// How long a start waits for a manager that is away.
    wait: Duration,
    /// How often secrets that are kept elsewhere are read again.
    every: Option<Duration>,
}

pub(super) fn rules(read: &mut Reader, given: &mut Vec<secrets::Given>) -> Rules {
    Rules {
        vault: vault::Access::read(read, given),
        wait: Duration::from_secs(read.number("PORTCULLIS_SECRETS_WAIT_SECONDS", 0..=600)),
        every: read.value("PORTCULLIS_SECRETS_REFRESH_SECONDS", None, |text| match text {
            "off" => Ok(None),
            _ => text
                .parse()
                .ok()
                .filter(|seconds| (1..=86_400).contains(seconds))
                .map(|seconds| Some(Duration::from_secs(seconds)))
                .ok_or("must be a whole number from 1 to 86400, or off"),
        }),
    }
}

async fn document(vault: Option<&mut Vault>, aws: &mut Option<Aws>, place: &Reference) -> Result<Fields, Fault> {
    match (place, vault) {
        (Reference::Vault { path, .. }, Some(vault)) => vault.read(path).await,
        (Reference::Vault { .. }, None) => Err(Fault::Refused(vault::NOT_SET.to_owned())),
        (Reference::Aws { id, .. }, _) => Aws::read(aws, id).await,
        (Reference::File(path), _) => file::read(path).map(Fields::Text),
    }
}

/// A secret that is kept elsewhere.
struct Kept {
    name: &'static str,
    place: Reference,
    /// A keyed digest of what is in use.
    known: Option<[u8; 32]>,
}

/// The places that the settings name, and what is needed to ask there again.
pub struct Sources {
    kept: Vec<Kept>,
    vault: Option<Vault>,
    aws: Option<Aws>,
    /// For digests, so that a dump of memory shows no plain hash of a secret.
    key: [u8; 32],
    /// How often they are read again; `None`: never.
    pub every: Option<Duration>,
}

/// Reads every secret that is kept elsewhere. A manager that is away is waited for as long as `PORTCULLIS_SECRETS_WAIT_SECONDS` says.
pub async fn resolve(mut values: Values) -> (Values, Sources) {
    // what is wrong with these is told when all settings are read
    let rules = rules(&mut Reader::new(values.clone()), &mut Vec::new());
    let mut kept = Vec::new();
    for name in SETTINGS.iter().filter(|setting| setting.secret).map(|setting| setting.name) {
        let place = match (values.text_here(name).and_then(Reference::parse), values.file_of(name)) {
            _ if reference::OPENS_MANAGERS.contains(&name) => continue,
            (Some(Ok(place)), None) => place,
            (None, Some(path)) if values.secret(name).is_none() => Reference::File(path.into()),
            // the secret itself, or a mistake: told when all settings are read
            _ => continue,
        };
        kept.push(Kept { name, place, known: None });
    }
    let mut sources = Sources { kept, vault: rules.vault.and_then(Vault::new), aws: None, key: crypto::random(), every: rules.every };
    for (name, outcome) in sources.read_patiently(Instant::now() + rules.wait).await {
        let given = match outcome {
            Ok(secret) => {
                sources.accept(name, &secret);
                Given::Read(secret)
            }
            Err(fault) => Given::Unread(sources.named(name), fault.to_string()),
        };
        values.set_secret(name, given);
    }
    (values, sources)
}

impl Sources {
    /// Whether anything is kept elsewhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How a secret that is kept elsewhere is named.
    fn named(&self, name: &str) -> String {
        match self.kept.iter().find(|kept| kept.name == name).map(|kept| &kept.place) {
            Some(Reference::File(_)) => format!("{name}_FILE"),
            _ => name.to_owned(),
        }
    }

    /// Reads everything, again and again while a manager is away, until the deadline.
    async fn read_patiently(&mut self, deadline: Instant) -> Vec<(&'static str, Result<SecretString, Fault>)> {
        let mut pause = PAUSE;
        let mut is_told = false;
        loop {
            let read = self.read().await;
            let away = read.iter().find_map(|(_, outcome)| match outcome {
                Err(Fault::Away(reason)) => Some(reason),
                _ => None,
            });
            let Some(reason) = away.filter(|_| Instant::now() + pause < deadline) else { return read };
            if !std::mem::replace(&mut is_told, true) {
                // there is no log yet: settings say how it looks
                _ = writeln!(std::io::stderr(), "portcullis: waiting for secrets: {reason}");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads everything once; each document of a manager once, however many secrets are in it.
    pub async fn read(&mut self) -> Vec<(&'static str, Result<SecretString, Fault>)> {
        let Self { kept, vault, aws, .. } = self;
        let mut documents: Vec<(&Reference, Result<Fields, Fault>)> = Vec::new();
        let mut read = Vec::with_capacity(kept.len());
        for Kept { name, place, .. } in kept.iter() {
            if let Reference::File(path) = place {
                read.push((*name, file::read(path)));
                continue;
            }
            let known = documents.iter().position(|(known, _)| known.is_same_document(place));
            let at = known.unwrap_or(documents.len());
            if known.is_none() {
                // one that is away is asked once a round: each question may take seconds
                let away = documents.iter().find(|(known, outcome)| known.is_same_manager(place) && matches!(outcome, Err(Fault::Away(_))));
                let document = match away {
                    Some((_, outcome)) => outcome.clone(),
                    None => document(vault.as_mut(), aws, place).await,
                };
                documents.push((place, document));
            }
            read.push((*name, documents[at].1.as_ref().map_err(Clone::clone).and_then(|fields| fields.take(place))));
        }
        read
    }

    fn digest(&self, secret: &SecretString) -> [u8; 32] {
        crypto::mac(&self.key, &[secret.expose_secret().as_bytes()])
    }

    /// Whether this is not what is in use.
    #[must_use]
    pub fn is_new(&self, name: &str, secret: &SecretString) -> bool {
        let digest = self.digest(secret);
        self.kept.iter().any(|kept| kept.name == name && kept.known != Some(digest))
    }

    /// From now on this is what is in use.
    pub fn accept(&mut self, name: &str, secret: &SecretString) {
        let digest = self.digest(secret);
        self.kept.iter_mut().filter(|kept| kept.name == name).for_each(|kept| kept.known = Some(digest));
    }

    /// When a token of ours must be renewed.
    #[must_use]
    pub fn renew_at(&self) -> Option<Instant> {
        self.vault.as_ref().and_then(Vault::renew_at)
    }

    /// Renews it, or logs in anew.
    ///
    /// # Errors
    /// When neither is to be had.
    pub async fn renew(&mut self) -> Result<(), Fault> {
        match &mut self.vault {
            Some(vault) => vault.renew().await,
            None => Ok(()),
        }
    }

    /// Gives back what was only needed to read: a token that an `AppRole` got is revoked.
    pub async fn close(self) {
        if let Some(mut vault) = self.vault {
            vault.let_go().await;
        }
    }
}
