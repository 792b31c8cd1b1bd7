//! Somebody takes over an identity, or an account by an identity: links one that is another person's, links one to a session that was left
//! open, finishes a linking in another session, takes away what is not theirs, or locks the owner out.

use crate::support::{
    app::{Actor, TestApp},
    provider::{Begun, Provider, begin, come_back},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use time::Duration;

const BEGIN: &str = "/v1/me/identities/corp/authorize";

async fn beside(provider: &Arc<Provider>) -> TestApp {
    TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", false), other(provider)]).to_string())]).await
}

/// A GitHub at the same place.
fn other(provider: &Provider) -> Value {
    let mut entry = provider.github_entry();
    entry["trust_email"] = json!(false);
    entry
}

async fn identities(actor: &Actor<'_>) -> Vec<Value> {
    actor.get("/v1/me/identities").await.json()["items"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn an_identity_belongs_to_one_account() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let (ada, bob) = (app.member("ada@example.org").await, app.member("bob@example.org").await);
    assert_eq!(provider.link(&ada, "corp").await.status, 201);
    let taken = provider.link(&bob, "corp").await;
    assert_eq!((taken.status.as_u16(), taken.code().as_str()), (409, "ALREADY_EXISTS"));
    assert_eq!(provider.link(&ada, "corp").await.code(), "ALREADY_EXISTS", "once is enough");
    let id = identities(&ada).await[0]["id"].as_str().unwrap().to_owned();
    assert!(identities(&bob).await.is_empty());
    assert_eq!(bob.delete(&format!("/v1/me/identities/{id}")).await.status, 404);
    let answer = provider.sign_in(&app.visitor(), "corp", json!({})).await;
    assert_eq!(answer.json()["account_id"], app.id_of("ada@example.org").await.as_str());
}

#[actix_web::test]
async fn a_session_that_was_left_open_links_nothing_and_unlinks_nothing() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let ada = app.member("ada@example.org").await;
    assert_eq!(provider.link(&ada, "corp").await.status, 201);
    let id = identities(&ada).await[0]["id"].as_str().unwrap().to_owned();
    app.clock.advance(app.state.settings.sessions.step_up + Duration::SECOND);
    let refused = ada.request(reqwest::Method::POST, BEGIN);
    assert_eq!(crate::support::app::Answer::of(refused).await.code(), "STEP_UP_REQUIRED");
    assert_eq!(ada.delete(&format!("/v1/me/identities/{id}")).await.code(), "STEP_UP_REQUIRED");
    assert_eq!(identities(&ada).await.len(), 1);
}

#[actix_web::test]
async fn a_linking_ends_with_its_session_and_in_no_other() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let (ada, bob) = (app.member("ada@example.org").await, app.member("bob@example.org").await);
    // the attacker's linking in the victim's browser: the victim's identity would open the attacker's account
    let Begun { url, cookie } = begin(&bob, BEGIN, None).await;
    let back = provider.authorize(&url);
    assert_eq!(come_back(&ada, "corp", None, &back).await.code(), "INVALID_CHALLENGE");
    assert_eq!(come_back(&ada, "corp", Some(&cookie), &back).await.code(), "INVALID_CHALLENGE", "even with the cookie");

    let Begun { url, cookie } = begin(&ada, BEGIN, None).await;
    let back = provider.authorize(&url);
    assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
    assert_eq!(come_back(&app.visitor(), "corp", Some(&cookie), &back).await.code(), "INVALID_CHALLENGE");
    assert_eq!(app.count("SELECT count(*) FROM identities").await, 0);
}

#[actix_web::test]
async fn the_last_way_in_stays() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let ada = app.member("ada@example.org").await;
    for name in ["corp", "github"] {
        assert_eq!(provider.link(&ada, name).await.status, 201, "{name}");
    }
    sqlx::query("DELETE FROM passwords").execute(&app.database.pool).await.unwrap();
    let ids: Vec<String> = identities(&ada).await.iter().map(|one| format!("/v1/me/identities/{}", one["id"].as_str().unwrap())).collect();
    let answers = join_all(ids.iter().map(|path| ada.delete(path))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| (answer.status.as_u16(), answer.code())).collect();
    statuses.sort();
    assert_eq!(statuses, [(204, String::new()), (409, "LAST_WAY_IN".into())]);
    assert_eq!(identities(&ada).await.len(), 1);
}

/// Who takes the account back by a letter takes away what somebody else may have linked.
#[actix_web::test]
async fn an_identity_that_a_thief_has_linked_does_not_outlive_the_owners_return() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    app.create_account("ada@example.org").await;
    app.sign_in("ada@example.org").await;
    // on a device that the account does not know
    let thief = app.sign_in("ada@example.org").await;
    assert_eq!(provider.link(&thief, "corp").await.status, 201);
    let letter = app.letter_about("ada@example.org", "/go/disown").await;
    assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.code(), "IDENTITY_UNKNOWN");
}
