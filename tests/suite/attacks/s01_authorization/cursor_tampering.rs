//! The attacker writes cursors: made up, altered, from another list, or from somebody else, to read where they should not.

use crate::support::{
    app::TestApp,
    operations::operations,
    provider::Provider,
    webhooks,
    world::{Kind, World},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

#[actix_web::test]
async fn only_a_cursor_of_this_list_and_this_reader_is_taken() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let auditor = app.member_with("audit@example.org", "auditor").await;
    let page = root.get("/v1/users?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(root.get(&format!("/v1/users?cursor={cursor}")).await.status, 200);

    let mut altered = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    altered[3] ^= 1;
    let altered = URL_SAFE_NO_PAD.encode(altered);
    let bare_id = URL_SAFE_NO_PAD.encode([7; 16]);
    for (who, path) in [
        (&root, format!("/v1/users?cursor={altered}")),
        (&root, format!("/v1/users?cursor={bare_id}")),
        (&root, format!("/v1/users?cursor={}", &cursor[..20])),
        (&root, "/v1/users?cursor=".into()),
        (&root, format!("/v1/audit/events?cursor={cursor}")),
        (&root, format!("/v1/me/events?cursor={cursor}")),
        (&auditor, format!("/v1/users?cursor={cursor}")),
    ] {
        let answer = who.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"]["fields"][0]["field"].as_str()), (422, Some("cursor")), "{path}: {}", answer.text);
    }
}

/// Every list that has pages: each one's cursor in every other one, and in its own by somebody else who may read it, too.
#[actix_web::test]
async fn no_cursor_goes_from_list_to_list_or_from_reader_to_reader() {
    let provider = Provider::start();
    let app = World::service(&provider).await;
    let world = World::of(&app, provider).await;
    let root = world.actor(Kind::Administrator);
    let second = app.member_with("second@example.org", "administrator").await;
    for at in 0..2 {
        root.document("public", None).await;
        app.told(webhooks::HR, &format!("msg_{at}"), &webhooks::event("room.booked", &json!({}))).await;
        let endpoint = json!({ "name": "Warehouse", "url": "https://1.1.1.1/", "events": ["audit.pruned"] });
        assert_eq!(root.post("/v1/webhooks/endpoints", endpoint).await.status, 201);
        assert_eq!(root.post(&format!("{}/test", world.known("/v1/webhooks/endpoints/")), json!({})).await.status, 202);
    }
    let lists: Vec<String> = operations()
        .into_iter()
        .filter(|operation| operation.parameters("query").contains(&"cursor".into()))
        .map(|operation| world.url(&operation))
        .collect();
    assert!(lists.len() >= 5, "{lists:?}");
    for list in &lists {
        let page = root.get(&format!("{list}?limit=1")).await.json();
        let cursor = page["next_cursor"].as_str().unwrap_or_else(|| panic!("{list} has one page only"));
        for (who, other) in lists.iter().map(|other| (root, other)).chain([(&second, list)]) {
            let answer = who.get(&format!("{other}?cursor={cursor}")).await;
            let is_own = std::ptr::eq(who, root) && other == list;
            assert_eq!(answer.status.as_u16(), if is_own { 200 } else { 422 }, "{list}'s in {other}: {}", answer.text);
        }
    }
}
