//! Secret files: readable by their owner only from the first byte on (practice 9.never-hardcode).

use crate::platform::crypto;
use std::{
    fs, io,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Writes a file with mode 0600 by way of a temporary neighbour: after a crash either the whole file is there or none.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    write(path, contents, 0o600)
}

/// The same with another mode, whatever the umask; the file is its owner's only until it is whole.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", unique()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(contents)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// The file's text; where there is no file yet, makes it with mode 0600. Two processes at once end up with the same text: the
/// slower one finds the name taken and reads.
///
/// # Errors
/// When it can be neither read nor written, or when `make` fails.
pub fn read_or_create_private(path: &Path, make: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<String> {
    if !path.exists() {
        let complete = path.with_extension(format!("{}.new", unique()));
        write_private(&complete, make()?.as_bytes())?;
        let named = fs::hard_link(&complete, path);
        fs::remove_file(&complete)?;
        match named {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    Ok(fs::read_to_string(path)?)
}

/// Neighbours of the same file do not meet, whichever thread or process writes them.
fn unique() -> u64 {
    u64::from_be_bytes(crypto::random())
}
