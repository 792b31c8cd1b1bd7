//! Somebody who may make endpoints has this service call its own network: by an address in any notation, by a name that leads there, by one
//! that leads there later, by a redirect; or keeps it busy with an answer that does not end (OWASP API7:2023, CWE-918). Practice 11.https-only.

use crate::support::{
    app::TestApp,
    receiver::{Names, Reaction, Receiver},
};
use portcullis::platform::fence::{Barred, Fence, System};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

const PUBLIC: &str = "93.184.215.14";

/// Hosts that are addresses, in every notation that some parser takes for one.
const ADDRESSES: [&str; 95] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0x0.0.1",
    "127.000.000.001",
    "127.0.0.1.",
    "127.255.255.254",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "012.0.0.1",
    "0xa000001",
    "167772161",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "168.63.129.16",
    "0xa83f8110",
    "169.254.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "3232235521",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
    "0xffffffff",
    "4294967295",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::127.0.0.1]",
    "[::10.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:93.184.215.14]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b::93.184.215.14]",
    "[64:ff9b:1::a00:1]",
    "[100::1]",
    "[100:0:0:1::1]",
    "[2001::1]",
    "[2001:0:7f00:1::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:30::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::1]",
    "[2002:a9fe:a9fe::1]",
    "[2620:4f:8000::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
];

/// What is no address to call, whatever its host.
const FORMS: [&str; 27] = [
    "http://hooks.example/",
    "HTTP://hooks.example/",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "gopher://hooks.example/_x",
    "javascript:alert(1)",
    "data:,x",
    "//hooks.example/",
    "hooks.example",
    "https:hooks.example",
    "https:/hooks.example",
    "https:\\\\hooks.example\\x",
    "https://hooks.example\\@127.0.0.1/",
    "https://ada@hooks.example/",
    "https://ada:b@hooks.example/",
    "https://@hooks.example/",
    "https://hooks.example@127.0.0.1/",
    "https://hooks.example:22/",
    "https://hooks.example:80/",
    "https://hooks.example:0/",
    "https://hooks.example:65536/",
    "https://hooks.example/#x",
    "https://hooks.example./",
    "https://[fe80::1%25eth0]/",
    "https://[::1%eth0]/",
    "https://hooks.example/\r\nx: y",
    "https:// hooks.example/",
];

/// Names, and where they lead.
const NAMES: [(&str, &[&str]); 14] = [
    ("localhost", &["127.0.0.1"]),
    ("localhost6", &["::1"]),
    ("app.localhost", &["127.0.0.1"]),
    ("metadata.google.internal", &["169.254.169.254"]),
    ("metadata", &["169.254.169.254"]),
    ("db.corp", &["10.0.0.5"]),
    ("127.0.0.1.nip.example", &["127.0.0.1"]),
    ("mapped.example", &["::ffff:10.0.0.5"]),
    ("translated.example", &["64:ff9b::a00:5"]),
    ("some.example", &[PUBLIC, "10.0.0.5"]),
    ("others.example", &["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "fd00::5"]),
    ("xn--bcher-kva.example", &["192.168.0.1"]),
    ("nowhere.example", &[]),
    // not even looked up: no name in IDNA
    ("xn--a", &[PUBLIC]),
];

async fn with_names(names: &Arc<Names>, receiver: Option<&Receiver>) -> TestApp {
    let settings = receiver.map(Receiver::settings).into_iter().flatten().collect::<Vec<_>>();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    TestApp::with_names(&settings, names.clone()).await
}

fn outcome(delivery: &Value) -> &str {
    delivery["attempts"].as_array().unwrap().last().unwrap()["outcome"].as_str().unwrap()
}

#[actix_web::test]
async fn no_address_that_leads_inwards_is_taken() {
    let names = Arc::new(Names::default());
    names.lead("hooks.example", &[&[PUBLIC]]);
    for (name, addresses) in NAMES {
        names.lead(name, &[addresses]);
    }
    let app = with_names(&names, None).await;
    let root = app.administrator().await;
    let good = root.subscribe("https://hooks.example/", &["account.created"]).await;
    let addresses = ADDRESSES.iter().flat_map(|host| [format!("https://{host}/"), format!("https://{host}:8443/")]);
    let hosts = NAMES.iter().map(|(name, _)| format!("https://{name}/"));
    let urls: Vec<String> = addresses.chain(hosts).chain(FORMS.map(str::to_owned)).chain(["https://unknown.example/".to_owned()]).collect();
    assert!(urls.len() > 200);
    for url in urls {
        let made = root.post("/v1/webhooks/endpoints", json!({ "name": "x", "url": url })).await;
        let changed = root.patch(&good.path(""), json!({ "url": url })).await;
        for answer in [made, changed] {
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{url}: {}", answer.text);
            assert_eq!(answer.json()["error"]["fields"][0]["field"], "url", "{url}");
            // a name that leads inwards looks like one that leads nowhere
            let reason = answer.json()["error"]["fields"][0]["reason"].as_str().unwrap().to_owned();
            assert!(!["127.", "169.", "10.", "resolve", "private"].iter().any(|told| reason.contains(told)), "{url}: {reason}");
        }
    }
    assert_eq!(root.get("/v1/webhooks/endpoints").await.json()["items"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn no_network_that_is_let_in_opens_what_hands_out_credentials() {
    let everything = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
    let fence = Fence::new(everything.to_vec(), Arc::new(System));
    let outcome = async |host: &str| fence.check(&Url::parse(&format!("https://{host}/")).unwrap()).await;
    for inside in ["10.0.0.1", "127.0.0.1", "[fd00::1]", "[::ffff:10.0.0.1]"] {
        assert_eq!(outcome(inside).await, Ok(()), "{inside}");
    }
    for metadata in ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "[::ffff:169.254.169.254]", "[fe80::a9fe:a9fe]"] {
        assert_eq!(outcome(metadata).await, Err(Barred), "{metadata}");
    }
    let by_v6 = ["[fd00:ec2::254]", "[fd00:ec2::23]", "[fd20:ce::254]", "[fd00:c1::a9fe:a9fe]", "[fd00:42::42]", "[fd00:a9fe:a9fe::1]"];
    for metadata in by_v6.into_iter().chain(["[fd00:100::100:200]", "192.0.0.192", "[64:ff9b::a83f:8110]", "[64:ff9b::169.254.169.254]"]) {
        assert_eq!(outcome(metadata).await, Err(Barred), "{metadata}");
    }
}

/// DNS rebinding: what was looked at when the endpoint was made says nothing of where its name leads now.
#[actix_web::test]
async fn a_name_that_leads_inwards_later_is_not_followed() {
    let (receiver, names) = (Receiver::start(&["hooks.example"]), Arc::new(Names::default()));
    let app = with_names(&names, None).await;
    let root = app.administrator().await;
    let url = format!("https://hooks.example:{}/", receiver.port);
    for later in [&["127.0.0.1"][..], &["::1"], &["::ffff:127.0.0.1"], &[PUBLIC, "127.0.0.1"], &["127.0.0.1", PUBLIC], &[]] {
        names.lead("hooks.example", &[&[PUBLIC], later]);
        let endpoint = root.subscribe(&url, &["account.created"]).await;
        assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
        let tried = root.attempted(&endpoint, 1).await;
        assert_eq!((outcome(&tried), &tried["attempts"][0]["status"]), ("barred", &Value::Null), "{later:?}");
        assert_eq!(root.delete(&endpoint.path("")).await.status, 204);
    }
    assert_eq!(receiver.connections(), 0);
}

/// What the operator let in when it was kept may not be let in any more; and a row that somebody else wrote is looked at, too.
#[actix_web::test]
async fn an_address_that_was_kept_is_looked_at_again() {
    let (receiver, names) = (Receiver::start(&["127.0.0.1"]), Arc::new(Names::default()));
    names.lead("hooks.example", &[&[PUBLIC]]);
    let app = with_names(&names, None).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe("https://hooks.example/", &["account.created"]).await;
    for url in [receiver.url(), format!("https://[::ffff:127.0.0.1]:{}/", receiver.port), "https://ada@127.0.0.1/".into()] {
        sqlx::query("UPDATE webhook_endpoints SET url = $1").bind(&url).execute(&app.database.pool).await.unwrap();
        assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
        assert_eq!(outcome(&root.attempted(&endpoint, 1).await), "barred", "{url}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[actix_web::test]
async fn a_redirect_is_not_followed_and_no_answer_is_shown() {
    let (receiver, inside) = (Receiver::start(&["127.0.0.1"]), Receiver::start(&["127.0.0.1"]));
    let names = Arc::new(Names::default());
    let app = with_names(&names, Some(&receiver)).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe(&receiver.url(), &["account.created"]).await;
    for (status, to) in [(301, inside.url()), (302, "http://169.254.169.254/latest/meta-data/".into()), (307, inside.url()), (308, receiver.url())] {
        let answer = format!("HTTP/1.1 {status} x\r\nlocation: {to}\r\nset-cookie: a=b\r\ncontent-length: 11\r\n\r\nthe-innards");
        receiver.react(Reaction::Raw(answer.into_bytes()));
        assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
        let tried = root.attempted(&endpoint, 1).await;
        assert_eq!((outcome(&tried), &tried["attempts"][0]["status"]), ("redirected", &json!(status)));
        assert!(!tried.to_string().contains("innards") && !tried.to_string().contains("169.254"), "{tried}");
    }
    assert_eq!((receiver.received().len(), inside.connections()), (4, 0));
    assert!(receiver.received().iter().all(|received| !received.head.iter().any(|line| line.to_ascii_lowercase().starts_with("cookie"))));
}

#[actix_web::test]
async fn an_answer_without_end_keeps_nobody_busy() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let mut settings = receiver.settings().to_vec();
    settings.push(("PORTCULLIS_WEBHOOK_TIMEOUT_SECONDS", "1".into()));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let app = TestApp::with(&settings).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe(&receiver.url(), &["account.created"]).await;
    let many: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    for (reaction, expected) in [
        // its body is nobody's business
        (Reaction::Endless, "delivered"),
        (Reaction::EndlessHead, "unreachable"),
        (Reaction::Silence, "timed_out"),
        (Reaction::Raw(format!("HTTP/1.1 200 x\r\n{many}\r\n").into_bytes()), "unreachable"),
        (Reaction::Raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()), "unreachable"),
        (Reaction::Raw(Vec::new()), "unreachable"),
    ] {
        receiver.react(reaction);
        assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
        let tried = root.attempted(&endpoint, 1).await;
        assert_eq!(outcome(&tried), expected);
        assert!(tried["attempts"][0]["milliseconds"].as_i64().unwrap() < 5000, "{tried}");
    }
}

/// Somebody between us and the endpoint, or at the address that it had.
#[actix_web::test]
async fn an_impostor_is_told_nothing() {
    let (receiver, impostor, names) = (Receiver::start(&["127.0.0.1"]), Receiver::start(&["127.0.0.1"]), Arc::new(Names::default()));
    names.lead("hooks.example", &[&["127.0.0.1"]]);
    let app = with_names(&names, Some(&receiver)).await;
    let root = app.administrator().await;
    // an authority that nobody trusts; and a certificate of another name
    for url in [impostor.url(), format!("https://hooks.example:{}/", receiver.port)] {
        let endpoint = root.subscribe(&url, &["account.created"]).await;
        assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
        assert_eq!(outcome(&root.attempted(&endpoint, 1).await), "unreachable", "{url}");
    }
    assert_eq!((receiver.received().len(), impostor.received().len()), (0, 0));
}
