//! Documents from one's own to shared, filed, deleted, restored and gone; and that a list is exactly what one may read.

use crate::support::app::{Actor, TestApp};
use portcullis::{access::policy::Policies, documents::Classification};
use serde_json::json;
use std::collections::BTreeSet;
use time::Duration;

#[actix_web::test]
async fn a_document_is_made_shared_edited_deleted_and_restored() {
    let app = TestApp::start().await;
    let ada = app.colleague("ada@example.org", "Engines").await;
    let bob = app.member("bob@example.org").await;
    let body = json!({ "title": "  Plan  B ", "body": "<p onclick=x()>Open <b>at nine</b><script>x()</script></p>", "classification": "internal", "department": "Engines" });
    let made = ada.post("/v1/documents", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!((made.header("etag"), made.header("location")), ("\"1\"", format!("/v1/documents/{id}").as_str()));
    assert_eq!((made.json()["title"].as_str(), made.json()["body"].as_str()), (Some("Plan B"), Some("<p>Open <b>at nine</b></p>")));
    assert_eq!(made.json()["owner_id"], app.id_of("ada@example.org").await.as_str());

    let bobs = app.id_of("bob@example.org").await;
    assert_eq!(bob.get(&format!("/v1/documents/{id}")).await.status, 404);
    let shared = ada.share(&id, "editors", &bobs).await;
    assert_eq!((shared.status.as_u16(), shared.json()["editors"].clone()), (200, json!([bobs])), "{}", shared.text);
    assert_eq!(ada.get(&format!("/v1/documents/{id}/shares")).await.json(), shared.json());
    assert_eq!(bob.documents("").await, [id.as_str()]);
    let edited = bob.edit_if(&id, "\"1\"", json!({ "body": "Open at ten" })).await;
    assert_eq!((edited.status.as_u16(), edited.header("etag")), (200, "\"2\""), "{}", edited.text);
    let moved = ada.edit_if(&id, "\"2\"", json!({ "department": null, "classification": "public" })).await;
    assert_eq!((moved.json()["department"].clone(), moved.json()["classification"].clone()), (json!(null), json!("public")), "{}", moved.text);

    for wrong in [
        json!({ "viewers": [bobs], "editors": [bobs], "viewer_roles": [], "editor_roles": [] }),
        json!({ "viewers": [], "editors": [], "viewer_roles": ["auditor"], "editor_roles": ["auditor"] }),
        json!({ "viewers": ["01900000-0000-7000-8000-000000000000"], "editors": [], "viewer_roles": [], "editor_roles": [] }),
        json!({ "viewers": [], "editors": [], "viewer_roles": ["nobody"], "editor_roles": [] }),
        json!({ "viewers": [], "editors": [], "viewer_roles": ["No Name"], "editor_roles": [] }),
        json!({ "viewers": (0..51).map(|n| format!("01900000-0000-7000-8000-0000000000{n:02}")).collect::<Vec<_>>(), "editors": [], "viewer_roles": [], "editor_roles": [] }),
        json!({ "viewers": [] }),
    ] {
        assert_eq!(ada.put(&format!("/v1/documents/{id}/shares"), wrong.clone()).await.code(), "INVALID", "{wrong}");
    }
    assert_eq!(ada.get(&format!("/v1/documents/{id}/shares")).await.json(), shared.json(), "what is refused changes nothing");

    assert_eq!(ada.delete(&format!("/v1/documents/{id}")).await.status, 204);
    assert_eq!(ada.delete(&format!("/v1/documents/{id}")).await.status, 404);
    assert_eq!(ada.get(&format!("/v1/documents/{id}")).await.status, 404);
    assert!(ada.documents("").await.is_empty() && bob.documents("deleted=true").await.is_empty());
    assert_eq!(ada.documents("deleted=true").await, [id.as_str()]);
    let restored = ada.post(&format!("/v1/documents/{id}/restore"), json!({})).await;
    assert_eq!((restored.status.as_u16(), restored.json()["deleted_at"].clone()), (200, json!(null)), "{}", restored.text);
    assert_eq!(bob.get(&format!("/v1/documents/{id}")).await.status, 200, "shared as before");

    let events = ada.get("/v1/me/events?limit=100").await.text;
    for event in ["document.created", "document.shared", "document.changed", "document.deleted", "document.restored"] {
        assert!(events.contains(event), "{event}");
    }
}

#[actix_web::test]
async fn deleted_documents_go_after_a_while_and_there_are_so_many_at_most() {
    let app = TestApp::with(&[("PORTCULLIS_DOCUMENTS", "3"), ("PORTCULLIS_DELETED_DOCUMENT_DAYS", "2")]).await;
    let ada = app.member("ada@example.org").await;
    let new = json!({ "title": "x", "body": "x", "classification": "internal" });
    let made = futures_util::future::join_all((0..8).map(|_| ada.post("/v1/documents", new.clone()))).await;
    assert_eq!(made.iter().filter(|answer| answer.status == 201).count(), 3, "however many at once");
    assert!(made.iter().filter(|answer| answer.status != 201).all(|answer| answer.code() == "TOO_MANY"));
    let ids = ada.documents("").await;
    assert_eq!(ada.delete(&format!("/v1/documents/{}", ids[0])).await.status, 204);
    assert_eq!(ada.post("/v1/documents", new.clone()).await.code(), "TOO_MANY", "it can come back");
    app.clock.advance(Duration::days(2) + Duration::SECOND);
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM documents").await, 2);
}

/// A few numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Documents of three people in all departments and classifications, shared at random.
async fn fill(app: &TestApp, numbers: &mut Numbers, people: &[&str]) {
    let mut accounts = Vec::new();
    for person in people {
        accounts.push(app.id_of(person).await);
    }
    for n in 0..120_i64 {
        let department = [None, Some("Engines"), Some("Sales")][numbers.below(3)];
        let deleted = (numbers.below(8) == 0).then(|| app.clock.now());
        sqlx::query(
            "INSERT INTO documents (id, owner_id, department, classification, title, body, created_at, updated_at, deleted_at)
             VALUES ($1, $2::uuid, $3, $4, 'x', 'x', now(), now(), $5)",
        )
        .bind(portcullis::platform::crypto::uuid_v7(app.clock.now() + Duration::milliseconds(n)))
        .bind(&accounts[numbers.below(accounts.len())])
        .bind(department)
        .bind(i16::try_from(numbers.below(4)).unwrap())
        .bind(deleted)
        .execute(&app.database.pool)
        .await
        .unwrap();
    }
    for _ in 0..80 {
        let (user, role) = if numbers.below(2) == 0 {
            (Some(&accounts[numbers.below(accounts.len())]), None)
        } else {
            (None, Some(["clerks", "auditor"][numbers.below(2)]))
        };
        sqlx::query(
            "INSERT INTO document_shares SELECT id, $1::uuid, $2, $3 FROM documents ORDER BY md5(id::text || $4) LIMIT 1 ON CONFLICT DO NOTHING",
        )
        .bind(user)
        .bind(role)
        .bind(["viewer", "editor"][numbers.below(2)])
        .bind(numbers.below(1000).to_string())
        .execute(&app.database.pool)
        .await
        .unwrap();
    }
}

/// What somebody can read one by one.
async fn readable(app: &TestApp, who: &Actor<'_>) -> BTreeSet<String> {
    let mut readable = BTreeSet::new();
    let all: Vec<String> = sqlx::query_scalar("SELECT id::text FROM documents").fetch_all(&app.database.pool).await.unwrap();
    for id in all {
        if who.get(&format!("/v1/documents/{id}")).await.status == 200 {
            readable.insert(id);
        }
    }
    readable
}

#[actix_web::test]
async fn a_list_is_exactly_what_one_may_read() {
    let app = TestApp::start().await;
    app.role("clerks", &[]).await;
    let people = ["ada@example.org", "bob@example.org", "eve@example.org", "manager@example.org"];
    let ada = app.colleague(people[0], "Engines").await;
    let bob = app.member_with(people[1], "clerks").await;
    let eve = app.colleague(people[2], "Sales").await;
    let manager = app.manager(people[3], "Sales").await;
    let mut numbers = Numbers(7);
    fill(&app, &mut numbers, &people).await;
    for (n, who) in [&ada, &bob, &eve, &manager].into_iter().enumerate() {
        for level in [1, 2] {
            app.assure(people[n], level).await;
            let readable = readable(&app, who).await;
            for limit in ["limit=3", "limit=100"] {
                let listed = who.documents(limit).await;
                assert!(listed.is_sorted_by(|a, b| a > b), "the newest first, none twice");
                assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), readable, "{} at level {level}, {limit}", people[n]);
            }
            assert!(readable.len() > 10 && readable.len() < 100, "{}: neither all nor none", readable.len());
        }
    }
}

#[actix_web::test]
async fn a_page_that_needs_too_much_looking_through_has_a_next_one() {
    let app = TestApp::start().await;
    let ada = app.colleague("ada@example.org", "Engines").await;
    // who could read them with a second factor
    let eve = app.manager("eve@example.org", "Engines").await;
    let first = ada.document("internal", Some("Engines")).await;
    sqlx::query(
        "INSERT INTO documents (id, owner_id, department, classification, title, body, created_at, updated_at)
         SELECT ('ffffffff-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, owner_id, 'Engines', 2, 'x', 'x', now(), now()
         FROM documents, generate_series(1, 1200) n",
    )
    .execute(&app.database.pool)
    .await
    .unwrap();
    let page = eve.get("/v1/documents").await;
    assert_eq!(page.json()["items"], json!([]), "none of a thousand");
    assert!(page.json()["next_cursor"].is_string());
    assert_eq!(eve.documents("").await, [first], "and the one behind them");
}

#[test]
fn what_the_classification_is_called_is_what_policies_count() {
    let levels =
        [Classification::Public, Classification::Internal, Classification::Confidential, Classification::Restricted].map(Classification::level);
    assert_eq!(levels, [0, 1, 2, 3]);
    assert!(Policies::built_in().is_ok());
}
