//! A thief has a full dump of the database. Nothing in it signs anybody in, completes a registration or opens a letter.

use crate::support::app::{PASSWORD, TestApp};
use portcullis::platform::keyring::Purpose;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

#[actix_web::test]
async fn a_dump_holds_no_password_cookie_key_token_or_code() {
    let app = TestApp::start().await;
    let api_key = app.administrator().await.api_key(&["users:read"]).await.key;
    let ada = app.member("ada@example.org").await;
    app.visitor().post("/v1/auth/register", json!({ "email": "bob@example.org" })).await;
    let letter = app.letter_to("bob@example.org").await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    app.sign_in("ada@example.org").await;
    let (with_tokens, first) = app.token_sign_in("ada@example.org").await;
    let second = with_tokens.exchange(&first).await.json()["refresh_token"].as_str().unwrap().to_owned();
    ada.post("/v1/me/email", json!({ "email": "new@example.org" })).await;
    let others = [
        app.letter_about("ada@example.org", "/go/reset").await,
        app.letter_about("ada@example.org", "/go/disown").await,
        app.letter_about("new@example.org", "/go/email").await,
    ];

    let mut owner = PgConnection::connect_with(&app.database.owner).await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetch_all(&mut owner).await.unwrap();
    assert!(tables.len() > 6, "{tables:?}");
    let mut dump = String::new();
    for table in tables {
        // names from the catalogue
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t"))).fetch_all(&mut owner).await.unwrap();
        dump.push_str(&rows.join("\n"));
    }
    // the audit log's personal part
    let address: String = b"127.0.0.1".iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!dump.contains("127.0.0.1") && !dump.contains(&address), "addresses of events are sealed");
    assert!(dump.contains("ada@example.org") && dump.contains("$argon2id$"), "the dump is whole");
    let cookie = ada.cookie.unwrap();
    let device = ada.device.unwrap().split('.').next_back().unwrap().to_owned();
    let refresh_key: String = app.state.keyring.active(Purpose::RefreshToken).1.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let own = [PASSWORD.to_owned(), cookie.split_once('=').unwrap().1.to_owned(), ada.csrf.unwrap(), device, refresh_key];
    let own = own.into_iter().chain([api_key.rsplit('_').next().unwrap().to_owned(), api_key]);
    let own = own.chain([with_tokens.bearer.clone().unwrap(), first, second]);
    let mailed = others.into_iter().chain([letter]).flat_map(|letter| [letter.token, letter.code]).flatten();
    for secret in own.chain(mailed) {
        // bytea shows as hexadecimal
        let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(&secret) && !dump.contains(&hexadecimal), "{secret} is in the dump");
    }
}
