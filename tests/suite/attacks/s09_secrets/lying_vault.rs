//! Whoever answers in Vault's place: sends elsewhere, answers without end, or is somebody else. They get no token that was not theirs, and
//! nothing starts with what they say.

use crate::{
    journeys::the_binary::{fails, portcullis},
    support::vault::{SECRET, Vault},
};
use portcullis::{platform::clock::Clock, server::tls::Identity};
use serde_json::json;
use std::fs;

fn start(vault: &Vault, changed: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let token = vault.token(&[SECRET]);
    let mut command = portcullis(folder.path());
    command.envs([("PORTCULLIS_VAULT_URL", &*vault.url), ("PORTCULLIS_VAULT_TOKEN", &*token), ("PORTCULLIS_SECRETS_WAIT_SECONDS", "0")]);
    let told = fails(command.env("REDIS_URL", "vault:secret/portcullis#redis").envs(changed.iter().copied()));
    assert!(!told.contains(&token), "{told}");
    told
}

#[test]
fn a_token_does_not_follow_where_vault_sends() {
    let (vault, thief) = (Vault::start(), Vault::start());
    vault.inside().instead = Some(format!("HTTP/1.1 307 x\r\nlocation: {}/v1/{SECRET}\r\ncontent-length: 0\r\n\r\n", thief.url).into_bytes());
    let told = start(&vault, &[]);
    assert!(told.contains("Vault sends elsewhere (307)"), "{told}");
    assert_eq!(thief.inside().asked.len(), 0);
    // nor through a proxy that the environment names
    vault.inside().instead = None;
    vault.put("", SECRET, json!({ "redis": "none" }));
    let before = vault.inside().asked.len();
    start(&vault, &[("HTTP_PROXY", &thief.url), ("http_proxy", &thief.url), ("ALL_PROXY", &thief.url)]);
    assert_eq!((thief.inside().asked.len(), vault.inside().asked.len() - before), (0, 2));
}

#[test]
fn answers_without_end_or_sense_are_given_up() {
    let vault = Vault::start();
    let answer =
        |body: &str| format!("HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
    for (instead, expected) in [
        (answer(&format!("{{\"data\":{{\"ttl\":0,\"x\":\"{}\"}}}}", "x".repeat(2 << 20))), "more than 1 MiB"),
        (answer("<html>canary</html>"), "says nothing of the token"),
        (answer("{\"data\":{\"ttl\":-1}}"), "says nothing of the token"),
        // a life that no clock can count
        (answer("{\"data\":{\"ttl\":18446744073709551615,\"redis\":\"redis://canary\"}}"), "was deleted"),
        // of a store of version 1: the fields themselves
        (answer("{\"data\":{\"ttl\":0,\"redis\":\"redis://canary\"}}"), "was deleted"),
        (b"HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{\"data\":".to_vec(), "cannot be reached"),
        (b"canary\r\n\r\n".to_vec(), "cannot be reached"),
    ] {
        vault.inside().instead = Some(instead);
        let told = start(&vault, &[]);
        assert!(told.contains(expected) && !told.contains("canary"), "{expected}: {told}");
    }
}

#[test]
fn a_server_that_the_authority_does_not_vouch_for_is_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| {
        fs::create_dir(folder.path().join(name)).unwrap();
        Identity::for_development(&folder.path().join(name), &Clock::system()).unwrap()
    };
    let vault = Vault::proving(Some(of("theirs")));
    drop(of("ours"));
    for authority in ["", folder.path().join("ours/ca.pem").to_str().unwrap()] {
        let told = start(&vault, &[("PORTCULLIS_VAULT_CA_FILE", authority)]);
        assert!(told.contains("Vault cannot be reached"), "{told}");
    }
    assert_eq!(vault.inside().asked.len(), 0);
    let authority = folder.path().join("theirs/ca.pem");
    let told = start(&vault, &[("PORTCULLIS_VAULT_CA_FILE", authority.to_str().unwrap())]);
    assert!(told.contains("is not there (404)"), "{told}");
}

#[test]
fn a_name_leads_to_no_other_place_of_vaults() {
    let vault = Vault::start();
    for name in [
        "vault:secret/../sys/mounts#a",
        "vault:secret/a/../../../sys/mounts#a",
        "vault:secret/a?list=true#a",
        "vault:secret/%2e%2e/a#a",
        "vault:secret//a#a",
    ] {
        let told = start(&vault, &[("REDIS_URL", name)]);
        assert!(told.contains("REDIS_URL must be vault:mount/path#field"), "{name}: {told}");
    }
    assert_eq!(vault.inside().asked.len(), 0);
}
