//! Logging: what is written, in which form, and whether it can be changed afterwards.
//! Practices 8.json-logs, 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, near_default, refuse};
use crate::cli::check::facts::Chain;
use time::Duration;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The chainer comes round every two seconds: by then something is wrong with it.
const CHAINED: Duration = Duration::minutes(10);

const THRESHOLDS: &[&str] = &[
    "PORTCULLIS_ALERT_STUFFING_ACCOUNTS",
    "PORTCULLIS_ALERT_SPRAYING_ACCOUNTS",
    "PORTCULLIS_ALERT_SPREAD_NETWORKS",
    "PORTCULLIS_ALERT_REFRESH_REPLAYS",
    "PORTCULLIS_ALERT_PROBED_THINGS",
    "PORTCULLIS_OPERATOR_LETTER_QUOTA",
];

pub(super) const CHECKS: &[Check] = &[
    advise("logging.level", &["PORTCULLIS_LOG"], |facts| {
        let level = EnvFilter::try_new(facts.text("PORTCULLIS_LOG")).ok().and_then(|filter| filter.max_level_hint());
        match level {
            Some(LevelFilter::INFO) => {
                Finding::holds("requests and heads of the audit chain are logged; nothing is logged as for a fault that is looked for")
            }
            Some(level) if level < LevelFilter::INFO => {
                Finding::falls_short(format!("PORTCULLIS_LOG lets through {level} at most: neither requests nor heads of the audit chain are logged"))
            }
            _ => Finding::falls_short("PORTCULLIS_LOG lets debug or trace through: that tells more than anybody reads, also about people"),
        }
    }),
    advise("logging.format", &["PORTCULLIS_LOG_FORMAT"], |facts| match facts.text("PORTCULLIS_LOG_FORMAT") {
        "pretty" => Finding::falls_short("PORTCULLIS_LOG_FORMAT is pretty: alerts and searches need a JSON object a line"),
        _ => Finding::holds("a JSON object a line, filtered for secrets and addresses"),
    }),
    advise("logging.addresses", &["PORTCULLIS_SESSION_ADDRESS"], |facts| match facts.text("PORTCULLIS_SESSION_ADDRESS") {
        "full" => {
            Finding::falls_short("PORTCULLIS_SESSION_ADDRESS is full: the device list keeps whole addresses in clear text, which it does not need")
        }
        _ => Finding::holds("no whole client address is kept in clear text"),
    }),
    advise("logging.alerts", THRESHOLDS, |facts| {
        let mail = if facts.is_given("PORTCULLIS_OPERATOR_MAIL") { "by letter, too" } else { "in the log and as metrics" };
        near_default(facts, THRESHOLDS, &format!("attacks are told {mail}, at numbers that are not beyond ten times their defaults"))
    }),
    refuse("logging.audit-rows", &[], |facts| {
        facts.in_database(|found| {
            let who = found.inspected.changes_events.iter().map(|who| format!("DATABASE_URL: {who}"));
            Finding::unless(who.collect(), "the service can add audit events and change or remove none")
        })
    }),
    advise("logging.audit-chain", &[], |facts| {
        facts.in_database(|found| match &found.chain {
            Err(reason) => Finding::cannot_tell(reason.as_str()),
            Ok(Chain { broken: Some(reason), .. }) => Finding::falls_short(reason.as_str()),
            Ok(Chain { oldest: Some(oldest), waiting, .. }) if facts.now - *oldest > CHAINED => Finding::falls_short(format!(
                "{waiting} audit events wait for the chain, the oldest for {} minutes: does the service run?",
                (facts.now - *oldest).whole_minutes()
            )),
            Ok(Chain { end: 0, .. }) => Finding::holds("no audit event is chained yet, and none waits"),
            Ok(Chain { end, .. }) => {
                Finding::holds(format!("the chain ends at {end} with a head that this service signed; `portcullis audit verify` walks all of it"))
            }
        })
    }),
];
