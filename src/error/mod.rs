//! The one shape of every refusal: a closed list of codes, each with its status and its public text. What went wrong inside
//! goes to the log under the request's id, never into the answer.
//!
//! Practices 8.no-leak, 8.envelope, 4.retry-after. Attacks: `tests/suite/attacks/s08_errors/`, `tests/suite/attacks/s04_rate_limits/`.

mod code;

pub use code::ErrorCode;

use crate::platform::{db, keyring::KeyringError, telemetry};
use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, ContentType, HeaderName, HeaderValue},
    },
};
use serde::Serialize;
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};
use uuid::Uuid;

/// How soon a caller may try again when a dependency is away.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What is wrong with one field. Never repeats what was sent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field, by its path in the body.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f]+$", example = "password")]
    pub field: String,
    /// What is wrong with it.
    #[schema(min_length = 1, max_length = 500, pattern = r"^[^\x00-\x1f\x7f]+$", example = "is shorter than 15 characters")]
    pub reason: Cow<'static, str>,
}

/// The body of every refusal.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ErrorEnvelope {
    error: ErrorBody,
}

/// What went wrong.
#[derive(Clone, Serialize, utoipa::ToSchema)]
struct ErrorBody {
    /// The stable code.
    #[schema(value_type = ErrorCode, example = "INVALID")]
    code: &'static str,
    /// For people.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f]+$")]
    message: &'static str,
    /// The page that says what the code means and what a client should do; served by this service.
    #[schema(format = "uri", max_length = 300, example = "https://localhost:8443/docs/errors#invalid")]
    docs: String,
    /// The request's id, as in `x-request-id` and in the log. Missing where requests are not logged: on the
    /// operators' listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
    /// What proof of who one is the call needs, with `STEP_UP_REQUIRED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    step_up: Option<StepUpBody>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 200)]
    fields: Vec<FieldError>,
}

/// What proof of who one is a call needs.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
struct StepUpBody {
    /// The authenticator assurance level: `aal2` is a second factor.
    #[schema(value_type = AssuranceLevel)]
    acr: &'static str,
    /// The proof may be so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 3600, example = 600, nullable = false)]
    max_age: Option<u64>,
}

/// An authenticator assurance level (NIST SP 800-63B-4).
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum AssuranceLevel {
    /// One factor.
    Aal1,
    /// Two.
    Aal2,
}

/// A proof of who one is that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepUp {
    /// The authenticator assurance level, 1 or 2.
    pub assurance: i16,
    /// It may be this old; `None`: as old as the session keeps the level.
    pub max_age: Option<time::Duration>,
}

impl StepUp {
    fn body(self) -> StepUpBody {
        let acr = if self.assurance >= 2 { "aal2" } else { "aal1" };
        StepUpBody { acr, max_age: self.max_age.map(|age| age.unsigned_abs().as_secs()) }
    }

    /// RFC 9470 §3, and RFC 9110 §11.6.1.
    fn challenge(self) -> String {
        let StepUpBody { acr, max_age } = self.body();
        let max_age = max_age.map_or_else(String::new, |age| format!(r#", max_age="{age}""#));
        format!(r#"Bearer realm="portcullis", error="insufficient_user_authentication", acr_values="{acr}"{max_age}, Session realm="portcullis""#)
    }
}

/// What is left of a quota (draft-ietf-httpapi-ratelimit-headers-10).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// How much a quota is, in how many seconds (the same draft).
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A quota, as callers are told of it.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Its stable name.
    pub quota: &'static str,
    /// The most in a window.
    pub number: u32,
    /// The window; zero: it is a number at once.
    pub window: Duration,
}

impl Limit {
    /// The two fields: `left` of it, and all of it again in `reset` seconds.
    #[must_use]
    pub fn fields(&self, left: u32, reset: u64) -> Vec<(HeaderName, HeaderValue)> {
        let Self { quota, number, window } = self;
        let state = format!("\"{quota}\";r={left};t={reset}");
        let unit = if window.is_zero() { r#"qu="concurrent-requests""#.into() } else { format!("w={}", rounded_up(*window)) };
        let policy = format!("\"{quota}\";q={number};{unit}");
        // names of quotas are ASCII: nothing is left out
        [(RATE_LIMIT, state), (RATE_LIMIT_POLICY, policy)].into_iter().filter_map(|(name, text)| Some((name, text.try_into().ok()?))).collect()
    }
}

/// A quota that is used up, for so long.
#[derive(Debug, Clone, Copy)]
pub struct Exhausted {
    /// Which.
    pub limit: Limit,
    /// Until there is room again.
    pub wait: Duration,
}

/// In seconds: a caller that waits this long must not be refused again.
fn rounded_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: ErrorCode,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    limit: Option<Limit>,
    step_up: Option<StepUp>,
    source: Option<Arc<anyhow::Error>>,
}

/// Marks an answer that carries the envelope already, and with which code.
#[derive(Clone, Copy)]
pub struct Enveloped(pub ErrorCode);

/// The body of a refusal, while the edge has still something to say in it.
struct Draft(ErrorBody);

/// Says in a refusal where its code is explained and which request it is about. A refusal that is complete stays as it is.
#[must_use]
pub fn complete(mut response: HttpResponse, public_url: &str, request_id: Option<Uuid>) -> HttpResponse {
    let draft = response.extensions_mut().remove::<Draft>();
    let Some(Draft(mut error)) = draft else { return response };
    error.docs.insert_str(0, public_url);
    error.request_id = request_id;
    response.set_body(envelope(error))
}

fn envelope(error: ErrorBody) -> BoxBody {
    // texts and numbers only: there is nothing to fail
    BoxBody::new(serde_json::to_vec(&ErrorEnvelope { error }).unwrap_or_default())
}

impl ApiError {
    /// A refusal with nothing to add.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        let retry_after = (code == ErrorCode::Unavailable).then_some(TRY_AGAIN);
        Self { code, fields: Vec::new(), retry_after, limit: None, step_up: None, source: None }
    }

    /// A refusal of single fields.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(ErrorCode::Invalid) }
    }

    /// A refusal of one field.
    #[must_use]
    pub fn invalid_field(field: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), reason: reason.into() }])
    }

    /// The person must show once more who they are.
    #[must_use]
    pub fn step_up(missing: StepUp) -> Self {
        Self { step_up: Some(missing), ..Self::new(ErrorCode::StepUpRequired) }
    }

    /// A quota is used up.
    #[must_use]
    pub fn rate_limited(exhausted: Exhausted) -> Self {
        Self { retry_after: Some(exhausted.wait), limit: Some(exhausted.limit), ..Self::new(ErrorCode::RateLimited) }
    }

    /// Our mistake; the cause goes to the log.
    #[must_use]
    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        Self { source: Some(Arc::new(source.into())), ..Self::new(ErrorCode::Internal) }
    }

    /// A dependency's fault; the cause goes to the log.
    #[must_use]
    pub fn unavailable(source: impl Into<anyhow::Error>) -> Self {
        Self { source: Some(Arc::new(source.into())), ..Self::new(ErrorCode::Unavailable) }
    }

    /// What is wrong with which fields.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

/// For the log only: the code and the whole chain of causes.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {}", telemetry::causes(source)))
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut builder = HttpResponse::build(self.code.status());
        if let Some(wait) = self.retry_after {
            builder.insert_header((header::RETRY_AFTER, rounded_up(wait)));
            let fields = self.limit.map(|limit| limit.fields(0, rounded_up(wait)));
            fields.into_iter().flatten().for_each(|field| _ = builder.append_header(field));
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1 demands a challenge; these schemes open no password dialog. RFC 6750 §3.1 names the error. In one line:
            // nginx's auth_request hands on the first one only
            let challenges = match (self.code, self.step_up) {
                (_, Some(missing)) => missing.challenge(),
                (ErrorCode::InvalidToken, _) => r#"Bearer realm="portcullis", error="invalid_token", Session realm="portcullis""#.to_owned(),
                _ => r#"Bearer realm="portcullis", Session realm="portcullis""#.to_owned(),
            };
            builder.insert_header((header::WWW_AUTHENTICATE, challenges));
        }
        if self.code == ErrorCode::Timeout {
            // what is left of the request must not be read as the next one
            builder.force_close();
        }
        let body = ErrorBody {
            code: self.code.name(),
            message: self.code.message(),
            docs: format!("/docs/errors#{}", self.code.anchor()),
            request_id: None,
            step_up: self.step_up.map(StepUp::body),
            fields: self.fields.clone(),
        };
        let mut response = builder.content_type(ContentType::json()).body(envelope(body.clone()));
        response.extensions_mut().insert(Enveloped(self.code));
        response.extensions_mut().insert(Draft(body));
        response
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        if db::is_unavailable(&error) { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<KeyringError> for ApiError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Database(error) => error.into(),
            other => Self::internal(other),
        }
    }
}
