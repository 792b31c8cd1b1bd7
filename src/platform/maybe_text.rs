//! Texts of documents that others write, where something else may stand in their place. It is passed over without being kept: as a tree it
//! would take many times the document's memory, and a derived "this or that" first copies everything to where nobody wipes it.
//! Practices 4.dos, 9.never-hardcode. Tests: `tests/suite/attacks/s11_webhooks/`, `tests/suite/journeys/kept_secrets.rs`.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// A text; `None`: something else was there.
#[derive(Clone)]
pub struct MaybeText<T>(pub Option<T>);

impl<T> Default for MaybeText<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: for<'t> From<&'t str>> Deserialize<'de> for MaybeText<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Anything(PhantomData))
    }
}

struct Anything<T>(PhantomData<T>);

impl<'de, T: for<'t> From<&'t str>> Visitor<'de> for Anything<T> {
    type Value = MaybeText<T>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(MaybeText(Some(text.into())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(MaybeText(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(MaybeText(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(MaybeText(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(MaybeText(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(MaybeText(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(MaybeText(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(MaybeText(None))
    }
}
