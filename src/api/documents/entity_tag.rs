//! Which version a change is about (RFC 9110 §8.8.3, §13.1.1; RFC 6585 §3): without one it is refused, because whoever names none would
//! overwrite what they have not seen.

use crate::{
    documents::Document,
    error::{ApiError, ErrorCode},
};
use actix_web::http::header::{EntityTag, IfMatch};

/// The entity tag of a document as it is.
pub(super) fn of(document: &Document) -> EntityTag {
    EntityTag::new_strong(document.version.to_string())
}

/// Whether the caller means the document as it is. `*` is any version.
///
/// # Errors
/// 428 when they name none, 412 when they mean another one.
pub(super) fn ensure(expected: &IfMatch, document: &Document) -> Result<(), ApiError> {
    match expected {
        IfMatch::Any => Ok(()),
        IfMatch::Items(tags) if tags.is_empty() => Err(ApiError::new(ErrorCode::PreconditionRequired)),
        IfMatch::Items(tags) if tags.iter().any(|tag| tag.strong_eq(&of(document))) => Ok(()),
        IfMatch::Items(_) => Err(ApiError::new(ErrorCode::PreconditionFailed)),
    }
}
