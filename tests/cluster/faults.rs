//! One part of the cluster after the other is killed under load: who notices, and for how long.
//!
//! A request is in flight on a node from the first byte of it that the proxy sends there until the proxy has the node's whole answer; the
//! proxy's log says so. What was in flight on a node that died may have been done.

use crate::{
    load::{Does, Load, Outcome},
    stack::{Front, Node, Stack, until},
};
use reqwest::Method;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// How often each title is in the database.
async fn written(front: &Front) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT title, count(*) FROM documents GROUP BY title").fetch_all(&mut front.database().await).await.unwrap();
    rows.into_iter().collect()
}

/// What was acknowledged is there, and nothing is there twice.
async fn every_acknowledged_write_is_there_once(front: &Front, outcomes: &[Outcome]) {
    let written = written(front).await;
    let acknowledged: BTreeSet<&String> = outcomes.iter().filter(|outcome| outcome.is_done()).filter_map(|outcome| outcome.title.as_ref()).collect();
    assert!(acknowledged.len() > 5, "there was no load: {}", acknowledged.len());
    let lost: Vec<_> = acknowledged.iter().filter(|title| !written.contains_key(**title)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let repeated: Vec<_> = written.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "done twice: {repeated:?}");
}

/// A node stops in the middle of its work and dies. Reads go to the other one and nobody notices; a change that was in flight is answered with
/// 502, once a client at most, and never sent a second time; everything else is done.
#[actix_web::test]
async fn a_node_is_killed_and_only_changes_in_flight_on_it_fail() {
    let _alone = crate::alone().await;
    let Stack { home: _home, postgres: _postgres, redis: _redis, front, nodes: [mut victim, mut survivor] } = Stack::start(18).await;
    let load = Load::new(&front, &[(Does::Reads, 6), (Does::Writes, 4), (Does::Deletes, 4), (Does::Shares, 4)]).await;
    let begun = Instant::now();
    let scenario = async {
        until("both nodes to be busy", async || (load.done_since(begun) > 100).then_some(())).await;
        // it takes requests and does not answer: longer than the proxy waits for a connection, so that these are under way in it
        let stuck = |methods: &[Method]| methods.iter().any(|method| load.stuck(method, Duration::from_millis(1300)) > 0);
        until("requests of each kind to be in flight", async || {
            victim.signal("-STOP");
            let frozen = Instant::now();
            until("what was in flight to be stuck", async || (frozen.elapsed() > Duration::from_millis(1600)).then_some(())).await;
            // PUT and DELETE are what nginx would repeat by itself
            let is_loaded = [&[Method::GET][..], &[Method::POST], &[Method::PUT, Method::DELETE]].into_iter().all(stuck);
            if !is_loaded {
                victim.signal("-CONT");
                let thawed = Instant::now();
                until("both nodes to be busy", async || (load.done_since(thawed) > 100).then_some(())).await;
            }
            is_loaded.then_some(())
        })
        .await;
        victim.kill();
        let dead = Instant::now();
        until("the load to go on", async || (load.done_since(dead) > 150).then_some(())).await;
        load.stop();
    };
    futures_util::join!(load.run(), scenario);
    let outcomes = load.outcomes();
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.is_done()).collect();
    for outcome in &failed {
        assert!(outcome.status.is_some_and(|status| status == 502) && outcome.method != Method::GET, "{outcome:?}");
        assert!(outcome.text.contains("look whether it was done"), "{outcome:?}");
    }
    for methods in [&[Method::POST][..], &[Method::PUT, Method::DELETE]] {
        assert!(failed.iter().any(|outcome| methods.contains(&outcome.method)), "one was in flight: {failed:?}");
    }
    assert!(failed.len() <= 12, "one of each client that changes something: {failed:?}");

    let records = front.nginx.records();
    let changes = || records.iter().filter(|record| !["GET", "HEAD", "OPTIONS"].contains(&record.method.as_str()));
    assert!(changes().all(|record| record.had_by().len() <= 1), "a change was sent twice");
    let dead_node = front.addresses[0].to_string();
    let lost: Vec<_> = records.iter().filter(|record| record.status >= 500).collect();
    assert!(lost.len() == failed.len() && lost.iter().all(|record| record.had_by() == [dead_node.as_str()]), "{lost:?}");
    let saved = records.iter().filter(|record| record.method == "GET" && record.had_by().len() == 2).count();
    assert!(saved > 0, "a read was in flight, and the other node answered it");
    every_acknowledged_write_is_there_once(&front, &outcomes).await;

    // back at the same place, it is found again by itself
    let count = || front.nginx.records().iter().filter(|record| record.status < 500 && record.had_by() == [dead_node.as_str()]).count();
    victim = front.node(0);
    let before = count();
    let client = front.nginx.client("127.0.2.1");
    until("the revived node to serve", async || {
        client.get(front.nginx.url("/.well-known/jwks.json")).send().await.unwrap();
        (count() > before + 3).then_some(())
    })
    .await;
    assert!(victim.runs() && survivor.runs());
}

/// Postgres ends as if the power failed and comes back: meanwhile the service refuses and says when to come back, then it goes on by itself,
/// and whatever it had acknowledged is there.
#[actix_web::test]
async fn postgres_is_killed_and_no_acknowledged_write_is_lost() {
    let _alone = crate::alone().await;
    let Stack { home: _home, mut postgres, redis: _redis, front, mut nodes } = Stack::start(12).await;
    let load = Load::new(&front, &[(Does::Writes, 8), (Does::Reads, 4)]).await;
    let begun = Instant::now();
    let scenario = async {
        until("both nodes to be busy", async || (load.done_since(begun) > 60).then_some(())).await;
        let down = Instant::now();
        postgres.kill().await;
        until("the outage to be told", async || (load.refused_since(down) > 30).then_some(())).await;
        postgres.revive().await;
        let up = Instant::now();
        until("the load to go on", async || (load.done_since(up) > 60).then_some(())).await;
        load.stop();
        up.elapsed()
    };
    let (_, recovery) = futures_util::join!(load.run(), scenario);
    println!("at work again after {recovery:?}");
    let outcomes = load.outcomes();
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_done()) {
        assert!(outcome.status.is_some_and(|status| status == 503), "{outcome:?}");
        assert!(outcome.retry_after.as_ref().is_some_and(|wait| wait.parse::<u32>().is_ok_and(|seconds| seconds > 0)), "{outcome:?}");
    }
    assert!(nodes.iter_mut().all(Node::runs), "by themselves: no node was started anew");
    every_acknowledged_write_is_there_once(&front, &outcomes).await;
    // by the front door, too
    let client = front.nginx.client("127.0.3.1");
    let token = front.sign_in(&client, 0).await;
    for id in outcomes.iter().filter(|outcome| outcome.person == 0).filter_map(|outcome| outcome.id.as_ref()) {
        let answer = client.get(front.nginx.url(&format!("/v1/documents/{id}"))).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{id}");
    }
}

/// Redis goes and comes back under load: nobody notices.
#[actix_web::test]
async fn redis_is_killed_and_nobody_notices() {
    let _alone = crate::alone().await;
    let Stack { home: _home, postgres: _postgres, mut redis, front, nodes: _nodes } = Stack::start(7).await;
    let load = Load::new(&front, &[(Does::Reads, 3), (Does::Writes, 3), (Does::SignsIn, 1)]).await;
    let begun = Instant::now();
    let scenario = async {
        until("both nodes to be busy", async || (load.done_since(begun) > 50).then_some(())).await;
        redis.kill();
        let down = Instant::now();
        until("the load to go on", async || (load.done_since(down) > 50).then_some(())).await;
        redis.revive();
        let up = Instant::now();
        until("the load to go on", async || (load.done_since(up) > 50).then_some(())).await;
        load.stop();
    };
    futures_util::join!(load.run(), scenario);
    let outcomes = load.outcomes();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_done()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    every_acknowledged_write_is_there_once(&front, &outcomes).await;
}
