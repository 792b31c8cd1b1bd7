//! What keys are for: one closed table. It says of each purpose how its keys rotate and what revoking them costs; commands, the schedule
//! and `docs/keys.md` follow it.
//! Practice 9.rotate. Attacks: `tests/suite/attacks/s09_secrets/outlived_keys.rs`.

use time::Duration;

/// No access token lives longer than this, whatever the settings say.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::minutes(15);

/// No session with a cookie lives longer than this, whatever the settings say.
pub const LONGEST_COOKIE_LIFE: Duration = Duration::hours(720);

/// No browser is known for longer than this, whatever the settings say.
pub const LONGEST_DEVICE_LIFE: Duration = Duration::days(400);

/// For the clocks of nodes, and for what is on its way.
const MARGIN: Duration = Duration::MINUTE;

/// How the keys of a purpose rotate. New things are made with the new key at once; this says what becomes of what the old one made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It runs out by itself: a retired key is accepted for so long, which is its longest life. The schedule rotates these, because nobody
    /// notices.
    Overlap(Duration),
    /// Its rows are sealed anew under the active key, by a job or `portcullis keys reseal`; a retired key opens until nothing is left
    /// under it, and then ends.
    Reseal,
    /// Only its owner can bring it again (the password behind a hash, a code, an API key): a retired key is accepted until nothing is left
    /// under it, and then ends.
    UntilGone,
    /// It is kept as it was made, and its keys with it: the audit chain hashes it.
    ForEver,
}

impl Rotation {
    /// One word for operators.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlap(_) => "overlap",
            Self::Reseal => "reseal",
            Self::UntilGone => "until gone",
            Self::ForEver => "for ever",
        }
    }

    /// How long what a retired key made is still accepted; `None`: for as long as there is any of it.
    #[must_use]
    pub fn overlap(self) -> Option<Duration> {
        match self {
            Self::Overlap(overlap) => Some(overlap),
            Self::Reseal | Self::UntilGone | Self::ForEver => None,
        }
    }
}

/// What it means to make everything worthless at once that the keys of a purpose made, in words for the operator who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// People and clients get over it by themselves.
    Ends(&'static str),
    /// What is lost does not come back by itself: it must be asked for expressly.
    Destroys(&'static str),
    /// It would do more harm than whoever has the key, and there is a better way.
    Refused(&'static str),
}

impl Revocation {
    /// The words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ends(words) | Self::Destroys(words) | Self::Refused(words) => words,
        }
    }
}

macro_rules! purposes {
    ($($(#[$about:meta])* $variant:ident = $name:literal, $rotation:expr, $revocation:expr;)*) => {
        /// What a key is for. The closed list; a key never serves two purposes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Purpose { $($(#[$about])* $variant,)* }

        impl Purpose {
            /// All purposes.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the table `keyring`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How its keys rotate.
            #[must_use]
            pub fn rotation(self) -> Rotation {
                use Rotation::{ForEver, Overlap, Reseal, UntilGone};
                match self { $(Self::$variant => $rotation),* }
            }

            /// What revoking them costs.
            #[must_use]
            pub fn revocation(self) -> Revocation {
                use Revocation::{Destroys, Ends, Refused};
                match self { $(Self::$variant => $revocation),* }
            }
        }
    };
}

purposes! {
    /// Mixed into every password hash (argon2's secret input). The hash is made anew when its owner signs in.
    Pepper = "pepper", UntilGone,
        Destroys("every password is void, and every session of whoever had one ends: people set a new one by letter; passkeys and sign-in with others go on");
    /// Signs and encrypts the session cookie.
    SessionCookie = "session_cookie", Overlap(LONGEST_COOKIE_LIFE.saturating_add(MARGIN)),
        Ends("every session with a cookie ends: people sign in again");
    /// Seals session state at rest.
    SessionState = "session_state", Reseal,
        Ends("every session with a cookie ends: people sign in again");
    /// Seals waiting letters.
    Outbox = "outbox", Reseal,
        Destroys("letters that wait are lost: people ask for their links again, and notices do not arrive");
    /// Keyed digests of short codes and of the subjects of quotas. Not by the schedule: a new key lets every quota begin anew.
    Lookup = "lookup", UntilGone,
        Destroys("recovery codes and typed codes are worth nothing, and quotas begin anew; links in letters go on");
    /// Tags of known-device cookies.
    KnownDevice = "known_device", Overlap(LONGEST_DEVICE_LIFE.saturating_add(MARGIN)),
        Ends("no browser is known any more: people get a letter about a new device at their next sign-in");
    /// Seals the keys of people.
    Subject = "subject", Reseal,
        Destroys("personal details in the audit log (addresses, devices, e-mail addresses) can be read by nobody any more; exports that wait are deleted");
    /// Seals the personal part of events that are about nobody. The audit chain hashes it as it is, so it is never sealed anew.
    NobodysEvent = "nobodys_event", ForEver,
        Destroys("personal details in events that are about nobody can be read by nobody any more");
    /// Signs access tokens.
    TokenSigning = "token_signing", Overlap(LONGEST_TOKEN_LIFE.saturating_add(MARGIN)),
        Ends("every access token is refused (elsewhere, once the list of public keys is read again): clients refresh theirs");
    /// Derives each refresh token from the one before: a successor is derived again within the grace only.
    RefreshToken = "refresh_token", Overlap(MARGIN),
        Ends("every session with tokens ends: people sign in again");
    /// Seals what is begun and not finished.
    Challenge = "challenge", Reseal,
        Ends("what was begun is over: sign-ins that wait for a second factor, ceremonies of passkeys, sign-ins at another place");
    /// Seals seeds of authenticator apps.
    TotpSeed = "totp_seed", Reseal,
        Destroys("no code of an authenticator app is right any more, and it is asked for all the same: people show a passkey or a recovery code, remove the app and set it up anew; who has neither needs an administrator");
    /// Seals what verifies passkeys.
    Passkey = "passkey", Reseal,
        Destroys("no passkey is right any more, and it is asked for all the same: people use their password with another second factor or a recovery code and set theirs up anew; who has neither needs an administrator");
    /// Seals the cursors of lists. Whoever pages for longer than a day begins anew.
    Cursor = "cursor", Overlap(Duration::DAY),
        Ends("lists that somebody is in the middle of begin at their first page");
    /// Signs the heads of the audit chain.
    AuditChain = "audit_chain", ForEver,
        Refused("no head of before could be verified, and the service does not go on with a chain that it did not sign. Rotate it instead: the next head covers the whole chain, so that whoever has the old key changes nothing before it unseen; compare with a head that you kept elsewhere (`audit verify --anchor`)");
    /// Keyed digests of API keys, which end within two years by themselves. Not renewed at use: that would be a write in the way of a call.
    ApiKey = "api_key", UntilGone,
        Destroys("every API key is revoked: their owners make new ones");
    /// Seals the keys that webhooks are signed with.
    WebhookSecret = "webhook_secret", Reseal,
        Destroys("no message to a webhook endpoint can be signed, and each waits until it is given up: replace the keys of every endpoint, then send again what was given up");
    /// Seals what webhooks said that came in.
    WebhookInbox = "webhook_inbox", Reseal,
        Destroys("what webhooks said that came in can be read by nobody any more, and those that wait are given up: their senders tell it again, under other ids");
}

impl Purpose {
    /// The purpose of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purpose| purpose.name() == name)
    }

    /// Whether the schedule rotates its keys.
    #[must_use]
    pub fn is_scheduled(self) -> bool {
        matches!(self.rotation(), Rotation::Overlap(_))
    }
}
