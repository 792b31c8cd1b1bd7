//! Authorization: policies that hold to their examples, a service that cannot change its own walls, and somebody to answer for it.
//! Practices 9.least-privilege, 16.checklist. Tests: `tests/suite/contract/check.rs`, `tests/suite/contract/production.rs`.

use super::{Check, Finding, advise, insist, refuse};
use crate::access::role::ADMINISTRATOR;

pub(super) const CHECKS: &[Check] = &[
    insist("authorization.policies", &["PORTCULLIS_POLICIES"], |facts| match &facts.policies {
        Err(reason) => Finding::falls_short(reason.as_str()),
        Ok(None) => Finding::cannot_tell("the policies load; there is no cases.json beside them that says what they should decide"),
        Ok(Some(report)) if !report.wrong.is_empty() => Finding::falls_short(format!("PORTCULLIS_POLICIES: {}", report.wrong.join("; "))),
        Ok(Some(report)) => {
            let untried = match report.untried.len() {
                0 => "each decides in one".to_owned(),
                some => format!("{some} decide in none"),
            };
            Finding::holds(format!("the policies load and hold to all {} examples; {untried}", report.cases))
        }
    }),
    insist("authorization.database", &["DATABASE_URL"], |facts| match &facts.database {
        None => Finding::cannot_tell("no database is named"),
        Some(Err(reason)) => Finding::falls_short(format!("DATABASE_URL: {reason}")),
        Some(Ok(_)) => Finding::holds("the database can be reached"),
    }),
    refuse("authorization.database-login", &["DATABASE_URL"], |facts| {
        facts.in_database(|found| {
            let powers = found.inspected.powers.iter().map(|power| format!("DATABASE_URL: {power}"));
            Finding::unless(powers.collect(), "the service's login and role own nothing, change no schema and hold no grants beyond the migrations'")
        })
    }),
    refuse("authorization.owner-login", &["PORTCULLIS_OWNER_DATABASE_URL"], |facts| {
        if facts.is_given("PORTCULLIS_OWNER_DATABASE_URL") {
            return Finding::falls_short("PORTCULLIS_OWNER_DATABASE_URL is for `portcullis migrate` alone: the service must not have it");
        }
        Finding::holds("the service does not know how to become the owner of its database")
    }),
    advise("authorization.administrator", &[], |facts| {
        facts.in_database(|found| match &found.administrators {
            Err(reason) => Finding::cannot_tell(reason.as_str()),
            Ok(0) => Finding::falls_short("there is no administrator who may sign in: `portcullis admin create` makes one"),
            Ok(number) => Finding::holds(format!("people who are administrators for good: {number}")),
        })
    }),
    advise("authorization.second-factor-roles", &[], |facts| {
        facts.in_database(|found| match &found.roles {
            Err(reason) => Finding::cannot_tell(reason.as_str()),
            Ok(roles) if roles.iter().any(|role| role.name == ADMINISTRATOR && !role.requires_second_factor) => Finding::falls_short(
                "the role administrator counts without a second factor: PUT /v1/roles/administrator/second-factor, once its holders have one",
            ),
            Ok(roles) => {
                let number = roles.iter().filter(|role| role.requires_second_factor).count();
                Finding::holds(format!("the role administrator counts with a second factor only; {number} roles do"))
            }
        })
    }),
];
