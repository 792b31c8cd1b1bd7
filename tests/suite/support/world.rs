//! A small company in one service: everybody who may call, and one record of every kind that belongs to the first member. What walks over
//! all operations (the access matrix, and the tests of what answers show) sends these ids and bodies, and puts the database back after
//! each call.

use super::{
    app::{Actor, Answer, PASSWORD, PUBLIC_URL, TestApp},
    device::Device,
    machines::{self, Service},
    operations::Operation,
    people::Authenticator,
    provider::{Begun, Provider, begin},
    webhooks,
};
use portcullis::{
    access::permission::Permission,
    accounts::{
        AccountId, Email,
        proof::{self, Claim, Issued, Purpose},
    },
};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{collections::BTreeMap, sync::Arc};
use time::Duration;
use uuid::Uuid;

/// Whose the records are.
pub const OWNER: &str = "ada@example.org";
const OTHER: &str = "bob@example.org";
const MANAGER: &str = "mary@example.org";
const OTHER_DEPARTMENT: &str = "carol@example.org";
const DISABLED: &str = "eve@example.org";
const ADMINISTRATOR: &str = "root@example.org";
/// An address that needs no look-up, and where nobody is called.
const ENDPOINT: &str = "https://93.184.215.14/hooks";
const NEW_PASSWORD: &str = "slow otters count the harbour lights";

/// Who calls. A new kind is one variant with its words, and one line in [`World::of`] that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Anonymous,
    Member,
    Other,
    OtherDepartment,
    Manager,
    Administrator,
    StaleMember,
    StaleAdministrator,
    Disabled,
    Service,
    ServiceOut,
    Key,
    AdministratorKey,
}

/// What the role of the service account allows.
const OF_SERVICE: [&str; 3] = ["documents:read", "documents:write", "users:read"];

impl Kind {
    /// As the head of a column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Member => "member",
            Self::Other => "other",
            Self::OtherDepartment => "elsewhere",
            Self::Manager => "manager",
            Self::Administrator => "admin",
            Self::StaleMember => "member-stale",
            Self::StaleAdministrator => "admin-stale",
            Self::Disabled => "disabled",
            Self::Service => "service",
            Self::ServiceOut => "service-out",
            Self::Key => "key",
            Self::AdministratorKey => "admin-key",
        }
    }

    /// Whether they hold this permission, as long as they are let in; who comes with a key, within its scopes.
    pub fn may(self, permission: &str) -> bool {
        self.holds(permission) && self.scopes().is_none_or(|scopes| scopes.contains(&permission))
    }

    fn holds(self, permission: &str) -> bool {
        match permission {
            _ if matches!(self, Self::Service | Self::ServiceOut) => OF_SERVICE.contains(&permission),
            "documents:read" | "documents:write" => self != Self::Anonymous,
            "documents:manage" => matches!(self, Self::Manager | Self::Administrator | Self::StaleAdministrator | Self::AdministratorKey),
            _ => matches!(self, Self::Administrator | Self::StaleAdministrator | Self::AdministratorKey),
        }
    }

    /// What the API key was made for that they come with; `None`: they come without.
    pub fn scopes(self) -> Option<Vec<&'static str>> {
        match self {
            Self::Service | Self::AdministratorKey => Some(Permission::ALL.iter().map(|permission| permission.name()).collect()),
            Self::ServiceOut => Some(vec!["audit:read"]),
            Self::Key => Some(vec!["documents:read", "documents:write"]),
            _ => None,
        }
    }

    /// Whether their proof is too old for what changes an account or authority.
    pub fn is_stale(self) -> bool {
        matches!(self, Self::StaleMember | Self::StaleAdministrator)
    }

    /// For readers.
    pub fn about(self) -> &'static str {
        match self {
            Self::Anonymous => "nobody who is signed in",
            Self::Member => "whose the records are, signed in with a passkey a moment ago",
            Self::Other => "another member of the same department",
            Self::OtherDepartment => "a member of another department",
            Self::Manager => "a member with the role `manager`, of the same department",
            Self::Administrator => "somebody with the role `administrator`, of no department, signed in with a passkey a moment ago",
            Self::StaleMember => "the member, in a session whose proof is older than ten minutes",
            Self::StaleAdministrator => "the administrator, in a session whose proof is older than ten minutes",
            Self::Disabled => "somebody whose account was disabled after they signed in",
            Self::Service => "a service account that may do `documents:read`, `documents:write` and `users:read`, with a key of every scope",
            Self::ServiceOut => {
                "the same, with a key of the scope `audit:read` only: what it is for its account may not, what that may it is not for"
            }
            Self::Key => "an API key of the member with all that they may do",
            Self::AdministratorKey => "an API key of the administrator with every scope",
        }
    }
}

/// Somebody who calls: with a cookie, or where the document says so with a token. Who has no cookie (a key, say) always has the token.
pub struct Caller<'a> {
    pub kind: Kind,
    cookie: Option<Actor<'a>>,
    token: Option<Actor<'a>>,
}

impl<'a> Caller<'a> {
    pub fn actor(&self, operation: &Operation) -> &Actor<'a> {
        let needs_token = !operation.is_public() && operation.takes("bearer") && !operation.takes("session");
        let preferred = if needs_token { [&self.token, &self.cookie] } else { [&self.cookie, &self.token] };
        preferred.into_iter().flatten().next().expect("a way to call")
    }
}

/// Signs in with a passkey, by a cookie and by tokens.
async fn signed_in<'a>(app: &'a TestApp, kind: Kind, device: &mut Device) -> Caller<'a> {
    let (mut by_cookie, mut by_token) = (app.visitor(), app.visitor());
    assert_eq!(by_cookie.passkey_sign_in(device).await.status, 200);
    let begun = by_token.passkey_options().await;
    let body = json!({ "token": begun["token"], "credential": device.get(&begun["options"]), "transport": "token", "refresh_in": "body" });
    let answer = by_token.post("/v1/auth/passkeys/login", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    by_token.bearer = answer.json()["access_token"].as_str().map(str::to_owned);
    by_token.refresh_in_body = answer.json()["refresh_token"].as_str().map(str::to_owned);
    Caller { kind, cookie: Some(by_cookie), token: Some(by_token) }
}

/// Those who come with API keys, and the id of the member's.
async fn machines<'a>(app: &'a TestApp, member: &Actor<'a>, root: &Actor<'a>) -> ([Caller<'a>; 4], String) {
    app.role("machine", &OF_SERVICE).await;
    let scopes = |kind: Kind| kind.scopes().unwrap();
    // its roles are narrower than they were: no key of a scope beyond is made any more, and those that there are stay
    let Service { id, machine: service } = app.service_account(root, &["administrator"], &scopes(Kind::Service)).await;
    let out = app.machine(&root.post(&format!("/v1/service-accounts/{id}/keys"), machines::wanted(&scopes(Kind::ServiceOut))).await);
    let narrowed = root.put(&format!("/v1/service-accounts/{id}/roles"), json!({ "roles": [{ "role": "machine" }] })).await;
    assert_eq!(narrowed.status, 200, "{}", narrowed.text);
    let (key, of_root) = (member.api_key(&scopes(Kind::Key)).await, root.api_key(&scopes(Kind::AdministratorKey)).await);
    let caller = |kind, actor| Caller { kind, cookie: None, token: Some(actor) };
    let callers = [
        caller(Kind::Service, service.actor),
        caller(Kind::ServiceOut, out.actor),
        caller(Kind::Key, key.actor),
        caller(Kind::AdministratorKey, of_root.actor),
    ];
    (callers, key.id)
}

/// A passkey for somebody with an account.
async fn with_passkey(mut actor: Actor<'_>) -> (Device, String) {
    let mut device = Device::at(PUBLIC_URL);
    let added = actor.add_passkey(&mut device, "laptop").await;
    assert_eq!(added.status, 201, "{}", added.text);
    (device, added.json()["recovery_codes"][0].as_str().unwrap().to_owned())
}

async fn issue(app: &TestApp, purpose: Purpose, email: &str, account: Option<&str>, session: Option<&str>) -> Issued {
    let id = |text: &str| text.parse::<Uuid>().unwrap();
    let email = Email::parse(email).unwrap();
    let claim =
        Claim { purpose, email: &email, account: account.map(|text| AccountId(id(text))), session: session.map(id), lifetime: Duration::HOUR };
    proof::issue(&mut app.state.pool.acquire().await.unwrap(), &app.state.keyring, app.clock.now(), claim).await.unwrap()
}

async fn link(app: &TestApp, purpose: Purpose, email: &str, account: Option<&str>, session: Option<&str>) -> Value {
    json!({ "token": issue(app, purpose, email, account, session).await.link.expose() })
}

pub struct World<'a> {
    pub app: &'a TestApp,
    pub callers: Vec<Caller<'a>>,
    /// By the path up to the parameter: the id of the first member's record.
    pub ids: BTreeMap<&'static str, String>,
    /// By operation: what to send where a sample would not do.
    bodies: BTreeMap<&'static str, Value>,
    provider: Arc<Provider>,
    begun: Begun,
    authenticator: Authenticator,
}

impl<'a> World<'a> {
    /// A service that knows this provider.
    pub async fn service(provider: &Provider) -> TestApp {
        let providers = json!([provider.entry("corp", false)]).to_string();
        TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &providers), ("PORTCULLIS_WEBHOOK_SOURCES", &webhooks::sources())]).await
    }

    pub async fn of(app: &'a TestApp, provider: Arc<Provider>) -> World<'a> {
        let root = app.member_with(ADMINISTRATOR, "administrator").await;
        let (mut root, _) = with_passkey(root).await;
        let ada = app.member(OWNER).await;
        let linked = provider.link(&ada, "corp").await;
        assert_eq!(linked.status, 201, "{}", linked.text);
        let (mut ada, recovery_code) = with_passkey(ada).await;
        let mut others = Vec::new();
        for email in [OTHER, OTHER_DEPARTMENT, DISABLED] {
            others.push(with_passkey(app.member(email).await).await.0);
        }
        let (mut manager, _) = with_passkey(app.member_with(MANAGER, "manager").await).await;
        for (email, department) in [(OWNER, "Engineering"), (OTHER, "Engineering"), (MANAGER, "Engineering"), (OTHER_DEPARTMENT, "Board")] {
            app.place(email, department).await;
        }
        let stale = [signed_in(app, Kind::StaleMember, &mut ada).await, signed_in(app, Kind::StaleAdministrator, &mut root).await];
        let step = Duration::minutes(11);
        app.clock.advance(step);
        provider.behave().now += step.whole_seconds();

        let mut callers = vec![Caller { kind: Kind::Anonymous, cookie: Some(app.visitor()), token: None }];
        callers.push(signed_in(app, Kind::Member, &mut ada).await);
        callers.push(signed_in(app, Kind::Other, &mut others[0]).await);
        callers.push(signed_in(app, Kind::OtherDepartment, &mut others[1]).await);
        callers.push(signed_in(app, Kind::Manager, &mut manager).await);
        callers.push(signed_in(app, Kind::Administrator, &mut root).await);
        callers.extend(stale);
        callers.push(signed_in(app, Kind::Disabled, &mut others[2]).await);
        for caller in callers.iter().filter(|caller| ![Kind::Anonymous, Kind::Disabled].contains(&caller.kind) && !caller.kind.is_stale()) {
            caller.cookie.as_ref().unwrap().agree_by_mail().await;
        }

        let delivery = endpoint(app, &callers).await;
        let begun = begin(&app.visitor(), "/v1/auth/oauth/corp/authorize", Some(json!({}))).await;
        let cookie = |kind: Kind| callers.iter().find(|caller| caller.kind == kind).unwrap().cookie.as_ref().unwrap();
        let (keys, key) = machines(app, cookie(Kind::Member), cookie(Kind::Administrator)).await;
        callers.extend(keys);
        let (mut ids, authenticator) = records(app, &callers, &mut ada, linked.json()["id"].as_str().unwrap()).await;
        ids.insert("/v1/me/api-keys/", key);
        ids.insert("/v1/webhooks/endpoints/", delivery.0);
        ids.insert("/v1/webhooks/deliveries/", delivery.1);
        let mut world = World { app, callers, ids, bodies: BTreeMap::new(), provider, begun, authenticator };
        world.bodies = world.sendable(&mut ada, &recovery_code).await;
        let path = format!("/v1/users/{}/disabled", app.id_of(DISABLED).await);
        assert_eq!(world.actor(Kind::Administrator).put(&path, json!({ "disabled": true })).await.status, 200);
        app.all_letters_sent().await;
        world
    }

    pub fn caller(&self, kind: Kind) -> &Caller<'a> {
        self.callers.iter().find(|caller| caller.kind == kind).unwrap()
    }

    /// The cookie session of somebody.
    pub fn actor(&self, kind: Kind) -> &Actor<'a> {
        self.caller(kind).cookie.as_ref().unwrap()
    }

    /// The record whose path begins so.
    pub fn known(&self, before: &str) -> String {
        format!("{before}{}", self.ids[before])
    }

    /// With the ids of the first member's records.
    pub fn url(&self, operation: &Operation) -> String {
        self.url_with(operation, |id| id.to_owned())
    }

    /// With something else in the place of each id.
    pub fn url_with(&self, operation: &Operation, change: impl Fn(&str) -> String) -> String {
        let (mut path, mut rest) = (String::new(), operation.path.as_str());
        while let Some(at) = ["{id}", "{key}", "{name}"].iter().filter_map(|parameter| rest.find(parameter)).min() {
            path += &rest[..at];
            let (parameter, after) = rest[at..].split_at(rest[at..].find('}').unwrap() + 1);
            rest = after;
            // names of files are nobody's
            if !operation.path.starts_with("/v1/") {
                path += parameter;
                continue;
            }
            let before = &operation.path[..operation.path.len() - rest.len() - parameter.len()];
            let unknown = || panic!("{}: whose record is it? tests/suite/support/world.rs needs an id", operation.name());
            path += &change(self.ids.get(before).unwrap_or_else(unknown));
        }
        path += rest;
        Operation { path, method: operation.method.clone(), value: Value::Null }.url()
    }

    /// A whole call.
    pub fn call(&self, actor: &Actor<'_>, operation: &Operation, url: &str) -> RequestBuilder {
        let mut request = actor.request(operation.method.clone(), url);
        if operation.parameters("header").contains(&"If-Match".into()) {
            request = request.header("if-match", "*");
        }
        match operation.name().as_str() {
            "POST /v1/auth/oauth/{provider}/callback" => request.header("cookie", &self.begun.cookie).json(&self.provider.authorize(&self.begun.url)),
            "POST /v1/webhooks/inbound/{source}" => {
                let body = webhooks::event("room.booked", &json!({}));
                webhooks::signed(self.app, webhooks::HR, "msg_walk", &body)
                    .into_iter()
                    .fold(request, |r, (name, value)| r.header(name, value))
                    .body(body)
            }
            "POST /v1/me/mfa/totp/confirm" => request.json(&json!({ "code": self.authenticator.code(self.app) })),
            name => match self.bodies.get(name).cloned().or_else(|| operation.body()) {
                Some(body) => request.json(&body),
                None => request,
            },
        }
    }

    /// What has to be so before this call means anything.
    pub async fn prepare(&self, operation: &Operation) {
        let sql = match operation.name().as_str() {
            "DELETE /v1/me/mfa/totp" => "UPDATE totp SET confirmed_at = created_at",
            "POST /v1/documents/{id}/restore" => "UPDATE documents SET deleted_at = updated_at",
            _ => return,
        };
        sqlx::query(sql).execute(&self.app.database.pool).await.unwrap();
    }

    /// Bodies that are right, where a sample is not.
    async fn sendable(&self, ada: &mut Device, recovery_code: &str) -> BTreeMap<&'static str, Value> {
        let app = self.app;
        let (owner, moved) = (app.id_of(OWNER).await, "moved@example.org");
        app.create_account(moved).await;
        let (of_owner, of_moved) = (Some(owner.as_str()), app.id_of(moved).await);
        let session = Some(self.ids["/v1/me/sessions/"].as_str());
        let leaver = app.member("leaver@example.org").await;
        assert_eq!(leaver.post("/v1/me/close", json!({ "email": "leaver@example.org" })).await.status, 200);
        let keep = app.letter_about("leaver@example.org", "/go/keep").await.token;

        let member = self.actor(Kind::Member);
        let waiting = app.visitor().half_sign_in(OWNER, PASSWORD).await;
        let mailbox = issue(app, Purpose::FirstFactor, OWNER, of_owner, None).await;
        let mut new_device = Device::at(PUBLIC_URL);
        let creation = member.post("/v1/me/passkeys/options", json!({})).await.json();
        let new_passkey = new_device.create(&creation["options"]);
        let request = app.visitor().passkey_options().await;
        let shown = ada.get(&request["options"]);
        let refresh = self.caller(Kind::Member).token.as_ref().unwrap().refresh_in_body.clone();
        let mut completion = link(app, Purpose::Registration, "new@example.org", None, None).await;
        (completion["name"], completion["password"]) = (json!("New"), json!(NEW_PASSWORD));
        let mut reset = link(app, Purpose::PasswordReset, OWNER, of_owner, None).await;
        reset["password"] = json!(NEW_PASSWORD);
        BTreeMap::from([
            ("PATCH /v1/documents/{id}", json!({ "title": "Another plan" })),
            ("POST /v1/documents", json!({ "title": "Plan", "body": "<p>Open at nine</p>", "classification": "internal" })),
            ("PUT /v1/documents/{id}/shares", json!({ "viewers": [app.id_of(OTHER).await], "editors": [], "viewer_roles": [], "editor_roles": [] })),
            ("POST /v1/auth/account/keep", json!({ "token": keep })),
            ("POST /v1/auth/devices/trust", link(app, Purpose::TrustDevice, OWNER, of_owner, None).await),
            ("POST /v1/auth/email/confirm", link(app, Purpose::EmailChange, "ada.new@example.org", of_owner, None).await),
            ("POST /v1/auth/email/undo", link(app, Purpose::EmailUndo, "moved.before@example.org", Some(&of_moved), None).await),
            ("POST /v1/auth/login", json!({ "email": OWNER, "password": PASSWORD })),
            ("POST /v1/auth/mfa/options", json!({ "mfa_token": waiting })),
            ("POST /v1/auth/mfa/reset", link(app, Purpose::SecondFactorReset, OWNER, of_owner, None).await),
            ("POST /v1/auth/mfa/verify", json!({ "mfa_token": waiting, "recovery_code": recovery_code })),
            ("POST /v1/auth/oauth/{provider}/authorize", json!({})),
            ("POST /v1/auth/passkeys/login", json!({ "token": request["token"], "credential": shown })),
            ("POST /v1/auth/password/forgot", json!({ "email": OWNER })),
            ("POST /v1/auth/password/reset", reset),
            ("POST /v1/auth/register/complete", completion),
            ("POST /v1/auth/sessions/disown", link(app, Purpose::DisownSession, OWNER, of_owner, session).await),
            ("POST /v1/auth/step-up", json!({ "recovery_code": recovery_code })),
            ("POST /v1/auth/token/refresh", json!({ "refresh_token": refresh })),
            ("POST /v1/me/api-keys", machines::wanted(&["documents:read"])),
            ("POST /v1/me/close", json!({ "email": OWNER })),
            ("POST /v1/me/mailbox/confirm", json!({ "proof_id": mailbox.id, "code": mailbox.code.as_ref().unwrap().expose_secret() })),
            ("POST /v1/me/passkeys", json!({ "token": creation["token"], "name": "phone", "credential": new_passkey })),
            ("POST /v1/me/password", json!({ "current_password": PASSWORD, "password": NEW_PASSWORD })),
            ("POST /v1/roles", json!({ "name": "readers", "description": "Readers", "permissions": ["users:read"] })),
            ("POST /v1/service-accounts/{id}/keys", machines::wanted(&["users:read"])),
            ("POST /v1/webhooks/endpoints", json!({ "name": "Warehouse", "url": ENDPOINT, "events": ["audit.pruned"] })),
            ("PATCH /v1/webhooks/endpoints/{id}", json!({ "name": "Warehouse 2", "url": ENDPOINT, "events": ["audit.opened"], "enabled": false })),
        ])
    }
}

/// A webhook endpoint that is told nothing, so that no job tells it anything between two calls; and a message that waits for it.
async fn endpoint(app: &TestApp, callers: &[Caller<'_>]) -> (String, String) {
    let root = callers.iter().find(|caller| caller.kind == Kind::Administrator).unwrap().cookie.as_ref().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let made = root.post("/v1/webhooks/endpoints", json!({ "name": "Warehouse", "url": ENDPOINT, "events": ["audit.pruned"] })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = format!("/v1/webhooks/endpoints/{}", text(&made.json()["endpoint"]["id"]));
    assert_eq!(root.patch(&path, json!({ "enabled": false })).await.status, 200);
    let waits = root.post(&format!("{path}/test"), json!({})).await;
    assert_eq!(waits.status, 202, "{} {}", waits.text, app.address());
    (text(&made.json()["endpoint"]["id"]), text(&waits.json()["id"]))
}

/// One record of every kind that belongs to the first member, or that administrators keep.
async fn records(app: &TestApp, callers: &[Caller<'_>], ada: &mut Device, identity: &str) -> (BTreeMap<&'static str, String>, Authenticator) {
    let actor = |kind: Kind| callers.iter().find(|caller| caller.kind == kind).unwrap().cookie.as_ref().unwrap();
    let (member, root) = (actor(Kind::Member), actor(Kind::Administrator));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let another = app.visitor().passkey_sign_in(ada).await.json();
    let export = member.post("/v1/me/export", json!({})).await.json();
    app.letter_about(OWNER, "Your data is ready").await;
    let enrolment = member.post("/v1/me/mfa/totp", json!({})).await.json();
    app.role("staff", &["users:read"]).await;
    let mut invitation = String::new();
    for guest in ["guest@example.org", "visitor@example.org"] {
        let sent = root.post("/v1/invitations", json!({ "email": guest, "roles": ["staff"] })).await;
        assert_eq!(sent.status, 201, "{}", sent.text);
        invitation = text(&sent.json()["id"]);
    }
    let service = app.service_account(root, &["machine"], &["users:read"]).await;
    let webhook = app.told(webhooks::HR, "msg_record", &webhooks::event("room.booked", &json!({}))).await;
    let ids = BTreeMap::from([
        // what is confidential nobody of the department reads but its owner and who answers for it
        ("/v1/documents/", member.document("confidential", Some("Engineering")).await),
        ("/v1/invitations/", invitation),
        ("/v1/me/export/", text(&export["id"])),
        ("/v1/me/identities/", identity.to_owned()),
        ("/v1/me/passkeys/", text(&member.get("/v1/me/passkeys").await.json()["items"][0]["id"])),
        ("/v1/me/sessions/", text(&another["session_id"])),
        ("/v1/roles/", "staff".to_owned()),
        ("/v1/service-accounts/", service.id),
        ("/v1/service-accounts/{id}/keys/", service.machine.id),
        ("/v1/users/", app.id_of(OWNER).await),
        ("/v1/webhooks/inbound/events/", webhook),
    ]);
    (ids, Authenticator::scan(enrolment["otpauth_uri"].as_str().unwrap()))
}

/// The database as it was, to be put back after a call.
pub struct AsItWas {
    connection: PgConnection,
    put_back: String,
}

impl AsItWas {
    pub async fn keep(app: &TestApp) -> Self {
        let name = app.database.owner.get_database().unwrap().to_owned();
        let mut connection = PgConnection::connect_with(&app.database.superuser.clone().database(&name)).await.unwrap();
        // jobs write signals whoever calls
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('_sqlx_migrations', 'alert_signals')";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
        let kept: String = tables.iter().map(|table| format!("CREATE TABLE as_it_was.{table} AS TABLE public.{table};")).collect();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA as_it_was; {kept}"))).execute(&mut connection).await.unwrap();
        let changes: String =
            tables.iter().map(|table| format!("DELETE FROM public.{table}; INSERT INTO public.{table} SELECT * FROM as_it_was.{table};")).collect();
        // without triggers and foreign keys, which would tell of changes that nobody made
        let put_back = format!("BEGIN; SET LOCAL session_replication_role = replica; {changes} COMMIT;");
        Self { connection, put_back }
    }

    pub async fn put_back(&mut self) {
        sqlx::raw_sql(AssertSqlSafe(self.put_back.as_str())).execute(&mut self.connection).await.unwrap();
    }

    /// Calls, and puts back what an unsafe call may have changed.
    pub async fn after(&mut self, method: &Method, request: RequestBuilder) -> Answer {
        let answer = Answer::of(request).await;
        if !method.is_safe() {
            self.put_back().await;
        }
        answer
    }
}
