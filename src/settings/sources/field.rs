//! What a manager answered: texts by name. Everything that is no text counts as there, but cannot be used.

use super::{Fault, LONGEST, Reference};
use crate::platform::maybe_text::MaybeText;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;

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
pub(super) type Field = MaybeText<SecretString>;

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
