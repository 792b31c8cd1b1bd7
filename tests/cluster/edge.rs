//! What the proxy of `docker-compose.cluster.yml` keeps from the nodes: floods, forged ways and names, requests that two parsers would cut
//! differently, identities that a client gives itself (practice 4.edge).

use crate::{
    nginx::{Nginx, secrets},
    service::free_ports,
    support::app::{Answer, PASSWORD, TestApp},
};
use futures_util::future::join_all;
use reqwest::{Client, Method, Version};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const JWKS: &str = "/.well-known/jwks.json";

/// The proxy before two nodes; a third node, whose certificate a `TestApp` knows, is where people are made.
struct Edge {
    app: TestApp,
    nodes: [TestApp; 2],
    nginx: Nginx,
    _secrets: tempfile::TempDir,
}

impl Edge {
    async fn with(edge: &[(&str, &str)], service: &[(&str, &str)]) -> Self {
        let secrets = secrets("nowhere");
        let path = |name: &str| secrets.path().join(name).to_str().unwrap().to_owned();
        let (certificate, key) = (path("service/certificate.pem"), path("service/key.pem"));
        let own = [
            ("PORTCULLIS_TLS_CERTIFICATE_FILE", certificate.as_str()),
            ("PORTCULLIS_TLS_KEY_FILE", key.as_str()),
            ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
        ];
        let app = TestApp::start().await;
        let changed = [&own, service].concat();
        let nodes = [app.node_with(&changed).await, app.node_with(&changed).await];
        let nginx = Nginx::before([nodes[0].address(), nodes[1].address()], secrets.path(), edge);
        Self { app, nodes, nginx, _secrets: secrets }
    }

    async fn get(&self, client: &Client, path: &str) -> Answer {
        Answer::of(client.get(self.nginx.url(path))).await
    }

    /// So many requests ended like this, and no node was asked about any of them.
    async fn ended_here(&self, status: u16, times: usize) {
        let like_this = || self.nginx.records().into_iter().filter(|record| record.status == status).collect::<Vec<_>>();
        // an answer may be there before its record
        let ended = self.app.wait_for("the records", async || Some(like_this()).filter(|ended| ended.len() >= times)).await;
        assert!(ended.len() == times && ended.iter().all(|record| record.node.is_empty()), "{status}: {ended:?}");
    }
}

/// The proxy refuses as a node would.
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((answer.header("x-content-type-options"), answer.header("cache-control")), ("nosniff", "no-store"));
    assert!(answer.json()["error"]["docs"].as_str().unwrap().starts_with("https://localhost:"));
    assert!(!answer.header("server").contains('/'), "which version it is, is nobody's business");
}

#[actix_web::test]
async fn a_flood_is_refused_at_the_edge_and_others_are_served() {
    let _alone = crate::alone().await;
    let numbers = [("EDGE_REQUESTS_PER_SECOND", "1"), ("EDGE_REQUESTS_BURST", "20"), ("EDGE_PROOFS_PER_SECOND", "1"), ("EDGE_PROOFS_BURST", "5")];
    let edge = Edge::with(&numbers, &[]).await;
    let (attacker, bystander) = (edge.nginx.client("127.0.1.1"), edge.nginx.client("127.0.1.2"));
    let began = std::time::Instant::now();
    let flood = join_all((0..200).map(|_| edge.get(&attacker, JWKS))).await;
    let served = flood.iter().filter(|answer| answer.status == 200).count();
    // the first one, the burst, and what a second gives back
    let most = 22 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!((21..=most).contains(&served), "{served}");
    for answer in flood.iter().filter(|answer| answer.status != 200) {
        refused(answer, 429, "RATE_LIMITED");
        assert_eq!(answer.header("retry-after"), "1");
    }
    edge.ended_here(429, 200 - served).await;
    for _ in 0..10 {
        assert_eq!(edge.get(&bystander, JWKS).await.status, 200);
    }

    // passwords cost more than keys
    let guesser = edge.nginx.client("127.0.1.3");
    let guesses = join_all((0..15).map(|n| {
        let body = json!({ "email": format!("nobody{n}@example.org"), "password": "a guess" });
        Answer::of(guesser.post(edge.nginx.url("/v1/auth/login")).json(&body))
    }));
    let guesses = guesses.await;
    let let_through = guesses.iter().filter(|answer| answer.status == 401).count();
    assert!((6..=9).contains(&let_through), "{let_through}");
    guesses.iter().filter(|answer| answer.status != 401).for_each(|answer| refused(answer, 429, "RATE_LIMITED"));
    assert_eq!(edge.get(&guesser, JWKS).await.status, 200, "they may still do what costs nothing");
}

#[actix_web::test]
async fn a_client_holds_so_many_requests_and_bodies_and_heads_have_an_end() {
    let _alone = crate::alone().await;
    let edge = Edge::with(&[("EDGE_IN_HAND", "5")], &[]).await;
    let begun = "POST /v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut stream = tls(&edge.nginx, "localhost").await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let client = edge.nginx.client("127.0.0.1");
    // the proxy may not have read all of them yet
    let answer =
        edge.app.wait_for("the places to be taken", async || Some(edge.get(&client, JWKS).await).filter(|answer| answer.status != 200)).await;
    refused(&answer, 429, "RATE_LIMITED");
    assert_eq!(edge.get(&edge.nginx.client("127.0.1.2"), JWKS).await.status, 200);
    drop(held);
    edge.app.wait_for("the places to be free", async || (edge.get(&client, JWKS).await.status == 200).then_some(())).await;

    let post =
        |bytes: usize| Answer::of(client.post(edge.nginx.url("/v1/auth/login")).header("content-type", "application/json").body("x".repeat(bytes)));
    refused(&post(65_537).await, 413, "TOO_LARGE");
    edge.ended_here(413, 1).await;
    assert_eq!(post(65_536).await.status, 400, "a node read it");
    let large = "a".repeat(9_000);
    let head = format!("GET {JWKS} HTTP/1.1\r\nhost: localhost\r\nx: {large}\r\n\r\n");
    assert_eq!(first_status(&exchange(&edge.nginx, &head).await), Some(400));
}

#[actix_web::test]
async fn what_a_client_says_about_its_way_is_not_believed() {
    let _alone = crate::alone().await;
    let edge = Edge::with(&[], &[("PORTCULLIS_LOGIN_QUOTA", "3")]).await;
    edge.app.create_account("ada@example.org").await;
    let attacker = edge.nginx.client("127.0.1.1");
    let sign_in = |client: &Client, n: usize, password: &str| {
        let request = client.post(edge.nginx.url("/v1/auth/login")).json(&json!({ "email": "ada@example.org", "password": password }));
        let forged = ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "x-client-ip", "x-cluster-client-ip"];
        let request = forged.into_iter().fold(request, |request, name| request.header(name, format!("203.0.113.{n}")));
        Answer::of(request.header("x-forwarded-proto", "http").header("x-forwarded-host", "evil.example").header("x-original-url", "/v1/users"))
    };
    let mut statuses = Vec::new();
    for n in 0..6 {
        statuses.push(sign_in(&attacker, n, "a guess").await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429], "another address in each header is the same address");
    let owner = edge.nginx.client("127.0.1.2");
    assert_eq!(sign_in(&owner, 0, PASSWORD).await.status, 200, "and one really elsewhere is another");

    // a node gets one value under each name, the proxy's
    let (ada, _) = edge.app.token_sign_in("ada@example.org").await;
    let example = attacker.get(edge.nginx.url("/example/")).bearer_auth(ada.bearer.as_ref().unwrap());
    let seen = Answer::of(example.header("x-forwarded-for", "203.0.113.9").header("X-Forwarded-For", "203.0.113.8")).await.json();
    assert_eq!(seen["client"], "127.0.1.1");
}

#[actix_web::test]
async fn only_its_own_name_is_served_by_tls_and_http_2() {
    let _alone = crate::alone().await;
    let edge = Edge::with(&[], &[]).await;
    let client = edge.nginx.client("127.0.0.1");
    let answer = client.get(edge.nginx.url(JWKS)).send().await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
    assert!(answer.headers().contains_key("strict-transport-security"), "a node's headers come through");
    assert_eq!(first_status(&exchange(&edge.nginx, &get("localhost", JWKS)).await), Some(200));

    assert!(tls(&edge.nginx, "evil.example").await.is_err(), "no certificate for another name");
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1", "localhost@evil.example"] {
        let answer = exchange(&edge.nginx, &get(host, JWKS)).await;
        assert_eq!(first_status(&answer), Some(421), "{host}: {answer}");
    }
    edge.ended_here(421, 4).await;
    let clear = |path: &str| client.get(format!("http://{}{path}", edge.nginx.http)).header("host", "evil.example").send();
    let answer = clear("/v1/me?x=1").await.unwrap();
    assert_eq!(answer.status(), 308);
    assert_eq!(answer.headers()["location"].to_str().unwrap(), edge.nginx.url("/v1/me?x=1"), "to us, whatever the host says");
    edge.ended_here(308, 1).await;
}

/// Registers an address that nobody else names: it is in the database when a node did it.
fn hidden(number: usize) -> String {
    let body = json!({ "email": format!("hidden{number}@example.org") }).to_string();
    format!("POST /v1/auth/register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[actix_web::test]
async fn what_two_parsers_would_cut_differently_ends_at_the_edge() {
    const START: &str = "POST /v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let _alone = crate::alone().await;
    let edge = Edge::with(&[], &[]).await;
    let head = |fields: &str, body: &str| format!("{START}{fields}\r\n{body}");
    let length = hidden(10).len() + 5;
    let framings = [
        head(&format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"), "0\r\n\r\n"),
        head(&format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"), "0\r\n\r\n"),
        head(&format!("content-length: 0\r\ncontent-length: {length}\r\n"), ""),
        head("content-length: 2\r\ncontent-length: 2\r\n", "{}"),
        head("content-length: +2\r\n", "{}"),
        head("content-length: 0x2\r\n", "{}"),
        head("content-length: 2, 2\r\n", "{}"),
        head("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"),
        head("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n"),
        head("transfer-encoding: xchunked\r\n", "0\r\n\r\n"),
        head("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        head("transfer-encoding: \x0bchunked\r\n", "0\r\n\r\n"),
        head("transfer-encoding : chunked\r\n", "0\r\n\r\n"),
        head("content-length : 2\r\n", "{}"),
        head("x: a\0b\r\ncontent-length: 2\r\n", "{}"),
        head("transfer-encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"),
        head("transfer-encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n"),
        head("host: evil.example\r\ncontent-length: 2\r\n", "{}"),
        "POST /v1/auth/login HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}".into(),
        "CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n".into(),
        "GET /livez x HTTP/1.1\r\nhost: localhost\r\n\r\n".into(),
    ];
    for (number, framing) in framings.iter().enumerate() {
        let number = number + 10;
        let answer = exchange(&edge.nginx, &(framing.clone() + &hidden(number))).await;
        assert!(first_status(&answer).is_none_or(|status| (400..600).contains(&status)), "{framing}: {answer}");
        let done = "SELECT count(*) FROM mailed_proofs WHERE email = $1";
        let done: i64 = sqlx::query_scalar(done).bind(format!("hidden{number}@example.org")).fetch_one(&edge.app.database.pool).await.unwrap();
        assert_eq!(done, 0, "{framing}");
    }
    let asked: Vec<_> = edge.nginx.records().into_iter().filter(|record| !record.node.is_empty()).collect();
    assert!(asked.is_empty(), "no node saw any of it: {asked:?}");
    // and the hidden one is one that is done where it may be
    assert_eq!(first_status(&exchange(&edge.nginx, &hidden(9)).await), Some(202));
}

#[actix_web::test]
async fn an_application_behind_the_sub_request_gets_identities_and_nobody_else_in() {
    let _alone = crate::alone().await;
    let edge = Edge::with(&[], &[("PORTCULLIS_PERSON_QUOTA_BURST", "12"), ("PORTCULLIS_PERSON_QUOTA_PER_SECOND", "1")]).await;
    let client = edge.nginx.client("127.0.1.1");
    let (ada, _) = edge.app.token_member("ada@example.org").await;
    let (bearer, id) = (ada.bearer.clone().unwrap(), edge.app.id_of("ada@example.org").await);
    let ask = |method: Method, bearer: Option<&str>| {
        let mut request = client.request(method, edge.nginx.url("/example/anything"));
        for name in ["X-Auth-Subject", "x-auth-session", "X-AUTH-ASSURANCE", "x-auth-scope"] {
            request = request.header(name, "root");
        }
        request = request.header("cookie", "__Host-portcullis=stolen");
        Answer::of(if let Some(bearer) = bearer { request.bearer_auth(bearer) } else { request })
    };
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        let answer = ask(method.clone(), Some(&bearer)).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.text);
        let told: Value = answer.json();
        assert_eq!((told["subject"].as_str(), told["token"].as_str(), told["cookie"].as_str()), (Some(id.as_str()), Some(""), Some("")), "{method}");
        assert!(["session", "assurance", "scope"].iter().all(|name| !told[name].as_str().unwrap().contains("root")), "{told}");
        assert!(!told["session"].as_str().unwrap().is_empty());
    }
    for bearer in [None, Some("not.a.token")] {
        let answer = ask(Method::GET, bearer).await;
        refused(&answer, 401, "UNAUTHENTICATED");
        assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{}", answer.header("www-authenticate"));
    }
    assert_eq!(edge.get(&client, "/_verify").await.status, 404, "nobody asks it from outside");

    // a quota of the verdict's own is no fault of ours
    let too_many = edge.app.wait_for("the quota", async || Some(ask(Method::GET, Some(&bearer)).await).filter(|answer| answer.status != 200)).await;
    refused(&too_many, 429, "RATE_LIMITED");
    assert!(too_many.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));

    assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
    edge.app.wait_for("the token to be over", async || (ask(Method::GET, Some(&bearer)).await.status == 401).then_some(())).await;
    drop(edge.nodes);
}

#[actix_web::test]
async fn without_any_node_everybody_is_told_to_come_back() {
    let _alone = crate::alone().await;
    let secrets = secrets("nowhere");
    let nginx = Nginx::before(free_ports().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port))), secrets.path(), &[]);
    let client = nginx.client("127.0.0.1");
    for (method, path) in [(Method::GET, JWKS), (Method::POST, "/v1/auth/login"), (Method::DELETE, "/v1/me"), (Method::GET, "/example/")] {
        for _ in 0..3 {
            let answer = Answer::of(client.request(method.clone(), nginx.url(path)).bearer_auth("x")).await;
            refused(&answer, 503, "UNAVAILABLE");
            assert!(path == "/example/" || answer.header("retry-after") == "2", "{path}");
        }
    }
}

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

async fn tls(nginx: &Nginx, name: &'static str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(nginx.authority()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(nginx.https).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await
}

/// Sends all of it and reads to the end of the connection, or for so long.
async fn exchange(nginx: &Nginx, bytes: &str) -> String {
    let mut stream = tls(nginx, "localhost").await.unwrap();
    let mut answer = Vec::new();
    // the other side may hang up before everything is sent
    let _ = stream.write_all(bytes.as_bytes()).await.and(stream.flush().await);
    let _ = timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn first_status(answer: &str) -> Option<u16> {
    answer.split_once("HTTP/1.1 ").and_then(|(_, rest)| rest.get(..3)?.parse().ok())
}
