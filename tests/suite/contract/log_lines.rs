//! The log is for machines: one JSON object a request, with the fields that alerts and searches are built on.

use crate::support::{app::TestApp, log};
use serde_json::Value;

#[actix_web::test]
async fn every_request_leaves_one_record_with_the_same_fields() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    for (path, route, status) in [("/v1/me", "/v1/me", 200), ("/go/assets/page.css?x=1", "/go/assets/{name}", 200), ("/nothing", "unmatched", 404)] {
        let id = ada.get(path).await.header("x-request-id").to_owned();
        let text = log::text();
        let records: Vec<Value> = text
            .lines()
            .filter(|line| line.contains(&id) && line.contains("\"message\":\"request\""))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [record] = &records[..] else { panic!("{path}: {records:?}") };
        assert_eq!((record["route"].as_str(), record["status"].as_u64()), (Some(route), Some(status)), "{record}");
        assert_eq!((record["method"].as_str(), record["client"].as_str(), record["level"].as_str()), (Some("GET"), Some("127.0.0.1"), Some("INFO")));
        assert!(record["milliseconds"].as_f64().is_some_and(|milliseconds| milliseconds > 0.0) && record["timestamp"].is_string(), "{record}");
        assert_eq!(record["path"].as_str(), path.split('?').next(), "without the query");
        assert_eq!(record["span"]["id"].as_str(), Some(id.as_str()));
        assert_eq!(record["code"].as_str(), (status == 404).then_some("NOT_FOUND"), "why it was refused");
    }
}
