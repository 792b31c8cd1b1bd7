//! The attacks, by section of the guide, one file each. Every one has been seen to succeed with its control taken away.

mod s01_authorization;
mod s02_credentials;
mod s03_validation;
mod s04_rate_limits;
mod s05_headers;
mod s06_cors;
mod s07_tls;
mod s08_errors;
mod s09_secrets;
mod s10_access_control;
mod s11_webhooks;
mod s13_csrf;
mod s14_sessions;
mod s15_broken_authentication;
