//! The attacker writes cursors: made up, altered, from another list, or from somebody else, to read where they should not.

use crate::support::app::TestApp;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

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
