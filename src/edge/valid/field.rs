//! Fields of bodies and queries.

use crate::error::ApiError;
use garde::{Path, Report, Validate};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData, str::FromStr};

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

/// A struct that is read from an object only: serde would take a list too, its items by position.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FromMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for FromMap<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(FromMap(PhantomData)).map(Self)
    }
}

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: Validate> Validate for Object<T> {
    type Context = T::Context;

    fn validate_into(&self, context: &T::Context, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        self.0.validate_into(context, parent, report);
    }
}

/// For a field that may be left out but is not `null`: `#[serde(default, deserialize_with = "present")]`.
///
/// # Errors
/// What reading a `T` fails with.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
