//! Attacks that stay below every quota, or come from everywhere: what gives them away is what their refusals look like together. Each
//! raises one alert; what people do every day raises none.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use portcullis::{audit::alerts::Pattern, settings::list::SETTINGS};
use reqwest::Method;
use serde_json::{Value, json};

const TIGHT: [(&str, &str); 6] = [
    ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ("PORTCULLIS_ALERT_STUFFING_ACCOUNTS", "6"),
    ("PORTCULLIS_ALERT_SPRAYING_ACCOUNTS", "7"),
    ("PORTCULLIS_ALERT_SPREAD_NETWORKS", "6"),
    ("PORTCULLIS_ALERT_PROBED_THINGS", "6"),
    ("PORTCULLIS_OPERATOR_MAIL", "Operators <operators@example.org>"),
];

async fn fails(app: &TestApp, address: &str, name: &str) {
    let body = json!({ "email": format!("{name}@example.org"), "password": "the password of the year" });
    let answer = app.visitor().post_from(address, "/v1/auth/login", body).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
}

/// The alerts so far, the oldest first: which, about whom, with what.
async fn alerts(app: &TestApp) -> Vec<(String, Option<String>, Value)> {
    app.run_jobs().await;
    sqlx::query_as("SELECT event, subject::text, detail FROM audit_events WHERE event LIKE 'alert.%' ORDER BY id")
        .fetch_all(&app.database.pool)
        .await
        .unwrap()
}

async fn names(app: &TestApp) -> Vec<String> {
    alerts(app).await.into_iter().map(|(event, ..)| event).collect()
}

fn letters(app: &TestApp, pattern: &str) -> usize {
    app.letters_to("operators@example.org").iter().filter(|letter| letter.text.contains(pattern)).count()
}

#[actix_web::test]
async fn one_network_at_many_accounts_over_two_nodes_raises_one_alert_in_a_window_and_tells_the_operators() {
    let app = TestApp::with(&TIGHT).await;
    let other = app.node_with(&TIGHT).await;
    for n in 0..5 {
        fails([&app, &other][n % 2], "203.0.113.1", &format!("somebody{n}")).await;
    }
    other.run_jobs().await;
    assert_eq!(names(&app).await, Vec::<String>::new(), "not yet");
    fails(&other, "203.0.113.1", "somebody5").await;
    other.run_jobs().await;
    let raised = alerts(&app).await;
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].0.as_str(), raised[0].1.clone(), &raised[0].2["count"]), ("alert.credential_stuffing", None, &json!(6)));
    app.all_letters_sent().await;
    assert_eq!(letters(&app, "credential_stuffing"), 1);

    // it goes on, and is known
    for n in 0..6 {
        fails(&app, "203.0.113.1", &format!("somebody{n}")).await;
        fails(&app, "203.0.113.1", &format!("another{n}")).await;
    }
    assert_eq!(names(&app).await.len(), 1, "once in a window");
    app.clock.advance(time::Duration::minutes(17));
    for n in 0..6 {
        fails(&app, "203.0.113.1", &format!("somebody{n}")).await;
    }
    assert_eq!(names(&app).await.len(), 2, "and again in the next");

    // the request that it names leads to the address, in an event that is sealed
    let same = "SELECT count(*) FROM audit_events a JOIN audit_events r ON r.request = a.request
                WHERE a.event = 'alert.credential_stuffing' AND r.event = 'session.refused'";
    assert_eq!(app.count(same).await, 2);
}

#[actix_web::test]
async fn typing_errors_of_several_people_in_one_office_raise_none() {
    let app = TestApp::with(&TIGHT).await;
    for name in ["ada", "bob", "cyd", "dan"] {
        app.create_account(&format!("{name}@example.org")).await;
        for _ in 0..3 {
            fails(&app, "203.0.113.1", name).await;
        }
        // and one of them at home and on the way
        fails(&app, "198.51.100.7", "ada").await;
        fails(&app, "198.51.100.8", "ada").await;
        let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let own = app.visitor().post_from("203.0.113.1", "/v1/auth/login", body).await;
        assert_eq!(own.status, 200, "{}", own.text);
    }
    assert_eq!(names(&app).await, Vec::<String>::new());
    app.clock.advance(time::Duration::hours(3));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM alert_signals").await, 0, "and what was noticed is forgotten");
}

#[actix_web::test]
async fn one_account_from_many_networks_raises_an_alert_that_its_owner_can_read() {
    let app = TestApp::with(&TIGHT).await;
    let ada = app.member("ada@example.org").await;
    for n in 0..6 {
        fails(&app, &format!("203.0.113.{n}"), "ada").await;
    }
    let raised = alerts(&app).await;
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].0.as_str(), &raised[0].1), ("alert.address_spread", &Some(app.id_of("ada@example.org").await)));
    assert!(ada.get("/v1/me/events").await.text.contains("alert.address_spread"));
    // an address without an account is told of, too
    for n in 0..6 {
        fails(&app, &format!("203.0.113.{n}"), "nobody").await;
    }
    assert_eq!(names(&app).await.len(), 2);
}

/// The thief of a session wants the password, too, and asks from many addresses: half of them at the sign-in, half with the session.
#[actix_web::test]
async fn a_password_that_is_guessed_with_a_stolen_session_is_noticed_like_any_other() {
    let app = TestApp::with(&TIGHT).await;
    let ada = app.member("ada@example.org").await;
    let wrong = "the password of the year";
    let calls = [
        ("/v1/me/password", json!({ "current_password": wrong, "password": "slow copper rain on wide steps" })),
        ("/v1/auth/step-up", json!({ "password": wrong })),
        ("/v1/auth/step-up", json!({ "password": wrong })),
    ];
    for (n, (path, body)) in calls.into_iter().enumerate() {
        fails(&app, &format!("203.0.113.{n}"), "ada").await;
        assert_eq!(ada.post_from(&format!("198.51.100.{n}"), path, body).await.code(), "WRONG_PASSWORD", "{path}");
    }
    let raised = alerts(&app).await;
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].0.as_str(), &raised[0].1), ("alert.address_spread", &Some(app.id_of("ada@example.org").await)));
}

#[actix_web::test]
async fn many_accounts_from_many_networks_raise_one_alert_unless_as_many_sign_in() {
    for is_busy in [true, false] {
        let app = TestApp::with(&TIGHT).await;
        // who signs in to one account again and again hides nothing
        for n in 0..8 {
            let email = if is_busy { format!("honest{n}@example.org") } else { "mallory@example.org".into() };
            if is_busy || n == 0 {
                app.create_account(&email).await;
            }
            app.sign_in(&email).await;
        }
        for n in 0..8 {
            fails(&app, &format!("203.0.113.{n}"), &format!("somebody{n}")).await;
        }
        let expected: &[&str] = if is_busy { &[] } else { &["alert.password_spraying"] };
        assert_eq!(names(&app).await, expected, "busy: {is_busy}");
        assert_eq!(names(&app).await, expected, "once");
    }
}

#[actix_web::test]
async fn a_replayed_refresh_token_is_an_alert_and_its_owner_gets_a_letter() {
    let app = TestApp::with(&TIGHT).await;
    let (ada, first) = app.token_member("ada@example.org").await;
    let second = ada.exchange(&first).await.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(ada.exchange(&second).await.status, 200);
    assert_eq!(names(&app).await, Vec::<String>::new());
    assert_eq!(ada.exchange(&first).await.code(), "REFRESH_TOKEN_REPLAYED");
    let raised = alerts(&app).await;
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].0.as_str(), &raised[0].1), ("alert.refresh_theft", &Some(app.id_of("ada@example.org").await)));
    app.all_letters_sent().await;
    assert!(app.letters_to("ada@example.org").iter().any(|letter| letter.text.contains("used twice")));
    assert_eq!(letters(&app, "refresh_theft"), 1);
}

#[actix_web::test]
async fn somebody_who_tries_every_door_is_noticed_and_somebody_who_knocks_at_one_is_not() {
    let app = TestApp::with(&TIGHT).await;
    let (ada, mallory) = (app.member("ada@example.org").await, app.member("mallory@example.org").await);
    for _ in 0..20 {
        assert_eq!(ada.get("/v1/me/export").await.status, 404, "a page that waits for its export");
    }
    assert_eq!(ada.get("/v1/users").await.status, 403);
    assert_eq!(names(&app).await, Vec::<String>::new());
    for path in ["/v1/users", "/v1/roles", "/v1/permissions", "/v1/invitations", "/v1/audit/events", "/v1/admin"] {
        let status = mallory.get(path).await.status.as_u16();
        assert!([403, 404].contains(&status), "{path}: {status}");
    }
    let raised = alerts(&app).await;
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].0.as_str(), &raised[0].1), ("alert.permission_probing", &Some(app.id_of("mallory@example.org").await)));
}

#[actix_web::test]
async fn a_foreign_page_raises_no_alert_about_its_visitor_and_a_token_is_nobodys_visitor() {
    let app = TestApp::with(&[TIGHT.as_slice(), &[("PORTCULLIS_CORS_ORIGINS", "https://app.example")]].concat()).await;
    let ada = app.member("ada@example.org").await;
    let (eve, _) = app.token_member("eve@example.org").await;
    let tries = async |actor: &Actor<'_>, headers: &[(&str, &str)]| {
        for n in 0..6 {
            let request = actor.request(Method::GET, &format!("/v1/admin{n}"));
            let answer = Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await;
            assert_eq!(answer.status, 404, "{}", answer.text);
        }
    };
    for foreign in [
        [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")],
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        [("sec-fetch-site", "same-site"), ("origin", "https://sibling.example")],
    ] {
        tries(&ada, &foreign).await;
        assert_eq!(names(&app).await, Vec::<String>::new(), "{foreign:?}");
    }
    tries(&eve, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(names(&app).await, ["alert.permission_probing"], "with a token it is its holder");
    tries(&ada, &[("sec-fetch-site", "same-site"), ("origin", "https://app.example")]).await;
    assert_eq!(names(&app).await.len(), 2, "our own pages are the person");
}

#[actix_web::test]
async fn operators_get_few_letters_however_many_alerts_there_are() {
    let app = TestApp::with(&TIGHT).await;
    let attacked = async |victims: &[&str]| {
        for (victim, n) in victims.iter().flat_map(|victim| (0..6).map(move |n| (victim, n))) {
            fails(&app, &format!("203.0.113.{n}"), victim).await;
        }
        let spread = names(&app).await.iter().filter(|name| *name == "alert.address_spread").count();
        app.all_letters_sent().await;
        (spread, letters(&app, "address_spread"))
    };
    // addresses that are made up to use the letters up raise alerts, and no letter
    assert_eq!(attacked(&["made", "up", "names"]).await, (3, 0));
    for victim in ["one", "two", "three", "four"] {
        app.create_account(&format!("{victim}@example.org")).await;
    }
    assert_eq!(attacked(&["one", "two", "three", "four"]).await, (7, 2));
}

#[test]
fn every_pattern_has_a_setting_and_a_row_in_the_documents() {
    let page = std::fs::read_to_string("docs/rate-limits.md").unwrap();
    let thresholds = portcullis::settings::Settings::from_map([].into()).map_err(|error| error.to_string()).unwrap().alerts.thresholds;
    for pattern in Pattern::ALL {
        assert!(SETTINGS.iter().any(|known| known.name == pattern.setting()));
        let (about, minutes) = (pattern.about().trim_end_matches('.'), pattern.window().whole_minutes());
        let row = format!("| `{}` | {about} | {} | {minutes} min | `{}` |", pattern.name(), pattern.number(&thresholds), pattern.setting());
        assert!(page.contains(&row), "missing in docs/rate-limits.md:\n{row}");
    }
}
