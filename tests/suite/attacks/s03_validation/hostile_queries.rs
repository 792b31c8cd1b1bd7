//! Queries with fields said twice, operators of other databases in their names, bytes that are no text, and no end.

use crate::support::app::TestApp;

#[actix_web::test]
async fn hostile_queries_are_refused_and_not_repeated() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let (long, many) = (format!("email={}", "a".repeat(3000)), "limit=1&".repeat(30));
    for (query, field) in [
        ("limit=1&limit=2", "limit"),
        ("lim%69t=1&limit=2", "limit"),
        ("canary=1", "query"),
        ("email[$ne]=canary", "query"),
        ("email%5B%24gt%5D=canary", "query"),
        ("limit=canary", "limit"),
        ("limit=0", "limit"),
        ("limit=9223372036854775808", "limit"),
        ("status=canary", "status"),
        ("role=Canary", "role"),
        ("department=%E2%80%AEcanary", "department"),
        ("email=%00canary", "email"),
        ("email=%0Acanary", "email"),
        ("cursor=canary", "cursor"),
        ("email=%FFcanary", "query"),
        ("email=%C0%80canary", "query"),
        ("email=%ED%A0%80canary", "query"),
        ("email=%canary", "query"),
        (&long, "query"),
        (&many, "query"),
    ] {
        let answer = root.get(&format!("/v1/users?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{query:.80}: {}", answer.text);
        assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{query:.80}: {}", answer.text);
        assert!(!answer.text.to_lowercase().contains("canary"), "{}", answer.text);
    }
    let several = root.get("/v1/users?limit=x&status=x&role=auditor&canary=1").await;
    let fields: Vec<String> =
        several.json()["error"]["fields"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap().to_owned()).collect();
    assert_eq!(fields, ["limit", "query", "status"], "all at once");
    assert_eq!(root.get("/v1/users?email=root&limit=1&status=active").await.status, 200);
}
