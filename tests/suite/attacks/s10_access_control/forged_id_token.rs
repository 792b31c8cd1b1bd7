//! ID tokens that are not what they should be, one thing wrong at a time: each claim, the signature, the header.

use crate::support::{
    app::TestApp,
    provider::{CLIENT, Provider, raw_token},
};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use portcullis::platform::keyring::signing::Algorithm;
use serde_json::{Value, json};
use std::sync::Arc;

async fn beside(provider: &Arc<Provider>) -> TestApp {
    TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await
}

async fn refuses(app: &TestApp, provider: &Provider, body: Value, what: &str) {
    let answer = provider.sign_in(&app.visitor(), "corp", body).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "IDENTITY_REFUSED"), "{what}: {}", answer.text);
    assert!(answer.cookie().is_none());
}

#[actix_web::test]
async fn every_claim_is_looked_at() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let now = provider.behave().now;
    for claims in [
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": format!("{}/", provider.url) }),
        json!({ "iss": null }),
        json!({ "aud": "another client" }),
        json!({ "aud": ["another client"] }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "aud": [CLIENT, "another client"] }),
        json!({ "aud": [CLIENT, "another client"], "azp": "another client" }),
        json!({ "azp": "another client" }),
        json!({ "exp": now - 31 }),
        json!({ "exp": null }),
        json!({ "exp": "tomorrow" }),
        json!({ "exp": -1 }),
        json!({ "exp": 1e300 }),
        json!({ "iat": now + 120, "exp": now + 300 }),
        json!({ "iat": now - 660 }),
        json!({ "iat": null }),
        json!({ "nbf": now + 120 }),
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "nonce": "" }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "sub": 7 }),
        json!({ "sub": "x".repeat(256) }),
        json!({ "sub": "a\u{0}b" }),
        json!({ "auth_time": now + 3600 }),
    ] {
        provider.saying(claims.clone());
        refuses(&app, &provider, json!({}), &claims.to_string()).await;
    }
    assert_eq!(app.count("SELECT count(*) FROM sessions").await + app.count("SELECT count(*) FROM users").await, 0);
    assert!(app.count("SELECT count(*) FROM audit_events WHERE event = 'session.refused'").await > 20);

    // what is unusual and right
    for claims in [
        json!({ "aud": [CLIENT], "azp": CLIENT }),
        json!({ "aud": [CLIENT, "another client"], "azp": CLIENT }),
        json!({ "exp": f64::from(i32::try_from(now).unwrap()) + 100.5 }),
        json!({ "exp": 249_999_999_999_i64, "sub": "x".repeat(255) , "email": "eve@example.org" }),
    ] {
        provider.saying(claims.clone());
        assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.status, 200, "{claims}");
    }
}

fn signed_by_a_stranger(header: &Value, claims: &Value) -> String {
    let key = Algorithm::Es256.generate().unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).unwrap();
    raw_token(header, claims, |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
}

fn header_of(provider: &Provider, more: &Value) -> Value {
    let mut header = json!({ "alg": "ES256", "typ": "JWT", "kid": provider.key.id() });
    header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    header
}

fn with_the_public_key_as_a_secret(provider: &Provider, claims: &Value) -> String {
    let public = serde_json::to_vec(provider.key.jwk()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &public);
    raw_token(&header_of(provider, &json!({ "alg": "HS256" })), claims, |message| hmac::sign(&key, message).as_ref().to_vec())
}

fn cut(provider: &Provider, claims: &Value) -> String {
    let token = provider.key.sign("JWT", claims).unwrap();
    format!("{}.", token.rsplit_once('.').unwrap().0)
}

fn altered(provider: &Provider, claims: &Value) -> String {
    let token = provider.key.sign("JWT", claims).unwrap();
    let mut claims = claims.clone();
    claims["sub"] = json!("somebody else");
    let forged = provider.other_key.sign("JWT", &claims).unwrap();
    let [header, signature] = [0, 2].map(|at| token.split('.').nth(at).unwrap());
    format!("{header}.{}.{signature}", forged.split('.').nth(1).unwrap())
}

type Forge = fn(&Provider, &Value) -> String;

#[actix_web::test]
async fn only_the_issuers_published_keys_count_and_what_they_are_for() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let forged: [(&str, Forge); 14] = [
        ("no algorithm", |p, claims| raw_token(&header_of(p, &json!({ "alg": "none" })), claims, |_| Vec::new())),
        ("no algorithm, in other letters", |p, claims| raw_token(&header_of(p, &json!({ "alg": "nOnE" })), claims, |_| Vec::new())),
        ("the public key as a secret", with_the_public_key_as_a_secret),
        ("another key under its name", |p, claims| signed_by_a_stranger(&header_of(p, &json!({})), claims)),
        ("another key", |p, claims| p.other_key.sign("JWT", claims).unwrap()),
        ("a key that it brings along", |p, claims| {
            signed_by_a_stranger(&header_of(p, &json!({ "jwk": p.other_key.jwk(), "jku": "https://evil.example/keys" })), claims)
        }),
        ("no name of a key", |_, claims| signed_by_a_stranger(&json!({ "alg": "ES256" }), claims)),
        ("an algorithm that its key is not for", |p, claims| signed_by_a_stranger(&header_of(p, &json!({ "alg": "RS256" })), claims)),
        ("an algorithm that is not on the list", |p, claims| signed_by_a_stranger(&header_of(p, &json!({ "alg": "ES384" })), claims)),
        ("a demand that nobody knows", |p, claims| signed_by_a_stranger(&header_of(p, &json!({ "crit": ["b64"], "b64": false })), claims)),
        ("an access token", |p, claims| p.key.sign("at+jwt", claims).unwrap()),
        ("no signature", cut),
        ("other claims", altered),
        ("no token", |_, _| "e30.e30".into()),
    ];
    for (what, forge) in forged {
        provider.behave().forge = Some(forge);
        refuses(&app, &provider, json!({}), what).await;
    }
    provider.behave().forge = None;
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.status, 200);
}

#[actix_web::test]
async fn who_must_show_it_anew_has_shown_it_since() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let now = provider.behave().now;
    for claims in [json!({}), json!({ "auth_time": now - 3600 }), json!({ "auth_time": 0 })] {
        provider.saying(claims.clone());
        refuses(&app, &provider, json!({ "fresh": true }), &claims.to_string()).await;
    }
    provider.saying(json!({ "auth_time": now + 5 }));
    let begun = app.visitor().post("/v1/auth/oauth/corp/authorize", json!({ "fresh": true })).await;
    let url = begun.json()["authorization_url"].as_str().unwrap().to_owned();
    assert!(url.contains("prompt=login") && url.contains("max_age=0"), "{url}");
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({ "fresh": true })).await.status, 200);
}
