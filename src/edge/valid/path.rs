//! What a path names: `Valid<Path<T>>`. A segment is parsed whole; one that can be no name of ours names nothing, and is answered like
//! any other thing that is not there.

use crate::{
    edge::valid::Valid,
    error::{ApiError, ErrorCode},
};
use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Path};
use std::future::{Ready, ready};
use uuid::Uuid;

/// What can stand in a path.
pub trait Segment: Sized {
    /// The value that the segment spells, each value in one way only; `None`: it is none. Percent signs, slashes and what is no UTF-8
    /// arrive encoded or as U+FFFD, so that a strict alphabet refuses them.
    fn parse(segment: &str) -> Option<Self>;
}

impl Segment for Uuid {
    /// With hyphens, as this service writes it (RFC 9562 §4): no braces, no `urn:uuid:`.
    fn parse(segment: &str) -> Option<Self> {
        Self::try_parse(segment).ok().filter(|id| id.hyphenated().to_string() == segment.to_ascii_lowercase())
    }
}

/// What the segments of a path name: one of them, or one within another.
pub trait Place: Sized {
    /// `None`: nothing.
    fn read<'p>(segments: impl Iterator<Item = &'p str>) -> Option<Self>;
}

impl<T: Segment> Place for T {
    fn read<'p>(mut segments: impl Iterator<Item = &'p str>) -> Option<Self> {
        let place = T::parse(segments.next()?)?;
        segments.next().is_none().then_some(place)
    }
}

impl<A: Segment, B: Segment> Place for (A, B) {
    fn read<'p>(mut segments: impl Iterator<Item = &'p str>) -> Option<Self> {
        let place = (A::parse(segments.next()?)?, B::parse(segments.next()?)?);
        segments.next().is_none().then_some(place)
    }
}

impl<T: Place> FromRequest for Valid<Path<T>> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let value = T::read(request.match_info().iter().map(|(_, segment)| segment));
        ready(value.map(|value| Self(Path::from(value))).ok_or_else(|| ApiError::new(ErrorCode::NotFound)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = "01900000-0000-7000-8000-0000000000ab";
        assert!(Uuid::parse(id).is_some() && Uuid::parse(&id.to_uppercase()).is_some());
        for other in
            ["", "1", "0190000000007000800000000000ab00", "{01900000-0000-7000-8000-0000000000ab}", "urn:uuid:01900000-0000-7000-8000-0000000000ab"]
        {
            assert!(Uuid::parse(other).is_none(), "{other}");
        }
    }
}
