//! Access tokens of other issuers: not named, not for us, not in time, not signed by who they say, or not access tokens at all; and storms
//! of invented key names that would make this service ask the issuer over and over.

use crate::support::{
    app::{Actor, Answer, TestApp},
    provider::{CLIENT, Provider, SUBJECT, raw_token},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use time::Duration;

async fn beside(provider: &Arc<Provider>, more: Value) -> TestApp {
    let mut issuer = json!({ "issuer": provider.url, "audience": "portcullis" });
    issuer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let providers = json!([provider.entry("corp", false)]).to_string();
    TestApp::with(&[("PORTCULLIS_TOKEN_ISSUERS", &json!([issuer]).to_string()), ("PORTCULLIS_IDENTITY_PROVIDERS", &providers)]).await
}

fn bearing(app: &TestApp, token: String) -> Actor<'_> {
    let mut actor = app.visitor();
    actor.bearer = Some(token);
    actor
}

async fn me(app: &TestApp, token: String) -> Answer {
    bearing(app, token).get("/v1/me").await
}

/// Somebody whose identity is linked.
async fn known(app: &TestApp, provider: &Provider) {
    let ada = app.member("ada@example.org").await;
    assert_eq!(provider.link(&ada, "corp").await.status, 201);
}

#[actix_web::test]
async fn a_token_is_for_us_from_a_named_issuer_in_time_about_somebody_known() {
    let provider = Provider::start();
    let app = beside(&provider, json!({})).await;
    known(&app, &provider).await;
    let now = provider.behave().now;
    for claims in [
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": format!("{}/", provider.url) }),
        json!({ "iss": null }),
        json!({ "aud": "another service" }),
        json!({ "aud": ["another service"] }),
        json!({ "aud": CLIENT }),
        json!({ "aud": null }),
        json!({ "exp": now - 31 }),
        json!({ "exp": null }),
        json!({ "iat": null }),
        json!({ "iat": now + 60 }),
        json!({ "nbf": now + 60 }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "sub": "somebody else" }),
        json!({ "sub": "a\u{0}b" }),
        json!({ "auth_time": now + 60 }),
    ] {
        let answer = me(&app, provider.access_token(claims.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "INVALID_TOKEN"), "{claims}");
    }
    for claims in [json!({}), json!({ "aud": ["another service", "portcullis"] }), json!({ "jti": null })] {
        let answer = me(&app, provider.access_token(claims.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.json()["email"].as_str()), (200, Some("ada@example.org")), "{claims}");
    }
    app.clock.advance(Duration::minutes(12));
    assert_eq!(me(&app, provider.access_token(json!({}))).await.status, 401, "it has run out");
}

#[actix_web::test]
async fn only_access_tokens_that_the_issuer_signed_are_taken() {
    let provider = Provider::start();
    let app = beside(&provider, json!({})).await;
    known(&app, &provider).await;
    let now = provider.behave().now;
    let claims = json!({ "iss": provider.url, "sub": SUBJECT, "aud": "portcullis", "iat": now, "exp": now + 600 });
    let header = |alg: &str| json!({ "alg": alg, "typ": "at+jwt", "kid": provider.key.id() });
    let mut id_token = claims.clone();
    id_token["nonce"] = json!("n");
    for (what, token) in [
        ("no algorithm", raw_token(&header("none"), &claims, |_| Vec::new())),
        ("a shared secret", raw_token(&header("HS256"), &claims, |_| vec![7; 32])),
        ("another key", provider.other_key.sign("at+jwt", &claims).unwrap()),
        ("no signature", raw_token(&header("ES256"), &claims, |_| vec![7; 64])),
        ("an ID token", provider.key.sign("JWT", &id_token).unwrap()),
        ("a logout token", provider.key.sign("logout+jwt", &claims).unwrap()),
        ("very long", provider.access_token(json!({ "x": "x".repeat(20_000) }))),
    ] {
        let answer = me(&app, token).await;
        assert!(answer.status == 401 || answer.status == 431, "{what}: {}", answer.status);
    }
    assert_eq!(me(&app, provider.key.sign("JWT", &claims).unwrap()).await.status, 200, "many issuers say no more");
}

#[actix_web::test]
async fn a_storm_of_key_names_asks_the_issuer_once_in_a_while() {
    let provider = Provider::start();
    let app = beside(&provider, json!({})).await;
    known(&app, &provider).await;
    let before = provider.asked("/jwks");
    let now = provider.behave().now;
    let claims = json!({ "iss": provider.url, "sub": SUBJECT, "aud": "portcullis", "iat": now, "exp": now + 3000 });
    let invented = |n: usize| raw_token(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": format!("key {n}") }), &claims, |_| vec![7; 64]);
    let answers = join_all((0..200).map(|n| me(&app, invented(n)))).await;
    assert!(answers.iter().all(|answer| answer.code() == "INVALID_TOKEN"));
    let after = provider.asked("/jwks");
    assert!(after - before <= 1, "{before} {after}");
    app.clock.advance(Duration::seconds(31));
    join_all((200..300).map(|n| me(&app, invented(n)))).await;
    assert!(provider.asked("/jwks") - after <= 1);
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 2, "each of the two once");
    assert_eq!(me(&app, provider.access_token(json!({}))).await.status, 200);
}

#[actix_web::test]
async fn without_the_issuers_keys_nobody_gets_in() {
    let provider = Provider::start();
    let app = beside(&provider, json!({})).await;
    known(&app, &provider).await;
    provider.behave().instead.insert("/jwks", b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n".to_vec());
    let answer = me(&app, provider.access_token(json!({}))).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "UNAVAILABLE"));
    // ours, and calls that need none, do not care
    assert_eq!(app.sign_in("ada@example.org").await.get("/v1/me").await.status, 200);
    assert_eq!(bearing(&app, provider.access_token(json!({}))).get("/v1/auth/oauth/providers").await.status, 200);
}

#[actix_web::test]
async fn an_account_with_a_second_factor_is_not_opened_by_less() {
    let provider = Provider::start();
    for is_believed in [false, true] {
        let app = beside(&provider, json!({ "second_factor": is_believed })).await;
        known(&app, &provider).await;
        let now = provider.behave().now;
        sqlx::query("INSERT INTO totp (user_id, seed_sealed, seed_key_version, confirmed_at, created_at) SELECT id, '', 1, now(), now() FROM users")
            .execute(&app.database.pool)
            .await
            .unwrap();
        for (claims, is_enough) in [
            (json!({}), false),
            (json!({ "amr": ["pwd"] }), false),
            (json!({ "amr": "mfa" }), false),
            (json!({ "amr": ["pwd", "mfa"], "auth_time": now }), is_believed),
        ] {
            let answer = me(&app, provider.access_token(claims.clone())).await;
            if is_enough {
                assert_eq!(answer.status, 200, "{claims}");
            } else {
                assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "STEP_UP_REQUIRED"), "{claims}");
                assert!(answer.header("www-authenticate").contains("insufficient_user_authentication"));
            }
        }
    }
}

#[actix_web::test]
async fn what_changes_the_account_needs_a_proof_of_a_moment_ago_and_there_is_no_session_to_end() {
    let provider = Provider::start();
    let app = beside(&provider, json!({})).await;
    known(&app, &provider).await;
    let now = provider.behave().now;
    let actor = bearing(&app, provider.access_token(json!({})));
    assert_eq!(actor.post("/v1/me/export", json!({})).await.code(), "STEP_UP_REQUIRED");
    assert_eq!(actor.post("/v1/me/identities/corp/authorize", json!({})).await.code(), "STEP_UP_REQUIRED");
    assert_eq!(actor.post("/v1/auth/logout", json!({})).await.code(), "FORBIDDEN");
    assert_eq!(actor.post("/v1/auth/step-up", json!({ "password": crate::support::app::PASSWORD })).await.code(), "FORBIDDEN");
    let sessions = actor.get("/v1/me/sessions").await.json()["items"].as_array().unwrap().clone();
    assert!(sessions.len() == 1 && sessions[0]["is_current"] == json!(false), "{sessions:?}");
    let fresh = bearing(&app, provider.access_token(json!({ "auth_time": now })));
    assert_eq!(fresh.post("/v1/me/identities/corp/authorize", json!({})).await.code(), "FORBIDDEN", "a page could not come back");
}

#[actix_web::test]
async fn somebody_new_gets_an_account_only_where_that_is_set_and_the_address_is_theirs() {
    let provider = Provider::start();
    let email = json!({ "email": "eve@example.org", "email_verified": true, "name": "Eve" });
    let app = beside(&provider, json!({})).await;
    assert_eq!(me(&app, provider.access_token(email.clone())).await.code(), "INVALID_TOKEN");
    assert_eq!(app.count("SELECT count(*) FROM users").await, 0);

    let app = beside(&provider, json!({ "provision": true })).await;
    app.create_account("ada@example.org").await;
    for claims in [
        json!({}),
        json!({ "email": "eve@example.org" }),
        json!({ "email": "eve@example.org", "email_verified": "true" }),
        json!({ "email": "ada@example.org", "email_verified": true }),
    ] {
        assert_eq!(me(&app, provider.access_token(claims.clone())).await.code(), "INVALID_TOKEN", "{claims}");
    }
    assert_eq!(app.count("SELECT count(*) FROM users").await, 1);
    let answers = join_all((0..20).map(|_| me(&app, provider.access_token(email.clone())))).await;
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.json()["name"].as_str()), (200, Some("Eve")), "{}", answer.text);
    }
    assert_eq!(app.count("SELECT count(*) FROM users").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE event = 'identity.linked'").await, 1);
}
