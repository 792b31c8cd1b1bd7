//! The attacker makes a cookie up, alters one, swaps the rows' state in the database, or reads a value that is in the table.

use crate::support::app::TestApp;

#[actix_web::test]
async fn altered_and_invented_cookies_speak_for_nobody() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let (name, value) = ada.cookie.as_deref().and_then(|cookie| cookie.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
    let middle = value.len() / 2;
    let other = if &value[middle..=middle] == "A" { "B" } else { "A" };
    let digest: Vec<u8> = sqlx::query_scalar("SELECT key_digest FROM sessions").fetch_one(&app.database.pool).await.unwrap();
    let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for forged in
        [format!("{}{other}{}", &value[..middle], &value[middle + 1..]), value[..middle].to_owned(), hexadecimal, String::new(), "x".repeat(3000)]
    {
        let mut forger = ada.clone();
        forger.cookie = Some(format!("{name}={forged}"));
        assert_eq!(forger.get("/v1/me").await.status, 401, "{forged}");
    }
    let mut lesser_name = ada.clone();
    lesser_name.cookie = Some(format!("portcullis={value}"));
    assert_eq!(lesser_name.get("/v1/me").await.status, 401, "a name without the prefix");
    assert_eq!(ada.get("/v1/me").await.status, 200);
}

#[actix_web::test]
async fn state_moved_to_another_row_does_not_open() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let mallory = app.member("mallory@example.org").await;
    // somebody who can write to the table gives their row the victim's state
    let swap = "UPDATE sessions m SET state_sealed = a.state_sealed FROM sessions a, users u
                WHERE a.user_id <> m.user_id AND u.id = m.user_id AND u.email = 'mallory@example.org'";
    assert_eq!(sqlx::query(swap).execute(&app.database.pool).await.unwrap().rows_affected(), 1);
    assert_eq!(mallory.get("/v1/me").await.status, 401);
    assert_eq!(ada.get("/v1/me").await.status, 200);
}
