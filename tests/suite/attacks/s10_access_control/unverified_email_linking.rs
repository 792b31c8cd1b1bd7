//! Somebody has an identity with the victim's address in it, which the provider has not verified, or a provider that is not trusted with
//! addresses. It must not lead into the victim's account, nor make one for the address.

use crate::support::{app::TestApp, provider::Provider};
use serde_json::{Value, json};

async fn is_unknown(app: &TestApp, provider: &Provider, name: &str, what: &Value) {
    let answer = provider.sign_in(&app.visitor(), name, json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "IDENTITY_UNKNOWN"), "{what}: {}", answer.text);
    assert_eq!(app.count("SELECT count(*) FROM identities").await, 0, "{what}");
}

#[actix_web::test]
async fn an_address_that_is_not_verified_leads_nowhere() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await;
    app.create_account("ada@example.org").await;
    for claims in [
        json!({ "email_verified": false }),
        json!({ "email_verified": null }),
        json!({ "email_verified": "true" }),
        json!({ "email_verified": 1 }),
        json!({ "email_verified": [true] }),
        json!({ "email": null }),
        json!({ "email": ["ada@example.org"] }),
        json!({ "email": "ada@example.org\u{0}" }),
        json!({ "email": "\"ada\"@example.org" }),
        // there is no such account, and none comes of it
        json!({ "email": "eve@example.org", "email_verified": "true" }),
    ] {
        provider.saying(claims.clone());
        is_unknown(&app, &provider, "corp", &claims).await;
    }
    assert_eq!(app.count("SELECT count(*) FROM users").await, 1);
}

#[actix_web::test]
async fn a_provider_that_is_not_trusted_with_addresses_says_nothing_by_one() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", false)]).to_string())]).await;
    let ada = app.member("ada@example.org").await;
    is_unknown(&app, &provider, "corp", &json!("an account with the address")).await;
    provider.saying(json!({ "email": "eve@example.org" }));
    is_unknown(&app, &provider, "corp", &json!("no account")).await;
    assert_eq!(app.count("SELECT count(*) FROM users").await, 1);

    // its owner links it
    assert_eq!(provider.link(&ada, "corp").await.status, 201);
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.status, 200);
}

#[actix_web::test]
async fn of_githubs_addresses_the_verified_primary_one_counts() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.github_entry()]).to_string())]).await;
    app.create_account("ada@example.org").await;
    for emails in [
        json!([]),
        json!([{ "email": "ada@example.org", "primary": true, "verified": false }]),
        json!([{ "email": "ada@example.org", "primary": false, "verified": true }]),
        json!([{ "email": "ada@example.org", "primary": false, "verified": true }, { "email": "x", "primary": true, "verified": true }]),
    ] {
        provider.behave().emails = emails.clone();
        is_unknown(&app, &provider, "github", &emails).await;
    }
}

#[actix_web::test]
async fn nobody_comes_in_where_only_invited_people_do_or_where_the_account_is_disabled() {
    let provider = Provider::start();
    let entries = json!([provider.entry("corp", true)]).to_string();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &entries), ("PORTCULLIS_REGISTRATION", "invited")]).await;
    is_unknown(&app, &provider, "corp", &json!("closed")).await;
    assert_eq!(app.count("SELECT count(*) FROM users").await, 0);

    let open = app.node_with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &entries)]).await;
    open.create_account("ada@example.org").await;
    sqlx::query("UPDATE users SET status = 'disabled'").execute(&app.database.pool).await.unwrap();
    is_unknown(&open, &provider, "corp", &json!("disabled")).await;
}
