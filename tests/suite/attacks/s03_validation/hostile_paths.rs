//! Paths that spell an id in another way, climb out of a folder, or are no text. They name nothing.

use crate::support::app::TestApp;

#[actix_web::test]
async fn what_can_be_no_name_names_nothing() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let id = app.id_of("root@example.org").await;
    let (simple, long) = (id.replace('-', ""), "a".repeat(5000));
    for segment in [
        &simple,
        &format!("%7B{id}%7D"),
        &format!("urn:uuid:{id}"),
        &format!("{id}%00"),
        &format!("{id}%20"),
        &format!("{id}%0A"),
        "1",
        "%FF",
        "%C0%AE%C0%AE",
        "%252e%252e",
        "..%2f..%2fetc%2fpasswd",
        "'%20OR%201=1--",
        &long,
    ] {
        let answer = root.get(&format!("/v1/users/{segment}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "NOT_FOUND"), "{segment:.80}");
    }
    assert_eq!(root.get(&format!("/v1/users/{id}")).await.status, 200);
    assert_eq!(root.get(&format!("/v1/users/{}", id.to_uppercase())).await.status, 200);
    for segment in ["Auditor", "auditor%00", "%FF", "a%2Fb", "-", "auditor%20"] {
        assert_eq!(root.delete(&format!("/v1/roles/{segment}")).await.code(), "NOT_FOUND", "{segment}");
    }
    for path in ["/docs/.git", "/docs/..%2findex.html", "/docs/%2e%2e", "/go/%72egister%00", "/go/assets/..%2flink.js", "/go/assets/%FF"] {
        assert_eq!(app.visitor().get(path).await.code(), "NOT_FOUND", "{path}");
    }
    assert_eq!(app.visitor().get("/go/%72egister").await.status, 200, "the same name, encoded");
}
