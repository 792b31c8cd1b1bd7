//! Every metric there is. Labels have closed sets of values, so that nobody outside makes new series: routes are templates, methods
//! that are no HTTP are `other`. `docs/monitoring.md`, the alert rules in `ops/` and what the code records are compared with this list.
//! Practice 8.alerts. Tests: `tests/suite/contract/metrics.rs`.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only up, from 0 at the start.
    Counter,
    /// Up and down.
    Gauge,
    /// Seconds, in buckets.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Names of its labels, separated by spaces.
    pub labels: &'static str,
    /// What it says.
    pub about: &'static str,
}

const fn counter(name: &'static str, labels: &'static str, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, about }
}

const fn gauge(name: &'static str, labels: &'static str, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, about }
}

const fn histogram(name: &'static str, labels: &'static str, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, about }
}

/// The closed list.
pub const METRICS: &[Metric] = &[
    histogram("portcullis_request_seconds", "method route status", "requests: how many, how they ended, how long they took"),
    gauge("portcullis_requests_in_hand", "", "requests that are worked on"),
    gauge("portcullis_connections_open", "", "connections to all listeners"),
    counter("portcullis_connections_refused_total", "", "connections that were closed at once: too many in all or of one client"),
    counter("portcullis_tls_handshakes_total", "outcome", "TLS handshakes: `ok`, `failed`"),
    counter("portcullis_http2_streams_given_up_total", "", "HTTP/2 streams that took too long, mostly clients that took no answer"),
    counter("portcullis_overload_refusals_total", "", "calls that found every place taken; they got 503"),
    counter("portcullis_quota_refusals_total", "quota", "calls that a quota refused"),
    gauge("portcullis_redis_up", "", "1 while shared counters are in Redis; 0: it is away, and this node counts for itself"),
    counter("portcullis_redis_outages_total", "", "times that Redis went away"),
    counter("portcullis_alert_signals_dropped_total", "", "signals of suspicious patterns that there was no room for"),
    counter("portcullis_alerts_total", "pattern", "suspicious patterns that were noticed"),
    counter("portcullis_logins_total", "outcome", "sign-ins: `ok`, `refused`, and `second_factor`, which was asked for"),
    counter(
        "portcullis_api_key_refusals_total",
        "reason",
        "API keys that were refused: `malformed`, of another `environment`, `unknown` or over, from outside their `network`",
    ),
    counter("portcullis_refresh_replays_total", "", "sessions that ended because a refresh token came twice"),
    counter("portcullis_audit_events_total", "event", "audit events, by kind"),
    gauge("portcullis_audit_unchained", "", "audit events that wait for the chainer"),
    gauge("portcullis_audit_unchained_oldest_seconds", "", "how long the oldest of them has waited"),
    gauge("portcullis_password_hash_pending", "", "passwords that are hashed or wait for it"),
    gauge("portcullis_password_hash_queue_limit", "", "passwords that may wait"),
    histogram("portcullis_password_hash_wait_seconds", "", "how long a password waited for a thread"),
    counter("portcullis_password_hash_rejected_total", "", "passwords that found the queue full; the call got 503"),
    gauge("portcullis_database_connections", "state", "connections of the pool: `used`, `idle`"),
    gauge("portcullis_database_connections_limit", "", "most connections of the pool"),
    histogram("portcullis_database_acquire_seconds", "", "how long a probe waited for a connection of the pool, every five seconds"),
    gauge("portcullis_feed_trusted", "", "1 while this node hears what others end; 0: it asks the database for each token"),
    gauge("portcullis_feed_age_seconds", "", "how long ago this node had certainly heard everything; +Inf: never"),
    counter("portcullis_feed_losses_total", "", "times that the feed was lost"),
    gauge("portcullis_revocations_remembered", "", "ended sessions and changed accounts in memory"),
    counter(
        "portcullis_webhook_attempts_total",
        "outcome",
        "attempts to tell webhook endpoints: `delivered`, `refused`, `redirected`, `gone`, `timed_out`, `unreachable`, `barred`, `unsigned`",
    ),
    histogram("portcullis_webhook_attempt_seconds", "", "how long these took"),
    counter("portcullis_webhook_endpoints_disabled_total", "reason", "webhook endpoints that the service disabled: `gone`, `failing`"),
    gauge("portcullis_webhooks_waiting", "", "messages to webhook endpoints, and events for them, that wait"),
    gauge("portcullis_webhooks_oldest_seconds", "", "how long the oldest of them has been due"),
    gauge("portcullis_letters_waiting", "", "letters in the outbox"),
    gauge("portcullis_letters_dead", "", "letters that no server took after all tries"),
    gauge("portcullis_letters_oldest_seconds", "", "how long the oldest waiting letter has waited"),
    counter("portcullis_letters_total", "outcome", "letters: `sent`, `failed` (will be tried again), `dead`, `expired`, `suppressed`"),
    counter(
        "portcullis_inbox_received_total",
        "source outcome",
        "webhooks that came in: `accepted`, `repeated`, or why they were refused: `network`, `headers`, `time`, `size`, `signature`, `contents`, `reused`",
    ),
    counter("portcullis_inbox_processed_total", "outcome", "webhooks that came in: `processed`, `failed` (will be tried again), `dead`"),
    gauge("portcullis_inbox_waiting", "", "webhooks that came in and wait to be dealt with"),
    gauge("portcullis_inbox_dead", "", "webhooks that came in and were given up"),
    gauge("portcullis_inbox_oldest_seconds", "", "how long the oldest that waits has waited"),
    histogram("portcullis_job_round_seconds", "job outcome", "rounds of what runs by the clock: `ok`, `failed`"),
    counter("portcullis_policy_failures_total", "", "policy decisions that failed and were refusals: a policy or its input is wrong"),
    counter("portcullis_secret_reads_total", "outcome", "rounds in which secrets that are kept elsewhere were read again: `ok`, `failed`"),
    gauge("portcullis_secrets_waiting_for_restart", "", "secrets that changed where they are kept and are taken up at the next start only"),
    counter("portcullis_purged_total", "rows", "rows that were forgotten, by table"),
    counter("portcullis_log_redactions_total", "", "secrets and addresses that the log's filter took away: each is a fault in the code to be found"),
    gauge("portcullis_certificate_expires_seconds", "", "when the certificate of this service ends, in Unix time"),
    counter("portcullis_acme_failures_total", "", "orders of a certificate that failed and will be tried again"),
    gauge("portcullis_build_info", "version", "always 1"),
    gauge("process_start_time_seconds", "", "when the process started, in Unix time"),
];

/// Gives each metric its text in `/metrics`, and each counter without labels its 0: a rule that asks for an increase misses the first one of
/// a series that begins with it.
pub(super) fn describe_all() {
    for Metric { name, kind, labels, about } in METRICS {
        match kind {
            Kind::Counter => {
                describe_counter!(*name, *about);
                if labels.is_empty() {
                    metrics::counter!(*name).increment(0);
                }
            }
            Kind::Gauge => describe_gauge!(*name, *about),
            Kind::Histogram => describe_histogram!(*name, Unit::Seconds, *about),
        }
    }
}
