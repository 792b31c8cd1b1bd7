//! Clients that ask on and on through the proxy, each one request at a time, and remember what they were told.

use crate::stack::Front;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

/// One request, and what came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Who asked, by number.
    pub person: usize,
    pub method: Method,
    pub began: Instant,
    /// `None`: no answer that can be read.
    pub status: Option<StatusCode>,
    /// With 503: how long to wait.
    pub retry_after: Option<String>,
    /// What was to be written, by its unique title.
    pub title: Option<String>,
    /// What was written.
    pub id: Option<String>,
    pub text: String,
}

impl Outcome {
    pub fn is_done(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Reads,
    Writes,
    Deletes,
    Shares,
    SignsIn,
}

pub struct Load<'a> {
    front: &'a Front,
    clients: Vec<(Does, Client, String)>,
    under_way: Vec<RefCell<Option<(Method, Instant)>>>,
    outcomes: RefCell<Vec<Outcome>>,
    is_over: Cell<bool>,
}

impl<'a> Load<'a> {
    /// Signs them in, each a person of their own at an address of their own.
    pub async fn new(front: &'a Front, who: &[(Does, usize)]) -> Self {
        let does = who.iter().flat_map(|(does, number)| std::iter::repeat_n(*does, *number));
        let mut clients = Vec::new();
        for (n, does) in does.enumerate() {
            let client = front.nginx.client(&format!("127.0.2.{}", n + 1));
            let token = front.sign_in(&client, n).await;
            clients.push((does, client, token));
        }
        let under_way = clients.iter().map(|_| RefCell::default()).collect();
        Self { front, clients, under_way, outcomes: RefCell::default(), is_over: Cell::new(false) }
    }

    /// Until it is told to stop.
    pub async fn run(&self) {
        futures_util::future::join_all((0..self.clients.len()).map(|n| self.client(n))).await;
    }

    pub fn stop(&self) {
        self.is_over.set(true);
    }

    /// How many requests were done since then.
    pub fn done_since(&self, then: Instant) -> usize {
        self.outcomes.borrow().iter().filter(|outcome| outcome.began > then && outcome.is_done()).count()
    }

    /// How many were refused since then.
    pub fn refused_since(&self, then: Instant) -> usize {
        self.outcomes.borrow().iter().filter(|outcome| outcome.began > then && !outcome.is_done()).count()
    }

    /// How many requests of this kind have waited for so long.
    pub fn stuck(&self, method: &Method, time: Duration) -> usize {
        let waits =
            |one: &&RefCell<Option<(Method, Instant)>>| one.borrow().as_ref().is_some_and(|(of, began)| of == method && began.elapsed() > time);
        self.under_way.iter().filter(waits).count()
    }

    pub fn outcomes(self) -> Vec<Outcome> {
        self.outcomes.into_inner()
    }

    async fn client(&self, n: usize) {
        for round in 0.. {
            if self.is_over.get() {
                return;
            }
            let title = format!("w{n} r{round}");
            match self.clients[n].0 {
                Does::Reads => _ = self.ask(n, Method::GET, "/v1/me", None).await,
                Does::SignsIn => _ = self.ask(n, Method::POST, "/v1/auth/login", Some(self.front.credentials(n))).await,
                Does::Writes => _ = self.write(n, title).await,
                Does::Deletes => {
                    if let Some(id) = self.write(n, title).await {
                        self.ask(n, Method::DELETE, &format!("/v1/documents/{id}"), None).await;
                    }
                }
                Does::Shares => {
                    if let Some(id) = self.write(n, title).await {
                        let shares = json!({ "viewers": [], "editors": [], "viewer_roles": ["member"], "editor_roles": [] });
                        self.ask(n, Method::PUT, &format!("/v1/documents/{id}/shares"), Some(shares)).await;
                    }
                }
            }
        }
    }

    async fn write(&self, n: usize, title: String) -> Option<String> {
        let body = json!({ "title": title, "body": "<p>kept</p>", "classification": "internal", "department": null });
        self.ask(n, Method::POST, "/v1/documents", Some(body)).await
    }

    /// Gives the id of what was made.
    async fn ask(&self, n: usize, method: Method, path: &str, body: Option<Value>) -> Option<String> {
        let (_, client, token) = &self.clients[n];
        let began = Instant::now();
        self.under_way[n].replace(Some((method.clone(), began)));
        let mut request = client.request(method.clone(), self.front.nginx.url(path)).bearer_auth(token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let (status, retry_after, text) = match request.send().await {
            Ok(answer) => {
                let (status, wait) = (answer.status(), answer.headers().get("retry-after").cloned());
                match answer.text().await {
                    Ok(text) => (Some(status), wait.map(|wait| wait.to_str().unwrap().to_owned()), text),
                    Err(error) => (None, None, error.to_string()),
                }
            }
            Err(error) => (None, None, format!("{error:?}")),
        };
        self.under_way[n].take();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let id = (method == Method::POST).then(|| answer["id"].as_str().map(str::to_owned)).flatten();
        let title = body.and_then(|body| Some(body["title"].as_str()?.to_owned()));
        if status.is_none_or(|status| !status.is_success()) {
            // nobody is served better by being asked at full speed
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.outcomes.borrow_mut().push(Outcome { person: n, method, began, status, retry_after, title, id: id.clone(), text });
        id
    }
}
