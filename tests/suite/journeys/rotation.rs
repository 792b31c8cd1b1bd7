//! Keys of every purpose are replaced while people and machines work, and nobody notices.

use crate::{
    journeys::the_binary::portcullis,
    support::{
        TestDatabase,
        app::{Actor, Answer, PASSWORD, PUBLIC_URL, TestApp},
        device::Device,
        people::Authenticator,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt;
use portcullis::platform::{
    crypto,
    db::StoreError,
    keyring::{
        KeyBytes, KeyEncryption, Keyring, KeyringError, Purpose, Revocation, Rotation, rows,
        signing::Algorithm,
        wrapping::{self, Standing},
    },
};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::{cell::Cell, panic::AssertUnwindSafe, path::Path};
use time::Duration;

async fn end_idle(t: &TestDatabase, purpose: Purpose) -> u64 {
    let mut transaction = t.pool.begin().await.unwrap();
    let ended = rows::end_idle(&mut transaction, purpose, t.clock.now()).await.unwrap();
    transaction.commit().await.unwrap();
    ended
}

/// Two looks, far enough apart.
async fn end_idle_later(t: &TestDatabase, purpose: Purpose) -> u64 {
    let at_once = end_idle(t, purpose).await;
    assert_eq!(at_once, 0, "{purpose:?}: what was read a moment ago may not be opened yet");
    t.clock.advance(Duration::minutes(5));
    end_idle(t, purpose).await
}

fn expect(status: u16, answer: &Answer, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
}

/// Two nodes, and what each actor of the load counts its rounds in.
struct Load<'a> {
    nodes: [&'a TestApp; 2],
    is_over: Cell<bool>,
    rounds: [Cell<usize>; 8],
    /// Time that is to go by before the next code.
    pause: Cell<Duration>,
}

impl<'a> Load<'a> {
    /// Runs rounds, each at the other node, until it is over.
    async fn keep_on(&self, actor: usize, mut round: impl AsyncFnMut(&'a TestApp, &'a TestApp, usize)) {
        while !self.is_over.get() {
            let number = self.rounds[actor].get();
            let (here, there) = (self.nodes[number % 2], self.nodes[(number + 1) % 2]);
            round(here, there, number).await;
            self.rounds[actor].set(number + 1);
        }
    }

    /// Waits until every actor has done so many more.
    async fn go_on(&self, more: usize) {
        let wanted: Vec<usize> = self.rounds.iter().map(|rounds| rounds.get() + more).collect();
        let is_there = async || self.rounds.iter().zip(&wanted).all(|(rounds, wanted)| rounds.get() >= *wanted).then_some(());
        self.nodes[0].wait_for("everybody to go on", is_there).await;
    }

    /// Signs in with a password, knows the device, is known by its cookie at the other node, proves the session anew, and signs out.
    async fn browser(&self) {
        let mut device = None;
        self.keep_on(0, async |here, there, number| {
            let mut ada = here.visitor();
            ada.device = device.take();
            expect(200, &ada.sign_in("browser@example.org", PASSWORD).await, "sign-in");
            device = ada.device.clone();
            expect(200, &ada.at(there).get("/v1/me").await, "the new cookie");
            let mut ada = ada.at(there);
            expect(200, &ada.step_up(json!({ "password": PASSWORD })).await, "step-up");
            expect(200, &ada.at(here).get("/v1/me/sessions").await, "the renewed cookie");
            expect(204, &ada.at(here).post("/v1/auth/logout", json!({})).await, &format!("sign-out {number}"));
        })
        .await;
    }

    /// One session with a cookie, from before all rotations.
    async fn old_cookie(&self, ada: Actor<'a>) {
        self.keep_on(1, async |here, _, number| {
            expect(200, &ada.at(here).get("/v1/me/events?limit=5").await, &format!("the old cookie, {number}"));
            expect(200, &ada.at(here).patch("/v1/me", json!({ "name": format!("Ada {number}") })).await, "a change");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        })
        .await;
    }

    async fn tokens(&self, (mut ada, mut refresh): (Actor<'a>, String)) {
        self.keep_on(2, async |here, there, number| {
            expect(200, &ada.at(here).get("/v1/auth/verify").await, &format!("token, {number}"));
            let answer = Actor::exchange(&ada.at(there), &refresh).await;
            expect(200, &answer, &format!("refresh, {number}"));
            refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
            ada.bearer = answer.json()["access_token"].as_str().map(str::to_owned);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        })
        .await;
    }

    /// The only one that moves the clock: a code counts once.
    async fn authenticator(&self, authenticator: Authenticator) {
        self.keep_on(3, async |here, there, number| {
            here.clock.advance(Duration::seconds(31) + self.pause.take());
            let token = here.visitor().half_sign_in("totp@example.org", PASSWORD).await;
            let shown = there.visitor().show(&token, json!({ "code": authenticator.code(there) })).await;
            expect(200, &shown, &format!("code, {number}"));
        })
        .await;
    }

    async fn passkey(&self, mut device: Device) {
        self.keep_on(4, async |here, _, number| {
            expect(200, &here.visitor().passkey_sign_in(&mut device).await, &format!("passkey, {number}"));
        })
        .await;
    }

    /// An API key, and lists with cursors of the other node.
    async fn machine(&self, key: String) {
        self.keep_on(5, async |here, there, number| {
            let page = here.holder(&key).get("/v1/users?limit=2").await;
            expect(200, &page, &format!("key, {number}"));
            let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
            expect(200, &there.holder(&key).get(&format!("/v1/users?limit=2&cursor={cursor}")).await, &format!("cursor, {number}"));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        })
        .await;
    }

    /// Documents, and the audit log with what it has of people.
    async fn auditor(&self, root: Actor<'a>) {
        self.keep_on(6, async |here, _, number| {
            assert!(root.at(here).documents("limit=2").await.len() >= 3, "documents, {number}");
            let events = root.at(here).get("/v1/audit/events?event=session.started&limit=3").await;
            expect(200, &events, &format!("events, {number}"));
            assert!(events.json()["items"].as_array().unwrap().iter().all(|event| event["address"].is_string()), "{}", events.text);
        })
        .await;
    }

    /// Letters with typed codes.
    async fn letters(&self, mut ada: Actor<'a>) {
        self.keep_on(7, async |here, there, number| {
            let mut proving = ada.at(here);
            expect(200, &proving.step_up(json!({ "password": PASSWORD })).await, &format!("step-up, {number}"));
            (ada.cookie, ada.csrf) = (proving.cookie, proving.csrf);
            let asked = ada.at(here).post("/v1/me/mailbox", json!({})).await;
            expect(202, &asked, &format!("letter, {number}"));
            here.all_letters_sent().await;
            let letter = here.letters_to("letters@example.org").pop().unwrap();
            let body = json!({ "proof_id": asked.json()["proof_id"], "code": letter.code });
            expect(204, &ada.at(there).post("/v1/me/mailbox/confirm", body).await, &format!("code of a letter, {number}"));
        })
        .await;
    }
}

async fn left_under_retired(app: &TestApp, purpose: Purpose) -> i64 {
    let retired = app.state.keyring.retired(purpose);
    let counts = rows::count(&mut app.database.pool.acquire().await.unwrap(), purpose).await.unwrap().unwrap_or_default();
    retired.iter().filter_map(|version| counts.get(version)).sum()
}

#[actix_web::test]
async fn no_call_fails_while_keys_of_every_purpose_rotate_one_after_the_other() {
    // a lot of time goes by
    let patient = [("PORTCULLIS_SESSION_IDLE_MINUTES", "1440"), ("PORTCULLIS_SESSION_ABSOLUTE_HOURS", "48")];
    let app = TestApp::with(&patient).await;
    let other = app.node_with(&patient).await;
    let root = app.administrator().await;
    for _ in 0..3 {
        root.document("internal", None).await;
    }
    let machine = app.service_account(&root, &["administrator"], &["users:read"]).await.machine;
    app.create_account("browser@example.org").await;
    let old = app.member("old@example.org").await;
    let tokens = app.token_member("tokens@example.org").await;
    let (authenticator, _) = app.member("totp@example.org").await.add_totp().await;
    let (mut holder, mut device) = (app.member("passkey@example.org").await, Device::at(PUBLIC_URL));
    assert_eq!(holder.add_passkey(&mut device, "Laptop").await.status, 201);
    let letters = app.member("letters@example.org").await;
    app.all_letters_sent().await;

    let load = Load { nodes: [&app, &other], is_over: Cell::new(false), rounds: Default::default(), pause: Cell::default() };
    let rotations = async {
        load.go_on(1).await;
        for (number, purpose) in Purpose::ALL.iter().copied().enumerate() {
            load.nodes[number % 2].database.rotate(purpose).await;
            load.go_on(2).await;
            // as the job does, in the smallest batches, beside the load, until nobody holds any of it
            while left_under_retired(&app, purpose).await > 0 && purpose.rotation() == Rotation::Reseal {
                rows::reseal(&other.database.pool, &other.state.keyring, purpose, (usize::MAX, 2), |_| {}).await.unwrap();
            }
            load.go_on(1).await;
        }
        // nothing is left of the first keys but what waits for its owner
        for pause in [Duration::minutes(5), Duration::ZERO] {
            for purpose in Purpose::ALL.iter().copied().filter(|purpose| purpose.rotation() == Rotation::Reseal) {
                end_idle(&app.database, purpose).await;
            }
            load.pause.set(pause);
            load.go_on(2).await;
        }
        let ended: Vec<String> = sqlx::query_scalar("SELECT purpose FROM keyring WHERE ended").fetch_all(&app.database.pool).await.unwrap();
        for purpose in Purpose::ALL.iter().filter(|purpose| purpose.rotation() == Rotation::Reseal) {
            assert!(ended.iter().any(|ended| ended == purpose.name()), "{purpose:?} has not ended: {ended:?}");
        }
        load.go_on(2).await;
        load.is_over.set(true);
    };
    tokio::join!(
        rotations,
        load.browser(),
        load.old_cookie(old),
        load.tokens(tokens),
        load.authenticator(authenticator),
        load.passkey(device),
        load.machine(machine.key),
        load.auditor(root),
        load.letters(letters)
    );
    assert_eq!(app.count("SELECT count(*) FROM keyring WHERE version > 1 AND state = 'active'").await, Purpose::ALL.len() as i64);
    // every password that was used is under the new pepper
    let left =
        app.count("SELECT count(*) FROM passwords p JOIN users u ON u.id = p.user_id WHERE pepper_version = 1 AND email = 'browser@example.org'");
    assert_eq!(left.await, 0);
}

/// Letters that wait for ever.
async fn seal_letters(t: &TestDatabase, count: usize) {
    for number in 0..count {
        let id = crypto::uuid_v7(t.clock.now());
        let (version, sealed) = t.keyring.seal(Purpose::Outbox, id.as_bytes(), format!("letter {number}").as_bytes()).unwrap();
        sqlx::query("INSERT INTO outbox (id, sealed, key_version, created_at, due_at) VALUES ($1, $2, $3, now(), 'infinity')")
            .bind(id)
            .bind(sealed)
            .bind(version)
            .execute(&t.pool)
            .await
            .unwrap();
    }
}

/// What is in them, in their order, and under how many keys.
async fn open_letters(t: &TestDatabase) -> (Vec<String>, usize) {
    let rows: Vec<(uuid::Uuid, i32, Vec<u8>)> =
        sqlx::query_as("SELECT id, key_version, sealed FROM outbox ORDER BY id").fetch_all(&t.pool).await.unwrap();
    let versions: std::collections::BTreeSet<i32> = rows.iter().map(|row| row.1).collect();
    let open = |(id, version, sealed): (uuid::Uuid, i32, Vec<u8>)| {
        String::from_utf8(t.keyring.open_sealed(Purpose::Outbox, version, id.as_bytes(), &sealed).unwrap()).unwrap()
    };
    (rows.into_iter().map(open).collect(), versions.len())
}

async fn reseal(t: &TestDatabase, batch: i64, tell: impl FnMut(u64)) -> Result<rows::Walk, StoreError> {
    rows::reseal(&t.pool, &t.keyring, Purpose::Outbox, (usize::MAX, batch), tell).await
}

#[tokio::test]
async fn sealing_anew_can_be_killed_anywhere_goes_on_and_writes_nothing_newer_over() {
    let t = TestDatabase::create().await;
    seal_letters(&t, 40).await;
    let (before, _) = open_letters(&t).await;
    t.rotate(Purpose::Outbox).await;
    t.keyring.reload(&t.pool).await.unwrap();
    assert_eq!(end_idle(&t, Purpose::Outbox).await, 0);
    t.clock.advance(Duration::minutes(6));
    // the process dies between two batches
    let killed = AssertUnwindSafe(reseal(&t, 7, |so_far| assert!(so_far < 14, "killed"))).catch_unwind().await;
    assert!(killed.is_err());
    let (after, keys) = open_letters(&t).await;
    assert_eq!((&after, keys), (&before, 2), "half of it");
    assert_eq!(end_idle(&t, Purpose::Outbox).await, 0, "a key with rows under it does not end");

    // somebody holds one row, and changes another one between reading and writing
    let mut held = t.pool.begin().await.unwrap();
    let holding: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM outbox WHERE key_version = 1 ORDER BY id LIMIT 1 FOR UPDATE").fetch_one(&mut *held).await.unwrap();
    let walk = reseal(&t, 7, |_| {}).await.unwrap();
    assert_eq!((walk.resealed, walk.unreadable, walk.is_through), (25, 0, true), "nobody waits for whoever holds a row");
    sqlx::query("UPDATE outbox SET attempts = 3 WHERE id = $1").bind(holding).execute(&mut *held).await.unwrap();
    held.commit().await.unwrap();
    assert_eq!(reseal(&t, 7, |_| {}).await.unwrap().resealed, 1);
    assert_eq!(open_letters(&t).await, (before, 1));

    assert_eq!(end_idle_later(&t, Purpose::Outbox).await, 1);
    t.keyring.reload(&t.pool).await.unwrap();
    assert!(t.keyring.version(Purpose::Outbox, 1).is_none());
    let left: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM keyring WHERE purpose = 'outbox' AND version = 1").fetch_one(&t.pool).await.unwrap();
    assert!(left.is_empty(), "it is destroyed");
}

#[tokio::test]
async fn what_changed_since_it_was_read_is_not_written_over() {
    let t = TestDatabase::create().await;
    seal_letters(&t, 2).await;
    t.rotate(Purpose::Outbox).await;
    t.keyring.reload(&t.pool).await.unwrap();
    // batches of one: between the first and the second somebody writes the second anew; its batch was not read yet, so the change is made
    // by a trigger in the moment in which the first is written
    let mut owner = PgConnection::connect_with(&t.owner).await.unwrap();
    let id: uuid::Uuid = sqlx::query_scalar("SELECT max(id::text)::uuid FROM outbox").fetch_one(&t.pool).await.unwrap();
    let (version, newer) = t.keyring.seal(Purpose::Outbox, id.as_bytes(), b"newer").unwrap();
    let mut blocker = owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE outbox IN SHARE MODE").execute(&mut *blocker).await.unwrap();
    let walk = tokio::spawn({
        let t = t.clone();
        async move { reseal(&t, 2, |_| {}).await.unwrap() }
    });
    let mut root = PgConnection::connect_with(&t.owner).await.unwrap();
    // it has read and waits to write
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'outbox'::regclass";
        if sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut root).await.unwrap() > 0 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "it does not come to write");
        tokio::task::yield_now().await;
    }
    sqlx::query("UPDATE outbox SET sealed = $2, key_version = $3 WHERE id = $1")
        .bind(id)
        .bind(newer)
        .bind(version)
        .execute(&mut *blocker)
        .await
        .unwrap();
    blocker.commit().await.unwrap();
    assert_eq!(walk.await.unwrap().resealed, 1);
    assert_eq!(open_letters(&t).await.0[1], "newer");
}

/// A purpose whose rows are sealed and that has no line in the table of rows would keep its keys for ever; one that counts wrongly would
/// lose what hangs on them.
#[actix_web::test]
async fn the_key_of_every_purpose_ends_when_nothing_hangs_on_it_and_not_before() {
    let app = TestApp::start().await;
    let mut ada = app.member("ada@example.org").await;
    ada.add_totp().await;
    ada.add_passkey(&mut Device::at(PUBLIC_URL), "Laptop").await;
    app.administrator().await.api_key(&["users:read"]).await;
    app.visitor().half_sign_in("ada@example.org", PASSWORD).await;
    app.all_letters_sent().await;
    let mut letter = app.database.pool.acquire().await.unwrap();
    sqlx::query("UPDATE outbox SET due_at = 'infinity'").execute(&mut *letter).await.unwrap();
    seal_letters(&app.database, 1).await;
    for sql in [
        "INSERT INTO webhook_inbox (id, source, nonce, digest, for_good, sealed, key_version, received_at, due_at)
         VALUES (gen_random_uuid(), 'x', 'x', sha256(''), false, '', 1, now(), 'infinity')",
        "WITH one AS (INSERT INTO webhook_endpoints (id, name, url, created_at) VALUES (gen_random_uuid(), 'x', 'https://x.example', now())
                      RETURNING id)
         INSERT INTO webhook_secrets (id, endpoint_id, sealed, key_version, public_key, created_at)
         SELECT gen_random_uuid(), id, '', 1, 'x', now() FROM one",
    ] {
        app.runs(sql).await.unwrap();
    }
    let counted: Vec<Purpose> =
        Purpose::ALL.iter().copied().filter(|purpose| matches!(purpose.rotation(), Rotation::Reseal | Rotation::UntilGone)).collect();
    for purpose in Purpose::ALL.iter().copied() {
        app.database.rotate(purpose).await;
    }
    app.state.keyring.reload(&app.database.pool).await.unwrap();
    // the first look; what has none hanging on it ends at the second
    for purpose in counted.iter().copied() {
        assert_eq!(end_idle(&app.database, purpose).await, 0, "{purpose:?}");
    }
    app.clock.advance(Duration::minutes(6));
    for purpose in counted.iter().copied() {
        assert!(left_under_retired(&app, purpose).await > 0, "{purpose:?}: nothing hangs on its first key");
        assert_eq!(end_idle(&app.database, purpose).await, 0, "{purpose:?}");
    }
    let mut owner = PgConnection::connect_with(&app.database.owner).await.unwrap();
    for table in [
        "passwords",
        "sessions",
        "outbox",
        "recovery_codes",
        "mailed_proofs",
        "subject_keys",
        "challenges",
        "totp",
        "passkeys",
        "api_keys",
        "webhook_inbox",
        "webhook_secrets",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut owner).await.unwrap();
    }
    for purpose in counted {
        assert_eq!(end_idle_later(&app.database, purpose).await, 1, "{purpose:?}");
    }
    for purpose in [Purpose::NobodysEvent, Purpose::AuditChain] {
        assert_eq!(end_idle_later(&app.database, purpose).await, 0, "what was written once is read for ever: {purpose:?}");
    }
}

#[actix_web::test]
async fn the_schedule_rotates_what_runs_out_seals_anew_and_ends_what_is_over() {
    let app = TestApp::start().await;
    let (_, codes) = app.member("ada@example.org").await.add_totp().await;
    let state = async |purpose: Purpose| -> Vec<String> {
        sqlx::query_scalar("SELECT state || CASE WHEN ended THEN '*' ELSE '' END FROM keyring WHERE purpose = $1 ORDER BY version")
            .bind(purpose.name())
            .fetch_all(&app.database.pool)
            .await
            .unwrap()
    };
    app.database.rotate(Purpose::TotpSeed).await;
    app.state.keyring.reload(&app.database.pool).await.unwrap();
    app.run_jobs().await;
    assert_eq!(left_under_retired(&app, Purpose::TotpSeed).await, 0, "sealed anew");
    app.run_jobs().await;
    assert_eq!(state(Purpose::TotpSeed).await, ["retired", "active", "next"], "what is on its way may still come in");
    app.clock.advance(Duration::days(31));
    app.run_jobs().await;
    assert_eq!(state(Purpose::TotpSeed).await, ["revoked*", "active", "next"]);
    for purpose in Purpose::ALL.iter().copied().filter(|purpose| *purpose != Purpose::TotpSeed) {
        let expected: &[&str] = if purpose.is_scheduled() { &["retired", "active", "next"] } else { &["active", "next"] };
        assert_eq!(state(purpose).await, expected, "{purpose:?}");
    }
    app.clock.advance(Duration::days(2));
    app.run_jobs().await;
    for (purpose, expected) in [(Purpose::TokenSigning, "revoked*"), (Purpose::Cursor, "revoked*"), (Purpose::SessionCookie, "retired")] {
        assert_eq!(state(purpose).await[0], expected, "{purpose:?}");
    }
    // nobody noticed
    let mut ada = app.visitor();
    let token = ada.half_sign_in("ada@example.org", PASSWORD).await;
    assert_eq!(ada.show(&token, json!({ "recovery_code": codes[0] })).await.status, 200);
}

fn both(t: &TestDatabase, new: &KeyBytes) -> KeyEncryption {
    KeyEncryption::new(new.clone(), Some(t.key_encryption_key.clone()))
}

async fn opened(t: &TestDatabase, keys: impl Into<KeyEncryption>) -> Result<Keyring, KeyringError> {
    Keyring::open(&t.pool, keys, Algorithm::EdDsa, t.clock.now()).await
}

#[tokio::test]
async fn the_keyring_moves_to_another_key_encryption_key_and_half_of_it_is_harmless() {
    let t = TestDatabase::create().await;
    let new = KeyBytes::new(crypto::random());
    let seal = |keyring: &Keyring| keyring.seal(Purpose::TotpSeed, b"place", b"seed").unwrap();
    let opens = |keyring: &Keyring, (version, sealed): &(i32, Vec<u8>)| keyring.open_sealed(Purpose::TotpSeed, *version, b"place", sealed).is_ok();
    let before = seal(&t.keyring);
    let all: usize = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM keyring").fetch_one(&t.pool).await.unwrap().try_into().unwrap();
    let rolled = opened(&t, both(&t, &new)).await.unwrap();
    assert_eq!(wrapping::standing(&t.pool, &both(&t, &new)).await.unwrap(), Standing { current: 0, previous: all, neither: 0 });

    // killed in the middle, in transactions of three
    let killed = AssertUnwindSafe(wrapping::reencrypt(&t.pool, &rolled, 3, |so_far| assert!(so_far < 9, "killed"))).catch_unwind().await;
    assert!(killed.is_err());
    assert_eq!(wrapping::standing(&t.pool, &both(&t, &new)).await.unwrap(), Standing { current: 9, previous: all - 9, neither: 0 });
    let started_now = opened(&t, both(&t, &new)).await.unwrap();
    assert!(opens(&started_now, &before));
    assert!(matches!(opened(&t, &new).await, Err(KeyringError::WrongKeyEncryptionKey { .. })), "too early to take the old one away");
    assert!(matches!(opened(&t, &t.key_encryption_key).await, Err(KeyringError::WrongKeyEncryptionKey { .. })));
    // a node that has the old one only goes on until it is started anew
    t.keyring.reload(&t.pool).await.unwrap();
    assert!(opens(&t.keyring, &before) && opens(&rolled, &seal(&t.keyring)));

    assert_eq!(wrapping::reencrypt(&t.pool, &rolled, 3, |_| {}).await.unwrap(), all - 9, "resumed");
    assert_eq!(wrapping::reencrypt(&t.pool, &rolled, 3, |_| {}).await.unwrap(), 0, "nothing is left");
    let only_new = opened(&t, &new).await.unwrap();
    assert!(opens(&only_new, &before) && only_new.signing_key().unwrap().id() == t.keyring.signing_key().unwrap().id(), "the same keys");
}

#[tokio::test]
async fn a_node_with_the_old_key_encryption_key_only_takes_up_what_it_can() {
    let t = TestDatabase::create().await;
    let new = KeyBytes::new(crypto::random());
    let rolled = opened(&t, both(&t, &new)).await.unwrap();
    wrapping::reencrypt(&t.pool, &rolled, 100, |_| {}).await.unwrap();
    let change = async |revokes: bool| {
        if revokes {
            t.revoke_by(&rolled, Purpose::Cursor).await;
        } else {
            t.rotate_by(&rolled, Purpose::Cursor).await;
        }
        rolled.reload(&t.pool).await.unwrap();
        t.keyring.reload(&t.pool).await.unwrap();
    };
    change(false).await;
    assert_eq!(t.keyring.active(Purpose::Cursor).0, 2, "the next key was known to it");
    change(false).await;
    assert_eq!((t.keyring.active(Purpose::Cursor).0, rolled.active(Purpose::Cursor).0), (2, 3), "it goes on with the last that it knows");
    assert!(rolled.accepted(Purpose::Cursor, 2, t.clock.now()).is_some(), "which the others accept");
    let makes = |keyring: &Keyring| keyring.seal(Purpose::Cursor, b"place", b"last").is_ok();
    assert!(makes(&rolled) && !makes(&t.keyring), "and makes nothing new with it");
    assert!(t.keyring.seal(Purpose::TotpSeed, b"place", b"seed").is_ok() && t.keyring.signing_key().is_ok(), "what did not move on goes on");
    change(true).await;
    assert!(makes(&rolled) && !makes(&t.keyring));
    let (version, _) = t.keyring.active(Purpose::Cursor);
    assert!(t.keyring.accepted(Purpose::Cursor, version, t.clock.now()).is_none(), "what is revoked is worth nothing, here neither");
    assert!(t.keyring.version(Purpose::Cursor, 1).is_none());
}

#[tokio::test]
async fn an_operator_replaces_keys_from_the_command_line() {
    let t = TestDatabase::create().await;
    let new = KeyBytes::new(crypto::random());
    let run = |key: &KeyBytes, previous: Option<&KeyBytes>, arguments: &[&str]| {
        let mut command = portcullis(Path::new("."));
        command.arg("keys").args(arguments).env("DATABASE_URL", t.feed.to_url_lossy().to_string());
        command.env("PORTCULLIS_KEY_ENCRYPTION_KEY", STANDARD.encode(key.expose()));
        command.envs(previous.map(|key| ("PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY", STANDARD.encode(key.expose()))));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let old = &t.key_encryption_key;
    let (fine, text) = run(old, None, &["purposes"]);
    assert!(fine && Purpose::ALL.iter().all(|purpose| text.contains(purpose.name()) && text.contains(purpose.revocation().words())), "{text}");
    let (fine, text) = run(old, None, &["rotate", "pepper"]);
    assert!(!fine && text.contains("others may not know it before"), "{text}");
    let (fine, text) = run(old, None, &["rotate", "totp_seed", "--now"]);
    assert!(fine && text.contains("retired") && text.contains("0 rows"), "{text}");
    let (fine, text) = run(old, None, &["reseal"]);
    assert!(fine && text.contains("totp_seed") && text.contains("passkey"), "{text}");
    for (arguments, reason) in [
        (&["retire", "totp_seed"][..], "end by themselves"),
        (&["retire", "audit_chain"], "as long as the audit log"),
        (&["reseal", "pepper"], "nothing of pepper is sealed anew"),
        (&["rotate", "nonsense"], "is no purpose"),
        (&["revoke", "audit_chain", "--yes-destroy"], "Rotate it instead"),
        (&["revoke", "totp_seed"], "--yes-destroy"),
        (&["reencrypt"], "PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY is not set"),
    ] {
        let (fine, text) = run(old, None, arguments);
        assert!(!fine && text.contains(reason), "{arguments:?}: {text}");
    }
    for purpose in Purpose::ALL {
        let (fine, text) = match purpose.revocation() {
            Revocation::Refused(_) => continue,
            Revocation::Destroys(_) => run(old, None, &["revoke", purpose.name(), "--yes-destroy"]),
            Revocation::Ends(_) => run(old, None, &["revoke", purpose.name()]),
        };
        assert!(fine && text.contains("revoked"), "{purpose:?}: {text}");
    }

    let (fine, text) = run(&new, Some(old), &["list", "cursor"]);
    assert!(fine && text.contains("keys hang on PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY"), "{text}");
    let (fine, text) = run(&new, Some(old), &["reencrypt"]);
    assert!(fine && text.contains("keys sealed anew") && text.contains("is not needed any more"), "{text}");
    assert!(run(&new, None, &["list"]).0);
    assert!(run(old, None, &["list"]).1.contains("belongs to another database"));
    let events: Vec<String> = sqlx::query_scalar("SELECT DISTINCT event FROM audit_events ORDER BY event").fetch_all(&t.pool).await.unwrap();
    assert_eq!(events, ["keys.reencrypted", "keys.revoked", "keys.rotated"]);
}
