//! Signing in with others: as somebody new, as somebody known, by GitHub, with a second factor; linking and unlinking.

use crate::support::{
    app::TestApp,
    provider::{Provider, SUBJECT},
};
use serde_json::json;

#[actix_web::test]
async fn somebody_new_gets_an_account_and_comes_back_to_it() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await;
    let answer = provider.sign_in(&app.visitor(), "corp", json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(
        answer.headers.get_all("set-cookie").iter().any(|set| set.to_str().unwrap().starts_with("__Host-portcullis-oauth=; ")),
        "it is taken away"
    );
    let mut ada = app.visitor();
    (ada.cookie, ada.csrf) = (answer.cookie(), answer.json()["csrf_token"].as_str().map(str::to_owned));
    let me = ada.get("/v1/me").await.json();
    assert_eq!((me["email"].as_str(), me["name"].as_str()), (Some("ada@example.org"), Some("Ada")));

    // the address there changes: it is still the same person
    provider.saying(json!({ "email": "countess@example.org", "email_verified": false }));
    let again = provider.sign_in(&app.visitor(), "corp", json!({ "transport": "token", "refresh_in": "body" })).await;
    assert_eq!((again.status.as_u16(), &again.json()["account_id"]), (200, &answer.json()["account_id"]), "{}", again.text);
    let mut by_token = app.visitor();
    by_token.bearer = again.json()["access_token"].as_str().map(str::to_owned);
    let identities = by_token.get("/v1/me/identities").await.json();
    let identity = &identities["items"][0];
    assert_eq!(
        (identity["provider"].as_str(), identity["issuer"].as_str(), identity["subject"].as_str()),
        (Some("corp"), Some(provider.url.as_str()), Some(SUBJECT))
    );
    assert!(identity["last_used_at"].is_string());

    // no password yet, and the only way in stays until there is one
    let path = format!("/v1/me/identities/{}", identity["id"].as_str().unwrap());
    assert_eq!(ada.delete(&path).await.code(), "LAST_WAY_IN");
    let events = ada.get("/v1/me/events").await.text;
    for event in ["account.created", "identity.linked", "session.started"] {
        assert!(events.contains(event), "{event}: {events}");
    }
}

#[actix_web::test]
async fn an_address_that_both_sides_have_verified_leads_to_its_account_and_the_owner_hears_of_it() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await;
    app.create_account("ada@example.org").await;
    let answer = provider.sign_in(&app.visitor(), "corp", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.json()["account_id"].as_str()), (200, Some(app.id_of("ada@example.org").await.as_str())));
    let letter = app.letter_about("ada@example.org", "now leads to your account").await;
    assert!(letter.text.contains("corp"), "{}", letter.text);
}

#[actix_web::test]
async fn when_one_proved_oneself_there_is_when_one_did() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await;
    let now = provider.behave().now;
    provider.saying(json!({ "auth_time": now - 3600 }));
    let answer = provider.sign_in(&app.visitor(), "corp", json!({})).await;
    let mut ada = app.visitor();
    (ada.cookie, ada.csrf) = (answer.cookie(), answer.json()["csrf_token"].as_str().map(str::to_owned));
    assert_eq!(ada.post("/v1/me/identities/corp/authorize", json!({})).await.code(), "STEP_UP_REQUIRED", "too long ago");
    provider.saying(json!({ "auth_time": now }));
    let answer = provider.sign_in(&app.visitor(), "corp", json!({ "fresh": true })).await;
    (ada.cookie, ada.csrf) = (answer.cookie(), answer.json()["csrf_token"].as_str().map(str::to_owned));
    assert_eq!(ada.post("/v1/me/identities/corp/authorize", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED");
    ada.agree_by_mail().await;
    assert_eq!(ada.post("/v1/me/identities/corp/authorize", json!({})).await.status, 200);
}

#[actix_web::test]
async fn github_signs_people_in_by_their_number() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.github_entry()]).to_string())]).await;
    let answer = provider.sign_in(&app.visitor(), "github", json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let subject: String = sqlx::query_scalar("SELECT issuer || ' ' || subject FROM identities").fetch_one(&app.database.pool).await.unwrap();
    assert_eq!(subject, "https://github.com 583231");
    let refused = app.visitor().post("/v1/auth/oauth/github/authorize", json!({ "fresh": true })).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["fields"][0]["field"].as_str()), (422, Some("fresh")));
}

#[actix_web::test]
async fn identities_are_linked_unlinked_and_taken_along() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", false)]).to_string())]).await;
    let (ada, other) = (app.member("ada@example.org").await, app.sign_in("ada@example.org").await);
    let linked = provider.link(&ada, "corp").await;
    assert_eq!((linked.status.as_u16(), linked.json()["provider"].as_str()), (201, Some("corp")), "{}", linked.text);
    assert!(linked.cookie().is_none(), "nobody is signed in by it");
    app.letter_about("ada@example.org", "now leads to your account").await;
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.status, 200);
    let asked = ada.post("/v1/me/export", json!({})).await;
    app.letter_about("ada@example.org", "/go/export").await;
    let export = ada.get(&format!("/v1/me/export/{}", asked.json()["id"].as_str().unwrap())).await.json();
    assert_eq!(export["identities"][0]["subject"], SUBJECT, "{export}");

    let path = format!("/v1/me/identities/{}", linked.json()["id"].as_str().unwrap());
    assert_eq!(ada.delete(&path).await.status, 204);
    assert_eq!(ada.delete(&path).await.status, 404);
    app.letter_about("ada@example.org", "does not lead to your account").await;
    assert_eq!((ada.get("/v1/me").await.status.as_u16(), other.get("/v1/me").await.status.as_u16()), (200, 401), "others are signed out");
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.code(), "IDENTITY_UNKNOWN");
}

#[actix_web::test]
async fn the_page_that_providers_send_people_to_is_ours() {
    let app = TestApp::start().await;
    let page = app.visitor().get("/go/oauth/corp?state=x&code=y").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("/go/assets/oauth.js") && !page.text.contains("code=y"));
    assert_eq!(app.visitor().get("/go/oauth/No+name").await.status, 404);
    assert_eq!(app.visitor().get("/go/assets/oauth.js").await.status, 200);
    assert_eq!(app.visitor().get("/v1/auth/oauth/providers").await.json(), json!({ "items": [] }));
    assert_eq!(app.visitor().post("/v1/auth/oauth/corp/authorize", json!({})).await.status, 404);
}

#[actix_web::test]
async fn the_second_factor_is_asked_for_all_the_same() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await;
    let mut ada = app.member("ada@example.org").await;
    assert_eq!(provider.link(&ada, "corp").await.status, 201);
    let (authenticator, _) = ada.add_totp().await;
    app.clock.advance(time::Duration::seconds(90));
    provider.behave().now += 90;
    let now = provider.behave().now;
    provider.saying(json!({ "auth_time": now - 3600 }));
    let mut visitor = app.visitor();
    let answer = provider.sign_in(&visitor, "corp", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.cookie()), (202, None), "{}", answer.text);
    let shown = visitor.show(answer.json()["mfa_token"].as_str().unwrap(), json!({ "code": authenticator.code(&app) })).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let identities = visitor.get("/v1/me/identities").await.json();
    let path = format!("/v1/me/identities/{}", identities["items"][0]["id"].as_str().unwrap());
    assert_eq!(visitor.delete(&path).await.status, 204, "the second factor was shown a moment ago");
}

/// Unlinked between the first factor and the second.
#[actix_web::test]
async fn an_identity_that_is_taken_away_meanwhile_signs_nobody_in() {
    let provider = Provider::start();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await;
    let mut ada = app.member("ada@example.org").await;
    assert_eq!(provider.link(&ada, "corp").await.status, 201);
    let (authenticator, _) = ada.add_totp().await;
    app.clock.advance(time::Duration::seconds(90));
    provider.behave().now += 90;
    let mut visitor = app.visitor();
    let answer = provider.sign_in(&visitor, "corp", json!({})).await;
    sqlx::query("DELETE FROM identities").execute(&app.database.pool).await.unwrap();
    let shown = visitor.show(answer.json()["mfa_token"].as_str().unwrap(), json!({ "code": authenticator.code(&app) })).await;
    assert_eq!(shown.code(), "INVALID_CREDENTIALS", "{}", shown.text);
}
