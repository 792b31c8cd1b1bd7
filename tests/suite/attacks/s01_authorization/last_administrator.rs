//! The last administrator goes, by mistake or by malice, alone or two at once: nobody could administer any more.

use crate::support::app::TestApp;
use serde_json::json;

#[actix_web::test]
async fn the_last_one_cannot_be_demoted_disabled_closed_or_given_an_end() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let id = app.id_of("root@example.org").await;
    let end = json!({ "roles": [{ "role": "administrator", "expires_at": "2999-01-01T00:00:00Z" }] });
    for (path, body) in [
        (format!("/v1/users/{id}/roles"), json!({ "roles": [] })),
        (format!("/v1/users/{id}/roles"), end),
        (format!("/v1/users/{id}/disabled"), json!({ "disabled": true })),
    ] {
        let answer = root.put(&path, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "LAST_ADMINISTRATOR"), "{path} {body}: {}", answer.text);
    }
    assert_eq!(root.post("/v1/me/close", json!({ "email": "root@example.org" })).await.code(), "LAST_ADMINISTRATOR");
    assert_eq!(root.get("/v1/users").await.status, 200, "nothing was changed");
}

#[actix_web::test]
async fn two_who_remove_each_other_at_once_leave_one() {
    let app = TestApp::start().await;
    for round in 0..5 {
        let (a, b) = (format!("a{round}@example.org"), format!("b{round}@example.org"));
        let first = app.member_with(&a, "administrator").await;
        let second = app.member_with(&b, "administrator").await;
        // those of the rounds before
        sqlx::query("DELETE FROM user_roles WHERE user_id NOT IN (SELECT id FROM users WHERE email IN ($1, $2))")
            .bind(&a)
            .bind(&b)
            .execute(&app.database.pool)
            .await
            .unwrap();
        let (path_a, path_b) = (format!("/v1/users/{}", app.id_of(&a).await), format!("/v1/users/{}", app.id_of(&b).await));
        let demote = format!("{path_b}/roles");
        let disable = format!("{path_a}/disabled");
        // two connections are there already, so that the two calls meet
        futures_util::future::join_all([first.get("/v1/me"), second.get("/v1/me"), first.get("/v1/me"), second.get("/v1/me")]).await;
        let (one, other) =
            futures_util::future::join(first.put(&demote, json!({ "roles": [] })), second.put(&disable, json!({ "disabled": true }))).await;
        let done = [&one, &other].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "{} {}", one.text, other.text);
        let left = "SELECT count(*) FROM user_roles r JOIN users u ON u.id = r.user_id WHERE role = 'administrator' AND u.status = 'active'";
        assert_eq!(app.count(left).await, 1);
    }
}
