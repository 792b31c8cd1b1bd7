//! Every setting there is. The README's table and `.env.example` are compared with this list by a test.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What holds when it is not set, in the form in which it would be set.
    pub default: Option<&'static str>,
    /// Whether it is a secret: never shown, and also read from where it is kept ([`super::sources`]), as from the file that `<name>_FILE`
    /// names.
    pub secret: bool,
    /// What it does, with unit and range.
    pub about: &'static str,
}

const fn setting(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, default: Some(default), secret: false, about }
}

const fn optional(name: &'static str, about: &'static str) -> Setting {
    Setting { name, default: None, secret: false, about }
}

const fn secret(name: &'static str, about: &'static str) -> Setting {
    Setting { name, default: None, secret: true, about }
}

/// The closed list.
pub const SETTINGS: &[Setting] = &[
    setting(
        "PORTCULLIS_ENV",
        "development",
        "`development` makes what is missing under the data folder; `production` makes nothing and refuses to guess",
    ),
    setting(
        "PORTCULLIS_PUBLIC_URL",
        "https://localhost:8443",
        "origin under which people reach the service; links in letters are built from it, never from a request. Development follows the port of `PORTCULLIS_HTTPS_LISTEN`",
    ),
    setting("PORTCULLIS_HTTPS_LISTEN", "127.0.0.1:8443", "address of the service"),
    setting("PORTCULLIS_HTTP_LISTEN", "127.0.0.1:8080", "address that redirects to the public URL; `off` for none"),
    setting(
        "PORTCULLIS_HTTP_CALLS",
        "redirect",
        "`redirect`, or `refuse`: calls of the API in clear text are answered 403, so that a client with a wrong address fails on its first call",
    ),
    setting(
        "PORTCULLIS_OPERATOR_LISTEN",
        "127.0.0.1:9464",
        "address of health and metrics, in clear text: keep it off the public network; `off` for none",
    ),
    setting(
        "PORTCULLIS_OPERATOR_HOSTS",
        "",
        "other names under which operators may ask, comma-separated, beside IP addresses, names without a dot, and those in `.svc`, `.cluster.local` and `.internal`",
    ),
    setting(
        "PORTCULLIS_WAIVED",
        "",
        "checks of `portcullis check` that keep nothing from starting and are shown as waived, comma-separated: [docs/check.md](docs/check.md)",
    ),
    setting("PORTCULLIS_DATA_DIR", "data", "folder for what development makes"),
    secret("DATABASE_URL", "Postgres for the service; development without it starts a private cluster in the data folder"),
    secret("PORTCULLIS_OWNER_DATABASE_URL", "the same database as its owner, for `migrate`; otherwise `DATABASE_URL`"),
    secret(
        "REDIS_URL",
        "Redis or Valkey for the counters that nodes share, `redis://` or `rediss://user:password@host:port/number`; otherwise they are in Postgres",
    ),
    setting("PORTCULLIS_NODES", "2", "nodes that share Redis, 1 to 1000: while it is away each counts by itself, to its part of a quota, at least 1"),
    setting("PORTCULLIS_DATABASE_CONNECTIONS", "20", "most connections to Postgres, 5 to 1000: jobs hold up to four"),
    secret("PORTCULLIS_KEY_ENCRYPTION_KEY", "32 random bytes in base64 that seal the keyring; development makes its own"),
    secret(
        "PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY",
        "the one before, while it is replaced: opens what is left under it, until `portcullis keys reencrypt` is through",
    ),
    setting(
        "PORTCULLIS_TLS",
        "on",
        "`on`; `acme`: the service orders a certificate for the host of its public URL by itself (one node only); or `proxy`: a proxy in `PORTCULLIS_TRUSTED_PROXIES` ends TLS and says so by `X-Forwarded-Proto: https`; clear text from anybody else is refused",
    ),
    setting("PORTCULLIS_TLS_PROFILE", "intermediate", "`intermediate`: TLS 1.3 and 1.2; `modern`: 1.3 only"),
    optional("PORTCULLIS_TLS_CERTIFICATE_FILE", "certificate chain, PEM; a replaced file is taken up within seconds; development makes its own"),
    optional("PORTCULLIS_TLS_KEY_FILE", "private key of the certificate, PEM"),
    setting(
        "PORTCULLIS_ACME_DIRECTORY",
        "https://acme-v02.api.letsencrypt.org/directory",
        "who issues certificates with `PORTCULLIS_TLS=acme`; it looks for its challenge at port 80 of the host, and with `PORTCULLIS_HTTP_LISTEN=off` at port 443",
    ),
    setting("PORTCULLIS_ACME_CONTACT", "", "addresses that it may write to, comma-separated"),
    setting("PORTCULLIS_ACME_DIR", "data/acme", "folder for the account's key and the certificate; must outlive the process"),
    optional("PORTCULLIS_ACME_CA_FILE", "certificates that the issuer's own server is trusted by, PEM; otherwise the public authorities"),
    setting("PORTCULLIS_TRUSTED_PROXIES", "", "networks whose `X-Forwarded-For` is believed, comma-separated CIDR"),
    setting("PORTCULLIS_CORS_ORIGINS", "", "other origins of the same site whose pages may call the service with cookies, comma-separated"),
    secret(
        "PORTCULLIS_IDENTITY_PROVIDERS",
        "providers to sign in with, a JSON array: [docs/sign-in-with-others.md](docs/sign-in-with-others.md). Without it there are none",
    ),
    optional(
        "PORTCULLIS_OAUTH_CALLBACK_URL",
        "page under which each provider has one of its name that it sends browsers back to; otherwise `/go/oauth` of the public URL",
    ),
    optional(
        "PORTCULLIS_TOKEN_ISSUERS",
        "issuers whose access tokens are taken, a JSON array: [docs/sign-in-with-others.md](docs/sign-in-with-others.md). Without it there are none",
    ),
    setting("PORTCULLIS_MAIL_FROM", "Portcullis <portcullis@localhost>", "sender of letters"),
    secret(
        "PORTCULLIS_SMTP_URL",
        "`smtps://user:password@host` or `smtp://…?tls=required`; development without it writes letters to the data folder",
    ),
    setting(
        "PORTCULLIS_LOG",
        "info,actix_server=warn,actix_session=warn",
        "what is logged: a level or tracing directives; libraries that would tell what people sent are held back at any",
    ),
    optional("PORTCULLIS_LOG_FORMAT", "`json` or `pretty`; otherwise pretty in development, JSON in production"),
    secret(
        "PORTCULLIS_SENTRY_DSN",
        "where faults are reported, as Sentry gives it: `https://key@host/project`; reports have no personal data. Without it nothing is sent",
    ),
    setting(
        "PORTCULLIS_SECRETS_REFRESH_SECONDS",
        "300",
        "secrets that are kept in files, Vault or AWS are read again, 1 to 86400, or `off`: [docs/secrets.md](docs/secrets.md)",
    ),
    setting("PORTCULLIS_SECRETS_WAIT_SECONDS", "30", "how long a start waits for Vault or AWS while they are away, 0 to 600"),
    optional("PORTCULLIS_VAULT_URL", "Vault for secrets that are set as `vault:mount/path#field`, an https:// address without a path"),
    optional("PORTCULLIS_VAULT_NAMESPACE", "namespace within it"),
    optional("PORTCULLIS_VAULT_CA_FILE", "certificates that Vault is trusted by, PEM; otherwise the public authorities"),
    secret("PORTCULLIS_VAULT_TOKEN", "opens Vault, if no role does"),
    optional("PORTCULLIS_VAULT_ROLE_ID", "opens Vault as an AppRole, together with the secret id"),
    secret("PORTCULLIS_VAULT_SECRET_ID", "secret id of the role"),
    setting("PORTCULLIS_VAULT_APPROLE_MOUNT", "approle", "where Vault has its AppRoles"),
    optional("PORTCULLIS_WORKERS", "server threads, 1 to 512; otherwise one a core"),
    setting("PORTCULLIS_BODY_LIMIT", "65536", "largest request body in bytes, 1024 to 10485760"),
    setting("PORTCULLIS_HEADER_LIMIT", "16384", "largest target and header fields of a request in bytes, 4096 to 65536"),
    setting("PORTCULLIS_HEADER_FIELDS", "64", "most header fields of a request, 16 to 90"),
    setting("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "10", "longest time for one request, its head included, 1 to 300"),
    setting("PORTCULLIS_CONNECTIONS", "10000", "most connections to one listener, 10 to 1000000; more are closed at once"),
    setting(
        "PORTCULLIS_ADDRESS_CONNECTIONS",
        "256",
        "most connections of one client address (IPv6: one /64; trusted proxies: no limit of their own), 1 to 1000000",
    ),
    setting("PORTCULLIS_REQUESTS_IN_HAND", "1000", "requests that are worked on at once, 10 to 100000; more are answered 503"),
    setting("PORTCULLIS_ADDRESS_REQUESTS_IN_HAND", "50", "of these of one client address (IPv6: one /64), 1 to 100000; more are answered 429"),
    setting("PORTCULLIS_HTTP2_STREAMS", "100", "requests that one HTTP/2 connection may have open, 1 to 1000"),
    setting("PORTCULLIS_HANDSHAKE_TIMEOUT_SECONDS", "5", "time to agree on TLS, 1 to 60"),
    setting("PORTCULLIS_IDLE_TIMEOUT_SECONDS", "30", "a connection without a request is closed, 1 to 3600"),
    setting("PORTCULLIS_STALL_TIMEOUT_SECONDS", "10", "a client that takes nothing of an answer is given up, 1 to 300"),
    setting("PORTCULLIS_ADDRESS_QUOTA_BURST", "60", "requests that one client address may send at once (IPv6: one /64), 1 to 100000"),
    setting("PORTCULLIS_ADDRESS_QUOTA_PER_SECOND", "20", "requests a second that it gets back, 1 to 10000"),
    setting("PORTCULLIS_PERSON_QUOTA_BURST", "120", "requests that one signed-in person may send at once, from wherever, 1 to 100000"),
    setting("PORTCULLIS_PERSON_QUOTA_PER_SECOND", "20", "requests a second that a person gets back, 1 to 10000"),
    setting(
        "PORTCULLIS_API_KEY_QUOTA_BURST",
        "60",
        "requests that one API key may send at once, 1 to 100000; its account's own quota holds for all its keys together",
    ),
    setting("PORTCULLIS_API_KEY_QUOTA_PER_SECOND", "10", "requests a second that a key gets back, 1 to 10000"),
    setting("PORTCULLIS_LOGIN_QUOTA", "10", "failed sign-ins for one account from one address in 15 minutes, 1 to 1000"),
    setting("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", "100", "failed sign-ins for one account from everywhere in 15 minutes, 1 to 10000"),
    setting("PORTCULLIS_LOGIN_DEVICE_QUOTA", "10", "failed sign-ins for one account from one known device in 15 minutes, 1 to 1000"),
    setting("PORTCULLIS_LOGIN_NETWORK_QUOTA", "100", "failed sign-ins from one address for all accounts in 15 minutes, 1 to 100000"),
    setting("PORTCULLIS_LOGIN_FAILURES", "100", "wrong passwords in a row for one account after which unknown devices need a mailed link, 1 to 100"),
    setting("PORTCULLIS_REAUTHENTICATION_QUOTA", "10", "wrong passwords of a signed-in person in 15 minutes, 1 to 1000"),
    setting(
        "PORTCULLIS_SECOND_FACTOR_QUOTA",
        "10",
        "wrong second factors for one account from one known device, or from all others, in 15 minutes, 1 to 1000",
    ),
    setting(
        "PORTCULLIS_MAILBOX_CODE_QUOTA",
        "10",
        "codes and letters about one person's second factors, asked for by them or by administrators, in an hour, 2 to 1000",
    ),
    setting("PORTCULLIS_FACTOR_CHANGE_QUOTA", "20", "changes of one person's second factors and ways in, in an hour, 3 to 1000"),
    setting("PORTCULLIS_OAUTH_QUOTA", "60", "sign-ins with other services that are begun from one address in 15 minutes, 1 to 100000"),
    setting("PORTCULLIS_REFRESH_QUOTA", "60", "refreshes of one session with tokens in 15 minutes, 3 to 10000"),
    setting("PORTCULLIS_REFRESH_PERSON_QUOTA", "600", "refreshes of all sessions of one person in 15 minutes, 3 to 100000"),
    setting("PORTCULLIS_REFRESH_NETWORK_QUOTA", "100", "refresh tokens from one address that lead nowhere, in 15 minutes, 1 to 100000"),
    setting("PORTCULLIS_WRONG_PROOF_QUOTA", "30", "mailed links and codes from one address that are not right, in 15 minutes, 1 to 10000"),
    setting(
        "PORTCULLIS_PASSKEY_OPTIONS_QUOTA",
        "300",
        "questions for a passkey, at sign-in and elsewhere, from one address in 15 minutes, 1 to 100000",
    ),
    setting("PORTCULLIS_WRONG_PASSKEY_QUOTA", "100", "passkeys from one address that are wrong, in 15 minutes, 1 to 10000"),
    setting(
        "PORTCULLIS_LETTER_ADDRESS_QUOTA",
        "3",
        "letters that strangers at one address may cause to one mailbox in an hour, 1 to 99: fewer than `PORTCULLIS_LETTER_QUOTA`, so that the owner elsewhere gets one",
    ),
    setting(
        "PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA",
        "6",
        "letters that strangers at one address may cause to one mailbox in a day, 1 to 999: fewer than `PORTCULLIS_LETTER_DAY_QUOTA`",
    ),
    setting("PORTCULLIS_LETTER_DAY_QUOTA", "20", "letters that strangers may cause to one mailbox in a day, 1 to 1000"),
    setting("PORTCULLIS_LETTER_NETWORK_DAY_QUOTA", "200", "letters that strangers at one address may cause to anybody in a day, 1 to 1000000"),
    setting("PORTCULLIS_LETTER_QUOTA", "5", "letters that strangers may cause to one mailbox in an hour, 2 to 100"),
    setting("PORTCULLIS_LETTER_NETWORK_QUOTA", "30", "letters that strangers at one address may cause to anybody in an hour, 1 to 100000"),
    setting("PORTCULLIS_NEW_PASSWORD_QUOTA", "20", "new passwords that are tried with one letter or by one person in 15 minutes, 3 to 1000"),
    setting("PORTCULLIS_LETTER_COOLDOWN_SECONDS", "60", "time between two such letters, 0 to 3600"),
    setting("PORTCULLIS_NOTICE_QUOTA", "20", "notices to the owner of one mailbox in an hour, 5 to 1000; more are not sent"),
    setting("PORTCULLIS_ALERT_STUFFING_ACCOUNTS", "20", "accounts that one network fails to sign in to in 15 minutes, 2 to 10000; then an alert"),
    setting(
        "PORTCULLIS_ALERT_SPRAYING_ACCOUNTS",
        "50",
        "accounts that fail in 15 minutes from five networks or more and more than sign in, 2 to 100000; then an alert",
    ),
    setting("PORTCULLIS_ALERT_SPREAD_NETWORKS", "10", "networks from which one account fails in 15 minutes, 2 to 10000; then an alert"),
    setting("PORTCULLIS_ALERT_REFRESH_REPLAYS", "1", "copies of used refresh tokens of one person in an hour, 1 to 100; then an alert"),
    setting("PORTCULLIS_ALERT_PROBED_THINGS", "30", "different things that one person is refused in 15 minutes, 2 to 10000; then an alert"),
    optional("PORTCULLIS_OPERATOR_MAIL", "where letters about alerts go; otherwise there are none"),
    setting("PORTCULLIS_OPERATOR_LETTER_QUOTA", "2", "letters to operators about one pattern of alerts in an hour, 1 to 100"),
    secret(
        "PORTCULLIS_WEBHOOK_SOURCES",
        "sources of webhooks that come in, a JSON array: [docs/webhooks.md](docs/webhooks.md). Without it there are none",
    ),
    setting("PORTCULLIS_WEBHOOK_TOLERANCE_SECONDS", "300", "the time in a webhook may be so far from now, 30 to 900"),
    setting(
        "PORTCULLIS_WEBHOOK_INBOX_DAYS",
        "30",
        "what webhooks said that came in is kept once they were dealt with, and their ids are, 7 to 365: longer than senders go on trying",
    ),
    setting(
        "PORTCULLIS_WEBHOOK_INBOX_ATTEMPTS",
        "20",
        "tries to deal with a webhook, over about 11 hours by default, 1 to 100; then it is kept and not tried again",
    ),
    setting("PORTCULLIS_WEBHOOK_REFUSAL_QUOTA", "300", "webhooks of one source from one address that do not hold, in 15 minutes, 1 to 100000"),
    setting("PORTCULLIS_WEBHOOK_QUOTA", "10000", "webhooks of one source that hold, in 15 minutes, 1 to 10000000"),
    setting("PORTCULLIS_INVITATION_QUOTA", "100", "invitations of one person in an hour, 1 to 100000"),
    setting(
        "PORTCULLIS_MAIL_ATTEMPTS",
        "20",
        "tries to deliver a letter, over about 11 hours by default, 1 to 100; then it is kept and not tried again",
    ),
    setting("PORTCULLIS_ARGON2_MEMORY_KIB", "19456", "argon2id memory; refused below OWASP's minimum"),
    setting("PORTCULLIS_ARGON2_ITERATIONS", "2", "argon2id passes; refused below OWASP's minimum"),
    setting("PORTCULLIS_ARGON2_PARALLELISM", "1", "argon2id lanes, 1 to 16"),
    optional("PORTCULLIS_HASH_THREADS", "threads that hash passwords, 1 to 512; otherwise one a core"),
    setting("PORTCULLIS_HASH_QUEUE", "64", "passwords that may wait for a thread, 1 to 10000; more are answered 503"),
    setting("PORTCULLIS_SESSION_IDLE_MINUTES", "30", "a session with a cookie that nobody uses ends, 1 to 1440"),
    setting("PORTCULLIS_SESSION_ABSOLUTE_HOURS", "12", "every session with a cookie ends, 1 to 720"),
    setting("PORTCULLIS_ACCESS_TOKEN_SECONDS", "900", "an access token is good, 60 to 900"),
    setting("PORTCULLIS_REFRESH_IDLE_DAYS", "7", "a session with tokens that is not refreshed ends, 1 to 90"),
    setting("PORTCULLIS_REFRESH_ABSOLUTE_DAYS", "30", "every session with tokens ends, 1 to 365"),
    setting(
        "PORTCULLIS_REFRESH_GRACE_SECONDS",
        "10",
        "a used refresh token still gives its successor, until that is used, 0 to 30; later it ends the session",
    ),
    setting("PORTCULLIS_STEP_UP_MINUTES", "10", "what changes an account or authority needs a proof of who one is that is not older, 1 to 60"),
    setting(
        "PORTCULLIS_TOKEN_ALGORITHM",
        "EdDSA",
        "what access tokens are signed with: `EdDSA`, `ES256` or `RS256`; a change takes effect within minutes, without refusing a token",
    ),
    optional("PORTCULLIS_TOKEN_AUDIENCE", "`aud` of access tokens; otherwise the public URL"),
    setting("PORTCULLIS_KEY_ROTATION_DAYS", "30", "keys whose work runs out by itself (tokens, cookies, cursors) are replaced, 1 to 365"),
    setting(
        "PORTCULLIS_SESSION_ADDRESS",
        "network",
        "what the device list keeps of a client's address: `network` (IPv4 /24, IPv6 /48), `full` or `none`; the audit log keeps all of it, sealed",
    ),
    setting("PORTCULLIS_KNOWN_DEVICE_DAYS", "180", "a browser that signed in is known, 1 to 400"),
    setting("PORTCULLIS_REGISTRATION", "open", "`open` to everybody, or `invited`: invited people only"),
    setting("PORTCULLIS_PROOF_MINUTES", "15", "links and codes that prove a mailbox are valid, 1 to 60"),
    setting(
        "PORTCULLIS_CHALLENGE_MINUTES",
        "10",
        "what a client has begun can be finished: a sign-in that waits for the second factor, a ceremony with a passkey, a sign-in at another place, 1 to 15",
    ),
    setting("PORTCULLIS_UNDO_DAYS", "7", "links that take something back are valid, 1 to 30"),
    setting("PORTCULLIS_INVITATION_DAYS", "7", "invitations are valid, 1 to 30"),
    setting(
        "PORTCULLIS_SECOND_FACTOR_RESET_HOURS",
        "24",
        "links by which administrators let somebody take a lost second factor away are valid, 1 to 72",
    ),
    setting("PORTCULLIS_ERASURE_DAYS", "14", "a closed account can be kept, 1 to 90; then it is erased"),
    setting("PORTCULLIS_EXPORT_DAYS", "7", "an export of personal data can be fetched, 1 to 30"),
    optional(
        "PORTCULLIS_POLICIES",
        "folder with policies (`*.cedar`) instead of those that the binary brings along; one that does not fit the schema keeps the service from starting",
    ),
    setting("PORTCULLIS_DOCUMENTS", "10000", "documents of one account, deleted ones too, 1 to 1000000"),
    setting("PORTCULLIS_DELETED_DOCUMENT_DAYS", "30", "a deleted document can be restored, 1 to 365; then it is gone"),
    setting("PORTCULLIS_API_KEY_DAYS", "365", "longest life of an API key, 1 to 730"),
    setting("PORTCULLIS_WEBHOOK_ENDPOINTS", "20", "endpoints that are told of events, 1 to 1000: [docs/webhooks.md](docs/webhooks.md)"),
    setting(
        "PORTCULLIS_WEBHOOK_NETWORKS",
        "",
        "networks that are not public and where endpoints may be all the same, comma-separated CIDR; otherwise they are at public addresses only",
    ),
    optional("PORTCULLIS_WEBHOOK_CA_FILE", "certificates that endpoints are trusted by beside the public authorities, PEM"),
    setting("PORTCULLIS_WEBHOOK_TIMEOUT_SECONDS", "10", "longest time for one attempt to tell an endpoint, 1 to 30"),
    setting(
        "PORTCULLIS_WEBHOOK_ATTEMPTS",
        "13",
        "attempts to tell an endpoint of an event, over about three days by default, 1 to 50; then it is given up",
    ),
    setting("PORTCULLIS_WEBHOOK_FAILING_DAYS", "5", "an endpoint at which nothing arrives is disabled, 1 to 30"),
    setting("PORTCULLIS_WEBHOOK_LOG_DAYS", "30", "what endpoints were told can be looked up and sent again, 1 to 365"),
];

/// The list's name of a secret setting.
#[must_use]
pub fn secret_named(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|setting| setting.secret && setting.name == name).map(|setting| setting.name)
}
