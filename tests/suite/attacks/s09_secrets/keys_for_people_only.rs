//! A stolen key is to become a session, another key, a password, another address, or authority: everything that needs a person refuses it.

use crate::support::{
    app::{Answer, TestApp},
    operations::{fingerprint, operations},
};
use portcullis::access::{
    Principal, Transport,
    permission::Permission,
    role::{self, AccessError, Actor},
};
use time::OffsetDateTime;

#[actix_web::test]
async fn a_key_of_every_scope_reaches_no_call_that_needs_a_person() {
    let app = TestApp::with(&[("PORTCULLIS_ALERT_PROBED_THINGS", "10000")]).await;
    let every: Vec<&str> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    let root = app.administrator().await;
    let personal = root.api_key(&every).await;
    let service = app.service_account(&root, &["administrator"], &every).await;
    app.all_letters_sent().await;
    for machine in [&personal, &service.machine] {
        assert_eq!(machine.actor.get("/v1/users").await.status, 200);
    }
    app.marks_of_use_written().await;
    let before = fingerprint(&app).await;
    let (mut refused, mut served) = (0, 0);
    for operation in operations().into_iter().filter(|operation| !operation.is_public()) {
        let schemes = operation.value["security"].as_array().unwrap();
        let is_for_keys = schemes.iter().any(|scheme| scheme.get("api_key").is_some());
        assert!(!is_for_keys || !operation.value["description"].as_str().unwrap().contains("RFC 9470"), "{}: fresh, by key", operation.name());
        // what keys may change is tried elsewhere
        if is_for_keys && !operation.method.is_safe() {
            continue;
        }
        for machine in [&personal, &service.machine] {
            let request = machine.actor.request(operation.method.clone(), &operation.url());
            let answer = Answer::of(operation.body().iter().fold(request, |request, body| request.json(body))).await;
            if is_for_keys {
                assert!(![401, 403].contains(&answer.status.as_u16()), "{}: {}", operation.name(), answer.text);
                served += 1;
            } else {
                assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "FORBIDDEN"), "{}: {}", operation.name(), answer.text);
                refused += 1;
            }
        }
    }
    assert!(refused > 60 && served > 10, "{refused} refused, {served} served");
    assert_eq!(fingerprint(&app).await, before, "nothing changed");
}

/// The last line: also a handler that forgot its guard gets nothing changed in a key's name.
#[actix_web::test]
async fn a_key_changes_no_authority_whatever_lets_it_in() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let machine = root.api_key(&["roles:manage", "users:manage"]).await;
    let account = app.id_of("root@example.org").await.parse().unwrap();
    let session = machine.id.parse().unwrap();
    let principal = Principal { account, session, transport: Transport::Key, assurance: 2, authenticated_at: OffsetDateTime::UNIX_EPOCH };
    let mut transaction = app.state.pool.begin().await.unwrap();
    let begun = role::begin_change(&mut transaction, Actor::Person(principal.into()), None, app.clock.now()).await;
    assert!(matches!(begun, Err(AccessError::BeyondOwn)), "{begun:?}");
}
