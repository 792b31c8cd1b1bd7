//! Somebody breaks the policies: on purpose, by a typo, by deleting them. Whatever keeps the engine from a clean answer is a refusal, and what
//! does not fit the schema does not start.

use crate::support::{app::TestApp, log};
use portcullis::access::policy::{Action, Circumstances, Object, Policies, PolicyError, Subject};
use serde_json::json;
use std::{fs, net::IpAddr};
use time::macros::datetime;
use uuid::Uuid;

const PERMIT: &str = "@id(\"all\")\npermit (principal, action, resource);";

fn asked(policies: &Policies) -> bool {
    let owner = Uuid::from_u128(7);
    let subject = Subject { account: owner, ..Subject::default() };
    let object = Object { owner, classification: 1, ..Object::default() };
    let circumstances = Circumstances { assurance: 2, at: datetime!(2031-01-08 10:00 UTC), address: IpAddr::from([10, 0, 0, 1]) };
    policies.asker(&subject, circumstances).may(Action::Read, &object).is_allowed
}

#[actix_web::test]
async fn without_policies_nothing_is_allowed() {
    assert!(asked(&Policies::built_in().unwrap()), "the owner, by the policies that are there");
    assert!(!asked(&Policies::parse(&[]).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shut.cedar"), "@id(\"shut\")\nforbid (principal, action, resource);").unwrap();
    let app = TestApp::with(&[("PORTCULLIS_POLICIES", folder.path().to_str().unwrap())]).await;
    let ada = app.member("ada@example.org").await;
    let refused = ada.post("/v1/documents", json!({ "title": "x", "body": "x", "classification": "public" })).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "FORBIDDEN"), "{}", refused.text);
    assert!(ada.documents("").await.is_empty());
}

#[test]
fn a_policy_that_fails_on_the_way_refuses_even_if_it_is_one_that_forbids() {
    // an addition that overflows: Cedar itself leaves such a policy out
    let failing = |effect: &str| {
        format!("@id(\"failing\")\n{effect} (principal, action, resource)\nwhen {{ resource.classification + 9223372036854775807 > 0 }};")
    };
    assert!(asked(&Policies::parse(&[("all", PERMIT)]).unwrap()));
    for effect in ["forbid", "permit"] {
        log::install();
        let policies = Policies::parse(&[("all", PERMIT), ("failing", &failing(effect))]).unwrap();
        assert!(!asked(&policies), "{effect}");
    }
    assert!(log::text().lines().any(|line| line.contains("a policy decision failed") && line.contains("failing")), "the log names the policy");
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_not_decided_by() {
    for (text, part) in [
        ("permit (principal, action, resource)", "end of input"),
        ("permit (principal, action, resource);", "@id"),
        ("@id(\"a\") permit (principal, action, resource) when { resource.ownr == principal };", "ownr"),
        ("@id(\"a\") permit (principal, action, resource) when { principal.permissions == 1 };", ""),
        ("@id(\"a\") permit (principal, action == Action::\"reed\", resource);", "reed"),
        ("@id(\"a\") permit (principal, action, resource) when { principal.department == \"x\" };", "department"),
        ("@id(\"a\") permit (principal == ?principal, action, resource);", "template"),
        ("@id(\"a\") permit (principal, action, resource); @id(\"a\") forbid (principal, action, resource);", "a"),
        ("@id(\"a\") permit (principal, action, resource) when { false };", ""),
        ("@id(\"all\") forbid (principal, action, resource);", "all"),
    ] {
        let Err(PolicyError::Wrong(file, reason)) = Policies::parse(&[("good.cedar", PERMIT), ("bad.cedar", text)]) else {
            panic!("taken: {text}");
        };
        assert!(reason.contains(part), "{text}: {file}: {reason}");
    }
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, contents: &[u8]| {
        fs::write(folder.path().join(name), contents).unwrap();
        let read = Policies::read(folder.path());
        fs::remove_file(folder.path().join(name)).unwrap();
        read
    };
    assert!(matches!(Policies::read(folder.path()), Err(PolicyError::Empty(_))), "an empty folder is a wrong path");
    assert!(matches!(written("a.cedar", b"// nothing"), Err(PolicyError::Empty(_))));
    assert!(written("a.cedar", PERMIT.as_bytes()).is_ok());
    // what somebody may believe to be read
    for name in ["a.CEDAR", "a.cedar.bak", "a.txt"] {
        assert!(matches!(written(name, PERMIT.as_bytes()), Err(PolicyError::Wrong(..))), "{name}");
    }
    assert!(matches!(written("a.cedar", &vec![b'/'; (256 << 10) + 1]), Err(PolicyError::Wrong(..))), "larger than any that people read");
    fs::create_dir(folder.path().join("more")).unwrap();
    assert!(matches!(written("a.cedar", PERMIT.as_bytes()), Err(PolicyError::Wrong(..))), "a folder within");
    fs::rename(folder.path().join("more"), folder.path().join("..data")).unwrap();
    assert!(written("a.cedar", PERMIT.as_bytes()).is_ok(), "as a mounted ConfigMap has one");
    assert!(matches!(Policies::read(&folder.path().join("nowhere")), Err(PolicyError::Unreadable(..))));
    fs::write(folder.path().join("a.cedar"), [0xff, 0xfe]).unwrap();
    assert!(matches!(Policies::read(folder.path()), Err(PolicyError::Unreadable(..))));
}

#[actix_web::test]
async fn the_log_tells_which_policies_decided_and_the_answer_does_not() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.member("ada@example.org").await, app.member("eve@example.org").await);
    let id = ada.document("internal", None).await;
    let read = ada.get(&format!("/v1/documents/{id}")).await;
    let refused = eve.get(&format!("/v1/documents/{id}")).await;
    for (answer, outcome, policies) in [(&read, "allow", "owner-does-all"), (&refused, "deny", "{}")] {
        let request = answer.header("x-request-id");
        let text = log::text();
        let record = text.lines().find(|line| line.contains("policy decision") && line.contains(request)).expect("a record under the request's id");
        assert!(record.contains(&id) && record.contains(outcome) && record.contains(policies), "{record}");
        assert!(!answer.text.contains("owner-does-all") && !answer.text.contains("policy"), "{}", answer.text);
    }
}
