//! Signing in with a provider that somebody else wrote: node-oidc-provider, with its own idea of every message, and its own errors.

use crate::{
    provider::{self, Provider},
    service::{Service, free_ports, run},
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// A browser: cookies of both sides, in one file.
struct Browser<'s> {
    service: &'s Service,
    jar: &'s Path,
}

impl Browser<'_> {
    /// The status and the body.
    fn post(&self, path: &str, body: &Value) -> (String, Value) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}", "--cacert"]).arg(self.service.authority());
        curl.arg("-b").arg(self.jar).arg("-c").arg(self.jar);
        let said = run(curl.args(["--json", &body.to_string()]).arg(format!("{}{path}", self.service.url)));
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str(body).unwrap_or_default())
    }

    /// Goes to the provider and comes back: what our page is told.
    fn visit(&self, url: &str) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-L", "--fail", "--max-time", "20", "-o", "/dev/null", "-w", "%{url_effective}", "--cacert"]).arg(self.service.authority());
        let landed = run(curl.arg("-b").arg(self.jar).arg("-c").arg(self.jar).arg(url));
        assert!(landed.starts_with(&format!("{}/go/oauth/corp?", self.service.url)), "{landed}");
        let query = url::Url::parse(&landed).unwrap();
        let told = query.query_pairs().into_owned().filter(|(name, _)| ["state", "code", "iss", "error"].contains(&name.as_str()));
        Value::Object(told.map(|(name, value)| (name, value.into())).collect())
    }

    fn sign_in(&self, begin: &Value) -> (String, Value) {
        let (status, begun) = self.post("/v1/auth/oauth/corp/authorize", begin);
        assert_eq!(status, "200", "{begun}");
        self.post("/v1/auth/oauth/corp/callback", &self.visit(begun["authorization_url"].as_str().unwrap()))
    }
}

#[test]
fn people_sign_in_with_a_provider_that_somebody_else_wrote() {
    let [port, at_provider] = free_ports();
    let folder = tempfile::tempdir().unwrap();
    let _provider = Provider::start(at_provider, &format!("https://localhost:{port}/go/oauth/corp"));
    let entry = |secret: &str| {
        json!([{ "name": "corp", "issuer": format!("http://127.0.0.1:{at_provider}"), "client_id": provider::CLIENT, "client_secret": secret, "trust_email": true }])
            .to_string()
    };
    let listen = format!("127.0.0.1:{port}");
    {
        let settings = entry("a wrong one, of as many letters");
        let service = Service::with(&[("PORTCULLIS_HTTPS_LISTEN", &listen), ("PORTCULLIS_IDENTITY_PROVIDERS", &settings)]);
        let (status, refused) = Browser { service: &service, jar: &folder.path().join("jar") }.sign_in(&json!({}));
        assert_eq!((status.as_str(), refused["error"]["code"].as_str()), ("403", Some("IDENTITY_REFUSED")), "the wrong client secret");
    }
    let settings = entry(provider::SECRET);
    let service = Service::with(&[("PORTCULLIS_HTTPS_LISTEN", &listen), ("PORTCULLIS_IDENTITY_PROVIDERS", &settings)]);
    let jar = folder.path().join("jar of another");
    let browser = Browser { service: &service, jar: &jar };

    let (status, begun) = browser.sign_in(&json!({}));
    assert_eq!(status, "200", "{begun}");
    let account = begun["account_id"].as_str().unwrap().to_owned();
    let me: Value = serde_json::from_str(&run(service.curl("/v1/me").arg("-b").arg(&jar))).unwrap();
    assert_eq!((me["email"].as_str(), me["name"].as_str()), (Some("ada@example.org"), Some("Ada")));

    // again, as somebody who must show it anew, with tokens: the same account
    let other = folder.path().join("third jar");
    let (status, tokens) = Browser { service: &service, jar: &other }.sign_in(&json!({ "transport": "token", "refresh_in": "body", "fresh": true }));
    assert_eq!((status.as_str(), tokens["account_id"].as_str()), ("200", Some(account.as_str())), "{tokens}");

    run(Command::new("curl").args(["-sS", "--fail", &format!("http://127.0.0.1:{at_provider}/refuse")]));
    let (status, refused) = Browser { service: &service, jar: &folder.path().join("fourth jar") }.sign_in(&json!({}));
    assert_eq!((status.as_str(), refused["error"]["code"].as_str()), ("403", Some("IDENTITY_REFUSED")), "access_denied");
    assert!(!refused.to_string().contains("want to"), "{refused}");
}
