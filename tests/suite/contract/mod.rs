//! What is written down is true: the API document, the settings, the map of practices, the README.

mod access_matrix;
mod api_document;
mod check;
mod data_exposure;
mod errors;
mod event_details;
mod keys;
mod log_lines;
mod metrics;
mod practices;
pub mod production;
mod protocols;
mod quotas;
mod settings;
mod webhook_sources;
