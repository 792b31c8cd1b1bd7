//! Passkeys of others' making: a software authenticator that knows WebAuthn and nothing of this service registers and signs in.

use crate::service::{Service, node, run};
use std::process::Command;

#[test]
fn a_software_authenticator_registers_and_signs_in_without_a_browser() {
    let service = Service::with(&[]);
    let password = service.administrator();
    let mut emulator = Command::new("node");
    emulator.arg("tests/interop/passkey.mjs").args([service.url.as_str(), "https://localhost:8443", "root@example.org", &password]);
    emulator.env("MAIL", service.mail()).env("NODE_EXTRA_CA_CERTS", service.authority()).env("MODULES", node());
    let said = run(&mut emulator);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["registered Emulator", "signed in aal2 pop mfa", "second factor"]);
}
