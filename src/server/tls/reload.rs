//! Certificate files that are replaced while the service runs: new handshakes get the new certificate, connections stay. A pair that
//! cannot be used is reported and the old one kept (practice 7.auto-certificates).
//! Attacks: `tests/suite/attacks/s07_tls/changed_certificate.rs`.

use super::{Identity, note_end};
use crate::{platform::clock::Clock, settings::TlsFiles};
use anyhow::{Context, ensure};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How often the files are looked at.
const ROUND: Duration = Duration::from_secs(2);

/// The certificate that is shown, whatever name the client asks for.
#[derive(Debug)]
pub(super) struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    /// # Errors
    /// When key and certificate do not belong together.
    pub(super) fn new(identity: Identity) -> anyhow::Result<Arc<Self>> {
        note_end(identity.ends_at()?);
        Ok(Arc::new(Self(RwLock::new(Arc::new(identity.certified()?)))))
    }

    fn replace(&self, identity: Identity, now: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
        let ends_at = identity.ends_at()?;
        ensure!(ends_at > now, "the certificate ended at {}", shown(ends_at));
        let certified = Arc::new(identity.certified()?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        note_end(ends_at);
        Ok(ends_at)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What tells one version of the files from another: they may be written over, replaced, or reached by a link that moves.
type Stamp = [(u64, i64, i64, u64); 2];

/// Looks at the files for as long as it runs.
pub(super) async fn watch(files: TlsFiles, current: Arc<Current>, clock: Clock) {
    let (mut seen, mut away) = (stamp(&files).ok(), 0_u32);
    let mut rounds = tokio::time::interval(ROUND);
    loop {
        rounds.tick().await;
        let stamp = match stamp(&files) {
            Ok(stamp) => stamp,
            Err(error) => {
                away = away.saturating_add(1);
                // between two writes a file may be away, but not for two rounds
                if away == 2 {
                    tracing::warn!(error = format!("{error:#}"), "certificate files are away, the old certificate stays");
                }
                continue;
            }
        };
        away = 0;
        if seen == Some(stamp) {
            continue;
        }
        seen = Some(stamp);
        let file = files.certificate.display();
        match Identity::from_files(&files).and_then(|identity| current.replace(identity, clock.now())) {
            Ok(ends_at) => tracing::info!(%file, ends_at = shown(ends_at), "a new certificate is shown"),
            Err(error) => {
                tracing::warn!(%file, error = format!("{error:#}"), "changed certificate files cannot be used, the old certificate stays")
            }
        }
    }
}

fn shown(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

fn stamp(files: &TlsFiles) -> anyhow::Result<Stamp> {
    let of = |path: &Path| {
        let file = fs::metadata(path).with_context(|| path.display().to_string())?;
        anyhow::Ok((file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
    };
    Ok([of(&files.certificate)?, of(&files.key)?])
}
