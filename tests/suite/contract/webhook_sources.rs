//! Who may tell this service something is said by the settings: mistakes are told by name and without secrets, and production judges the
//! secrets like any other.

use crate::support::webhooks;
use portcullis::{
    settings::Settings,
    webhooks::inbound::{Effect, Keys},
};
use serde_json::{Value, json};

fn read(sources: &str) -> Result<Settings, String> {
    let values = [("PORTCULLIS_WEBHOOK_SOURCES".to_owned(), sources.to_owned())];
    Settings::from_map(values.into()).map_err(|error| error.to_string())
}

#[test]
fn sources_are_what_the_settings_say() {
    let inbound = read(&webhooks::sources()).unwrap().inbound;
    let hr = inbound.source("hr").unwrap();
    assert!(matches!(&hr.keys, Keys::Standard { secrets, public_keys } if secrets.len() == 2 && public_keys.is_empty()));
    assert_eq!((hr.effect, hr.max_bytes, hr.networks.len()), (Effect::Offboard, 65_536, 0));
    assert_eq!(inbound.source("keyed").unwrap().effect, Effect::Record);
    assert!(inbound.source("nobody").is_none());
    assert_eq!((inbound.tolerance.whole_seconds(), inbound.kept.whole_days(), inbound.attempts), (300, 30, 20));
    assert!(read("[]").unwrap().inbound.sources.is_empty());
}

#[test]
fn a_mistake_in_a_source_is_told_by_its_name_and_shows_no_secret() {
    let canary = "whsec_Y2FuYXJ5IGNhbmFyeSBjYW5hcnkgY2FuYXJ5";
    let github = json!({ "name": "hr", "scheme": "github", "secrets": ["canary-canary-canary"] });
    let standard = json!({ "name": "hr", "scheme": "standard", "secrets": [canary] });
    let with = |base: &Value, changed: Value| {
        let mut entry = base.clone();
        changed.as_object().unwrap().iter().for_each(|(name, value)| entry[name] = value.clone());
        json!([entry]).to_string()
    };
    for (sources, expected) in [
        ("{}".into(), "is not the JSON array"),
        (with(&standard, json!({ "secret": canary })), "is not the JSON array"),
        (with(&standard, json!({ "scheme": "none" })), "is not the JSON array"),
        (with(&standard, json!({ "name": "HR canary" })), "has a name at entry 1"),
        (with(&standard, json!({ "secrets": [] })), "has hr, which needs 1 to 4 secrets"),
        (with(&standard, json!({ "secrets": [canary, canary, canary, canary, canary] })), "needs 1 to 4 secrets"),
        (with(&standard, json!({ "secrets": ["canary"] })), "has hr, which must be whsec_"),
        (with(&standard, json!({ "secrets": ["whsec_Y2FuYXJ5"] })), "has hr, which must be whsec_"),
        (with(&standard, json!({ "public_keys": [canary] })), "has hr, which must be whpk_"),
        (with(&standard, json!({ "networks": ["everywhere"] })), "has a network that is not like"),
        (with(&standard, json!({ "networks": ["0.0.0.0/0"] })), "has a network of everybody"),
        (with(&standard, json!({ "max_bytes": 20_000_000 })), "has max_bytes that is not"),
        (with(&github, json!({ "secrets": ["canary"] })), "needs secrets of 16 to 500"),
        (with(&github, json!({ "public_keys": [canary] })), "which only the scheme standard has"),
        (with(&github, json!({ "effect": "offboard" })), "needs a scheme with a signed time"),
        (json!([standard, standard]).to_string(), "has hr twice"),
    ] {
        let told = read(&sources).err().unwrap_or_else(|| panic!("{sources}"));
        assert!(told.contains("PORTCULLIS_WEBHOOK_SOURCES ") && told.contains(expected), "{sources}: {told}");
        assert!(!told.contains("canary") && !told.contains("Y2FuYXJ5"), "{told}");
    }
}
