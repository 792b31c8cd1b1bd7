//! Examples that policies must hold to, as data: who wants what, and what comes of it. Those of the policies that this binary brings along are
//! `policies/cases.json`; a folder of one's own may have such a file, too. `cargo test` and `portcullis check` run them.

use crate::access::policy::{Action, Circumstances, Object, Policies, Subject};
use serde::Deserialize;
use std::{collections::BTreeSet, net::IpAddr};
use time::OffsetDateTime;
use uuid::Uuid;

/// The name of the file beside the policies.
pub const FILE: &str = "cases.json";

/// Those of the policies that this binary brings along.
pub const BUILT_IN: &str = include_str!("../../../policies/cases.json");

/// An example. Names stand for accounts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    principal: Principal,
    action: Action,
    resource: Resource,
    #[serde(default)]
    context: Context,
    expected: Expected,
    /// The policies that decide; none: nothing permits it.
    by: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    name: String,
    department: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    permissions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    owner: String,
    department: Option<String>,
    classification: i64,
    #[serde(default)]
    viewers: Vec<String>,
    #[serde(default)]
    editors: Vec<String>,
    #[serde(default)]
    viewer_roles: Vec<String>,
    #[serde(default)]
    editor_roles: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Context {
    assurance: i16,
    #[serde(with = "time::serde::rfc3339")]
    now: OffsetDateTime,
    address: IpAddr,
}

/// A Wednesday morning in the office, with a second factor.
impl Default for Context {
    fn default() -> Self {
        Self { assurance: 2, now: time::macros::datetime!(2026-01-07 10:00 UTC), address: IpAddr::from([10, 0, 0, 1]) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

/// What came of a file of examples.
#[derive(Debug, Default)]
pub struct Report {
    /// How many there are.
    pub cases: usize,
    /// Those that came out otherwise, in words.
    pub wrong: Vec<String>,
    /// Policies that decided in none.
    pub untried: BTreeSet<String>,
}

/// Runs the examples of a file.
///
/// # Errors
/// The file is not one.
pub fn run(policies: &Policies, file: &str) -> Result<Report, serde_json::Error> {
    let cases: Vec<Case> = serde_json::from_str(file)?;
    let mut report = Report { cases: cases.len(), wrong: Vec::new(), untried: policies.ids() };
    for case in cases {
        let decision = policies.asker(&case.principal.subject(), case.context.circumstances()).may(case.action, &case.resource.object());
        report.untried.retain(|id| !decision.policies.contains(id));
        if decision.is_allowed != (case.expected == Expected::Allow) || decision.policies != case.by {
            let came = if decision.is_allowed { "allow" } else { "deny" };
            let expected = if case.expected == Expected::Allow { "allow" } else { "deny" };
            report.wrong.push(format!("{}: came out as {came} by {:?}, expected is {expected} by {:?}", case.name, decision.policies, case.by));
        }
    }
    Ok(report)
}

/// An account for a name: its bytes.
fn account(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name.bytes()).for_each(|(byte, letter)| *byte = letter);
    Uuid::from_bytes(bytes)
}

impl Principal {
    fn subject(&self) -> Subject {
        let Self { name, department, roles, permissions } = self;
        Subject { account: account(name), department: department.clone(), roles: roles.clone(), permissions: permissions.clone() }
    }
}

impl Resource {
    fn object(&self) -> Object {
        let accounts = |names: &[String]| names.iter().map(|name| account(name)).collect();
        Object {
            id: Uuid::nil(),
            owner: account(&self.owner),
            department: self.department.clone(),
            classification: self.classification,
            viewers: accounts(&self.viewers),
            editors: accounts(&self.editors),
            viewer_roles: self.viewer_roles.clone(),
            editor_roles: self.editor_roles.clone(),
        }
    }
}

impl Context {
    fn circumstances(&self) -> Circumstances {
        Circumstances { assurance: self.assurance, at: self.now, address: self.address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_policies_hold_to_their_cases_and_each_decides_in_one() {
        let report = run(&Policies::built_in().unwrap(), BUILT_IN).unwrap();
        assert!(report.wrong.is_empty(), "{:#?}", report.wrong);
        assert!(report.untried.is_empty(), "{:?}", report.untried);
        assert!(report.cases >= 40, "{}", report.cases);
    }

    #[test]
    fn a_case_that_comes_out_otherwise_is_told() {
        let none = Policies::parse(&[]).unwrap();
        let report = run(&none, BUILT_IN).unwrap();
        let allowed = BUILT_IN.matches(r#""allow""#).count();
        assert!(report.wrong.len() >= allowed, "{} of {allowed}", report.wrong.len());
        assert!(run(&none, r#"[{"name": "a field too many", "extra": 1}]"#).is_err());
    }
}
