//! A session that is carried by tokens, from signing in to signing out.

use crate::support::app::{Answer, PASSWORD, TestApp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

pub fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

#[actix_web::test]
async fn a_client_with_a_place_of_its_own_keeps_the_refresh_token_itself() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "transport": "token", "refresh_in": "body" });
    let answer = app.visitor().post("/v1/auth/login", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.cookie().is_none() && answer.cookie_named("__Secure-portcullis-refresh").is_none());
    let tokens = answer.json();
    assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_i64()), (Some("Bearer"), Some(900)));
    let mut ada = app.visitor();
    ada.bearer = tokens["access_token"].as_str().map(str::to_owned);
    let me = ada.get("/v1/me").await.json();
    assert_eq!(me["email"], "ada@example.org");
    assert_eq!(ada.patch("/v1/me", json!({ "name": "Countess" })).await.status, 200, "no CSRF token: there is no cookie");

    let access = ada.bearer.clone().unwrap();
    let (header, claims) = (part(&access, 0), part(&access, 1));
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("EdDSA")));
    let known: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["iss", "sub", "aud", "client_id", "exp", "nbf", "iat", "jti", "sid", "auth_time", "acr", "amr", "scope", "authz_version"];
    assert!(expected.iter().all(|name| known.contains(name)) && known.len() == expected.len(), "{known:?}");
    assert_eq!((&claims["sub"], &claims["sid"]), (&me["id"], &tokens["session_id"]));
    assert_eq!(
        (claims["acr"].as_str(), &claims["amr"], claims["scope"].as_str()),
        (Some("aal1"), &json!(["pwd"]), Some("documents:read documents:write"))
    );

    let senseless = json!({ "email": "ada@example.org", "password": PASSWORD, "refresh_in": "body" });
    assert_eq!(app.visitor().post("/v1/auth/login", senseless).await.code(), "INVALID", "a cookie session has no refresh token");

    let next = ada.exchange(tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(next.status, 200, "{}", next.text);
    assert_eq!(next.json()["session_id"], tokens["session_id"]);
    assert_eq!(next.json()["expires_at"], tokens["expires_at"], "the absolute end does not move");
    assert_ne!(next.json()["refresh_token"], tokens["refresh_token"]);
    let devices = ada.get("/v1/me/sessions").await.json();
    assert_eq!((devices["items"][0]["transport"].as_str(), devices["items"][0]["is_current"].as_bool()), (Some("token"), Some(true)));

    assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
    assert_eq!(ada.get("/v1/me").await.code(), "INVALID_TOKEN");
    let over = ada.exchange(next.json()["refresh_token"].as_str().unwrap()).await;
    assert_eq!((over.status.as_u16(), over.code().as_str()), (401, "INVALID_REFRESH_TOKEN"));
}

#[actix_web::test]
async fn a_page_keeps_the_refresh_token_in_a_cookie() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let mut page = app.visitor();
    let answer = page.sign_in_by_page("ada@example.org").await;
    assert!(answer.json().get("refresh_token").is_none(), "{}", answer.text);
    let first = page.refresh.clone();
    let next = page.post("/v1/auth/token/refresh", json!({})).await;
    assert!(next.status == 200 && next.json().get("refresh_token").is_none(), "{}", next.text);
    page.refresh = next.cookie_named("__Secure-portcullis-refresh");
    assert!(page.refresh.is_some() && page.refresh != first);
    page.bearer = next.json()["access_token"].as_str().map(str::to_owned);
    assert_eq!(page.get("/v1/me").await.status, 200);

    // whoever signs in anew in the same browser leaves no session behind that nobody holds
    let mut again = app.visitor();
    again.refresh = page.refresh.clone();
    again.sign_in_by_page("ada@example.org").await;
    assert_eq!(page.get("/v1/me").await.code(), "INVALID_TOKEN");

    let (ada, _) = app.token_sign_in("ada@example.org").await;
    let out = ada.post("/v1/auth/logout", json!({})).await;
    let removal = out.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).find(|set| set.starts_with("__Secure-"));
    assert!(removal.is_some_and(|set| set.contains("Max-Age=0") && set.contains("Path=/v1/auth")), "{removal:?}");
}

#[actix_web::test]
async fn every_algorithm_signs_and_its_public_key_is_published() {
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        let app = TestApp::with(&[("PORTCULLIS_TOKEN_ALGORITHM", algorithm)]).await;
        let (ada, _) = app.token_member("ada@example.org").await;
        assert_eq!(ada.get("/v1/me").await.status, 200);
        let header = part(ada.bearer.as_deref().unwrap(), 0);
        let answer = app.visitor().get("/.well-known/jwks.json").await;
        assert_eq!(answer.header("content-type"), "application/jwk-set+json");
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let set = answer.json();
        let keys = set["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2, "the one that signs and the next one");
        let key = keys.iter().find(|key| key["kid"] == header["kid"]).expect("the key that signed");
        assert_eq!((header["alg"].as_str(), key["alg"].as_str(), key["use"].as_str()), (Some(algorithm), Some(algorithm), Some("sig")));
        assert!(key.get("d").is_none());
        let known = app.visitor().request(Method::GET, "/.well-known/jwks.json").header("if-none-match", answer.header("etag"));
        let known = Answer::of(known).await;
        assert!(known.status == 304 && known.text.is_empty() && known.header("cache-control") == "public, max-age=300", "{known:?}");
    }
}

#[actix_web::test]
async fn a_proxy_asks_whether_a_token_is_good() {
    let app = TestApp::start().await;
    let mut auditor = app.member_with("ada@example.org", "auditor").await;
    let cookie_only = auditor.get("/v1/auth/verify").await;
    assert_eq!((cookie_only.status.as_u16(), cookie_only.code().as_str()), (401, "INVALID_TOKEN"), "a cookie needs its CSRF check");
    auditor = app.token_sign_in("ada@example.org").await.0;
    let good = auditor.get("/v1/auth/verify").await;
    assert_eq!((good.status.as_u16(), good.text.as_str()), (200, ""));
    assert_eq!(good.header("x-auth-subject"), app.id_of("ada@example.org").await);
    assert_eq!(
        (good.header("x-auth-assurance"), good.header("x-auth-scope")),
        ("1", "users:read roles:read audit:read documents:read documents:write")
    );
    assert_eq!(good.header("cache-control"), "no-store");
    assert_eq!(auditor.get("/v1/auth/verify?permission=audit:read").await.status, 200);
    assert_eq!(auditor.get("/v1/auth/verify?permission=roles:manage").await.code(), "FORBIDDEN");
    for typo in ["audit:raed", "AUDIT:READ", ""] {
        let answer = auditor.get(&format!("/v1/auth/verify?permission={typo}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "INVALID"),
            "{typo}: a proxy that asks wrongly must not look like one that refuses"
        );
        assert_eq!(answer.json()["error"]["fields"][0]["field"], "permission", "{}", answer.text);
    }
    assert_eq!(app.visitor().get("/v1/auth/verify").await.code(), "UNAUTHENTICATED");
}
