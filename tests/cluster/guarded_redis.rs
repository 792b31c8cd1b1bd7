//! What `portcullis secrets --cluster` lets the service do in Redis is what it needs there, and nothing else.

use crate::{
    redis_server::RedisServer,
    support::{app::TestApp, counts::count_alike},
};

#[actix_web::test]
async fn the_service_counts_with_the_powers_that_it_is_given() {
    let _alone = crate::alone().await;
    let (redis, _secrets) = RedisServer::guarded();
    let numbers = [("PORTCULLIS_LOGIN_QUOTA", "4"), ("PORTCULLIS_INVITATION_QUOTA", "3")];
    let app = TestApp::with(&numbers).await;
    let url = redis.url();
    let other = app.node_with(&[numbers[0], numbers[1], ("REDIS_URL", url.as_str())]).await;
    app.wait_for("Redis to be found", async || other.state.redis.as_ref().unwrap().is_up().then_some(())).await;
    count_alike(&app, &other).await;
    // the row of wrong passwords is forgotten with the right one
    app.create_account("ada@example.org").await;
    let mut ada = other.visitor();
    for (password, status) in [("a guess", 401), (crate::support::app::PASSWORD, 200)] {
        assert_eq!(ada.sign_in("ada@example.org", password).await.status, status);
    }
    assert!(other.state.redis.as_ref().unwrap().is_up(), "nothing was refused: it was Redis that counted");
}

#[test]
fn nobody_else_does_anything_and_the_service_nothing_else() {
    let (redis, _secrets) = RedisServer::guarded();
    let ask = |url: &str, command: &[&str]| {
        let mut connection = redis::Client::open(url).unwrap().get_connection()?;
        let mut asked = redis::cmd(command[0]);
        command[1..].iter().for_each(|argument| _ = asked.arg(argument));
        asked.query::<redis::Value>(&mut connection)
    };
    let anybody = format!("redis://{}", redis.url().rsplit('@').next().unwrap());
    let refused = |url: &str, command: &[&str], reason: &str| {
        let answer = ask(url, command);
        assert!(answer.as_ref().is_err_and(|error| error.code() == Some(reason)), "{command:?}: {answer:?}");
    };
    refused(&anybody, &["SET", "portcullis:probe", "1"], "NOAUTH");
    assert!(ask(&anybody.replace("redis://", "redis://portcullis:guess@"), &["GET", "portcullis:probe"]).is_err());
    ask(&redis.url(), &["SET", "portcullis:probe", "1"]).unwrap();
    for command in [
        &["SET", "other:key", "1"][..],
        &["GET", "portcullis:probe"],
        &["KEYS", "*"],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["EVAL", "return 1", "0"],
        &["SCRIPT", "FLUSH"],
        &["SHUTDOWN", "NOSAVE"],
        &["PUBLISH", "channel", "x"],
    ] {
        refused(&redis.url(), command, "NOPERM");
    }
}
