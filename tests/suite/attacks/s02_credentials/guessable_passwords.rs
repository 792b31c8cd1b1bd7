//! People choose what guessers try first. The refusal says why, and costs no new letter.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn common_short_patterned_and_own_words_are_refused_with_the_reason() {
    let app = TestApp::start().await;
    app.visitor().post("/v1/auth/register", json!({ "email": "ada.lovelace@example.org" })).await;
    let token = app.letter_to("ada.lovelace@example.org").await.token.unwrap();
    let complete = |password: &str| {
        let body = json!({ "token": token, "name": "Ada Lovelace", "password": password });
        let visitor = app.visitor();
        async move { visitor.post("/v1/auth/register/complete", body).await }
    };
    let too_long = "long enough to be refused ".repeat(10);
    for (password, reason) in [
        ("fourteen chars", "is shorter than 15 characters"),
        (too_long.as_str(), "is longer than 128 characters"),
        ("passwordpassword", "is a commonly used password"),
        ("ada.lovelace@example.org", "is made of your own name or address"),
        ("AdaLovelace12345", "is made of your own name or address"),
        ("aaaaaaaaaaaaaaaaaaaa", "is easy to guess"),
        ("1234567890123456789", "is easy to guess"),
    ] {
        let answer = complete(password).await;
        let field = answer.json()["error"]["fields"][0].clone();
        assert_eq!((answer.status.as_u16(), field["field"].as_str()), (422, Some("password")), "{password}: {}", answer.text);
        let told = field["reason"].as_str().unwrap();
        assert!(told.starts_with(reason) || told.starts_with("is a commonly"), "{password}: {told}");
        assert!(!answer.text.contains(password), "not repeated");
    }
    assert_eq!(complete(PASSWORD).await.status, 201);
}
