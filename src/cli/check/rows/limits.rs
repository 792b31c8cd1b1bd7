//! Rate limiting: quotas that limit something, counted together, and no client that takes everything.
//! Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, near_default};

const SENSITIVE: &[&str] = &[
    "PORTCULLIS_LOGIN_QUOTA",
    "PORTCULLIS_LOGIN_ACCOUNT_QUOTA",
    "PORTCULLIS_LOGIN_DEVICE_QUOTA",
    "PORTCULLIS_LOGIN_NETWORK_QUOTA",
    "PORTCULLIS_LOGIN_FAILURES",
    "PORTCULLIS_REAUTHENTICATION_QUOTA",
    "PORTCULLIS_SECOND_FACTOR_QUOTA",
    "PORTCULLIS_MAILBOX_CODE_QUOTA",
    "PORTCULLIS_FACTOR_CHANGE_QUOTA",
    "PORTCULLIS_OAUTH_QUOTA",
    "PORTCULLIS_REFRESH_QUOTA",
    "PORTCULLIS_REFRESH_PERSON_QUOTA",
    "PORTCULLIS_REFRESH_NETWORK_QUOTA",
    "PORTCULLIS_WRONG_PROOF_QUOTA",
    "PORTCULLIS_PASSKEY_OPTIONS_QUOTA",
    "PORTCULLIS_WRONG_PASSKEY_QUOTA",
    "PORTCULLIS_LETTER_ADDRESS_QUOTA",
    "PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA",
    "PORTCULLIS_LETTER_DAY_QUOTA",
    "PORTCULLIS_LETTER_NETWORK_DAY_QUOTA",
    "PORTCULLIS_LETTER_QUOTA",
    "PORTCULLIS_LETTER_NETWORK_QUOTA",
    "PORTCULLIS_NEW_PASSWORD_QUOTA",
    "PORTCULLIS_NOTICE_QUOTA",
    "PORTCULLIS_INVITATION_QUOTA",
    "PORTCULLIS_WEBHOOK_REFUSAL_QUOTA",
    "PORTCULLIS_WEBHOOK_QUOTA",
];

const ORDINARY: &[&str] = &[
    "PORTCULLIS_ADDRESS_QUOTA_BURST",
    "PORTCULLIS_ADDRESS_QUOTA_PER_SECOND",
    "PORTCULLIS_PERSON_QUOTA_BURST",
    "PORTCULLIS_PERSON_QUOTA_PER_SECOND",
    "PORTCULLIS_API_KEY_QUOTA_BURST",
    "PORTCULLIS_API_KEY_QUOTA_PER_SECOND",
];

pub(super) const CHECKS: &[Check] = &[
    advise("limits.buckets", &[], |facts| {
        if facts.has_buckets {
            return Finding::holds("this build counts ordinary calls by client address, person and API key");
        }
        Finding::falls_short(
            "this build has no quota for ordinary calls: build it with the feature `governor`, or count at a proxy in front and waive this",
        )
    }),
    advise("limits.ordinary", ORDINARY, |facts| near_default(facts, ORDINARY, "quotas for ordinary calls are not beyond ten times their defaults")),
    advise("limits.sensitive", SENSITIVE, |facts| near_default(facts, SENSITIVE, "no quota for a sensitive call is beyond ten times its default")),
    advise("limits.store", &["REDIS_URL", "PORTCULLIS_NODES"], |facts| match facts.redis_answers {
        Some(true) => Finding::holds("sensitive calls are counted in Redis, by all nodes together; it answers"),
        Some(false) => Finding::falls_short("REDIS_URL: nothing there takes a value, so each node counts by itself, to its part of each quota"),
        None if facts.is_given("REDIS_URL") => Finding::cannot_tell("whether Redis answers was not asked"),
        None => Finding::holds("sensitive calls are counted in Postgres, by all nodes together"),
    }),
    advise(
        "limits.share",
        &[
            "PORTCULLIS_CONNECTIONS",
            "PORTCULLIS_ADDRESS_CONNECTIONS",
            "PORTCULLIS_REQUESTS_IN_HAND",
            "PORTCULLIS_ADDRESS_REQUESTS_IN_HAND",
            "PORTCULLIS_HTTP2_STREAMS",
        ],
        |facts| {
            let pairs = [
                ("PORTCULLIS_ADDRESS_CONNECTIONS", "PORTCULLIS_CONNECTIONS"),
                ("PORTCULLIS_ADDRESS_REQUESTS_IN_HAND", "PORTCULLIS_REQUESTS_IN_HAND"),
            ];
            let greedy = pairs.iter().filter_map(|(one, all)| {
                let (one_may, all_may) = (facts.number(one)?, facts.number(all)?);
                (one_may.saturating_mul(2) > all_may)
                    .then(|| format!("{one} is {one_may}, more than half of {all}, {all_may}: two clients keep everybody else out"))
            });
            Finding::unless(greedy.collect(), "one client address gets less than half of the connections and of the requests in hand")
        },
    ),
    advise("limits.database-connections", &["PORTCULLIS_DATABASE_CONNECTIONS", "PORTCULLIS_NODES"], |facts| {
        facts.in_database(|found| {
            let (each, nodes) = (facts.number("PORTCULLIS_DATABASE_CONNECTIONS").unwrap_or_default(), facts.number("PORTCULLIS_NODES").unwrap_or(1));
            // the pool, and the connection that hears of ended sessions
            let needed = nodes.saturating_mul(each + 1);
            let there = found.inspected.server.connections;
            if i64::try_from(needed).is_ok_and(|needed| needed <= there.into()) {
                return Finding::holds(format!("{nodes} nodes need {needed} connections at most; the database has {there} for their login"));
            }
            Finding::falls_short(format!(
                "PORTCULLIS_DATABASE_CONNECTIONS is {each}, which on {nodes} nodes is {needed} in all: the database has {there} for their login"
            ))
        })
    }),
];
