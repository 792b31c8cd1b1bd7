//! Keys that are made up, altered, cut off, put together from two, or of another environment.

use crate::support::{
    app::{Answer, PUBLIC_URL, TestApp},
    machines::stamped,
};
use portcullis::server::tls::issue_once;
use reqwest::Method;

const ROUTE: &str = "/v1/users";

#[actix_web::test]
async fn what_is_no_key_is_refused_without_a_query_and_in_the_same_words() {
    let app = TestApp::start().await;
    let machine = app.administrator().await.api_key(&["users:read"]).await;
    let key = machine.key.clone();
    assert_eq!(machine.actor.get(ROUTE).await.status, 200);
    let altered = |at: usize, with: &str| format!("{}{with}{}", &key[..at], &key[at + with.len()..]);
    let is_zero = key.as_bytes()[50] == b'0';
    let forged = [
        key[..key.len() - 1].to_owned(),
        key[..40].to_owned(),
        format!("{key}0"),
        altered(50, if is_zero { "1" } else { "0" }),
        altered(key.len() - 1, if key.ends_with('0') { "1" } else { "0" }),
        stamped(&key.replacen("pc_dev_", "pc_live_", 1)),
        stamped(&key.replacen("pc_dev_", "pc_test_", 1)),
        key.to_uppercase(),
        "pc_".into(),
        "pc_dev_0_0".into(),
        format!("pc_dev_{}", "_".repeat(80)),
    ];
    let told = app.holder("nonsense").get(ROUTE).await.told();
    // nothing can be asked of a database that is gone
    app.state.pool.close().await;
    for forged in forged {
        let answer = app.holder(&forged).get(ROUTE).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "INVALID_TOKEN"), "{forged}: {}", answer.text);
        assert_eq!(answer.told(), told, "{forged}");
    }
    let well_formed = app.holder(&stamped(&altered(50, if is_zero { "1" } else { "0" }))).get(ROUTE).await;
    assert_eq!(well_formed.code(), "UNAVAILABLE", "this one has to be looked up, and in doubt nobody gets in");
}

#[actix_web::test]
async fn a_right_checksum_or_half_of_another_key_opens_nothing() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let (one, other) = (root.api_key(&["users:read"]).await, root.api_key(&["users:read"]).await);
    let parts = |key: &str| -> Vec<String> { key.splitn(4, '_').map(str::to_owned).collect() };
    let ([_, _, id, secret], [_, _, _, others]) = (&parts(&one.key)[..], &parts(&other.key)[..]) else { panic!("four parts") };
    let flipped = if secret.starts_with('0') { "1" } else { "0" };
    for forged in [
        format!("pc_dev_{id}_{others}"),
        format!("pc_dev_{id}_{flipped}{}", &secret[1..]),
        format!("pc_dev_{id}_{}", "0".repeat(49)),
        format!("pc_dev_01900000000070008000000000000000_{secret}"),
    ] {
        let answer = app.holder(&stamped(&forged)).get(ROUTE).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "INVALID_TOKEN"), "{forged}");
    }
    // nowhere but where it belongs
    let visitor = app.visitor();
    for request in [
        visitor.request(Method::GET, ROUTE).header("x-api-key", &one.key),
        visitor.request(Method::GET, ROUTE).header("authorization", format!("Basic {}", one.key)),
        visitor.request(Method::GET, ROUTE).header("authorization", &one.key),
        visitor.request(Method::GET, ROUTE).header("cookie", format!("__Host-portcullis={}", one.key)),
        visitor.request(Method::GET, ROUTE).bearer_auth(&one.key).bearer_auth(&other.key),
    ] {
        assert_eq!(Answer::of(request).await.status, 401);
    }
    assert_eq!(one.actor.get(ROUTE).await.status, 200, "and this is how it is sent");
}

/// Two services on one database, as after somebody restored production's where they develop.
#[actix_web::test]
async fn a_key_of_another_environment_is_worth_nothing() {
    let development = TestApp::start().await;
    let (folder, issued) = (tempfile::tempdir().unwrap(), issue_once("localhost", &development.clock).unwrap());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("certificate.pem"), &issued.certificate).unwrap();
    std::fs::write(path("key.pem"), &issued.key).unwrap();
    let production = development
        .node_with(&[
            ("PORTCULLIS_ENV", "production"),
            ("DATABASE_URL", "postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@db.internal/portcullis?sslmode=verify-full"),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY", "3q2+7wH1Jm0Yb8rN5xKfPzQvUoWc4TgLsAiEdRjXh9k="),
            ("PORTCULLIS_MAIL_FROM", "Accounts <accounts@example.com>"),
            ("PORTCULLIS_SMTP_URL", "smtps://accounts:Hc5rWq8nYt3LkVd6Bz@mail.internal"),
            ("PORTCULLIS_PUBLIC_URL", PUBLIC_URL),
            ("PORTCULLIS_TLS_CERTIFICATE_FILE", &path("certificate.pem")),
            ("PORTCULLIS_TLS_KEY_FILE", &path("key.pem")),
        ])
        .await;
    let trusting =
        reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(issued.authority.as_bytes()).unwrap()]).no_proxy().build().unwrap();
    let in_production = async |method: Method, path: &str, as_who: &crate::support::app::Actor<'_>| {
        let mut request = trusting.request(method, format!("https://localhost:{}{path}", production.address().port()));
        for (name, value) in [("cookie", &as_who.cookie), ("x-csrf-token", &as_who.csrf)] {
            request = value.iter().fold(request, |request, value| request.header(name, value));
        }
        as_who.bearer.iter().fold(request, |request, token| request.bearer_auth(token))
    };
    let root = development.administrator().await;
    let dev = root.api_key(&["users:read"]).await;
    let make = in_production(Method::POST, "/v1/me/api-keys", &root).await.json(&crate::support::machines::wanted(&["users:read"]));
    let made = Answer::of(make).await;
    let live = development.machine(&made);
    assert!(dev.key.starts_with("pc_dev_") && live.key.starts_with("pc_live_"), "{}", made.status);
    assert_eq!(Answer::of(in_production(Method::GET, ROUTE, &live.actor).await).await.status, 200);
    assert_eq!(Answer::of(in_production(Method::GET, ROUTE, &dev.actor).await).await.code(), "INVALID_TOKEN", "a development key in production");
    assert_eq!(live.actor.get(ROUTE).await.code(), "INVALID_TOKEN", "nor the other way round");
    // nor by writing the other name on it
    let renamed = stamped(&dev.key.replacen("pc_dev_", "pc_live_", 1));
    let answer = Answer::of(in_production(Method::GET, ROUTE, &development.holder(&renamed)).await).await;
    assert_eq!(answer.code(), "INVALID_TOKEN");
}
