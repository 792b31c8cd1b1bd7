//! Input validation: settings are input, too; sizes, times, bodies without unknown fields, and the constraints of the schema behind all.
//! Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, at_most, insist};

pub(super) const CHECKS: &[Check] = &[
    // what is wrong with any setting that no other check names is told here, too
    insist("input.settings", &["PORTCULLIS_WAIVED"], |facts| match &facts.settings {
        Ok(_) => Finding::holds("every setting is known, and has a value of its form and range"),
        Err(_) => Finding::cannot_tell("other rows say which settings cannot be read"),
    }),
    advise("input.sizes", &["PORTCULLIS_BODY_LIMIT", "PORTCULLIS_HEADER_LIMIT", "PORTCULLIS_HEADER_FIELDS"], |facts| {
        let bounds = [("PORTCULLIS_BODY_LIMIT", 1 << 20), ("PORTCULLIS_HEADER_LIMIT", 32_768)];
        at_most(facts, &bounds, "no call needs as much, and everybody may send it", "bodies and heads end where no call needs more")
    }),
    advise(
        "input.times",
        &[
            "PORTCULLIS_REQUEST_TIMEOUT_SECONDS",
            "PORTCULLIS_HANDSHAKE_TIMEOUT_SECONDS",
            "PORTCULLIS_IDLE_TIMEOUT_SECONDS",
            "PORTCULLIS_STALL_TIMEOUT_SECONDS",
        ],
        |facts| {
            let bounds = [
                ("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", 60),
                ("PORTCULLIS_HANDSHAKE_TIMEOUT_SECONDS", 15),
                ("PORTCULLIS_IDLE_TIMEOUT_SECONDS", 120),
                ("PORTCULLIS_STALL_TIMEOUT_SECONDS", 60),
            ];
            at_most(facts, &bounds, "slow clients hold what others wait for", "a client that takes its time is given up")
        },
    ),
    Check {
        shown_by: Some("tests/suite/contract/api_document.rs"),
        ..insist("input.bodies", &[], |facts| {
            let open = facts.open_bodies.iter().map(|operation| format!("{operation} takes fields that it does not know"));
            Finding::unless(open.collect(), "every body in the API document of this build is closed to fields that it does not list")
        })
    },
    insist("input.schema", &[], |facts| {
        facts.in_database(|found| {
            let behind = found.inspected.schema.iter().map(|error| format!("DATABASE_URL: {error}"));
            Finding::unless(behind.collect(), "the schema has every constraint that this build counts on")
        })
    }),
];
