//! What a manager answered: texts by name. Everything that is no text counts as there, but cannot be used.

use super::{Fault, LONGEST, Reference};
use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{collections::HashMap, fmt};

/// One document's contents.
#[derive(Clone)]
pub(super) enum Fields {
    /// By name.
    #[cfg_attr(not(feature = "vault"), expect(dead_code, reason = "only Vault answers so"))]
    Named(HashMap<String, Field>),
    /// One text; it may be a JSON object.
    Text(SecretString),
}

/// A text, or something else.
#[derive(Clone)]
pub(super) struct Field(Option<SecretString>);

impl Fields {
    /// What the setting asks for.
    pub(super) fn take(&self, place: &Reference) -> Result<SecretString, Fault> {
        let refused = |reason: &str| Fault::Refused(reason.to_owned());
        let text = match (self, place) {
            (Self::Named(fields), Reference::Vault { field, .. }) => named(fields, field)?,
            (Self::Text(text), Reference::Aws { key: Some(key), .. }) => {
                let fields = serde_json::from_str(text.expose_secret()).map_err(|_| refused("the secret is no JSON object"))?;
                named(&fields, key)?
            }
            (Self::Text(text), _) => text.clone(),
            (Self::Named(_), _) => return Err(refused("the answer is of no use")),
        };
        match text.expose_secret() {
            text if text.trim().is_empty() => Err(refused("the secret is empty")),
            text if text.len() > LONGEST => Err(refused("the secret has more than 64 KiB")),
            _ => Ok(text),
        }
    }
}

fn named(fields: &HashMap<String, Field>, name: &str) -> Result<SecretString, Fault> {
    let field = fields.get(name).ok_or_else(|| Fault::Refused("the secret has no such field".to_owned()))?;
    field.0.clone().ok_or_else(|| Fault::Refused("the field is no text".to_owned()))
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor)
    }
}

/// Goes by hand, because derived ones for "this or that" first copy everything to where nobody wipes it.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field(Some(text.into())))
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field, E> {
        Ok(Field(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field, E> {
        Ok(Field(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        Ok(Field(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Field, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Field, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field(None))
    }
}
