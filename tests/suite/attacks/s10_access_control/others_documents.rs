//! The attacker wants documents that are not theirs (broken object level authorization): by id, by list filter, by cursor, by precondition, by
//! sharing, by what they were let in for, by the department they say they are in; and each layer is asked for alone.

use crate::support::app::{Actor, Answer, TestApp};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;

/// Everything that can be done to one document.
async fn everything(who: &Actor<'_>, id: &str) -> Vec<(&'static str, Answer)> {
    let nobody = json!({ "viewers": [], "editors": [], "viewer_roles": [], "editor_roles": [] });
    vec![
        ("read", who.get(&format!("/v1/documents/{id}")).await),
        ("edit", who.edit(id, json!({ "title": "Mine" })).await),
        ("edit blindly", who.edit_if(id, "\"999\"", json!({ "title": "Mine" })).await),
        ("edit without a version", who.patch(&format!("/v1/documents/{id}"), json!({ "title": "Mine" })).await),
        ("classify", who.edit(id, json!({ "classification": "public" })).await),
        ("move", who.edit(id, json!({ "department": null })).await),
        ("see who has it", who.get(&format!("/v1/documents/{id}/shares")).await),
        ("share", who.put(&format!("/v1/documents/{id}/shares"), nobody).await),
        ("restore", who.post(&format!("/v1/documents/{id}/restore"), json!({})).await),
        ("delete", who.delete(&format!("/v1/documents/{id}")).await),
    ]
}

async fn state(app: &TestApp) -> (String, i64) {
    let documents = "SELECT coalesce(string_agg(to_jsonb(d)::text, ',' ORDER BY id), '') || (SELECT count(*) FROM document_shares) FROM documents d";
    let documents: String = sqlx::query_scalar(documents).fetch_one(&app.database.pool).await.unwrap();
    (documents, app.count("SELECT count(*) FROM audit_events WHERE event LIKE 'document.%'").await)
}

#[actix_web::test]
async fn nothing_can_be_done_to_a_document_of_somebody_else_and_it_is_not_there() {
    let app = TestApp::start().await;
    let ada = app.colleague("ada@example.org", "Engines").await;
    let mallory = app.colleague("mallory@example.org", "Sales").await;
    let root = app.administrator().await;
    let manager = app.manager("manager@example.org", "Sales").await;
    let id = ada.document("internal", Some("Engines")).await;
    let deleted = ada.document("internal", None).await;
    assert_eq!(ada.delete(&format!("/v1/documents/{deleted}")).await.status, 204);
    let before = state(&app).await;
    // who administers accounts does not read what people write, and who answers for a department answers for no other
    for who in [&mallory, &root, &manager] {
        for id in [&id, &deleted] {
            for (what, answer) in everything(who, id).await {
                assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "NOT_FOUND"), "{what}: {}", answer.text);
                assert!(answer.header("etag").is_empty());
            }
        }
    }
    // as what was never there
    let never = mallory.get("/v1/documents/01900000-0000-7000-8000-000000000000").await;
    assert_eq!(never.told(), mallory.get(&format!("/v1/documents/{id}")).await.told());
    assert_eq!(state(&app).await, before, "nothing was changed, nothing was recorded as done");
}

#[actix_web::test]
async fn lists_filters_and_cursors_show_nothing_of_others() {
    let app = TestApp::start().await;
    let ada = app.colleague("ada@example.org", "Engines").await;
    let mallory = app.colleague("mallory@example.org", "Engines").await;
    app.assure("ada@example.org", 2).await;
    let (owner, mut hidden) = (app.id_of("ada@example.org").await, BTreeSet::new());
    for _ in 0..3 {
        hidden.insert(ada.document("confidential", Some("Engines")).await);
        hidden.insert(ada.document("internal", None).await);
    }
    let gone = ada.document("internal", Some("Engines")).await;
    ada.delete(&format!("/v1/documents/{gone}")).await;
    let open = ada.document("internal", Some("Engines")).await;
    for query in [
        "limit=1".to_owned(),
        format!("owner={owner}"),
        format!("owner={owner}&limit=2"),
        format!("department=Engines&owner={owner}"),
        "department=Engines".to_owned(),
    ] {
        assert_eq!(mallory.documents(&query).await, [open.as_str()], "{query}");
    }
    for query in ["classification=confidential", "deleted=true", "deleted=true&department=Engines"] {
        assert!(mallory.documents(query).await.is_empty(), "{query}");
    }
    assert_eq!(ada.documents("").await.len(), 7);
    // somebody else's cursor is none, and one's own tells nothing
    let page = ada.get("/v1/documents?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(mallory.get(&format!("/v1/documents?cursor={cursor}")).await.status, 422);
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
    let last: uuid::Uuid = page["items"][0]["id"].as_str().unwrap().parse().unwrap();
    assert!(!bytes.windows(8).any(|window| window == &last.as_bytes()[..8]), "the id is not to be read in it");
}

#[actix_web::test]
async fn a_version_is_asked_for_only_of_those_who_may_change_it() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.member("ada@example.org").await, app.member("bob@example.org").await);
    let id = ada.document("internal", None).await;
    ada.share(&id, "viewers", &app.id_of("bob@example.org").await).await;
    assert_eq!(bob.get(&format!("/v1/documents/{id}")).await.header("etag"), "\"1\"");
    for version in ["*", "\"1\"", "\"7\""] {
        assert_eq!(bob.edit_if(&id, version, json!({ "title": "Mine" })).await.code(), "FORBIDDEN", "{version}");
    }
    // and of those always
    assert_eq!(ada.patch(&format!("/v1/documents/{id}"), json!({ "title": "x" })).await.code(), "PRECONDITION_REQUIRED");
    for version in ["\"2\"", "\"7\", \"8\"", "W/\"1\"", "\"\""] {
        let refused = ada.edit_if(&id, version, json!({ "title": "x" })).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (412, "PRECONDITION_FAILED"), "{version}");
    }
    // two who read the same version: one of them writes
    let edits = (0..10).map(|n| ada.edit_if(&id, "\"1\"", json!({ "title": format!("Number {n}") })));
    let edits = futures_util::future::join_all(edits).await;
    assert_eq!(edits.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(edits.iter().filter(|answer| answer.status != 200).all(|answer| answer.code() == "PRECONDITION_FAILED"));
}

#[actix_web::test]
async fn whoever_was_let_in_gets_no_further() {
    let app = TestApp::start().await;
    let (ada, viewer, editor) = (app.member("ada@example.org").await, app.member("view@example.org").await, app.member("edit@example.org").await);
    let stranger = app.member("eve@example.org").await;
    let (viewer_id, editor_id, eve) = (app.id_of("view@example.org").await, app.id_of("edit@example.org").await, app.id_of("eve@example.org").await);
    let id = ada.document("internal", None).await;
    let shares = json!({ "viewers": [viewer_id], "editors": [editor_id], "viewer_roles": [], "editor_roles": [] });
    assert_eq!(ada.put(&format!("/v1/documents/{id}/shares"), shares).await.status, 200);
    let expect = |who: &str, what: &str| match (who, what) {
        (_, "read") | ("editor", "edit") => 200,
        // the version is looked at once it is known that they may
        ("editor", "edit blindly") => 412,
        ("editor", "edit without a version") => 428,
        // deleted ones are elsewhere
        (_, "restore") => 404,
        _ => 403,
    };
    for (name, who) in [("viewer", &viewer), ("editor", &editor)] {
        for (what, answer) in everything(who, &id).await {
            assert_eq!(answer.status.as_u16(), expect(name, what), "{name}: {what}: {}", answer.text);
        }
        assert_eq!(who.share(&id, "viewers", &eve).await.status, 403, "{name}");
        let both = who.edit(&id, json!({ "title": "x", "classification": "public" })).await;
        assert_eq!(both.status, 403, "an edit carries no other change along: {}", both.text);
    }
    assert_eq!(stranger.get(&format!("/v1/documents/{id}")).await.status, 404);
    assert_eq!(ada.get(&format!("/v1/documents/{id}")).await.json()["classification"], "internal");
    // taken back, it is gone with the next request
    assert_eq!(ada.share(&id, "viewers", &viewer_id).await.status, 200);
    assert_eq!(editor.get(&format!("/v1/documents/{id}")).await.status, 404);
}

#[actix_web::test]
async fn a_role_lets_in_while_it_counts() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    app.role("clerks", &[]).await;
    let clerk = app.member_with("clerk@example.org", "clerks").await;
    let id = ada.document("internal", None).await;
    assert_eq!(ada.share(&id, "editor_roles", "clerks").await.status, 200);
    assert_eq!(clerk.edit(&id, json!({ "title": "Ours" })).await.status, 200);
    sqlx::query("UPDATE roles SET requires_second_factor = true WHERE name = 'clerks'").execute(&app.database.pool).await.unwrap();
    let told = clerk.get(&format!("/v1/documents/{id}")).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (401, "STEP_UP_REQUIRED"), "it counts with a second factor");
    assert!(clerk.documents("").await.is_empty());
    app.assure("clerk@example.org", 2).await;
    assert_eq!(clerk.get(&format!("/v1/documents/{id}")).await.status, 200);
    sqlx::query("DELETE FROM user_roles WHERE role = 'clerks'").execute(&app.database.pool).await.unwrap();
    assert_eq!(clerk.get(&format!("/v1/documents/{id}")).await.status, 404);
    assert!(clerk.documents("").await.is_empty());
}

#[actix_web::test]
async fn nobody_files_with_another_department_or_says_whose_a_document_is() {
    let app = TestApp::start().await;
    let ada = app.colleague("ada@example.org", "Engines").await;
    let id = ada.document("internal", Some("Engines")).await;
    let new = |extra: Value| {
        let mut body = json!({ "title": "x", "body": "x", "classification": "internal" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    assert_eq!(ada.post("/v1/documents", new(json!({ "department": "Sales" }))).await.code(), "FORBIDDEN");
    assert_eq!(ada.edit(&id, json!({ "department": "Sales" })).await.code(), "FORBIDDEN");
    let bob = app.id_of("ada@example.org").await;
    for extra in [json!({ "owner_id": bob }), json!({ "owner": bob }), json!({ "version": 7 }), json!({ "id": bob }), json!({ "deleted_at": null })] {
        assert_eq!(ada.post("/v1/documents", new(extra.clone())).await.code(), "INVALID", "{extra}");
        assert_eq!(ada.edit(&id, extra.clone()).await.code(), "INVALID", "{extra}");
    }
    for classification in [json!("secret"), json!(""), json!(1), json!({ "internal": null }), json!(["internal"]), json!(null)] {
        assert_eq!(ada.post("/v1/documents", new(json!({ "classification": classification }))).await.code(), "INVALID", "{classification}");
        assert_eq!(ada.edit(&id, json!({ "classification": classification })).await.code(), "INVALID", "{classification}");
    }
    assert_eq!(app.count("SELECT count(*) FROM documents").await, 1);
    // who moved to another department still takes theirs along
    app.place("ada@example.org", "Sales").await;
    assert_eq!(ada.edit(&id, json!({ "classification": "public" })).await.status, 200);
    assert_eq!(ada.edit(&id, json!({ "department": "Sales" })).await.status, 200);
}

#[actix_web::test]
async fn either_layer_alone_refuses() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let bob = app.member("bob@example.org").await;
    let id = ada.document("internal", None).await;
    let others = bob.document("internal", None).await;
    // the policies would let the owner; the route does not
    sqlx::query("DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE email = 'ada@example.org')")
        .execute(&app.database.pool)
        .await
        .unwrap();
    for (what, answer) in everything(&ada, &id).await {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "FORBIDDEN"), "{what}");
    }
    assert_eq!(ada.get("/v1/documents").await.status, 403);
    // the route lets somebody who may do everything; the policies do not
    app.role("all", &["documents:read", "documents:write", "documents:manage"]).await;
    let all = app.member_with("all@example.org", "all").await;
    for (what, answer) in everything(&all, &others).await {
        assert_eq!(answer.status.as_u16(), 404, "{what}");
    }
    // one permission does not stand for the other
    app.role("reader", &["documents:read"]).await;
    sqlx::query("UPDATE user_roles SET role = 'reader' WHERE user_id = (SELECT id FROM users WHERE email = 'bob@example.org')")
        .execute(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(bob.get(&format!("/v1/documents/{others}")).await.status, 200);
    assert_eq!(bob.edit(&others, json!({ "title": "x" })).await.code(), "FORBIDDEN");
}

#[actix_web::test]
async fn what_is_confidential_needs_a_second_factor_and_says_so_to_those_who_are_entitled() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let (bob, eve) = (app.member("bob@example.org").await, app.member("eve@example.org").await);
    let made = ada.post("/v1/documents", json!({ "title": "x", "body": "x", "classification": "confidential" })).await;
    assert_eq!((made.status.as_u16(), made.code().as_str()), (401, "STEP_UP_REQUIRED"), "{}", made.text);
    app.assure("ada@example.org", 2).await;
    let id = ada.document("confidential", None).await;
    ada.share(&id, "viewers", &app.id_of("bob@example.org").await).await;
    app.assure("ada@example.org", 1).await;
    for (what, answer) in everything(&ada, &id).await.into_iter().filter(|(what, _)| *what != "restore") {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "STEP_UP_REQUIRED"), "{what}: {}", answer.text);
    }
    let told = bob.get(&format!("/v1/documents/{id}")).await;
    assert_eq!(told.json()["error"]["step_up"]["acr"], "aal2", "{}", told.text);
    assert!(told.header("www-authenticate").contains("acr_values=\"aal2\""));
    assert_eq!(eve.get(&format!("/v1/documents/{id}")).await.status, 404, "nobody else hears of it");
    assert!(bob.documents("").await.is_empty(), "nor does a list show it");
    app.assure("bob@example.org", 2).await;
    assert_eq!(bob.get(&format!("/v1/documents/{id}")).await.status, 200);
    assert_eq!(bob.documents("").await, [id.as_str()]);
    // what is open is not made confidential, nor the other way round, without one
    assert_eq!(ada.edit(&id, json!({ "classification": "public" })).await.code(), "STEP_UP_REQUIRED");
    let open = ada.document("internal", None).await;
    assert_eq!(ada.edit(&open, json!({ "classification": "confidential" })).await.code(), "STEP_UP_REQUIRED");
}

#[actix_web::test]
async fn what_is_restricted_stays_in_the_house_and_in_its_hours() {
    let app = TestApp::with(&[("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let wednesday = time::macros::datetime!(2031-01-08 10:00 UTC);
    app.clock.advance(wednesday - app.clock.now());
    let ada = app.member("ada@example.org").await;
    app.assure("ada@example.org", 2).await;
    let id = ada.document("internal", None).await;
    sqlx::query("UPDATE documents SET classification = 3").execute(&app.database.pool).await.unwrap();
    let from = async |address: &str, method: Method, body: Option<Value>| {
        let request = ada.request(method, &format!("/v1/documents/{id}")).header("x-forwarded-for", address).header("if-match", "*");
        Answer::of(if let Some(body) = body { request.json(&body) } else { request }).await.status.as_u16()
    };
    let title = || Some(json!({ "title": "x" }));
    assert_eq!(from("10.1.2.3", Method::GET, None).await, 200);
    assert_eq!(from("10.1.2.3", Method::PATCH, title()).await, 200);
    // nor from where nobody says: a proxy that forwards nothing to be read is no place of its own
    for outside in ["203.0.113.7", "10.0.0.1, 203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7", "unknown", "", "203.0.113.7,"] {
        assert_eq!(from(outside, Method::GET, None).await, 404, "{outside}");
        assert_eq!(from(outside, Method::PATCH, title()).await, 404, "{outside}");
    }
    app.clock.advance(time::Duration::hours(10));
    app.assure("ada@example.org", 2).await;
    sqlx::query("UPDATE sessions SET idle_expires_at = now() + interval '99 years', absolute_expires_at = now() + interval '99 years'")
        .execute(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(from("10.1.2.3", Method::GET, None).await, 200, "in the evening it is read");
    assert_eq!(from("10.1.2.3", Method::PATCH, title()).await, 403, "and not changed");
}

/// The call was let in, and waits for the document while its caller loses what let it in.
#[actix_web::test]
async fn whoever_loses_it_while_waiting_changes_nothing() {
    let app = TestApp::start().await;
    let user = "(SELECT id FROM users WHERE email = 'ada@example.org')";
    for (change, undo, status) in [
        (
            format!("DELETE FROM user_roles WHERE user_id = {user}"),
            format!("INSERT INTO user_roles SELECT id, 'member', NULL, now() FROM users WHERE id = {user}"),
            403,
        ),
        (
            format!("UPDATE sessions SET revoked_at = now() WHERE user_id = {user}"),
            format!("UPDATE sessions SET revoked_at = NULL WHERE user_id = {user}"),
            401,
        ),
        (format!("UPDATE users SET status = 'disabled' WHERE id = {user}"), format!("UPDATE users SET status = 'active' WHERE id = {user}"), 401),
    ] {
        let ada = match app.count("SELECT count(*) FROM users").await {
            0 => app.member("ada@example.org").await,
            _ => app.sign_in("ada@example.org").await,
        };
        let id = ada.document("internal", None).await;
        let mut holder = app.database.pool.begin().await.unwrap();
        sqlx::query("SELECT FROM documents FOR UPDATE").execute(&mut *holder).await.unwrap();
        let waiting = async {
            let (path, shares) = (format!("/v1/documents/{id}"), format!("/v1/documents/{id}/shares"));
            let nobody = json!({ "viewers": [], "editors": [], "viewer_roles": [], "editor_roles": [] });
            let edit = ada.edit(&id, json!({ "title": "Late" }));
            futures_util::join!(edit, ada.delete(&path), ada.put(&shares, nobody))
        };
        let meanwhile = async {
            let waits =
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%documents%'";
            app.wait_for("three calls to wait", async || (app.count(waits).await == 3).then_some(())).await;
            sqlx::query(AssertSqlSafe(change.clone())).execute(&app.database.pool).await.unwrap();
            holder.commit().await.unwrap();
        };
        let ((edited, deleted, shared), ()) = futures_util::join!(waiting, meanwhile);
        for answer in [edited, deleted, shared] {
            assert_eq!(answer.status.as_u16(), status, "{change}: {}", answer.text);
        }
        sqlx::query(AssertSqlSafe(undo)).execute(&app.database.pool).await.unwrap();
        assert_eq!(app.count("SELECT count(*) FROM documents WHERE version > 1 OR deleted_at IS NOT NULL").await, 0);
    }
}

#[actix_web::test]
async fn whoever_may_not_read_it_is_not_shown_it_by_changing_it() {
    let folder = tempfile::tempdir().unwrap();
    let policies = "@id(\"blind\")\npermit (principal, action in [Action::\"change\"], resource);";
    std::fs::write(folder.path().join("blind.cedar"), policies).unwrap();
    let app = TestApp::with(&[("PORTCULLIS_POLICIES", folder.path().to_str().unwrap())]).await;
    let (ada, eve) = (app.member("ada@example.org").await, app.member("eve@example.org").await);
    let id = ada.document("internal", None).await;
    for (what, answer) in everything(&eve, &id).await {
        assert_eq!(answer.status, 404, "{what}: {}", answer.text);
    }
}

#[actix_web::test]
async fn the_export_is_no_way_around() {
    let app = TestApp::start().await;
    let wednesday = time::macros::datetime!(2031-01-08 10:00 UTC);
    app.clock.advance(wednesday - app.clock.now());
    let ada = app.member("ada@example.org").await;
    app.assure("ada@example.org", 2).await;
    for classification in ["public", "internal", "confidential", "restricted"] {
        let body = json!({ "title": format!("the {classification} one"), "body": "x", "classification": classification });
        assert_eq!(ada.post("/v1/documents", body).await.status, 201);
    }
    let export = ada.post("/v1/me/export", json!({})).await.json()["id"].as_str().unwrap().to_owned();
    app.letter_about("ada@example.org", "Your data is ready").await;
    let file = ada.get(&format!("/v1/me/export/{export}")).await.text;
    assert!(file.contains("the public one") && file.contains("the internal one"), "{file}");
    assert!(!file.contains("the confidential one") && !file.contains("the restricted one"), "nobody showed a second factor to the job");
}
