//! The closed list of quotas. `docs/rate-limits.md` shows it as a table, with the test of each; a test compares the two.
//! Practices 4.sensitive-routes, 4.token-bucket, 4.fixed-window, 4.sliding-window. Attacks: `tests/suite/attacks/s04_rate_limits/`.

use crate::{platform::window::Rule, settings::Quotas};
use time::Duration;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A client address, IPv6 by its /64.
    Address,
    /// An account, by the address that was typed in: whether there is such an account makes no difference.
    Account,
    /// An account, from one client address.
    AccountAndAddress,
    /// An account, from one known device.
    Device,
    /// A mailbox, whatever `+tag` it is written with.
    Mailbox,
    /// A mailbox, asked for from one client address.
    MailboxAndAddress,
    /// Somebody who is signed in.
    Person,
    /// An API key.
    Key,
    /// A session.
    Session,
    /// A mailed proof, or somebody who is signed in.
    Proof,
    /// A pattern of alerts.
    Pattern,
    /// A source of webhooks.
    Source,
    /// A source of webhooks, from one client address.
    SourceAndAddress,
}

impl By {
    /// For the documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::AccountAndAddress => "account and address",
            Self::Device => "account and device",
            Self::Mailbox => "mailbox",
            Self::MailboxAndAddress => "mailbox and address",
            Self::Person => "person",
            Self::Key => "API key",
            Self::Session => "session",
            Self::Proof => "proof or person",
            Self::Pattern => "pattern",
            Self::Source => "source",
            Self::SourceAndAddress => "source and address",
        }
    }
}

/// How it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Tokens that come back one by one. For ordinary traffic: pages ask in bursts, and what matters is the rate that lasts. In this
    /// node's memory, because it must not cost a round trip and need not be exact.
    TokenBucket,
    /// So many in any stretch of time. For guesses: a fixed window would let twice the number through around its end.
    SlidingWindow,
    /// So many until the window ends, which begins with the first. For letters and the like: a burst around its end does no harm, and
    /// "so many a day" is what a person is told.
    FixedWindow,
    /// So many that are not finished. For requests: each holds memory and a place while it lasts.
    AtOnce,
    /// A row that only a success ends, counted and not refused: what follows is the caller's business.
    Row,
}

impl Strategy {
    /// For the documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenBucket => "token bucket",
            Self::SlidingWindow => "sliding window",
            Self::FixedWindow => "fixed window",
            Self::AtOnce => "at once",
            Self::Row => "row",
        }
    }
}

macro_rules! quotas {
    ($($(#[doc = $about:literal])+ $variant:ident = $name:literal, $by:ident, $strategy:ident, $number:expr, $window:expr, $setting:literal;)*) => {
        /// The closed list of quotas.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Quota { $($(#[doc = $about])+ $variant,)* }

        impl Quota {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name: in answers, metrics and counters.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it counts, in words.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),+).trim_ascii()),* }
            }

            /// For whom it counts.
            #[must_use]
            pub fn by(self) -> By {
                match self { $(Self::$variant => By::$by),* }
            }

            /// How it counts.
            #[must_use]
            pub fn strategy(self) -> Strategy {
                match self { $(Self::$variant => Strategy::$strategy),* }
            }

            /// The most that is let through in a window.
            #[must_use]
            pub fn number(self, quotas: &Quotas) -> u32 {
                let number: fn(&Quotas) -> u32 = match self { $(Self::$variant => $number),* };
                number(quotas)
            }

            /// The window; of a bucket: until it is full again; zero: there is none.
            #[must_use]
            pub fn window(self, quotas: &Quotas) -> Duration {
                let window: fn(&Quotas) -> Duration = match self { $(Self::$variant => $window),* };
                window(quotas)
            }

            /// The setting that changes it.
            #[must_use]
            pub fn setting(self) -> &'static str {
                match self { $(Self::$variant => $setting),* }
            }
        }
    };
}

/// Long enough to make guessing slow, short enough for somebody who mistyped.
const QUARTER: fn(&Quotas) -> Duration = |_| Duration::minutes(15);
const HOUR: fn(&Quotas) -> Duration = |_| Duration::hours(1);
const DAY: fn(&Quotas) -> Duration = |_| Duration::days(1);
/// "In a row" ends at some time, so that the counters do.
const MONTH: fn(&Quotas) -> Duration = |_| Duration::days(30);

quotas! {
    /// Requests of any kind.
    Address = "address", Address, TokenBucket, |q| q.address_burst, |q| refill(q.address_burst, q.address_per_second), "PORTCULLIS_ADDRESS_QUOTA_BURST";
    /// Requests of any kind by somebody who is signed in, from wherever.
    Person = "person", Person, TokenBucket, |q| q.person_burst, |q| refill(q.person_burst, q.person_per_second), "PORTCULLIS_PERSON_QUOTA_BURST";
    /// Requests of any kind with one API key, beside its account's quota.
    ApiKey = "api_key", Key, TokenBucket, |q| q.key_burst, |q| refill(q.key_burst, q.key_per_second), "PORTCULLIS_API_KEY_QUOTA_BURST";
    /// Requests of any kind that are not answered yet.
    InHand = "in_hand", Address, AtOnce, |q| q.in_hand, |_| Duration::ZERO, "PORTCULLIS_ADDRESS_REQUESTS_IN_HAND";
    /// Failed sign-ins, by an unknown device.
    LoginFromAddress = "login_from_address", AccountAndAddress, SlidingWindow, |q| q.login, QUARTER, "PORTCULLIS_LOGIN_QUOTA";
    /// Failed sign-ins from everywhere, by unknown devices.
    LoginToAccount = "login_to_account", Account, SlidingWindow, |q| q.login_account, QUARTER, "PORTCULLIS_LOGIN_ACCOUNT_QUOTA";
    /// Failed sign-ins, by a device that signed in before.
    LoginFromDevice = "login_from_device", Device, SlidingWindow, |q| q.login_device, QUARTER, "PORTCULLIS_LOGIN_DEVICE_QUOTA";
    /// Failed sign-ins for all accounts, by unknown devices: one password tried on many.
    LoginFromNetwork = "login_from_network", Address, SlidingWindow, |q| q.login_network, QUARTER, "PORTCULLIS_LOGIN_NETWORK_QUOTA";
    /// Wrong passwords since the last right one; then an unknown device needs a mailed link.
    LoginFailures = "login_failures", Account, Row, |q| q.login_failures, MONTH, "PORTCULLIS_LOGIN_FAILURES";
    /// Wrong passwords of a signed-in person.
    Reauthentication = "reauthentication", Person, SlidingWindow, |q| q.reauthentication, QUARTER, "PORTCULLIS_REAUTHENTICATION_QUOTA";
    /// Wrong second factors at the sign-in, by a device that signed in before or by all others together; and of who is signed in.
    SecondFactor = "second_factor", Device, SlidingWindow, |q| q.second_factor, QUARTER, "PORTCULLIS_SECOND_FACTOR_QUOTA";
    /// Wrong codes since the last right second factor; then only a recovery code or a passkey helps.
    SecondFactorFailures = "second_factor_failures", Account, Row, |q| q.login_failures, MONTH, "PORTCULLIS_LOGIN_FAILURES";
    /// Codes by which somebody shows that they read the account's mail, and administrators' letters about a lost second factor.
    MailboxCodes = "mailbox_codes", Person, FixedWindow, |q| q.mailbox_codes, HOUR, "PORTCULLIS_MAILBOX_CODE_QUOTA";
    /// Changes of one's second factors and ways in: each is told by letter.
    FactorChanges = "factor_changes", Person, FixedWindow, |q| q.factor_changes, HOUR, "PORTCULLIS_FACTOR_CHANGE_QUOTA";
    /// Refreshes of one session: each writes a row.
    RefreshOfSession = "refresh_of_session", Session, SlidingWindow, |q| q.refresh, QUARTER, "PORTCULLIS_REFRESH_QUOTA";
    /// Refreshes of all sessions of a person.
    RefreshOfPerson = "refresh_of_person", Person, SlidingWindow, |q| q.refresh_person, QUARTER, "PORTCULLIS_REFRESH_PERSON_QUOTA";
    /// Refresh tokens that lead nowhere.
    RefreshFromNetwork = "refresh_from_network", Address, SlidingWindow, |q| q.refresh_network, QUARTER, "PORTCULLIS_REFRESH_NETWORK_QUOTA";
    /// Sign-ins with other services that are begun, and linkings: each writes a row.
    OAuth = "oauth", Address, SlidingWindow, |q| q.oauth, QUARTER, "PORTCULLIS_OAUTH_QUOTA";
    /// Mailed links and codes that are not right.
    WrongProofs = "wrong_proofs", Address, SlidingWindow, |q| q.wrong_proofs, QUARTER, "PORTCULLIS_WRONG_PROOF_QUOTA";
    /// Questions for a passkey: most write a row.
    PasskeyOptions = "passkey_options", Address, SlidingWindow, |q| q.passkey_options, QUARTER, "PORTCULLIS_PASSKEY_OPTIONS_QUOTA";
    /// Passkeys that are wrong, where somebody signs in with one and nothing else.
    WrongPasskeys = "wrong_passkeys", Address, SlidingWindow, |q| q.wrong_passkeys, QUARTER, "PORTCULLIS_WRONG_PASSKEY_QUOTA";
    /// New passwords that are tried: judging and hashing them is work.
    NewPasswords = "new_passwords", Proof, SlidingWindow, |q| q.new_passwords, QUARTER, "PORTCULLIS_NEW_PASSWORD_QUOTA";
    /// Letters that strangers may cause from one address: fewer than the mailbox gets, so that the owner elsewhere gets one.
    LettersFromAddress = "letters_from_address", MailboxAndAddress, SlidingWindow, |q| q.letters_address, HOUR, "PORTCULLIS_LETTER_ADDRESS_QUOTA";
    /// Letters that strangers may cause from one address in a day: fewer than the mailbox gets, again.
    LettersFromAddressADay = "letters_from_address_a_day", MailboxAndAddress, FixedWindow, |q| q.letters_address_day, DAY, "PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA";
    /// Letters that strangers may cause.
    Letters = "letters", Mailbox, SlidingWindow, |q| q.letters, HOUR, "PORTCULLIS_LETTER_QUOTA";
    /// Letters that strangers may cause in a day.
    LettersADay = "letters_a_day", Mailbox, FixedWindow, |q| q.letters_day, DAY, "PORTCULLIS_LETTER_DAY_QUOTA";
    /// The time between two of them.
    LetterCooldown = "letter_cooldown", Mailbox, FixedWindow, |_| 1, |q| q.letter_cooldown, "PORTCULLIS_LETTER_COOLDOWN_SECONDS";
    /// Letters that strangers may cause, to anybody.
    LettersFromNetwork = "letters_from_network", Address, SlidingWindow, |q| q.letters_network, HOUR, "PORTCULLIS_LETTER_NETWORK_QUOTA";
    /// Letters that strangers may cause in a day, to anybody.
    LettersFromNetworkADay = "letters_from_network_a_day", Address, FixedWindow, |q| q.letters_network_day, DAY, "PORTCULLIS_LETTER_NETWORK_DAY_QUOTA";
    /// Notices to the owner.
    Notices = "notices", Mailbox, FixedWindow, |q| q.notices, HOUR, "PORTCULLIS_NOTICE_QUOTA";
    /// Letters to the operators about alerts.
    OperatorLetters = "operator_letters", Pattern, FixedWindow, |q| q.operator_letters, HOUR, "PORTCULLIS_OPERATOR_LETTER_QUOTA";
    /// Webhooks that come in and do not hold.
    WebhookRefusals = "webhook_refusals", SourceAndAddress, SlidingWindow, |q| q.webhook_refusals, QUARTER, "PORTCULLIS_WEBHOOK_REFUSAL_QUOTA";
    /// Webhooks that come in and hold, copies too: each is stored or recorded.
    Webhooks = "webhooks", Source, SlidingWindow, |q| q.webhooks, QUARTER, "PORTCULLIS_WEBHOOK_QUOTA";
    /// Invitations.
    Invitations = "invitations", Person, FixedWindow, |q| q.invitations, HOUR, "PORTCULLIS_INVITATION_QUOTA";
}

/// Until an empty bucket is full again, in whole seconds.
fn refill(burst: u32, per_second: u32) -> Duration {
    Duration::seconds(i64::from(burst.div_ceil(per_second.max(1))))
}

impl Quota {
    /// How a window counts it; each of `nodes` its part, where they cannot count together. Buckets and places are not counted this way.
    pub(super) fn rule(self, quotas: &Quotas, nodes: u32) -> Rule {
        let window_ms = i64::try_from(self.window(quotas).whole_milliseconds()).unwrap_or(i64::MAX / 2);
        let number = (self.number(quotas) / nodes.max(1)).max(1);
        match self.strategy() {
            Strategy::SlidingWindow => Rule::sliding(number, window_ms),
            Strategy::FixedWindow | Strategy::TokenBucket | Strategy::AtOnce => Rule::fixed(number, window_ms),
            Strategy::Row => Rule::fixed(u32::MAX, window_ms),
        }
    }
}
