//! A script reads the cookie, a subdomain plants one, clear text carries it, a foreign site sends it along.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn the_session_cookie_has_every_flag_and_no_reach() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let answer = app.visitor().sign_in("ada@example.org", PASSWORD).await;
    let cookies: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let flags = |start: &str| {
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(start)).expect(start);
        let mut parts: Vec<&str> = cookie.split("; ").skip(1).collect();
        parts.sort_unstable();
        parts
    };
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert_eq!(flags("__Host-portcullis="), ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"], "no Domain; ends with the browser");
    let device = ["HttpOnly", "Max-Age=15552000", "Path=/", "SameSite=Strict", "Secure"];
    assert_eq!(flags("__Host-portcullis-device="), device, "no Domain; 180 days");
}

#[actix_web::test]
async fn the_refresh_cookie_is_sent_to_nothing_but_the_calls_that_need_it() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "transport": "token" });
    let answer = app.visitor().post("/v1/auth/login", body).await;
    let mut all = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let cookie = all.find(|set| set.starts_with("__Secure-portcullis-refresh=")).expect("the cookie");
    let mut flags: Vec<&str> = cookie.split("; ").skip(1).collect();
    flags.sort_unstable();
    assert_eq!(flags, ["HttpOnly", "Max-Age=2592000", "Path=/v1/auth", "SameSite=Strict", "Secure"], "no Domain; 30 days");
    let tie = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .find(|set| set.starts_with("__Host-portcullis-refresh-tie="));
    let mut flags: Vec<&str> = tie.expect("its tie").split("; ").skip(1).collect();
    flags.sort_unstable();
    assert_eq!(flags, ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Strict", "Secure"], "no Domain");
}
