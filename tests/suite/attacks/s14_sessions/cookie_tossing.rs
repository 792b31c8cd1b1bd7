//! A sibling site plants its owner's own session in the victim's browser, under a name that browsers do not guard and a lenient
//! parser takes for ours; the victim then works in the attacker's account.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;

#[actix_web::test]
async fn only_the_exact_name_counts_and_only_once() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await.cookie.unwrap();
    let mallory = app.member("mallory@example.org").await.cookie.unwrap();
    let value = mallory.split_once('=').unwrap().1;
    for name in ["__Host%2Dportcullis", "%5F%5FHost-portcullis", "__host-portcullis", "__Host-portcullis ", "__Host-portcullis%20"] {
        for cookies in [format!("{name}={value}; {ada}"), format!("{ada}; {name}={value}")] {
            let me = Answer::of(app.visitor().request(Method::GET, "/v1/me").header("cookie", &cookies)).await;
            assert_eq!(me.json()["email"], "ada@example.org", "{name}");
        }
        let alone = Answer::of(app.visitor().request(Method::GET, "/v1/me").header("cookie", format!("{name}={value}"))).await;
        assert_eq!(alone.status, 401, "{name}");
    }
    let twice = Answer::of(app.visitor().request(Method::GET, "/v1/me").header("cookie", format!("{mallory}; {ada}"))).await;
    assert_eq!((twice.status.as_u16(), twice.code().as_str()), (400, "MALFORMED"), "whose is which?");
}
