//! Alerts on suspicious patterns: one closed list, each with its number, its window and its setting. What refusals look like together
//! is found out by a job every few seconds (`src/jobs/alerts.rs`); a request only leaves a mark in memory, where it was refused anyway.
//! Digests only: neither an address nor who was asked for can be read from what is kept.
//! Practice 4.alert-suspicious. Attacks: `tests/suite/attacks/s04_rate_limits/suspicious_patterns.rs`.

pub mod signals;
pub mod store;

use crate::audit::Event;
use time::Duration;

/// From how many on a pattern is suspicious.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// Accounts that one network fails at.
    pub stuffing: u32,
    /// Accounts that fail from many networks.
    pub spraying: u32,
    /// Networks that one account fails from.
    pub spread: u32,
    /// Copies of used refresh tokens of one account.
    pub replays: u32,
    /// Different things that one person is refused.
    pub probing: u32,
}

macro_rules! patterns {
    ($($(#[doc = $about:literal])+ $variant:ident = $name:literal, $minutes:literal, $number:ident, $setting:literal;)*) => {
        /// The closed list of patterns.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Pattern { $($(#[doc = $about])+ $variant,)* }

        impl Pattern {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it is, in words.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),+).trim_ascii()),* }
            }

            /// What is looked at together, by whole minutes; and for how long no second alert follows about the same.
            #[must_use]
            pub fn window(self) -> Duration {
                match self { $(Self::$variant => Duration::minutes($minutes)),* }
            }

            /// From how many on.
            #[must_use]
            pub fn number(self, thresholds: &Thresholds) -> u32 {
                match self { $(Self::$variant => thresholds.$number),* }
            }

            /// The setting that changes that.
            #[must_use]
            pub fn setting(self) -> &'static str {
                match self { $(Self::$variant => $setting),* }
            }

            /// The event that it raises.
            #[must_use]
            pub fn event(self) -> Event {
                match self { $(Self::$variant => Event::$variant),* }
            }
        }
    };
}

patterns! {
    /// One network fails to sign in to many accounts: passwords that leaked elsewhere are tried.
    CredentialStuffing = "credential_stuffing", 15, stuffing, "PORTCULLIS_ALERT_STUFFING_ACCOUNTS";
    /// Many accounts fail from five networks or more, and more of them than sign in: few passwords are tried on everybody.
    PasswordSpraying = "password_spraying", 15, spraying, "PORTCULLIS_ALERT_SPRAYING_ACCOUNTS";
    /// One account fails from many networks: somebody with many addresses wants this one.
    AddressSpread = "address_spread", 15, spread, "PORTCULLIS_ALERT_SPREAD_NETWORKS";
    /// A used refresh token came back: somebody has a copy. Its owner gets a letter, too.
    RefreshTheft = "refresh_theft", 60, replays, "PORTCULLIS_ALERT_REFRESH_REPLAYS";
    /// One person is refused many different things: somebody looks for a door that was left open.
    PermissionProbing = "permission_probing", 15, probing, "PORTCULLIS_ALERT_PROBED_THINGS";
}
