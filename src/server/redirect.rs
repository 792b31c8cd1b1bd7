//! The clear-text listener: sends people to HTTPS, at the public URL and nowhere else. Calls of the API are refused instead of
//! redirected, so that a client with a wrong address fails on its first call and not on the first eavesdropper (ASVS 5.0 4.1.2).
//! Practice 7.redirect. Attacks: `tests/suite/attacks/s07_tls/`.

use crate::{
    error::{ApiError, ErrorCode},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, ResponseError, http::header::LOCATION, web::Data};

pub(super) async fn redirect(request: HttpRequest, state: Data<State>) -> HttpResponse {
    if request.path().starts_with("/v1/") {
        return ApiError::new(ErrorCode::HttpsRequired).error_response();
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    // `OPTIONS *` and the like have no path to keep
    let target = if target.starts_with('/') { target } else { "/" };
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{}{target}", state.settings.public_url))).finish()
}
