//! The clear-text listener: sends everybody to HTTPS, at the public URL and nowhere else, and answers challenges of the certificate
//! authority. Where the settings say so, calls of the API are refused instead of redirected, so that a client with a wrong address
//! fails on its first call and not on the first eavesdropper (ASVS 5.0 4.1.2).
//! Practice 7.redirect. Attacks: `tests/suite/attacks/s07_tls/clear_text.rs`.

use super::tls::acme::Challenges;
use crate::{
    error::{ApiError, ErrorCode},
    state::State,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::LOCATION,
    web::{self, Data, Path, ServiceConfig},
};

pub(super) fn configure(config: &mut ServiceConfig, challenges: Option<Challenges>) {
    if let Some(challenges) = challenges {
        config.app_data(Data::new(challenges)).route("/.well-known/acme-challenge/{token}", web::get().to(challenge));
    }
    config.default_service(web::to(redirect));
}

/// RFC 8555 §8.3.
async fn challenge(token: Path<String>, challenges: Data<Challenges>) -> Result<HttpResponse, ApiError> {
    let answer = challenges.answer(&token).ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(answer))
}

async fn redirect(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let settings = &state.settings;
    if request.path().starts_with("/v1/") && settings.redirecting.is_some_and(|http| http.refuses_calls) {
        return Err(ApiError::new(ErrorCode::HttpsRequired));
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    // `OPTIONS *` and the like have no path to keep
    let target = if target.starts_with('/') { target } else { "/" };
    Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{}{target}", settings.public_url))).finish())
}
