//! One quota, two nodes: exact, also in a crowd; and what becomes of it when Redis goes and comes back.

use crate::{
    redis_server::RedisServer,
    support::{
        app::{Answer, PASSWORD, TestApp},
        counts::count_alike,
        log,
    },
};
use futures_util::{StreamExt, future::join_all, stream};
use portcullis::edge::rate_limit::{Count, Quota, try_spend};
use reqwest::Method;
use serde_json::json;

const NUMBERS: [(&str, &str); 5] = [
    ("PORTCULLIS_LOGIN_QUOTA", "20"),
    ("PORTCULLIS_REFRESH_NETWORK_QUOTA", "100"),
    ("PORTCULLIS_INVITATION_QUOTA", "3"),
    ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ("PORTCULLIS_HASH_QUEUE", "1000"),
];

async fn two_nodes(url: Option<&str>) -> (TestApp, TestApp) {
    let changed: Vec<_> = NUMBERS.into_iter().chain(url.map(|url| ("REDIS_URL", url))).collect();
    let app = TestApp::with(&changed).await;
    let other = app.node_with(&changed).await;
    // connections are made before the crowd comes: a busy machine takes its time for each. A job that has one already may want a
    // second, so they are counted, not held all at once
    for node in [&app, &other] {
        node.wait_for("every connection", async || {
            join_all((0..10).map(|_| node.state.pool.acquire())).await;
            (node.state.pool.size() == 10).then_some(())
        })
        .await;
    }
    (app, other)
}

/// How many of so many attempts at once, half of them at each node, pass; whatever is refused is refused for the quota.
async fn passed(nodes: [&TestApp; 2], who: &str, attempts: usize) -> [usize; 2] {
    // all at once; in Postgres as many as its few connections take without refusing for that reason
    let at_once = if nodes[0].state.redis.is_some() { attempts } else { 100 };
    let at = |node: usize| {
        let count = Count::of(&nodes[node].state, Quota::LoginFromAddress, &[who]);
        async move { (node, try_spend(&nodes[node].state, &[count]).await.expect("a verdict").is_ok()) }
    };
    let outcomes: Vec<(usize, bool)> = stream::iter((0..attempts).map(|n| at(n % 2))).buffer_unordered(at_once).collect().await;
    [0, 1].map(|node| outcomes.iter().filter(|(at, passed)| *at == node && *passed).count())
}

async fn both_use_redis(nodes: [&TestApp; 2]) {
    for node in nodes {
        node.wait_for("Redis to be found again", async || node.state.redis.as_ref().unwrap().is_up().then_some(())).await;
    }
}

fn told(what: &str) -> usize {
    log::text().lines().filter(|line| line.contains(what)).count()
}

/// The log and the metric (which says what `is_up` says) are true before the first call and between calls.
#[actix_web::test]
async fn a_node_without_calls_knows_whether_redis_is_there() {
    let _alone = crate::alone().await;
    log::install();
    let mut redis = RedisServer::start();
    let (there_before, away_before) = (told("Redis is there"), told("Redis is away"));
    let (app, other) = two_nodes(Some(&redis.url())).await;
    both_use_redis([&app, &other]).await;
    assert_eq!(told("Redis is there") - there_before, 2);

    redis.kill();
    app.wait_for("the outage to be noticed", async || (told("Redis is away") - away_before == 2).then_some(())).await;
    assert!([&app, &other].iter().all(|node| !node.state.redis.as_ref().unwrap().is_up()));
    let _late = app.node_with(&[("REDIS_URL", &redis.url())]).await;
    app.wait_for("it to be missed at the start", async || (told("Redis is away") - away_before == 3).then_some(())).await;
}

#[actix_web::test]
async fn a_thousand_at_once_get_exactly_the_quota_in_either_store() {
    let _alone = crate::alone().await;
    let redis = RedisServer::start();
    for url in [Some(redis.url()), None] {
        let (app, other) = two_nodes(url.as_deref()).await;
        assert_eq!(passed([&app, &other], "crowd", 1000).await.iter().sum::<usize>(), 20, "{url:?}");

        // and by the front door
        let answers = stream::iter(0..1000).map(|n| {
            let node = [&app, &other][n % 2];
            let request = node.visitor().request(Method::POST, "/v1/auth/token/refresh").header("x-forwarded-for", "203.0.113.1");
            Answer::of(request.json(&json!({ "refresh_token": format!("{n:043}") })))
        });
        let answers: Vec<Answer> = answers.buffer_unordered(24).collect().await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 100, "{url:?}");
        assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 900, "{url:?}");
    }
    let keys = redis.keys();
    assert!(keys.iter().any(|(key, _)| key.starts_with("portcullis:quota:refresh_from_network:")), "{keys:?}");
    assert!(keys.iter().all(|(_, ends_in)| (1..=16 * 60_000).contains(ends_in)), "every counter ends by itself: {keys:?}");
}

#[actix_web::test]
async fn redis_counts_as_postgres_does() {
    let _alone = crate::alone().await;
    let redis = RedisServer::start();
    let url = redis.url();
    // tight enough for both kinds of window to refuse
    let numbers = [("PORTCULLIS_LOGIN_QUOTA", "4"), ("PORTCULLIS_INVITATION_QUOTA", "3")];
    let app = TestApp::with(&numbers).await;
    let other = app.node_with(&[numbers[0], numbers[1], ("REDIS_URL", url.as_str())]).await;
    both_use_redis([&other, &other]).await;
    count_alike(&app, &other).await;
    assert!(other.state.redis.as_ref().unwrap().is_up(), "it was Redis that counted");
}

#[actix_web::test]
async fn when_redis_goes_each_node_counts_its_part_and_when_it_is_back_both_count_together() {
    let _alone = crate::alone().await;
    let mut redis = RedisServer::start();
    let (app, other) = two_nodes(Some(&redis.url())).await;
    let nodes = [&app, &other];
    assert_eq!(passed(nodes, "before", 100).await.iter().sum::<usize>(), 20);

    let (away_before, back_before) = (told("Redis is away"), told("Redis is back"));
    redis.kill();
    assert_eq!(passed(nodes, "during", 400).await, [10, 10], "each node its half");
    assert_eq!(passed(nodes, "during", 100).await, [0, 0]);
    assert!(nodes.iter().all(|node| !node.state.redis.as_ref().unwrap().is_up()));
    assert_eq!(told("Redis is away") - away_before, 2, "once a node, not once a request");

    redis.revive();
    both_use_redis(nodes).await;
    assert_eq!(passed(nodes, "after", 400).await.iter().sum::<usize>(), 20, "exact again");
    assert_eq!(told("Redis is back") - back_before, 2);
}

/// Requests go on and on while Redis is killed and comes back: nobody is let through beyond what both stores allow, and no one sees a
/// fault.
#[actix_web::test]
async fn a_run_of_requests_over_an_outage_sees_no_fault_and_no_open_door() {
    let _alone = crate::alone().await;
    let mut redis = RedisServer::start();
    let (app, other) = two_nodes(Some(&redis.url())).await;
    let run = async |from: usize| {
        let answers = stream::iter(from..from + 300).map(|n| {
            let node = [&app, &other][n % 2];
            let request = node.visitor().request(Method::POST, "/v1/auth/token/refresh").header("x-forwarded-for", "203.0.113.9");
            Answer::of(request.json(&json!({ "refresh_token": format!("{n:043}") })))
        });
        let answers: Vec<Answer> = answers.buffer_unordered(24).collect().await;
        let faults: Vec<_> = answers.iter().filter(|answer| ![401, 429].contains(&answer.status.as_u16())).collect();
        assert!(faults.is_empty(), "{faults:?}");
        answers.iter().filter(|answer| answer.status == 401).count()
    };
    assert_eq!(run(0).await, 100);
    let killed = async {
        redis.kill();
    };
    let (let_in, ()) = futures_util::join!(run(300), killed);
    assert!(let_in <= 100, "{let_in}: at most half a quota at each node");
    redis.revive();
    both_use_redis([&app, &other]).await;
    assert_eq!(run(600).await, 100, "exact again, from nothing: Redis had forgotten");
}

/// The throttle is no weapon with Redis either: an owner elsewhere gets in, and their own sign-ins use nothing up.
#[actix_web::test]
async fn the_owner_elsewhere_gets_in_while_an_attack_runs_at_both_nodes() {
    let _alone = crate::alone().await;
    let mut redis = RedisServer::start();
    let (app, other) = two_nodes(Some(&redis.url())).await;
    app.create_account("ada@example.org").await;
    let from = |node: usize, address: &str, password: &str| {
        let request = [&app, &other][node].visitor().request(Method::POST, "/v1/auth/login").header("x-forwarded-for", address);
        Answer::of(request.json(&json!({ "email": "ada@example.org", "password": password })))
    };
    for outage in [false, true] {
        if outage {
            redis.kill();
        }
        let attacker = format!("203.0.113.{}", 1 + usize::from(outage));
        let guesses = join_all((0..80).map(|n| from(n % 2, &attacker, "a guess"))).await;
        assert_eq!(guesses.iter().filter(|answer| answer.status == 401).count(), 20, "outage: {outage}");
        for n in 0..24 {
            let own = from(n % 2, "198.51.100.7", PASSWORD).await;
            assert_eq!(own.status, 200, "{n}, outage: {outage}: {}", own.text);
        }
    }
}

/// An address with TLS where nobody speaks it: the same as no Redis at all.
#[actix_web::test]
async fn a_redis_that_speaks_no_tls_is_away() {
    let _alone = crate::alone().await;
    let redis = RedisServer::start();
    let url = redis.url().replace("redis://", "rediss://");
    let (app, other) = two_nodes(Some(&url)).await;
    assert_eq!(passed([&app, &other], "somebody", 100).await, [10, 10]);
    assert!(redis.keys().is_empty());
}
