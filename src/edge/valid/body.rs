//! Bodies: `Valid<Json<T>>`.

use crate::{
    access::Principal,
    edge::{
        guard::ensure_still_in,
        valid::{
            Object, Valid,
            faults::{Faults, expected, explain, named},
            header::single,
            shape::Shape,
        },
    },
    error::{ApiError, ErrorCode, FieldError},
    state::State,
};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
    web::{Data, Json},
};
use futures_util::{StreamExt, future::LocalBoxFuture};
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};
use time::Duration;

/// Most faults of one body that are looked for.
pub const MAX_FAULTS: usize = 20;

/// A body that takes this long is late.
const LATE: Duration = Duration::SECOND;

/// Longest `Content-Type` that is looked at, in bytes.
const MAX_MEDIA_TYPE: usize = 100;

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> FromRequest for Valid<Json<T>> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let state = request.app_data::<Data<State>>().ok_or_else(|| ApiError::new(ErrorCode::Internal))?;
            check_media_type(request.headers())?;
            let begun = state.clock.now();
            let body = read(&mut payload, state.settings.body_limit).await?;
            if state.clock.now() - begun >= LATE {
                check_still_signed_in(&request, state).await?;
            }
            Ok(Self(Json(parse(&body)?)))
        })
    }
}

/// Who calls was established when the call began; a body that is held back must not outlive the session.
async fn check_still_signed_in(request: &HttpRequest, state: &State) -> Result<(), ApiError> {
    let principal = request.extensions().get::<Principal>().copied();
    let Some(principal) = principal else { return Ok(()) };
    ensure_still_in(&mut *state.pool.acquire().await?, &principal, state.clock.now()).await
}

/// `application/json`, said once, with no parameter but UTF-8, and not compressed: a small body must not grow into a large one.
fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = single(headers, &header::CONTENT_TYPE, MAX_MEDIA_TYPE).ok().flatten().unwrap_or_default().to_ascii_lowercase();
    let (media_type, parameter) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let is_json = media_type.trim() == "application/json" && matches!(parameter.trim(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    let is_plain = headers.get_all(header::CONTENT_ENCODING).all(|encoding| encoding == "identity");
    if is_json && is_plain { Ok(()) } else { Err(ApiError::new(ErrorCode::UnsupportedMediaType)) }
}

/// Counts what arrives, not what was announced.
pub(super) async fn read(payload: &mut Payload, limit: usize) -> Result<Vec<u8>, ApiError> {
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

fn parse<T: DeserializeOwned + Validate<Context = ()>>(body: &[u8]) -> Result<T, ApiError> {
    let shape = Shape::of(body).map_err(|refusal| match refusal {
        Some(reason) => ApiError::invalid_field("body", reason),
        None => ApiError::new(ErrorCode::Malformed),
    })?;
    let read = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body));
    let mut faults = Faults::default();
    match read {
        Ok(Object(value)) => match T::validate(&value) {
            Ok(()) if !shape.repeats_a_key => return Ok(value),
            Ok(()) => {}
            Err(report) => faults.note_rules(&report),
        },
        Err(error) => {
            let message = error.inner().to_string();
            if named(&message, "duplicate field `").is_some() {
                faults.note(explain(&show(error.path(), &message), &message, "body"));
            }
            note_all::<T>(body, &mut faults);
        }
    }
    if faults.is_empty() {
        // not one that is known by name
        faults.note(FieldError { field: "body".into(), reason: "has a field twice".into() });
    }
    Err(faults.refuse())
}

/// serde stops at the first fault. It is noted, mended, and serde asked again, so that one answer names them all.
fn note_all<T: DeserializeOwned + Validate<Context = ()>>(body: &[u8], faults: &mut Faults) {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return };
    for _ in 0..MAX_FAULTS {
        match serde_path_to_error::deserialize::<_, Object<T>>(&value) {
            Ok(Object(mended)) => {
                if let Err(report) = mended.validate() {
                    faults.note_rules(&report);
                }
                return;
            }
            Err(error) => {
                let message = error.inner().to_string();
                faults.note(explain(&show(error.path(), &message), &message, "body"));
                if mend(&mut value, error.path(), &message).is_none() {
                    return;
                }
            }
        }
    }
}

/// The way to where the fault is. At an unknown field the path ends with its name, which is input.
fn way<'p>(path: &'p Path, message: &str) -> impl Iterator<Item = &'p Segment> {
    let is_at_unknown = named(message, "unknown field `").is_some();
    path.iter().take(path.iter().len() - usize::from(is_at_unknown))
}

fn show(path: &Path, message: &str) -> String {
    way(path, message).fold(String::new(), |shown, segment| match segment {
        Segment::Seq { index } => format!("{shown}[{index}]"),
        segment if shown.is_empty() => segment.to_string(),
        segment => format!("{shown}.{segment}"),
    })
}

/// Puts something of the expected kind where the fault is. `None`: there is nothing to put.
fn mend(value: &mut Value, path: &Path, message: &str) -> Option<()> {
    let place = way(path, message).try_fold(value, |value, segment| match segment {
        Segment::Map { key } => value.get_mut(key),
        Segment::Seq { index } => value.get_mut(index),
        Segment::Enum { .. } | Segment::Unknown => None,
    })?;
    if let Some(unknown) = named(message, "unknown field `") {
        return place.as_object_mut()?.remove(unknown).map(drop);
    }
    if let Some(missing) = named(message, "missing field `") {
        // of which kind, serde says when it finds none
        return place.as_object_mut()?.insert(missing.to_owned(), Value::Null).is_none().then_some(());
    }
    let stand_in = match expected(message)? {
        "a string" => json!(""),
        "a boolean" => json!(false),
        "a sequence" => json!([]),
        "i64" => json!(0),
        _ => return None,
    };
    *place = stand_in;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounts::Email, edge::valid::Field};
    use serde::Deserialize;

    #[derive(Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by serde")]
    struct Body {
        #[garde(dive)]
        email: Field<Email>,
        #[garde(length(bytes, max = 5))]
        name: String,
        #[garde(skip)]
        is_on: bool,
        #[garde(dive)]
        #[serde(default)]
        items: Vec<Object<Item>>,
    }

    #[derive(Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by serde")]
    struct Item {
        #[garde(skip)]
        of: String,
    }

    fn reasons(body: &str) -> String {
        match parse::<Body>(body.as_bytes()) {
            Ok(_) => "fine".into(),
            Err(error) => {
                let fields: Vec<String> = error.fields().iter().map(|fault| format!("{} {}", fault.field, fault.reason)).collect();
                if fields.is_empty() { error.code().name().to_owned() } else { fields.join("; ") }
            }
        }
    }

    #[test]
    fn reasons_name_every_field_and_repeat_no_input() {
        assert_eq!(reasons(r#"{"email":"a@b.c","name":"x","is_on":true}"#), "fine");
        for (body, expected) in [
            ("{}", "email is missing; is_on is missing; name is missing"),
            (
                r#"{"email":"canary","name":"canary","is_on":"canary"}"#,
                "email is no e-mail address; is_on must be a boolean; name length is greater than 5",
            ),
            (r#"{"email":"a@b.c","name":"a","is_on":true,"name":"canary"}"#, "name occurs twice"),
            (
                r#"{"canary":1,"name":{"$ne":"canary"},"is_on":null}"#,
                "body has an unknown field; known: email, name, is_on, items; email is missing; is_on must be a boolean; name must be a string",
            ),
            (r#"{"email":"a@b.c","name":"x","is_on":true,"items":[["canary"],{"of":1},{"canary":1,"of":""}]}"#, "items[0] must be an object"),
            (
                r#"{"email":"a@b.c","name":"x","is_on":true,"items":[{"of":1},{"canary":1,"of":""}]}"#,
                "items[0].of must be a string; items[1] has an unknown field; known: of",
            ),
            (r#""canary""#, "body must be an object"),
            (r#"["canary"]"#, "body must be an object"),
            (r#"{"email":[[[[[[[["canary"]]]]]]]]}"#, "body is nested deeper than 8 levels"),
            ("{", "MALFORMED"),
            (r#"{"name":"x"} canary"#, "MALFORMED"),
            ("{\"name\":\"\u{0}\"}", "MALFORMED"),
        ] {
            let reasons = reasons(body);
            assert!(!reasons.contains("canary"), "{body}: {reasons}");
            assert_eq!(reasons, expected, "{body}");
        }
    }
}
