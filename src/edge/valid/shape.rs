//! The shape of a JSON body, looked at before it is read as anything: how deep, how many values, and whether a key comes twice
//! anywhere. Of two equal keys one parser takes the first and another the last; who checks and who acts must not differ.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{collections::HashSet, fmt};

/// Most lists and objects within each other, the body itself included. serde_json stops at 128 only.
pub const MAX_DEPTH: usize = 8;
/// Most values in a body: list items and members of objects, together.
pub const MAX_VALUES: usize = 1000;

#[derive(Default)]
pub(super) struct Shape {
    values: usize,
    /// A key that comes twice in one object.
    pub repeats_a_key: bool,
    /// Why the body is not looked at any further.
    refusal: Option<&'static str>,
}

impl Shape {
    /// Looks through the whole body.
    ///
    /// # Errors
    /// The reason, or `None` for what is no JSON.
    pub(super) fn of(body: &[u8]) -> Result<Self, Option<&'static str>> {
        let mut shape = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let read = Level { shape: &mut shape, depth: 0 }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match read {
            Ok(()) => Ok(shape),
            Err(_) => Err(shape.refusal),
        }
    }
}

struct Level<'s> {
    shape: &'s mut Shape,
    depth: usize,
}

impl Level<'_> {
    fn refuse<E: Error>(&mut self, reason: &'static str) -> E {
        self.shape.refusal = Some(reason);
        E::custom(reason)
    }

    /// One list or object further in.
    fn enter<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.refuse("is nested deeper than 8 levels")) } else { Ok(()) }
    }

    /// One value more, which may have values within.
    fn inner<E: Error>(&mut self) -> Result<Level<'_>, E> {
        self.shape.values += 1;
        if self.shape.values > MAX_VALUES {
            Err(self.refuse("has more than 1000 values"))
        } else {
            Ok(Level { shape: self.shape, depth: self.depth })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.enter()?;
        // counted before it is read: the last one may be the deepest
        while items.next_element_seed(self.inner()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.enter()?;
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            self.shape.repeats_a_key |= !keys.insert(key);
            members.next_value_seed(self.inner()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> Option<Option<&'static str>> {
        Shape::of(body.as_bytes()).err()
    }

    #[test]
    fn nesting_and_number_are_bounded() {
        let deep = |levels: usize| format!("{}1{}", r#"{"a":["#.repeat(levels / 2), "]}".repeat(levels / 2));
        assert_eq!(refusal(&deep(MAX_DEPTH)), None);
        assert_eq!(refusal(&deep(MAX_DEPTH + 2)), Some(Some("is nested deeper than 8 levels")));
        assert_eq!(refusal(&"[".repeat(1_000_000)), Some(Some("is nested deeper than 8 levels")), "not read to its end");
        let wide = |values: usize| format!("[{}]", vec!["0"; values].join(","));
        // the end of a list is counted too
        assert_eq!(refusal(&wide(MAX_VALUES - 1)), None);
        assert_eq!(refusal(&wide(MAX_VALUES + 1)), Some(Some("has more than 1000 values")));
    }

    #[test]
    fn keys_that_come_twice_are_seen_at_every_depth() {
        let repeats = |body: &str| Shape::of(body.as_bytes()).unwrap().repeats_a_key;
        assert!(!repeats(r#"{"a":{"b":1},"b":[{"a":1},{"a":2}]}"#));
        for body in [r#"{"a":1,"a":1}"#, r#"{"x":[0,{"a":1,"b":2,"a":3}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(repeats(body), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_no_json() {
        for body in ["", "{", "{}x", "nul", "\u{feff}{}", "{'a':1}", "[1,]", r#"{"a":"\ud800"}"#, "1e999", "\"\u{0}\""] {
            assert_eq!(refusal(body), Some(None), "{body:?}");
        }
        assert!(Shape::of(b"\"\xff\"").is_err() && Shape::of(b"{\"\xff\":1}").is_err());
    }
}
