//! Others who tell the service something: sources of webhooks, and their keys.

use super::{
    app::TestApp,
    people::{Actor, Answer},
};
use portcullis::{
    platform::crypto,
    webhooks::signature::{Message, Secret, SigningKey},
};
use reqwest::Method;
use serde_json::{Value, json};

/// The keys of `hr`: what signs now, and what it signed with before.
pub const HR: &str = "whsec_dG9ydG9pc2VzIHdlYXIgYnJvd24gYm9vdHMu";
pub const HR_BEFORE: &str = "whsec_c2FsdCBpcyBpbiB0aGUgYmx1ZSB0aW4gYm94";
/// The key of `keyed`, which has no secret; the service knows the public half.
pub const KEYED: &str = "whsk_Z3JleSBoZXJvbnMgd2FpdCBhdCB0aGUgd2Vpci4uLi4=";
/// Of `fenced`, which calls from 198.51.100.0/24 only.
pub const FENCED: &str = "whsec_bW9zcyBncm93cyBvbiB0aGUgbm9ydGggc2lkZQ==";
/// Of `code`, as GitHub signs.
pub const CODE: &str = "Jm4-qR7-vW2-xZ9-kT5";
/// Of `billing`, as Stripe signs.
pub const BILLING: &str = "whsec_Hk3nPq8sVy2wXz5bDf7g";

pub type Headers = Vec<(String, String)>;

/// The setting.
pub fn sources() -> String {
    let public = KEYED.parse::<SigningKey>().unwrap().public().unwrap().to_string();
    json!([
        { "name": "hr", "scheme": "standard", "secrets": [HR, HR_BEFORE], "effect": "offboard" },
        { "name": "keyed", "scheme": "standard", "public_keys": [public] },
        { "name": "fenced", "scheme": "standard", "secrets": [FENCED], "networks": ["198.51.100.0/24"] },
        { "name": "code", "scheme": "github", "secrets": [CODE] },
        { "name": "billing", "scheme": "stripe", "secrets": [BILLING], "max_bytes": 2048 },
    ])
    .to_string()
}

pub fn event(kind: &str, data: &Value) -> String {
    json!({ "type": kind, "timestamp": "2026-11-03T20:26:10.344522Z", "data": data }).to_string()
}

fn own(headers: &[(&str, String)]) -> Headers {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Standard Webhooks, by a secret, now.
pub fn signed(app: &TestApp, secret: &str, id: &str, body: &str) -> Headers {
    signed_at(app.clock.now().unix_timestamp(), secret, id, body)
}

/// The same at another time; by a secret or a key.
pub fn signed_at(at: i64, key: &str, id: &str, body: &str) -> Headers {
    let (message_id, timestamp) = (id.parse().unwrap(), at.to_string().parse().unwrap());
    let message = Message { id: &message_id, timestamp, body: body.as_bytes() };
    let signature = match key.parse::<Secret>() {
        Ok(secret) => message.sign(&secret),
        Err(_) => message.sign_by_key(&key.parse().unwrap()).unwrap(),
    };
    own(&[("webhook-id", id.into()), ("webhook-timestamp", at.to_string()), ("webhook-signature", signature)])
}

/// As GitHub does.
pub fn by_github(delivery: &str, body: &str) -> Headers {
    let signature = crypto::hex(&crypto::hmac_sha256(CODE.as_bytes(), &[body.as_bytes()]));
    own(&[("x-hub-signature-256", format!("sha256={signature}")), ("x-github-delivery", delivery.into())])
}

/// As Stripe does.
pub fn by_stripe(at: i64, body: &str) -> Headers {
    let signature = crypto::hex(&crypto::hmac_sha256(BILLING.as_bytes(), &[format!("{at}.{body}").as_bytes()]));
    own(&[("stripe-signature", format!("t={at},v1={signature},v0={signature}"))])
}

impl TestApp {
    pub async fn with_sources(changed: &[(&str, &str)]) -> Self {
        let sources = sources();
        Self::with(&[&[("PORTCULLIS_WEBHOOK_SOURCES", sources.as_str())], changed].concat()).await
    }

    pub fn deliver(&self, source: &str, headers: &[(String, String)], body: &str) -> impl Future<Output = Answer> + use<> {
        Answer::of(delivery(&self.visitor(), source, headers, body))
    }

    /// A message of `hr` that is taken in; gives its id here.
    pub async fn told(&self, secret: &str, id: &str, body: &str) -> String {
        let answer = self.deliver("hr", &signed(self, secret, id, body), body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a message is in this state.
    pub async fn inbox_is(&self, id: &str, state: &str) {
        self.wait_for(&format!("{id} to be {state}"), async || (self.inbox_state(id).await == state).then_some(())).await;
    }

    pub async fn inbox_state(&self, id: &str) -> String {
        sqlx::query_scalar("SELECT state FROM webhook_inbox WHERE id::text = $1").bind(id).fetch_one(&self.database.pool).await.unwrap()
    }

    /// Refusals in the audit log with this reason.
    pub async fn refusals(&self, reason: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE event = 'webhook.refused' AND outcome = 'refused' AND detail->>'reason' = $1")
            .bind(reason)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }
}

pub fn delivery(by: &Actor<'_>, source: &str, headers: &[(String, String)], body: &str) -> reqwest::RequestBuilder {
    let request = by.request(Method::POST, &format!("/v1/webhooks/inbound/{source}")).body(body.to_owned());
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}
