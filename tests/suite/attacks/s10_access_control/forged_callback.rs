//! Somebody brings a browser to the callback: with a state of their own (the victim would work in the attacker's account), with one that
//! was used, with a code that was given for another sign-in or by another provider.

use crate::support::{
    app::TestApp,
    provider::{Begun, Provider, begin, come_back},
};
use futures_util::future::join_all;
use serde_json::json;
use std::{collections::HashMap, sync::Arc};

const BEGIN: &str = "/v1/auth/oauth/corp/authorize";

async fn beside(provider: &Arc<Provider>) -> TestApp {
    TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await
}

fn with(back: &HashMap<String, String>, name: &str, value: Option<&str>) -> HashMap<String, String> {
    let mut back = back.clone();
    match value {
        Some(value) => back.insert(name.into(), value.into()),
        None => back.remove(name),
    };
    back
}

#[actix_web::test]
async fn only_the_browser_that_began_it_can_finish_it_and_once() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let visitor = app.visitor();
    let Begun { url, cookie } = begin(&visitor, BEGIN, Some(json!({}))).await;
    let of_another = begin(&app.visitor(), BEGIN, Some(json!({}))).await;
    let back = provider.authorize(&url);
    let opaque = "dGhpcyBpcyBub3QgYSB0b2tlbiwganVzdCBhIHNoYXA";
    for (cookie, back, what) in [
        (None, back.clone(), "no cookie"),
        (Some(of_another.cookie.as_str()), back.clone(), "the cookie of another sign-in"),
        (Some(cookie.as_str()), with(&back, "state", Some(opaque)), "a state that nobody gave"),
        (Some(cookie.as_str()), with(&back, "state", Some("")), "no state"),
        (Some(cookie.as_str()), provider.authorize(&of_another.url), "the state of another sign-in"),
        (Some("__Host-portcullis-oauth="), back.clone(), "an empty cookie"),
    ] {
        let answer = come_back(&visitor, "corp", cookie, &back).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "INVALID_CHALLENGE"), "{what}");
        assert!(answer.cookie().is_none());
    }
    assert_eq!(provider.asked("/token"), 0, "no code went anywhere");

    let twice = format!("{cookie}; {cookie}");
    assert_eq!(come_back(&visitor, "corp", Some(&twice), &back).await.code(), "MALFORMED", "whose is which?");
    assert_eq!(come_back(&visitor, "corp", Some(&cookie), &back).await.status, 200);
    assert_eq!(come_back(&visitor, "corp", Some(&cookie), &back).await.code(), "INVALID_CHALLENGE", "once more");
    assert_eq!(provider.asked("/token"), 1);
}

#[actix_web::test]
async fn of_a_hundred_at_once_one_gets_in() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let visitor = app.visitor();
    let Begun { url, cookie } = begin(&visitor, BEGIN, Some(json!({}))).await;
    let back = provider.authorize(&url);
    let answers = join_all((0..100).map(|_| come_back(&visitor, "corp", Some(&cookie), &back))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.code() == "INVALID_CHALLENGE"));
    assert_eq!((provider.asked("/token"), app.count("SELECT count(*) FROM sessions").await), (1, 1));
}

#[actix_web::test]
async fn it_is_over_after_some_minutes() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let visitor = app.visitor();
    let Begun { url, cookie } = begin(&visitor, BEGIN, Some(json!({}))).await;
    let back = provider.authorize(&url);
    app.clock.advance(app.state.settings.terms.challenge + time::Duration::SECOND);
    assert_eq!(come_back(&visitor, "corp", Some(&cookie), &back).await.code(), "INVALID_CHALLENGE");
}

/// The attacker's own code in the victim's browser, or the victim's in the attacker's: neither its PKCE challenge nor its nonce fits.
#[actix_web::test]
async fn a_code_of_another_sign_in_is_worth_nothing() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let (victim, attacker) = (app.visitor(), app.visitor());
    let of_attacker = begin(&attacker, BEGIN, Some(json!({}))).await;
    let code = provider.authorize(&of_attacker.url).remove("code");
    let of_victim = begin(&victim, BEGIN, Some(json!({}))).await;
    let back = with(&provider.authorize(&of_victim.url), "code", code.as_deref());
    let answer = come_back(&victim, "corp", Some(&of_victim.cookie), &back).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "IDENTITY_REFUSED"));
    assert_eq!(provider.asked("/token"), 1, "the provider was asked and refused");
    assert!(!answer.text.contains("canary"), "{}", answer.text);
}

#[actix_web::test]
async fn an_answer_of_another_provider_is_not_taken_for_this_ones() {
    let (provider, other) = (Provider::start(), Provider::start());
    let entries = json!([provider.entry("corp", true), other.entry("other", true)]).to_string();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &entries)]).await;
    let visitor = app.visitor();
    for issuer in [None, Some(other.url.as_str()), Some(""), Some("https://evil.example")] {
        let Begun { url, cookie } = begin(&visitor, BEGIN, Some(json!({}))).await;
        let answer = come_back(&visitor, "corp", Some(&cookie), &with(&provider.authorize(&url), "iss", issuer)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "IDENTITY_REFUSED"), "{issuer:?}");
    }
    // each has a page of its own to come back to, for those that do not name themselves
    let Begun { url, cookie } = begin(&visitor, BEGIN, Some(json!({}))).await;
    assert!(url.contains("%2Fgo%2Foauth%2Fcorp&"), "{url}");
    let answer = come_back(&visitor, "other", Some(&cookie), &provider.authorize(&url)).await;
    assert_eq!(answer.code(), "INVALID_CHALLENGE");
    assert_eq!((provider.asked("/token"), other.asked("/token")), (0, 0), "no code went anywhere");
}

#[actix_web::test]
async fn the_providers_refusals_are_told_in_our_words() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let visitor = app.visitor();
    for (error, status, code) in [
        ("access_denied", 403, "IDENTITY_REFUSED"),
        ("login_required", 403, "IDENTITY_REFUSED"),
        ("<script>", 403, "IDENTITY_REFUSED"),
        ("server_error", 503, "UNAVAILABLE"),
        ("temporarily_unavailable", 503, "UNAVAILABLE"),
    ] {
        let Begun { url, cookie } = begin(&visitor, BEGIN, Some(json!({}))).await;
        let back = with(&with(&provider.authorize(&url), "code", None), "error", Some(error));
        let answer = come_back(&visitor, "corp", Some(&cookie), &back).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{error}");
        assert!(!answer.text.contains("script"));
        assert_eq!(come_back(&visitor, "corp", Some(&cookie), &back).await.code(), "INVALID_CHALLENGE", "it is over");
    }
}

#[actix_web::test]
async fn no_link_and_no_foreign_page_begins_or_ends_it() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    let visitor = app.visitor();
    for path in [BEGIN, "/v1/auth/oauth/corp/callback?state=x&code=y"] {
        assert_eq!(visitor.get(path).await.status, 405, "{path}");
    }
    for path in [BEGIN, "/v1/auth/oauth/corp/callback"] {
        let request = visitor.request(reqwest::Method::POST, path).header("origin", "https://evil.example").json(&json!({}));
        assert_eq!(crate::support::app::Answer::of(request).await.code(), "CSRF_REJECTED", "{path}");
    }
    let answer = visitor.post(BEGIN, json!({})).await;
    let set = answer.header("set-cookie");
    for part in ["__Host-portcullis-oauth=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=600"] {
        assert!(set.contains(part), "{part}: {set}");
    }
}
