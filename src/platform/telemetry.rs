//! Logs and metrics. Logs are one JSON object a line (pretty in development), filtered on their way out; metrics are Prometheus text.
//! Practices 8.json-logs, 8.redaction, 8.alerts.

use crate::platform::{
    redaction::{Redacting, Redactor},
    reports::Reports,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::panic::PanicHookInfo;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    fmt::MakeWriter,
    layer::{Layered, SubscriberExt},
};

/// Libraries that tell what people sent, and up to which level each may speak. No setting goes beyond: whoever looks for a fault turns
/// on everything.
const HELD_BACK: [(&str, LevelFilter); 10] = [
    // errors with what could not be parsed in them
    ("actix_http", LevelFilter::OFF),
    // paths, where people put tokens, and why a query is wrong
    ("actix_web", LevelFilter::INFO),
    // what AWS is asked and answers (its crates' names begin so)
    ("aws_", LevelFilter::INFO),
    // malformed paths
    ("h2", LevelFilter::INFO),
    // the HTML that people write about themselves
    ("html5ever", LevelFilter::OFF),
    // nothing of anybody, but `token=` before a number: each would count as a secret that got as far as the filter
    ("mio", LevelFilter::INFO),
    // handshakes, with the tickets that resume sessions
    ("rustls", LevelFilter::INFO),
    // answers of the issuer, with tokens
    ("rustls_acme", LevelFilter::WARN),
    // what the database says about rows
    ("sqlx::postgres::notice", LevelFilter::WARN),
    // faults of what strangers sent, as errors of ours, and challenges
    ("webauthn_rs", LevelFilter::OFF),
];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person's eyes.
    Pretty,
}

/// The subscriber that writes log lines to `writer`, in colours if that is a terminal, and reports faults where that is wanted.
/// What libraries tell of people's data passes no `filter`.
///
/// # Errors
/// Never; the library of patterns cannot know.
pub fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    is_terminal: bool,
    writer: W,
    reports: Option<Reports>,
) -> anyhow::Result<impl tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let redactor = match format {
        LogFormat::Json => Redactor::for_json(),
        LogFormat::Pretty => Redactor::for_text(),
    };
    let writer = Redacting { inner: writer, redactor: redactor? };
    let layer: Box<dyn Layer<Layered<EnvFilter, Registry>> + Send + Sync> = match format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).with_writer(writer).boxed(),
        LogFormat::Pretty => fmt::layer().compact().with_target(false).with_ansi(is_terminal).with_writer(writer).boxed(),
    };
    let held_back = Targets::new().with_default(LevelFilter::TRACE).with_targets(HELD_BACK);
    // both for all, none for the layer: a library that only asks whether something would be logged leaves a layer's filter in
    // a state that swallows the next record
    Ok(Registry::default().with(filter).with(layer).with(reports).with(held_back))
}

/// Makes panics records of the log, so that what they say goes through the filter and to the reports; standard error gets nothing.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

/// One panic.
pub fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    tracing::error!(location, cause = panic.payload_as_str().unwrap_or("no text"), "panic");
}

/// The chain of causes in one line, each told once: some libraries repeat the cause in their own text.
#[must_use]
pub fn causes(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !told.ends_with(&cause) {
            told = if told.is_empty() { cause } else { format!("{told}: {cause}") };
        }
    }
    told
}

/// Installs the process's metrics recorder. Durations are histograms in seconds.
///
/// # Errors
/// When a recorder is installed already.
pub fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])?
        .install_recorder()?)
}
