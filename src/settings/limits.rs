//! How often and how long: the numbers of the quotas, and the terms of what letters and calls begin.

use crate::{
    audit::alerts::Thresholds,
    credentials::password::Cost,
    platform::keyring::{LONGEST_COOKIE_LIFE, LONGEST_TOKEN_LIFE},
    sessions::{Lifetimes, TokenLifetimes},
    settings::reader::Reader,
};
use lettre::message::Mailbox;
use std::time::Duration;

/// The numbers of the quotas.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// Requests of one address at once.
    pub address_burst: u32,
    /// Requests of one client address that are worked on at once.
    pub in_hand: u32,
    /// Requests a second that an address gets back.
    pub address_per_second: u32,
    /// Webhooks of one source from one address that do not hold, in 15 minutes.
    pub webhook_refusals: u32,
    /// Webhooks of one source that hold, in 15 minutes.
    pub webhooks: u32,
    /// Requests of one signed-in person at once.
    pub person_burst: u32,
    /// Requests a second that a person gets back.
    pub person_per_second: u32,
    /// Requests of one API key at once.
    pub key_burst: u32,
    /// Requests a second that a key gets back.
    pub key_per_second: u32,
    /// Nodes that share what they cannot count together.
    pub nodes: u32,
    /// Failed sign-ins for one account from one address in 15 minutes.
    pub login: u32,
    /// Failed sign-ins for one account from everywhere in 15 minutes.
    pub login_account: u32,
    /// Failed sign-ins for one account from one known device in 15 minutes.
    pub login_device: u32,
    /// Failed sign-ins from one address for all accounts in 15 minutes.
    pub login_network: u32,
    /// Wrong second factors for one account from one device in 15 minutes.
    pub second_factor: u32,
    /// Codes and letters about one person's second factors, in an hour.
    pub mailbox_codes: u32,
    /// Changes of one person's second factors and ways in, in an hour.
    pub factor_changes: u32,
    /// Refreshes of one session in 15 minutes.
    pub refresh: u32,
    /// Refreshes of one person in 15 minutes.
    pub refresh_person: u32,
    /// Refresh tokens from one address that lead nowhere, in 15 minutes.
    pub refresh_network: u32,
    /// Sign-ins with other services that are begun from one address in 15 minutes.
    pub oauth: u32,
    /// Mailed links and codes from one address that are not right, in 15 minutes.
    pub wrong_proofs: u32,
    /// Questions for a passkey from one address in 15 minutes.
    pub passkey_options: u32,
    /// Wrong passkeys from one address in 15 minutes.
    pub wrong_passkeys: u32,
    /// Letters that strangers cause to one mailbox from one address in an hour.
    pub letters_address: u32,
    /// The same in a day.
    pub letters_address_day: u32,
    /// Letters that strangers cause to one mailbox in a day.
    pub letters_day: u32,
    /// Letters that strangers at one address cause in a day.
    pub letters_network_day: u32,
    /// Letters that strangers at one address cause in an hour.
    pub letters_network: u32,
    /// New passwords that are tried with one letter or by one person in 15 minutes.
    pub new_passwords: u32,
    /// Wrong passwords in a row after which unknown devices need a mailed link.
    pub login_failures: u32,
    /// Wrong passwords of a signed-in person in 15 minutes.
    pub reauthentication: u32,
    /// Letters that strangers cause to one mailbox in an hour.
    pub letters: u32,
    /// Time between two of them.
    pub letter_cooldown: time::Duration,
    /// Invitations of one person in an hour.
    pub invitations: u32,
    /// Letters to operators about one pattern in an hour.
    pub operator_letters: u32,
    /// Notices to one mailbox in an hour.
    pub notices: u32,
}

/// The size of the password hashing pool.
#[derive(Debug, Clone, Copy)]
pub struct Hashing {
    /// Work of one hash.
    pub cost: Cost,
    /// Threads; `None`: one a core.
    pub threads: Option<usize>,
    /// Jobs that may wait.
    pub queue: usize,
}

/// How many connections there may be, and how long their clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// In all, to each listener.
    pub total: usize,
    /// Of one client address.
    pub of_address: usize,
    /// Requests that are worked on at once, over all connections.
    pub requests: usize,
    /// Requests that one HTTP/2 connection may have open.
    pub streams: u32,
    /// Target and header fields of a request, in bytes.
    pub head: usize,
    /// Header fields of a request. Fewer than actix-http parses (96), so that both protocols answer alike.
    pub fields: usize,
    /// To agree on TLS.
    pub handshake: Duration,
    /// Without a request.
    pub idle: Duration,
    /// Without taking anything of an answer.
    pub stall: Duration,
}

/// How long what letters and calls begin can be finished.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Links and codes that prove a mailbox.
    pub proof: time::Duration,
    /// Links that take something back.
    pub undo: time::Duration,
    /// Invitations.
    pub invitation: time::Duration,
    /// What is begun and finished by the same client: a sign-in that waits for the second factor, a ceremony.
    pub challenge: time::Duration,
    /// Links that take a lost second factor away.
    pub factor_reset: time::Duration,
    /// A closed account can be kept.
    pub erasure: time::Duration,
    /// An export can be fetched.
    pub export: time::Duration,
    /// The longest life of an API key.
    pub api_key: time::Duration,
}

pub(super) fn quotas(read: &mut Reader) -> Quotas {
    let quotas = Quotas {
        address_burst: read.number("PORTCULLIS_ADDRESS_QUOTA_BURST", 1..=100_000),
        address_per_second: read.number("PORTCULLIS_ADDRESS_QUOTA_PER_SECOND", 1..=10_000),
        in_hand: read.number("PORTCULLIS_ADDRESS_REQUESTS_IN_HAND", 1..=100_000),
        person_burst: read.number("PORTCULLIS_PERSON_QUOTA_BURST", 1..=100_000),
        person_per_second: read.number("PORTCULLIS_PERSON_QUOTA_PER_SECOND", 1..=10_000),
        key_burst: read.number("PORTCULLIS_API_KEY_QUOTA_BURST", 1..=100_000),
        key_per_second: read.number("PORTCULLIS_API_KEY_QUOTA_PER_SECOND", 1..=10_000),
        nodes: read.number("PORTCULLIS_NODES", 1..=1000),
        login: read.number("PORTCULLIS_LOGIN_QUOTA", 1..=1000),
        login_account: read.number("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", 1..=10_000),
        login_device: read.number("PORTCULLIS_LOGIN_DEVICE_QUOTA", 1..=1000),
        login_network: read.number("PORTCULLIS_LOGIN_NETWORK_QUOTA", 1..=100_000),
        second_factor: read.number("PORTCULLIS_SECOND_FACTOR_QUOTA", 1..=1000),
        mailbox_codes: read.number("PORTCULLIS_MAILBOX_CODE_QUOTA", 2..=1000),
        factor_changes: read.number("PORTCULLIS_FACTOR_CHANGE_QUOTA", 3..=1000),
        refresh: read.number("PORTCULLIS_REFRESH_QUOTA", 3..=10_000),
        refresh_person: read.number("PORTCULLIS_REFRESH_PERSON_QUOTA", 3..=100_000),
        refresh_network: read.number("PORTCULLIS_REFRESH_NETWORK_QUOTA", 1..=100_000),
        oauth: read.number("PORTCULLIS_OAUTH_QUOTA", 1..=100_000),
        wrong_proofs: read.number("PORTCULLIS_WRONG_PROOF_QUOTA", 1..=10_000),
        passkey_options: read.number("PORTCULLIS_PASSKEY_OPTIONS_QUOTA", 1..=100_000),
        wrong_passkeys: read.number("PORTCULLIS_WRONG_PASSKEY_QUOTA", 1..=10_000),
        letters_address: read.number("PORTCULLIS_LETTER_ADDRESS_QUOTA", 1..=99),
        letters_address_day: read.number("PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA", 1..=999),
        letters_day: read.number("PORTCULLIS_LETTER_DAY_QUOTA", 1..=1000),
        letters_network_day: read.number("PORTCULLIS_LETTER_NETWORK_DAY_QUOTA", 1..=1_000_000),
        letters_network: read.number("PORTCULLIS_LETTER_NETWORK_QUOTA", 1..=100_000),
        new_passwords: read.number("PORTCULLIS_NEW_PASSWORD_QUOTA", 3..=1000),
        login_failures: read.number("PORTCULLIS_LOGIN_FAILURES", 1..=100),
        reauthentication: read.number("PORTCULLIS_REAUTHENTICATION_QUOTA", 1..=1000),
        letters: read.number("PORTCULLIS_LETTER_QUOTA", 2..=100),
        letter_cooldown: time::Duration::seconds(read.number("PORTCULLIS_LETTER_COOLDOWN_SECONDS", 0..=3600)),
        invitations: read.number("PORTCULLIS_INVITATION_QUOTA", 1..=100_000),
        webhook_refusals: read.number("PORTCULLIS_WEBHOOK_REFUSAL_QUOTA", 1..=100_000),
        webhooks: read.number("PORTCULLIS_WEBHOOK_QUOTA", 1..=10_000_000),
        operator_letters: read.number("PORTCULLIS_OPERATOR_LETTER_QUOTA", 1..=100),
        notices: read.number("PORTCULLIS_NOTICE_QUOTA", 5..=1000),
    };
    if quotas.letters_address >= quotas.letters {
        read.refuse("PORTCULLIS_LETTER_ADDRESS_QUOTA", "must be less than PORTCULLIS_LETTER_QUOTA, so that the owner elsewhere gets a letter");
    }
    if quotas.letters_address_day >= quotas.letters_day {
        let reason = "must be less than PORTCULLIS_LETTER_DAY_QUOTA, so that the owner elsewhere gets a letter";
        read.refuse("PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA", reason);
    }
    quotas
}

pub(super) fn hashing(read: &mut Reader) -> Hashing {
    let cost = Cost {
        memory_kib: read.number("PORTCULLIS_ARGON2_MEMORY_KIB", 0..=u32::MAX),
        iterations: read.number("PORTCULLIS_ARGON2_ITERATIONS", 0..=u32::MAX),
        parallelism: read.number("PORTCULLIS_ARGON2_PARALLELISM", 1..=16),
    };
    if !cost.is_acceptable() {
        read.refuse(
            "PORTCULLIS_ARGON2_MEMORY_KIB",
            "and PORTCULLIS_ARGON2_ITERATIONS are below OWASP's minimum (19456 and 2 will do) or above 1 GiB and 20",
        );
    }
    Hashing { cost, threads: read.optional_number("PORTCULLIS_HASH_THREADS", 1..=512), queue: read.number("PORTCULLIS_HASH_QUEUE", 1..=10_000) }
}

pub(super) fn connections(read: &mut Reader) -> Connections {
    Connections {
        total: read.number("PORTCULLIS_CONNECTIONS", 10..=1_000_000),
        of_address: read.number("PORTCULLIS_ADDRESS_CONNECTIONS", 1..=1_000_000),
        requests: read.number("PORTCULLIS_REQUESTS_IN_HAND", 10..=100_000),
        streams: read.number("PORTCULLIS_HTTP2_STREAMS", 1..=1000),
        head: read.number("PORTCULLIS_HEADER_LIMIT", 4096..=65_536),
        fields: read.number("PORTCULLIS_HEADER_FIELDS", 16..=90),
        handshake: Duration::from_secs(read.number("PORTCULLIS_HANDSHAKE_TIMEOUT_SECONDS", 1..=60)),
        idle: Duration::from_secs(read.number("PORTCULLIS_IDLE_TIMEOUT_SECONDS", 1..=3600)),
        stall: Duration::from_secs(read.number("PORTCULLIS_STALL_TIMEOUT_SECONDS", 1..=300)),
    }
}

/// From where on alerts are raised, and who gets a letter.
pub struct Alerts {
    /// The numbers.
    pub thresholds: Thresholds,
    /// `None`: nobody.
    pub operator_mail: Option<Mailbox>,
}

pub(super) fn alerts(read: &mut Reader) -> Alerts {
    let thresholds = Thresholds {
        stuffing: read.number("PORTCULLIS_ALERT_STUFFING_ACCOUNTS", 2..=10_000),
        spraying: read.number("PORTCULLIS_ALERT_SPRAYING_ACCOUNTS", 2..=100_000),
        spread: read.number("PORTCULLIS_ALERT_SPREAD_NETWORKS", 2..=10_000),
        replays: read.number("PORTCULLIS_ALERT_REFRESH_REPLAYS", 1..=100),
        probing: read.number("PORTCULLIS_ALERT_PROBED_THINGS", 2..=10_000),
    };
    Alerts {
        thresholds,
        operator_mail: read.optional("PORTCULLIS_OPERATOR_MAIL", |text| text.parse().map_err(|_| "must be an address or `Name <address>`")),
    }
}

/// How many documents there are, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Documents {
    /// Of one account, deleted ones too.
    pub per_owner: i64,
    /// A deleted one can be restored for so long.
    pub keep_deleted: time::Duration,
}

pub(super) fn documents(read: &mut Reader) -> Documents {
    Documents {
        per_owner: read.number("PORTCULLIS_DOCUMENTS", 1..=1_000_000),
        keep_deleted: time::Duration::days(read.number("PORTCULLIS_DELETED_DOCUMENT_DAYS", 1..=365)),
    }
}

pub(super) fn terms(read: &mut Reader) -> Terms {
    Terms {
        proof: time::Duration::minutes(read.number("PORTCULLIS_PROOF_MINUTES", 1..=60)),
        undo: time::Duration::days(read.number("PORTCULLIS_UNDO_DAYS", 1..=30)),
        invitation: time::Duration::days(read.number("PORTCULLIS_INVITATION_DAYS", 1..=30)),
        challenge: time::Duration::minutes(read.number("PORTCULLIS_CHALLENGE_MINUTES", 1..=15)),
        factor_reset: time::Duration::hours(read.number("PORTCULLIS_SECOND_FACTOR_RESET_HOURS", 1..=72)),
        erasure: time::Duration::days(read.number("PORTCULLIS_ERASURE_DAYS", 1..=90)),
        export: time::Duration::days(read.number("PORTCULLIS_EXPORT_DAYS", 1..=30)),
        api_key: time::Duration::days(read.number("PORTCULLIS_API_KEY_DAYS", 1..=730)),
    }
}

pub(super) fn lifetimes(read: &mut Reader) -> Lifetimes {
    let lifetimes = Lifetimes {
        idle: time::Duration::minutes(read.number("PORTCULLIS_SESSION_IDLE_MINUTES", 1..=1440)),
        absolute: time::Duration::hours(read.number("PORTCULLIS_SESSION_ABSOLUTE_HOURS", 1..=LONGEST_COOKIE_LIFE.whole_hours())),
        tokens: TokenLifetimes {
            access: time::Duration::seconds(read.number("PORTCULLIS_ACCESS_TOKEN_SECONDS", 60..=LONGEST_TOKEN_LIFE.whole_seconds())),
            idle: time::Duration::days(read.number("PORTCULLIS_REFRESH_IDLE_DAYS", 1..=90)),
            absolute: time::Duration::days(read.number("PORTCULLIS_REFRESH_ABSOLUTE_DAYS", 1..=365)),
            grace: time::Duration::seconds(read.number("PORTCULLIS_REFRESH_GRACE_SECONDS", 0..=30)),
        },
        step_up: time::Duration::minutes(read.number("PORTCULLIS_STEP_UP_MINUTES", 1..=60)),
    };
    if lifetimes.tokens.idle > lifetimes.tokens.absolute {
        read.refuse("PORTCULLIS_REFRESH_IDLE_DAYS", "is longer than PORTCULLIS_REFRESH_ABSOLUTE_DAYS");
    }
    if lifetimes.idle > lifetimes.absolute {
        read.refuse("PORTCULLIS_SESSION_IDLE_MINUTES", "is longer than PORTCULLIS_SESSION_ABSOLUTE_HOURS");
    }
    lifetimes
}
