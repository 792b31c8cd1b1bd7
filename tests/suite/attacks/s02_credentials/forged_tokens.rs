//! The attacker makes access tokens: without a signature, with the public key as a shared secret, with a key of their own that the
//! header brings along, out of true ones with a claim changed, and out of tokens that were made for something else.

use crate::{journeys::tokens::part, support::app::TestApp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm as Jwt, EncodingKey, Header, encode};
use portcullis::platform::keyring::signing::{Algorithm, SigningKey};
use serde_json::{Value, json};
use time::Duration;

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

async fn is_refused(app: &TestApp, token: &str, how: &str) {
    let mut mallory = app.visitor();
    mallory.bearer = Some(token.to_owned());
    for path in ["/v1/me", "/v1/auth/verify"] {
        let answer = mallory.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "INVALID_TOKEN"), "{how}: {path}");
        let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(challenges, [r#"Bearer realm="portcullis", error="invalid_token", Session realm="portcullis""#], "in one line");
    }
}

#[actix_web::test]
async fn a_token_without_a_signature_is_worth_nothing() {
    let app = TestApp::start().await;
    let (ada, _) = app.token_member("ada@example.org").await;
    let token = ada.bearer.as_deref().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let claims = token.split('.').nth(1).unwrap();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let mut header = part(token, 0);
        header["alg"] = json!(alg);
        let unsigned = format!("{}.{claims}", encoded(&header));
        is_refused(&app, &format!("{unsigned}."), alg).await;
        is_refused(&app, &unsigned, alg).await;
        is_refused(&app, &format!("{unsigned}.{signature}"), alg).await;
    }
    is_refused(&app, &format!("{signed}."), "no signature").await;
    let other = if signature.starts_with('A') { "B" } else { "A" };
    is_refused(&app, &format!("{signed}.{other}{}", &signature[1..]), "another signature").await;
    is_refused(&app, &format!("{token}="), "padding").await;
    is_refused(&app, &"x".repeat(10_000), "no token").await;
}

#[actix_web::test]
async fn the_public_key_is_no_shared_secret() {
    for algorithm in ["RS256", "EdDSA", "ES256"] {
        let app = TestApp::with(&[("PORTCULLIS_TOKEN_ALGORITHM", algorithm)]).await;
        let (ada, _) = app.token_member("ada@example.org").await;
        let token = ada.bearer.as_deref().unwrap();
        let claims = part(token, 1);
        let jwk = serde_json::to_value(app.state.keyring.signing_key().unwrap().jwk()).unwrap();
        // whatever of the public key a verifier might take for its secret
        let raw = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).unwrap();
        for secret in [raw("n"), raw("x"), [vec![4], raw("x"), raw("y")].concat(), jwk.to_string().into_bytes(), vec![]] {
            for confused in [Jwt::HS256, Jwt::HS384, Jwt::HS512] {
                let header = Header { typ: Some("at+jwt".into()), kid: jwk["kid"].as_str().map(str::to_owned), ..Header::new(confused) };
                is_refused(&app, &encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap(), algorithm).await;
            }
        }
    }
}

#[actix_web::test]
async fn a_key_that_comes_with_the_token_opens_nothing() {
    let app = TestApp::start().await;
    let (ada, _) = app.token_member("ada@example.org").await;
    let claims = part(ada.bearer.as_deref().unwrap(), 1);
    let ours = app.state.keyring.signing_key().unwrap();
    for algorithm in Algorithm::ALL {
        let der = algorithm.generate().unwrap();
        let foreign = SigningKey::from_der(algorithm, &der).unwrap();
        is_refused(&app, &foreign.sign("at+jwt", &claims).unwrap(), "under its own name").await;
        let (signing, jwt) = match algorithm {
            Algorithm::EdDsa => (EncodingKey::from_ed_der(&der), Jwt::EdDSA),
            Algorithm::Es256 => (EncodingKey::from_ec_der(&der), Jwt::ES256),
            Algorithm::Rs256 => (EncodingKey::from_rsa_der(&der), Jwt::RS256),
        };
        let plain = Header { typ: Some("at+jwt".into()), kid: Some(ours.id().into()), ..Header::new(jwt) };
        let mine = Some(foreign.jwk().clone());
        for header in [
            plain.clone(),
            Header { jwk: mine.clone(), ..plain.clone() },
            Header { jwk: mine, kid: None, ..plain.clone() },
            Header { jku: Some("https://evil.example/jwks.json".into()), ..plain.clone() },
            Header { x5u: Some("https://evil.example/chain.pem".into()), ..plain.clone() },
            Header { kid: Some("../../../../dev/null".into()), ..plain.clone() },
            Header { kid: Some("' OR 1=1 --".into()), ..plain.clone() },
            Header { kid: Some("token_signing".into()), ..plain.clone() },
            Header { kid: Some(String::new()), ..plain.clone() },
            Header { kid: None, ..plain },
        ] {
            is_refused(&app, &encode(&header, &claims, &signing).unwrap(), &format!("{header:?}")).await;
        }
    }
}

/// Signs with the service's own key: what else is wrong must be seen by itself.
fn signed(app: &TestApp, claims: &Value) -> String {
    app.state.keyring.signing_key().unwrap().sign("at+jwt", claims).unwrap()
}

#[actix_web::test]
async fn each_claim_must_be_there_and_right() {
    let app = TestApp::start().await;
    let (mut ada, _) = app.token_member("ada@example.org").await;
    let claims = part(ada.bearer.as_deref().unwrap(), 1);
    ada.bearer = Some(signed(&app, &claims));
    assert_eq!(ada.get("/v1/me").await.status, 200, "the unchanged one is good");
    for name in claims.as_object().unwrap().keys() {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(name);
        is_refused(&app, &signed(&app, &without), &format!("without {name}")).await;
        let mut empty = claims.clone();
        empty[name] = Value::Null;
        is_refused(&app, &signed(&app, &empty), &format!("{name} null")).await;
    }
    let now = claims["iat"].as_i64().unwrap();
    for (name, wrong) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!("https://localhost:8443/")),
        ("iss", json!(["https://localhost:8443", "https://evil.example"])),
        ("aud", json!("https://other.example")),
        ("aud", json!(["https://localhost:8443", "https://evil.example"])),
        ("client_id", json!("another")),
        ("sub", json!("ada@example.org")),
        ("sid", json!("01900000-0000-7000-8000-000000000000x")),
        ("exp", json!(now - 6)),
        ("exp", json!(now + 901)),
        ("exp", json!(i64::MAX)),
        ("exp", json!("2099")),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("iat", json!(now - 60)),
        ("acr", json!("aal3")),
        ("amr", json!("pwd")),
        ("authz_version", json!("1")),
    ] {
        let mut changed = claims.clone();
        changed[name] = wrong;
        is_refused(&app, &signed(&app, &changed), &format!("{name}: {}", changed[name])).await;
    }
}

#[actix_web::test]
async fn a_token_that_was_made_for_something_else_is_no_access_token() {
    let app = TestApp::start().await;
    let (ada, refresh) = app.token_member("ada@example.org").await;
    let claims = part(ada.bearer.as_deref().unwrap(), 1);
    let key = app.state.keyring.signing_key().unwrap();
    for typ in ["JWT", "jwt", "dpop+jwt", "logout+jwt", "at+jwt ", ""] {
        is_refused(&app, &key.sign(typ, &claims).unwrap(), typ).await;
    }
    is_refused(&app, &refresh, "the refresh token").await;

    // the same account, session and claims, of an installation with keys and a name of its own
    let staging = TestApp::with(&[("PORTCULLIS_PUBLIC_URL", "https://staging.example")]).await;
    let (stranger, _) = staging.token_member("ada@example.org").await;
    is_refused(&app, stranger.bearer.as_deref().unwrap(), "another environment").await;
    let mut here = claims.clone();
    here["iss"] = json!("https://staging.example");
    here["aud"] = json!("https://staging.example");
    is_refused(&app, &signed(&app, &here), "the same keys under another name").await;
    is_refused(&staging, &signed(&app, &here), "the same name with other keys").await;
}

#[actix_web::test]
async fn a_token_runs_out_to_the_second() {
    let app = TestApp::start().await;
    let (ada, _) = app.token_member("ada@example.org").await;
    let claims = part(ada.bearer.as_deref().unwrap(), 1);
    let exp = claims["exp"].as_i64().unwrap();
    assert_eq!(exp - claims["iat"].as_i64().unwrap(), 900);
    // five seconds for clocks that are apart, on both sides
    let to = |seconds: i64| app.clock.advance(Duration::seconds(seconds - app.clock.now().unix_timestamp()));
    to(exp + 3);
    assert_eq!(ada.get("/v1/me").await.status, 200);
    to(exp + 5);
    is_refused(&app, ada.bearer.as_deref().unwrap(), "over").await;
    to(claims["nbf"].as_i64().unwrap() - 4);
    assert_eq!(ada.get("/v1/me").await.status, 200);
    to(claims["nbf"].as_i64().unwrap() - 8);
    is_refused(&app, ada.bearer.as_deref().unwrap(), "not yet").await;
}

#[actix_web::test]
async fn a_token_does_not_outlive_a_role_that_ends() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let end = app.clock.now() + Duration::minutes(5);
    sqlx::query("INSERT INTO user_roles (user_id, role, granted_at, expires_at) SELECT id, 'auditor', $1, $2 FROM users")
        .bind(app.clock.now())
        .bind(end)
        .execute(&app.database.pool)
        .await
        .unwrap();
    let (ada, _) = app.token_sign_in("ada@example.org").await;
    let claims = part(ada.bearer.as_deref().unwrap(), 1);
    assert!(claims["scope"].as_str().unwrap().contains("audit:read"));
    assert!(claims["exp"].as_i64().unwrap() <= end.unix_timestamp(), "{claims}");
}
