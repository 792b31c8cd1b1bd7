//! A webhook endpoint of the test's own on this machine, with a certificate of an authority of its own: it keeps what comes, and answers as it is
//! told. And names that lead where a test says, differently each time if it wants.

use super::{
    app::TestApp,
    heard::Heard,
    people::{Actor, Answer},
};
use futures_util::future::BoxFuture;
use portcullis::{
    platform::fence::Lookup,
    webhooks::signature::{Message, PublicKey, Secret},
};
use rcgen::generate_simple_self_signed;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    io::{self, BufReader, Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What came.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
    pub head: Vec<String>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn sequence(&self) -> i64 {
        self.json()["data"]["sequence"].as_i64().unwrap()
    }

    /// Whether one of its signatures is by this secret.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let secret: Secret = secret.parse().unwrap();
        self.verified(&[secret], &[])
    }

    /// Whether one of its signatures is by the key of this public half.
    pub fn is_signed_by_key(&self, public: &str) -> bool {
        let public: PublicKey = public.parse().unwrap();
        self.verified(&[], &[public])
    }

    fn verified(&self, secrets: &[Secret], keys: &[PublicKey]) -> bool {
        let id = self.id.parse().unwrap();
        let message = Message { id: &id, timestamp: self.timestamp.parse().unwrap(), body: self.body.as_bytes() };
        message.verify(&self.signature, secrets, keys).is_ok()
    }
}

/// What to do with what comes.
#[derive(Clone)]
pub enum Reaction {
    Status(u16),
    /// These bytes, as they are.
    Raw(Vec<u8>),
    /// The head of an answer, and a body without end.
    Endless,
    /// Nothing at all.
    Silence,
    /// A head that goes on and on.
    EndlessHead,
    /// This status, once another reaction is set.
    Held(u16),
}

pub struct Receiver {
    pub port: u16,
    folder: tempfile::TempDir,
    reaction: Mutex<Reaction>,
    /// Told when there is another reaction.
    changed: Condvar,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
}

impl Receiver {
    /// Known by these names and addresses.
    pub fn start(names: &[&str]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let made = generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let this = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            folder,
            reaction: Mutex::new(Reaction::Status(204)),
            changed: Condvar::new(),
            received: Mutex::default(),
            connections: AtomicUsize::default(),
        });
        let receiver = this.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                receiver.connections.fetch_add(1, Ordering::SeqCst);
                let (receiver, config) = (receiver.clone(), config.clone());
                thread::spawn(move || receiver.serve(stream, config).map_err(drop));
            }
        });
        this
    }

    /// What a service must be told to trust it and to find it within.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        [("PORTCULLIS_WEBHOOK_NETWORKS", "127.0.0.1/32".into()), ("PORTCULLIS_WEBHOOK_CA_FILE", self.authority().display().to_string())]
    }

    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/hooks?for=portcullis", self.port)
    }

    pub fn react(&self, reaction: Reaction) {
        *self.reaction.lock().unwrap() = reaction;
        self.changed.notify_all();
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits for so many messages in all.
    pub async fn wait_for(&self, app: &TestApp, count: usize) -> Vec<Received> {
        app.wait_for("messages to an endpoint", async || Some(self.received()).filter(|received| received.len() >= count)).await
    }

    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut reader = BufReader::new(StreamOwned::new(connection, stream));
        let Some(heard) = Heard::read(&mut reader)? else { return Ok(()) };
        let header = |name: &str| heard.header(name).unwrap_or_default().to_owned();
        let reaction = self.reaction.lock().unwrap().clone();
        // before the answer: once the sender knows, the test may look
        self.received.lock().unwrap().push(Received {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            body: String::from_utf8(heard.body.clone()).unwrap(),
            head: heard.head.clone(),
        });
        let stream = reader.get_mut();
        let endless = |stream: &mut StreamOwned<ServerConnection, TcpStream>, piece: &[u8]| -> io::Result<()> {
            loop {
                stream.write_all(piece)?;
                stream.flush()?;
            }
        };
        match reaction {
            Reaction::Status(status) => write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?,
            Reaction::Raw(bytes) => stream.write_all(&bytes)?,
            Reaction::Endless => {
                stream.write_all(b"HTTP/1.1 200 x\r\ncontent-type: text/plain\r\n\r\n")?;
                endless(stream, &[b'x'; 4096])?;
            }
            Reaction::EndlessHead => {
                stream.write_all(b"HTTP/1.1 200 x\r\n")?;
                endless(stream, format!("x-filler: {}\r\n", "x".repeat(4000)).as_bytes())?;
            }
            // until the other side has enough
            Reaction::Silence => _ = stream.read(&mut [0]),
            Reaction::Held(status) => {
                let is_held = |reaction: &mut Reaction| matches!(reaction, Reaction::Held(_));
                drop(self.changed.wait_while(self.reaction.lock().unwrap(), is_held).unwrap());
                write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
            }
        }
        stream.conn.send_close_notify();
        stream.flush()
    }
}

/// Names that lead somewhere.
#[derive(Default)]
pub struct Names(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl Names {
    /// From now on the name leads to each of these in turn, and stays at the last.
    pub fn lead(&self, name: &str, to: &[&[&str]]) {
        let read = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.0.lock().unwrap().insert(name.to_owned(), to.iter().map(read).collect());
    }
}

impl Lookup for Names {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let found = names.get_mut(name).and_then(|answers| if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() });
        Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// An endpoint as its maker got it.
pub struct Subscribed {
    pub id: String,
    pub secret: String,
    pub public_key: String,
}

impl Subscribed {
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 201, "{}", answer.text);
        let (answer, text) = (answer.json(), |value: &Value| value.as_str().unwrap().to_owned());
        Self { id: text(&answer["endpoint"]["id"]), secret: text(&answer["secret"]), public_key: text(&answer["endpoint"]["public_key"]) }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/v1/webhooks/endpoints/{}{rest}", self.id)
    }
}

impl Actor<'_> {
    /// Makes an endpoint that is told of these events.
    pub async fn subscribe(&self, url: &str, events: &[&str]) -> Subscribed {
        Subscribed::of(&self.post("/v1/webhooks/endpoints", json!({ "name": "Warehouse", "url": url, "events": events })).await)
    }

    /// The log of an endpoint, the newest first.
    pub async fn deliveries(&self, endpoint: &Subscribed) -> Vec<Value> {
        let answer = self.get(&endpoint.path("/deliveries?limit=100")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["items"].as_array().unwrap().clone()
    }

    /// Waits until the newest message to an endpoint was tried so often, and gives it.
    pub async fn attempted(&self, endpoint: &Subscribed, times: usize) -> Value {
        self.app
            .wait_for("an attempt", async || {
                self.deliveries(endpoint).await.into_iter().next().filter(|newest| newest["attempts"].as_array().unwrap().len() >= times)
            })
            .await
    }
}
