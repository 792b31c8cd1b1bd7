//! Secrets in files, as Docker, Kubernetes and systemd hand them over.

use super::{Fault, LONGEST};
use secrecy::SecretString;
use std::{fs::File, io::Read, path::Path};
use zeroize::Zeroizing;

/// All of a file but its last line end.
///
/// # Errors
/// When it cannot be read, is empty, too long, or no UTF-8.
pub(in crate::settings) fn read(path: &Path) -> Result<SecretString, Fault> {
    let refused = |reason: &str| Fault::Refused(format!("{}: {reason}", path.display()));
    // all room at once: what grows leaves copies behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let read = File::open(path).and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| refused(&error.to_string()))?;
    if bytes.len() > LONGEST {
        return Err(refused("it has more than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("it is no UTF-8"))?.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() { Err(refused("it is empty")) } else { Ok(text.into()) }
}
