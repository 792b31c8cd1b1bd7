//! Objects with operators of other databases where text is expected: in every field of every call, and in every query.

use crate::support::{
    app::{Answer, TestApp},
    operations::{fingerprint, operations, texts},
};
use serde_json::json;

#[actix_web::test]
async fn an_operator_is_no_text_anywhere() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.all_letters_sent().await;
    let before = fingerprint(&app).await;
    let mut tried = 0;
    for operation in operations() {
        let url = operation.url();
        let body = operation.body().unwrap_or_default();
        for (pointer, field) in texts(&body) {
            for operator in [json!({ "$gt": "" }), json!({ "$ne": null }), json!({ "$where": "sleep(1000)" }), json!([{ "$regex": ".*" }])] {
                let mut body = body.clone();
                *body.pointer_mut(&pointer).unwrap() = operator;
                let answer = Answer::of(root.request(operation.method.clone(), &url).json(&body)).await;
                assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{} {field}: {}", operation.name(), answer.text);
                let named = answer.json()["error"]["fields"].as_array().unwrap().iter().any(|fault| fault["field"] == field.as_str());
                assert!(named && !answer.text.contains('$'), "{} {field}: {}", operation.name(), answer.text);
                tried += 1;
            }
        }
        for parameter in operation.parameters("query") {
            for name in [format!("{parameter}[$ne]"), format!("{parameter}%5B%24gt%5D"), format!("{parameter}[]"), format!("{parameter}.$where")] {
                let answer = Answer::of(root.request(operation.method.clone(), &format!("{url}?{name}=x"))).await;
                // one call is for tokens only, and asks first
                let is_for_tokens = operation.path.ends_with("/verify") && answer.status == 401;
                assert!(is_for_tokens || answer.status == 422, "{} {name}: {}", operation.name(), answer.text);
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried} were tried");
    assert_eq!(fingerprint(&app).await, before, "nothing changed");
}
