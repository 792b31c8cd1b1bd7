//! Queries: `Valid<Query<T>>`. Every field of a `T` may be left out.

use crate::{
    edge::valid::{
        Valid,
        faults::{Faults, explain},
    },
    error::{ApiError, FieldError},
};
use actix_web::{FromRequest, HttpRequest, dev::Payload, error::QueryPayloadError, web::Query};
use garde::Validate;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::{
    collections::HashMap,
    future::{Ready, ready},
};

/// Longest query, in bytes.
pub const MAX_QUERY: usize = 2048;
/// Most fields of a query.
pub const MAX_PAIRS: usize = 20;

impl<T: DeserializeOwned + Validate<Context = ()>> FromRequest for Valid<Query<T>> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(|value| Self(Query(value))))
    }
}

fn parse<T: DeserializeOwned + Validate<Context = ()>>(query: &str) -> Result<T, ApiError> {
    check_text(query).map_err(|reason| ApiError::invalid_field("query", reason))?;
    let mut faults = Faults::default();
    match Query::<T>::from_query(query) {
        Ok(value) => match value.validate() {
            Ok(()) => return Ok(value.into_inner()),
            Err(report) => faults.note_rules(&report),
        },
        Err(error) => {
            note_each::<T>(query, &mut faults);
            if faults.is_empty() {
                faults.note(explain("", &message(&error), "query"));
            }
        }
    }
    Err(faults.refuse())
}

/// Bounded, and percent-encoded UTF-8: the parser behind would put a replacement character for what is not.
fn check_text(query: &str) -> Result<(), &'static str> {
    if query.len() > MAX_QUERY {
        return Err("is longer than 2048 bytes");
    }
    if query.split('&').count() > MAX_PAIRS {
        return Err("has more than 20 fields");
    }
    let is_encoded = query.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    if !is_encoded || percent_decode_str(query).decode_utf8().is_err() {
        return Err("is no percent-encoded UTF-8");
    }
    Ok(())
}

/// serde stops at the first fault and does not say where: each field by itself tells. What can be read is still held to its rules.
fn note_each<T: DeserializeOwned + Validate<Context = ()>>(query: &str, faults: &mut Faults) {
    let (mut seen, mut readable) = (HashMap::<&str, usize>::new(), Vec::new());
    for pair in query.split('&') {
        let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
        *seen.entry(name).or_default() += 1;
        match Query::<T>::from_query(pair) {
            Err(error) if message(&error).starts_with("unknown field") => faults.note(explain("", &message(&error), "query")),
            // only the names of our own fields are known, so this one may be repeated
            Err(error) => faults.note(explain(name, &message(&error), "query")),
            Ok(_) if seen[name] == 2 => faults.note(FieldError { field: name.to_owned(), reason: "occurs twice".into() }),
            Ok(_) if seen[name] == 1 => readable.push(pair),
            Ok(_) => {}
        }
    }
    if let Ok(value) = Query::<T>::from_query(&readable.join("&"))
        && let Err(report) = value.validate()
    {
        faults.note_rules(&report);
    }
}

fn message(error: &QueryPayloadError) -> String {
    match error {
        QueryPayloadError::Deserialize(inner) => inner.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Search {
        #[garde(length(bytes, max = 5))]
        text: Option<String>,
        #[garde(range(max = 9))]
        limit: Option<i64>,
    }

    fn reasons(query: &str) -> String {
        match parse::<Search>(query) {
            Ok(_) => "fine".into(),
            Err(error) => error.fields().iter().map(|fault| format!("{} {}", fault.field, fault.reason)).collect::<Vec<_>>().join("; "),
        }
    }

    #[test]
    fn reasons_name_every_field_and_repeat_no_input() {
        for fine in ["", "text=a%C3%A9&limit=1", "text=a+b", "text="] {
            assert_eq!(reasons(fine), "fine", "{fine}");
        }
        let unknown = "query has an unknown field; known: text or limit";
        for (query, expected) in [
            ("limit=canary&text=canary", "limit is not valid; text length is greater than 5"),
            ("limit=10&text=canary", "limit greater than 9; text length is greater than 5"),
            ("text=a&text=b&limit=canary", "limit is not valid; text occurs twice"),
            ("limit=10&canary=1", "limit greater than 9; query has an unknown field; known: text or limit"),
            (
                "limit=canary&text=canary&canary",
                "limit is not valid; query has an unknown field; known: text or limit; text length is greater than 5",
            ),
            ("text=canary&text=b", "text occurs twice"),
            ("te%78t=a&text=b", "text occurs twice"),
            ("canary=1&canary=2", unknown),
            ("text[$ne]=a", unknown),
            ("text%5B%5D=a", unknown),
            ("text=%FF", "query is no percent-encoded UTF-8"),
            ("text=%C0%AE", "query is no percent-encoded UTF-8"),
            ("text=%zz", "query is no percent-encoded UTF-8"),
            ("text=%4", "query is no percent-encoded UTF-8"),
        ] {
            assert_eq!(reasons(query), expected, "{query}");
        }
        assert_eq!(reasons(&format!("text={}", "a".repeat(MAX_QUERY))), "query is longer than 2048 bytes");
        assert_eq!(reasons(&"&".repeat(MAX_PAIRS)), "query has more than 20 fields");
    }
}
