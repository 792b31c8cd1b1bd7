//! A session is left open on a shared machine. It ends by itself: unused after the idle time, used or not after the absolute one.

use crate::support::app::TestApp;
use time::Duration;

#[actix_web::test]
async fn an_unused_session_ends_after_its_idle_time() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let never_used = app.sign_in("ada@example.org").await;
    app.clock.advance(Duration::minutes(30) - Duration::SECOND);
    assert_eq!(ada.get("/v1/me").await.status, 200);
    app.marks_of_use_written().await;
    app.clock.advance(Duration::SECOND);
    assert_eq!(never_used.get("/v1/me").await.status, 401, "signed in and never used");
    app.clock.advance(Duration::minutes(29));
    assert_eq!(ada.get("/v1/me").await.status, 200, "use begins the idle time anew");
    app.marks_of_use_written().await;
    app.clock.advance(Duration::minutes(30));
    assert_eq!(ada.get("/v1/me").await.status, 401);
}

#[actix_web::test]
async fn a_session_in_constant_use_ends_after_its_absolute_time() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    for _ in 0..35 {
        app.clock.advance(Duration::minutes(20));
        assert_eq!(ada.get("/v1/me").await.status, 200);
        app.marks_of_use_written().await;
    }
    app.clock.advance(Duration::minutes(20) + Duration::SECOND);
    assert_eq!(ada.get("/v1/me").await.status, 401, "twelve hours are over");
}
