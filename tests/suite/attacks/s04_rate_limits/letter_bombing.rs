//! Somebody uses the service to fill a stranger's mailbox, with an account or without.

use crate::support::app::TestApp;
use serde_json::json;

#[actix_web::test]
async fn a_mailbox_gets_few_letters_an_hour_whether_known_or_not() {
    let app = TestApp::with(&[("PORTCULLIS_LETTER_QUOTA", "3")]).await;
    app.create_account("known@example.org").await;
    app.clock.advance(time::Duration::hours(2));
    let visitor = app.visitor();
    for email in ["known@example.org", "unknown@example.org"] {
        let spellings = [email.to_owned(), email.to_uppercase(), email.replace("example", "EXAMPLE")];
        let calls = (0..20).map(|n| visitor.post("/v1/auth/register", json!({ "email": spellings[n % 3] })));
        let answers = futures_util::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 3, "in parallel and in every spelling");
        let refused = answers.iter().find(|answer| answer.status != 202).unwrap();
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "RATE_LIMITED"));
        assert!((3500..=3601).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    }
    app.all_letters_sent().await;
    assert_eq!((app.letters_to("known@example.org").len(), app.letters_to("unknown@example.org").len()), (4, 3));
    app.clock.advance(time::Duration::hours(1));
    assert_eq!(visitor.post("/v1/auth/register", json!({ "email": "unknown@example.org" })).await.status, 202, "a new hour");
}
