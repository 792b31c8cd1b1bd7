//! argon2id with a salt of its own for each password and a pepper that is not in the database.
//! Practices 2.argon2id, 2.unique-salt. Numbers: OWASP password storage, RFC 9106 §4, ASVS 5.0 appendix C.

use crate::platform::{
    crypto,
    keyring::{Keyring, Purpose},
};
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Salt length in bytes (RFC 9106 §3.1: 16 recommended).
const SALT_LEN: usize = 16;
/// Tag length in bytes (RFC 9106 §4: 256 bits).
const TAG_LEN: usize = 32;

/// How much work one hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Cost {
    /// OWASP's first choice for argon2id.
    pub const DEFAULT: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };

    /// The equivalent settings that OWASP lists; a cost must be at least one of them in both memory and passes.
    const FLOORS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

    /// Whether this is at or above the minimum that OWASP lists (practice 2.argon2id), and within what one request may use.
    #[must_use]
    pub fn is_acceptable(self) -> bool {
        let enough = Self::FLOORS.iter().any(|&(memory, passes)| self.memory_kib >= memory && self.iterations >= passes);
        enough && (1..=16).contains(&self.parallelism) && self.memory_kib <= 1 << 20 && self.iterations <= 20 && self.params().is_ok()
    }

    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(TAG_LEN))
    }
}

/// A password hash as it is stored. It goes into its row and into what is sealed, and does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHash {
    /// PHC string: algorithm, parameters, salt and tag.
    pub phc: String,
    /// Which pepper of the keyring went in.
    pub pepper_version: i32,
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash([redacted])")
    }
}

/// A hash could not be made or read. Says nothing about the password.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Parameters or lengths that argon2 refuses.
    #[error("argon2: {0}")]
    Argon2(#[from] argon2::Error),
    /// The stored text is no PHC string of argon2id.
    #[error("the stored hash is malformed")]
    Malformed,
    /// The pepper that went into this hash has been revoked.
    #[error("pepper v{0} is not in the keyring")]
    NoPepper(i32),
    /// This node cannot open the pepper that took over.
    #[error("there is no pepper to make a hash with: {0}")]
    NothingToMakeWith(#[from] crypto::Unsealable),
}

/// Memory for argon2, kept between hashes: clearing fresh pages for each costs a tenth of the time.
#[derive(Default)]
pub struct Arena {
    blocks: Vec<Block>,
    computed: Arc<AtomicU64>,
}

impl Arena {
    /// An empty arena that counts each run of argon2 in `computed`.
    #[must_use]
    pub fn counting(computed: Arc<AtomicU64>) -> Self {
        Self { blocks: Vec::new(), computed }
    }

    /// Gives the memory back.
    pub fn release(&mut self) {
        self.blocks = Vec::new();
    }

    fn tag(&mut self, pepper: &[u8], params: Params, salt: &[u8], password: &[u8]) -> Result<[u8; TAG_LEN], HashError> {
        let blocks = params.block_count();
        if self.blocks.len() < blocks {
            self.blocks.resize(blocks, Block::new());
        }
        self.computed.fetch_add(1, Ordering::Relaxed);
        let mut tag = [0; TAG_LEN];
        Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params)?.hash_password_into_with_memory(
            password,
            salt,
            &mut tag,
            &mut self.blocks[..blocks],
        )?;
        Ok(tag)
    }
}

/// Hashes with a fresh salt and the active pepper.
///
/// # Errors
/// [`HashError`].
pub fn create(arena: &mut Arena, keyring: &Keyring, cost: Cost, password: &[u8]) -> Result<StoredHash, HashError> {
    let (pepper_version, pepper) = keyring.making(Purpose::Pepper)?;
    let params = cost.params()?;
    let salt: [u8; SALT_LEN] = crypto::random();
    let tag = arena.tag(pepper.expose(), params.clone(), &salt, password)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| HashError::Malformed)?,
        salt: Some(Salt::new(&salt).map_err(|_| HashError::Malformed)?),
        hash: Some(Output::new(&tag).map_err(|_| HashError::Malformed)?),
    };
    Ok(StoredHash { phc: phc.to_string(), pepper_version })
}

/// Whether the password made this hash.
///
/// # Errors
/// [`HashError`].
pub fn verify(arena: &mut Arena, keyring: &Keyring, stored: &StoredHash, password: &[u8]) -> Result<bool, HashError> {
    let pepper = keyring.version(Purpose::Pepper, stored.pepper_version).ok_or(HashError::NoPepper(stored.pepper_version))?;
    let phc = PasswordHash::new(&stored.phc).map_err(|_| HashError::Malformed)?;
    let params = Params::try_from(&phc).map_err(|_| HashError::Malformed)?;
    let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else { return Err(HashError::Malformed) };
    let tag = arena.tag(pepper.expose(), params, salt.as_ref(), password)?;
    Ok(crypto::equal(&tag, expected.as_bytes()))
}

/// Whether the pepper of this hash still counts: once it is revoked, no password is right.
#[must_use]
pub fn has_pepper(stored: &StoredHash, keyring: &Keyring) -> bool {
    keyring.version(Purpose::Pepper, stored.pepper_version).is_some()
}

/// The work of [`verify`] for an account that does not exist.
///
/// # Errors
/// [`HashError`].
pub fn verify_nothing(arena: &mut Arena, keyring: &Keyring, cost: Cost, password: &[u8]) -> Result<(), HashError> {
    let (_, pepper) = keyring.active(Purpose::Pepper);
    arena.tag(pepper.expose(), cost.params()?, &[0; SALT_LEN], password).map(drop)
}

/// Whether a hash was made with today's cost and pepper.
#[must_use]
pub fn is_current(stored: &StoredHash, keyring: &Keyring, cost: Cost) -> bool {
    let made_with = PasswordHash::new(&stored.phc).ok().and_then(|phc| Params::try_from(&phc).ok());
    let same_cost =
        made_with.is_some_and(|params| (params.m_cost(), params.t_cost(), params.p_cost()) == (cost.memory_kib, cost.iterations, cost.parallelism));
    same_cost && stored.pepper_version == keyring.active(Purpose::Pepper).0
}

#[cfg(test)]
mod tests {
    use super::Cost;

    #[test]
    fn costs_below_the_owasp_minimum_are_refused() {
        let cost = |memory_kib, iterations| Cost { memory_kib, iterations, parallelism: 1 };
        assert!(Cost::DEFAULT.is_acceptable());
        assert!(cost(47_104, 1).is_acceptable() && cost(12_288, 3).is_acceptable());
        for weak in [cost(19_455, 2), cost(19_456, 1), cost(8, 100), cost(0, 0), cost(47_103, 1)] {
            assert!(!weak.is_acceptable(), "{weak:?}");
        }
        assert!(!Cost { parallelism: 0, ..Cost::DEFAULT }.is_acceptable());
        assert!(!cost(u32::MAX, 2).is_acceptable());
    }
}
