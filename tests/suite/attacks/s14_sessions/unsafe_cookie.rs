//! A script reads the cookie, a subdomain plants one, clear text carries it, a foreign site sends it along.

use crate::support::app::{PASSWORD, TestApp};

#[actix_web::test]
async fn the_session_cookie_has_every_flag_and_no_reach() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let answer = app.visitor().sign_in("ada@example.org", PASSWORD).await;
    let cookies: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let [cookie] = cookies[..] else { panic!("one cookie: {cookies:?}") };
    let mut parts: Vec<&str> = cookie.split("; ").collect();
    assert!(parts.remove(0).starts_with("__Host-portcullis="));
    parts.sort_unstable();
    assert_eq!(parts, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"], "no Domain; ends with the browser");
}
