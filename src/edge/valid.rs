//! Bodies and queries that a handler may trust: the right media type, size and shape (serde, unknown and duplicate fields refused), then
//! each field's own rules (garde). A refusal names fields and reasons and never repeats what was sent.
//! Practices 3.body, 3.query, 3.schema, 3.descriptive-errors, 3.nosql-operator, 4.dos.
//! Attacks: `tests/suite/attacks/s03_validation/`.

use crate::{
    error::{ApiError, ErrorCode, FieldError},
    state::State,
};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::QueryPayloadError,
    http::header::{self, HeaderMap},
    web::{Data, Json, Query},
};
use futures_util::{StreamExt, future::LocalBoxFuture};
use garde::{Path, Report, Validate};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use std::{
    future::{Ready, ready},
    str::FromStr,
};

/// A validated `E`: [`Json`] or [`Query`].
pub struct Valid<E>(pub E);

impl<T: DeserializeOwned + Validate<Context = ()>> FromRequest for Valid<Query<T>> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let value = Query::<T>::from_query(request.query_string()).map_err(|error| {
            let QueryPayloadError::Deserialize(inner) = error else { return ApiError::new(ErrorCode::Malformed) };
            ApiError::invalid(vec![explain(".".into(), &inner.to_string(), "query")])
        });
        ready(value.and_then(|value| value.validate().map(|()| Self(value)).map_err(|report| refuse_fields(&report))))
    }
}

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> FromRequest for Valid<Json<T>> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let limit = request.app_data::<Data<State>>().map_or(0, |state| state.settings.body_limit);
            check_media_type(request.headers())?;
            let body = read(&mut payload, limit).await?;
            let value: T = parse(&body)?;
            value.validate().map_err(|report| refuse_fields(&report))?;
            Ok(Self(Json(value)))
        })
    }
}

/// `application/json`, with no parameter but UTF-8, and not compressed: a small body must not grow into a large one.
fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let (media_type, parameter) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let is_json = media_type.trim() == "application/json" && matches!(parameter.trim(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    let is_plain = headers.get_all(header::CONTENT_ENCODING).all(|encoding| encoding == "identity");
    if is_json && is_plain { Ok(()) } else { Err(ApiError::new(ErrorCode::UnsupportedMediaType)) }
}

/// Counts what arrives, not what was announced.
async fn read(payload: &mut Payload, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::new(ErrorCode::Malformed))?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::new(ErrorCode::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // serde would take an array for a struct, its items by position
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::invalid_field("body", "must be an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() { ApiError::invalid(vec![explain(path, &inner.to_string(), "body")]) } else { ApiError::new(ErrorCode::Malformed) }
    })?;
    deserializer.end().map_err(|_| ApiError::new(ErrorCode::Malformed))?;
    Ok(value)
}

/// serde's message, reduced to what it says about our types: names of known fields and expected kinds. The rest may be input.
fn explain(path: String, message: &str, whole: &str) -> FieldError {
    let named = |start: &str| message.strip_prefix(start).and_then(|rest| rest.split('`').next()).map(str::to_owned);
    let expected = message.rsplit_once("expected ").map(|(_, rest)| rest.split(" at line ").next().unwrap_or_default().replace('`', ""));
    let within = |field: String| if path == "." { field } else { format!("{path}.{field}") };
    if let Some(field) = named("missing field `") {
        return FieldError { field: within(field), reason: "is missing".into() };
    }
    if let Some(field) = named("duplicate field `") {
        return FieldError { field: within(field), reason: "occurs twice".into() };
    }
    match expected {
        Some(expected) if message.starts_with("unknown field") => {
            FieldError { field: whole.into(), reason: format!("has an unknown field; known: {}", expected.trim_start_matches("one of ")).into() }
        }
        Some(expected) if message.starts_with("invalid type") => {
            FieldError { field: if path == "." { whole.into() } else { path }, reason: format!("must be {}", plain_kind(&expected)).into() }
        }
        _ => FieldError { field: if path == "." { whole.into() } else { path }, reason: "is not valid".into() },
    }
}

/// serde's words for kinds, in JSON's.
fn plain_kind(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        kind if kind.starts_with("struct ") => "an object",
        kind => kind,
    }
}

fn refuse_fields(report: &Report) -> ApiError {
    ApiError::invalid(report.iter().map(|(path, error)| FieldError { field: path.to_string(), reason: error.message().to_owned().into() }).collect())
}

/// A field of a room's own type. Parsed once, while the body is read; a refusal waits until garde has looked at all fields, so
/// that one answer names everything that is wrong.
pub struct Field<T>(Result<T, &'static str>);

impl<T> Field<T> {
    /// The value. After validation there is one.
    ///
    /// # Errors
    /// The refusal that validation would have given.
    pub fn take(self, name: &str) -> Result<T, ApiError> {
        self.0.map_err(|reason| ApiError::invalid_field(name, reason))
    }
}

impl<'de, T: FromStr<Err = &'static str>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.parse()))
    }
}

impl<T> Validate for Field<T> {
    type Context = ();

    fn validate_into(&self, (): &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        if let Err(reason) = &self.0 {
            report.append(parent(), garde::Error::new(*reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "read by serde")]
        name: String,
    }

    fn reason(body: &str) -> String {
        match parse::<Body>(body.as_bytes()) {
            Ok(_) => "fine".into(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn reasons_name_fields_and_repeat_no_input() {
        assert_eq!(reason(r#"{"name":"x"}"#), "fine");
        for (body, expected) in [
            ("{}", r#"field: "name", reason: "is missing""#),
            (r#"{"name":"a","name":"b"}"#, r#"field: "name", reason: "occurs twice""#),
            (r#"{"name":"a","canary":1}"#, r#"field: "body", reason: "has an unknown field; known: name""#),
            (r#"{"name":{"$ne":"canary"}}"#, r#"field: "name", reason: "must be a string""#),
            (r#""canary""#, r#"field: "body", reason: "must be an object""#),
            (r#"["canary"]"#, r#"field: "body", reason: "must be an object""#),
            ("{", "code: Malformed"),
            (r#"{"name":"x"} canary"#, "code: Malformed"),
            ("{\"name\":\"\u{0}\"}", "code: Malformed"),
        ] {
            let reason = reason(body);
            assert!(reason.contains(expected) && !reason.contains("canary"), "{body}: {reason}");
        }
        assert!(parse::<Body>(b"{\"name\":\"\xff\"}").is_err());
        assert!(parse::<Body>("[".repeat(100_000).as_bytes()).is_err());
    }
}
