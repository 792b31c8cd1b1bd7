//! Faults to a Sentry, when the operator names one: an event for each record of level ERROR that the service itself writes, which is one
//! for each 5xx and each panic. An event has what is on a closed list and nothing else: no header, cookie, query, body, address, account
//! or host name; its texts go through the log's filter. Sending is a thread of its own behind a short queue: a request waits for
//! nothing, and what does not fit is dropped.
//! Practice 8.error-tracking. Tests: `tests/suite/attacks/s08_errors/secrets_in_reports.rs`.

use crate::platform::redaction::Redactor;
use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use sentry::{
    Client, ClientOptions, Level, Transport, TransportFactory, TransportOptions,
    protocol::{Event, Exception, Map},
    transports::ReqwestHttpTransportOptions,
};
use std::{borrow::Cow, collections::BTreeMap, fmt, num::NonZeroUsize, sync::Arc, time::Duration};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context as Surroundings, registry::LookupSpan};

/// Fields that are told, of the record and of the request that it is about.
const TOLD: [&str; 10] = ["cause", "code", "error", "id", "location", "message", "method", "route", "status", "trace_id"];

/// Events that may wait.
const QUEUE: Option<NonZeroUsize> = NonZeroUsize::new(32);

/// How long an event may take, and how long the service waits for the last ones when it stops. (The library sets no limit, and waits
/// for its thread.)
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends them.
#[derive(Clone)]
pub struct Reports {
    client: Arc<Client>,
    redactor: Redactor,
}

impl Reports {
    /// To the Sentry of this address, from a service in this environment.
    ///
    /// # Errors
    /// When that is no such address.
    pub fn to(dsn: &SecretString, environment: &'static str) -> anyhow::Result<Self> {
        // the parser's message is left out: it may quote the key
        let dsn = dsn.expose_secret().parse().ok().context("PORTCULLIS_SENTRY_DSN must be like https://key@host/project")?;
        let mut options = ClientOptions::new();
        options.dsn = Some(dsn);
        options.release = Some(concat!("portcullis@", env!("CARGO_PKG_VERSION")).into());
        options.environment = Some(environment.into());
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        options.transport = Some(Arc::new(Http(http)));
        options.transport_channel_capacity = QUEUE;
        options.shutdown_timeout = PATIENCE;
        options.send_default_pii = false;
        options.default_integrations = false;
        options.max_breadcrumbs = 0;
        // whatever a later version of the library would add by itself
        options.before_send = Some(Arc::new(|event| Some(scrubbed(event))));
        Ok(Self { client: Arc::new(Client::from(options)), redactor: Redactor::for_text()? })
    }

    /// Waits, but not long, until what was reported is out. Returns whether it is.
    #[must_use]
    pub fn flush(&self) -> bool {
        self.client.close(Some(PATIENCE))
    }

    fn event(&self, mut told: Told) -> Event<'static> {
        let mut take = |name| told.0.remove(name).map(|text| self.redactor.redact(&text).into_owned());
        let message = take("message");
        let cause = take("cause").or_else(|| take("error"));
        let kind = take("code").or(message).unwrap_or_else(|| "error".to_owned());
        let request_id = take("id");
        let tags = ["location", "method", "route", "status", "trace_id"].into_iter().filter_map(|name| Some((name.to_owned(), take(name)?)));
        let tags = tags.chain(request_id.map(|id| ("request_id".to_owned(), id))).collect::<Map<_, _>>();
        let place = tags.get("route").or_else(|| tags.get("location")).cloned().unwrap_or_default();
        // without stack traces, what belongs together is the same code at the same place
        let fingerprint = vec![Cow::Owned(kind.clone()), Cow::Owned(place)];
        let exception = Exception { ty: kind, value: cause, ..Exception::default() };
        Event { level: Level::Error, exception: vec![exception].into(), tags, fingerprint: fingerprint.into(), ..Event::default() }
    }
}

/// The library's way of sending, over a client of ours.
struct Http(reqwest::Client);

impl TransportFactory for Http {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        Arc::new(ReqwestHttpTransportOptions::from(options).with_client(self.0.clone()).build())
    }
}

/// Nothing but what [`Reports::event`] put in, and what the library needs.
fn scrubbed(event: Event<'static>) -> Event<'static> {
    let Event { event_id, level, exception, tags, fingerprint, release, environment, timestamp, sdk, platform, .. } = event;
    Event { event_id, level, exception, tags, fingerprint, release, environment, timestamp, sdk, platform, ..Event::default() }
}

/// What a record or a span says, as far as it is on the list.
#[derive(Default)]
struct Told(BTreeMap<&'static str, String>);

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        if TOLD.contains(&field.name()) {
            self.0.insert(field.name(), value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if TOLD.contains(&field.name()) {
            self.0.insert(field.name(), format!("{value:?}"));
        }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some("portcullis")
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Reports {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Surroundings<'_, S>) {
        if let Some(span) = context.span(id).filter(|span| is_ours(span.metadata())) {
            let mut told = Told::default();
            attributes.record(&mut told);
            span.extensions_mut().insert(told);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Surroundings<'_, S>) {
        if *event.metadata().level() != tracing::Level::ERROR || !is_ours(event.metadata()) {
            return;
        }
        let mut told = Told::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Told(of_span)) = span.extensions().get::<Told>() {
                told.0.extend(of_span.iter().map(|(name, value)| (*name, value.clone())));
            }
        }
        event.record(&mut told);
        self.client.capture_event(self.event(told), None);
    }
}
