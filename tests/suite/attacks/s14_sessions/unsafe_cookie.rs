//! A script reads the cookie, a subdomain plants one, clear text carries it, a foreign site sends it along.

use crate::support::app::{PASSWORD, TestApp};

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
