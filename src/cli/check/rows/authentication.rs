//! Authentication: tokens, passwords, second factors, letters, others' word, keys. Open registration is no fault.
//! Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, at_most, insist};

pub(super) const CHECKS: &[Check] = &[
    insist("authentication.tokens", &["PORTCULLIS_ACCESS_TOKEN_SECONDS", "PORTCULLIS_TOKEN_ALGORITHM", "PORTCULLIS_TOKEN_AUDIENCE"], |facts| {
        let (life, algorithm) = (facts.text("PORTCULLIS_ACCESS_TOKEN_SECONDS"), facts.text("PORTCULLIS_TOKEN_ALGORITHM"));
        // the settings take no longer life and no symmetric algorithm
        Finding::holds(format!("access tokens live {life} seconds, 900 at most, and are signed with {algorithm}, which verifiers cannot sign with"))
    }),
    insist(
        "authentication.passwords",
        &[
            "PORTCULLIS_ARGON2_MEMORY_KIB",
            "PORTCULLIS_ARGON2_ITERATIONS",
            "PORTCULLIS_ARGON2_PARALLELISM",
            "PORTCULLIS_HASH_THREADS",
            "PORTCULLIS_HASH_QUEUE",
        ],
        // the settings take nothing below it
        |_| Finding::holds("argon2id costs what OWASP asks for at least, on a pool of threads that is bounded"),
    ),
    advise(
        "authentication.mailbox",
        &["PORTCULLIS_PROOF_MINUTES", "PORTCULLIS_MAIL_FROM", "PORTCULLIS_SMTP_URL", "PORTCULLIS_REGISTRATION", "PORTCULLIS_MAIL_ATTEMPTS"],
        |facts| {
            let why = "whoever reads a mailbox later must not find what still opens an account (ASVS 5.0 6.5.5 asks for 10)";
            at_most(
                facts,
                &[("PORTCULLIS_PROOF_MINUTES", 15)],
                why,
                "an account begins with a proven mailbox; links and codes run out in 15 minutes at most",
            )
        },
    ),
    advise(
        "authentication.second-factor",
        &["PORTCULLIS_CHALLENGE_MINUTES", "PORTCULLIS_SECOND_FACTOR_RESET_HOURS", "PORTCULLIS_UNDO_DAYS"],
        |facts| {
            let why = "a link that takes a second factor away is worth one";
            let good = "second factors are offered to everybody, and links that take one away run out in a day";
            at_most(facts, &[("PORTCULLIS_SECOND_FACTOR_RESET_HOURS", 24)], why, good)
        },
    ),
    insist("authentication.federation", &["PORTCULLIS_IDENTITY_PROVIDERS", "PORTCULLIS_OAUTH_CALLBACK_URL", "PORTCULLIS_TOKEN_ISSUERS"], |facts| {
        match &facts.settings {
            Err(_) => Finding::cannot_tell("the settings cannot be read as a whole"),
            Ok(settings) => {
                let (providers, issuers) = (settings.federated.providers.len(), settings.federated.issuers.len());
                Finding::holds(format!("believed over HTTPS only, and by name: {providers} providers to sign in with, {issuers} issuers of tokens"))
            }
        }
    }),
    advise("authentication.api-keys", &["PORTCULLIS_API_KEY_DAYS"], |facts| {
        at_most(facts, &[("PORTCULLIS_API_KEY_DAYS", 365)], "a key that nobody replaces is found some day", "API keys end within a year")
    }),
    advise("authentication.webhooks", &["PORTCULLIS_WEBHOOK_SOURCES", "PORTCULLIS_WEBHOOK_TOLERANCE_SECONDS"], |facts| {
        let why = "whoever gets hold of a webhook can send it again for as long as its id is not known (Standard Webhooks: 5 minutes)";
        at_most(facts, &[("PORTCULLIS_WEBHOOK_TOLERANCE_SECONDS", 300)], why, "webhooks that come in are signed, new, and count once")
    }),
];
