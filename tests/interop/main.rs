//! Other people's programs judge the service as it is built: libraries that verify its tokens, a fuzzer, a TLS scanner, slow and
//! hostile clients; and a stand-in for AWS, with the feature `aws`.
//!
//! `cargo test --features aws,interop --test interop`; needs Node.js 20, npm, Python 3.11 with venv and their package registries on the
//! first run, and slowhttptest, h2load and oathtool (Debian: slowhttptest, nghttp2-client, oathtool). What is installed lies under `target/tmp/interop`.

mod certificates;
mod fuzzing;
mod http2;
mod inbound_webhooks;
mod one_time_passwords;
mod openid_provider;
mod passkeys;
mod provider;
mod scanners;
#[cfg(feature = "aws")]
mod secrets_manager;
mod service;
mod slow_clients;
#[expect(dead_code, reason = "the suite's, of which this needs a part")]
#[path = "../suite/support/mod.rs"]
mod support;
mod verifiers;
mod webhooks;
