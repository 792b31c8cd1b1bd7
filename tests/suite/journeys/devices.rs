//! Where one is signed in, and ending it there.

use crate::support::app::{Answer, PASSWORD, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn devices_are_listed_and_signed_out_one_by_one_or_all() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    let answer = Answer::of(app.visitor().request(Method::POST, "/v1/auth/login").header("user-agent", firefox).json(&body)).await;
    let mut laptop = app.visitor();
    laptop.cookie = answer.cookie();
    laptop.csrf = answer.json()["csrf_token"].as_str().map(str::to_owned);
    let phone = app.sign_in("ada@example.org").await;

    let listed = laptop.get("/v1/me/sessions").await.json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "{listed}");
    let current: Vec<_> = items.iter().filter(|item| item["is_current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!((current[0]["device"].as_str(), current[0]["address"].as_str()), (Some("Firefox on Linux"), Some("127.0.0.0")));
    assert_eq!(current[0]["id"], answer.json()["session_id"]);

    let other = items.iter().find(|item| item["is_current"] == false).unwrap()["id"].as_str().unwrap();
    assert_eq!(laptop.delete(&format!("/v1/me/sessions/{other}")).await.status, 204);
    assert_eq!(laptop.delete(&format!("/v1/me/sessions/{other}")).await.status, 404, "it is gone");
    assert_eq!(phone.get("/v1/me").await.status, 401, "the newest of the others was the phone");
    assert_eq!(ada.get("/v1/me").await.status, 200);
    assert_eq!(laptop.delete("/v1/me/sessions").await.status, 204);
    assert_eq!((ada.get("/v1/me").await.status.as_u16(), laptop.get("/v1/me").await.status.as_u16()), (401, 200));

    let tablet = app.sign_in("ada@example.org").await;
    let out = tablet.post("/v1/auth/logout-all", json!({})).await;
    assert!(out.status == 204 && out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    assert_eq!((tablet.get("/v1/me").await.status.as_u16(), laptop.get("/v1/me").await.status.as_u16()), (401, 401));
}

#[actix_web::test]
async fn a_new_device_is_told_of_and_a_known_one_is_not() {
    let app = TestApp::start().await;
    let mut laptop = app.member("ada@example.org").await;
    let is_about = |part: &str| app.letters_to("ada@example.org").iter().filter(|letter| letter.text.contains(part)).count();
    app.all_letters_sent().await;
    assert_eq!(is_about("/go/disown"), 0, "the first device is no news");
    laptop.sign_in("ada@example.org", PASSWORD).await;
    app.all_letters_sent().await;
    assert_eq!(is_about("/go/disown"), 0, "it is known by its cookie");

    let stranger = app.sign_in("ada@example.org").await;
    let letter = app.letter_about("ada@example.org", "/go/disown").await;
    assert_eq!(laptop.follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    assert_eq!((stranger.get("/v1/me").await.status.as_u16(), laptop.get("/v1/me").await.status.as_u16()), (401, 401));
    assert_eq!(laptop.follow("/v1/auth/sessions/disown", &letter).await.code(), "INVALID_PROOF", "spent");
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 401, "the stranger knew the password");
    app.letter_about("ada@example.org", "/go/reset").await;
}

#[actix_web::test]
async fn a_browser_with_two_accounts_is_known_to_both() {
    let app = TestApp::start().await;
    let mut browser = app.member("work@example.org").await;
    app.create_account("home@example.org").await;
    for _ in 0..3 {
        for email in ["home@example.org", "work@example.org"] {
            browser.cookie = None;
            browser.csrf = None;
            assert_eq!(browser.sign_in(email, PASSWORD).await.status, 200);
        }
    }
    app.all_letters_sent().await;
    for email in ["home@example.org", "work@example.org"] {
        assert!(app.letters_to(email).iter().all(|letter| !letter.text.contains("/go/disown")), "{email}");
    }
}
