//! AWS Secrets Manager, as moto speaks it: the built binary starts with the secrets that are kept there, by name and by ARN, whole and by
//! key; follows what changes; and says what keeps it from starting. The same for other places: `tests/suite/journeys/kept_secrets.rs`.

use crate::service::{Service, free_ports, python, run};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::platform::{crypto, db, local_postgres::LocalPostgres};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const CANARY: &str = "Zk3vN8rTq1Wm7Yx";

struct Moto {
    child: Child,
    url: String,
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

impl Moto {
    fn start() -> Self {
        let [port] = free_ports();
        let child =
            python("moto_server").args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("moto answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    fn call(&self, operation: &str, body: &Value) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", &self.url, "-H", "Content-Type: application/x-amz-json-1.1", "-d", &body.to_string()]);
        curl.args(["-H", &format!("X-Amz-Target: secretsmanager.{operation}")]);
        let scope = "Credential=x/20260101/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=x";
        serde_json::from_str(&run(curl.args(["-H", &format!("Authorization: AWS4-HMAC-SHA256 {scope}")]))).unwrap()
    }

    /// How AWS's library finds it, and who asks.
    fn access(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "canary-wJalrXUtnFEMI"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // a test that failed leaves nothing behind
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_starts_with_secrets_from_aws_and_follows_them() {
    let (folder, moto) = (tempfile::tempdir().unwrap(), Moto::start());
    let cluster = LocalPostgres::start(folder.path(), &[]).await.unwrap();
    db::migrate(&cluster.owner()).await.unwrap();
    let database = cluster.runtime().to_url_lossy().to_string();
    let providers = json!([{ "name": "corp", "issuer": "https://id.example", "client_id": "a", "client_secret": CANARY }]).to_string();
    let document = json!({ "database": database, "key": STANDARD.encode(crypto::random::<32>()), "providers": providers });
    moto.call("CreateSecret", &json!({ "Name": "prod/portcullis", "SecretString": document.to_string() }));
    let dsn = |key: &str| format!("http://{key}@127.0.0.1/1");
    let whole = moto.call("CreateSecret", &json!({ "Name": "prod/dsn", "SecretString": dsn("one") }));
    let arn = format!("aws:{}", whole["ARN"].as_str().unwrap());

    let [operators] = free_ports();
    let operators = format!("127.0.0.1:{operators}");
    let settings = [
        &moto.access()[..],
        &[
            ("DATABASE_URL", "aws:prod/portcullis#database"),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY", "aws:prod/portcullis#key"),
            ("PORTCULLIS_IDENTITY_PROVIDERS", "aws:prod/portcullis#providers"),
            ("PORTCULLIS_SENTRY_DSN", &arn),
            ("PORTCULLIS_OPERATOR_LISTEN", &operators),
            ("PORTCULLIS_SECRETS_REFRESH_SECONDS", "1"),
        ],
    ]
    .concat();
    let service = Service::with(&settings);
    let asked = |path: &str| run(Command::new("curl").args(["-sS", &format!("http://{operators}{path}")]));
    wait_until("it is ready", || asked("/readyz").contains("\"ok\""));
    assert!(service.administrator().len() > 20, "the commands read the same");
    wait_until("nothing waits", || asked("/metrics").contains("portcullis_secrets_waiting_for_restart 0"));
    moto.call("PutSecretValue", &json!({ "SecretId": "prod/dsn", "SecretString": dsn("two") }));
    wait_until("it is told", || asked("/metrics").contains("portcullis_secrets_waiting_for_restart 1"));
    drop((service, cluster));
}

#[test]
fn what_aws_does_not_give_is_told() {
    let moto = Moto::start();
    moto.call("CreateSecret", &json!({ "Name": "text", "SecretString": CANARY }));
    moto.call("CreateSecret", &json!({ "Name": "object", "SecretString": json!({ "a": CANARY, "n": 1 }).to_string() }));
    moto.call("CreateSecret", &json!({ "Name": "bytes", "SecretBinary": STANDARD.encode(CANARY) }));
    moto.call("CreateSecret", &json!({ "Name": "gone", "SecretString": CANARY }));
    moto.call("DeleteSecret", &json!({ "SecretId": "gone" }));
    let told = |changed: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let folder = tempfile::tempdir().unwrap();
        command.current_dir(folder.path()).envs(moto.access()).env("PORTCULLIS_SECRETS_WAIT_SECONDS", "0").envs(changed.iter().copied());
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !told.contains(CANARY) && !told.contains("canary"), "{told}");
        told
    };
    let all = told(&[
        ("DATABASE_URL", "aws:nowhere"),
        ("REDIS_URL", "aws:object#b"),
        ("PORTCULLIS_SMTP_URL", "aws:object#n"),
        ("PORTCULLIS_SENTRY_DSN", "aws:text#a"),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", "aws:gone"),
        ("PORTCULLIS_IDENTITY_PROVIDERS", "aws:bytes"),
    ]);
    for part in [
        "DATABASE_URL cannot be read: AWS refuses it (ResourceNotFoundException)",
        "REDIS_URL cannot be read: the secret has no such field",
        "PORTCULLIS_SMTP_URL cannot be read: the field is no text",
        "PORTCULLIS_SENTRY_DSN cannot be read: the secret is no JSON object",
        "PORTCULLIS_KEY_ENCRYPTION_KEY cannot be read: AWS refuses it (InvalidRequestException)",
        "PORTCULLIS_IDENTITY_PROVIDERS cannot be read: the secret in AWS is no text",
    ] {
        assert!(all.contains(part), "{part} is not in\n{all}");
    }
    let away = told(&[("DATABASE_URL", "aws:text"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]);
    assert!(away.contains("DATABASE_URL cannot be read: AWS cannot be asked"), "{away}");
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        let clear = told(&[("DATABASE_URL", "aws:text"), (name, "http://secrets.example")]);
        assert!(clear.contains("the endpoint of AWS is no https:// address"), "{clear}");
    }
}
