//! What events tell besides who, whom, when and from where: one closed list of fields, so that nothing personal or secret gets into the log
//! by a careless word. What is not on the list is not written, and not shown either. Practices 11.audit, 15.excessive-data.
//! Held by `tests/suite/contract/event_details.rs`.

use crate::platform::db::StoreError;
use serde::{Serialize, de::Error};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, RefOr, Schema, SchemaFormat, Type,
        schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder},
    },
};
use uuid::Uuid;

/// What a field may hold; `null` is as good as nothing.
#[derive(Clone, Copy)]
enum Kind {
    Id,
    Ids,
    Flag,
    Number,
    /// A word or a sentence of ours, or a name that passed its rules.
    Word,
    Words,
    /// Permissions, or roles with their ends.
    Rights,
}

/// The closed list of fields.
const FIELDS: [(&str, Kind, &str); 55] = [
    ("added", Kind::Rights, "What was given."),
    ("after", Kind::Rights, "What is held or allowed from now on."),
    ("api_key", Kind::Id, "The API key."),
    ("before", Kind::Rights, "What was held or allowed until now."),
    ("by", Kind::Word, "The schedule, or the command line."),
    ("classification", Kind::Word, "How much harm would come of the document's being known."),
    ("classification_before", Kind::Word, "The same until now."),
    ("count", Kind::Number, "How many."),
    ("delivery", Kind::Id, "The message to a webhook endpoint."),
    ("department", Kind::Word, "Where the document belongs."),
    ("department_before", Kind::Word, "The same until now."),
    ("document", Kind::Id, "The document."),
    ("editor_roles", Kind::Words, "Roles that may edit the document."),
    ("editors", Kind::Ids, "Accounts that may edit the document."),
    ("endpoint", Kind::Id, "The webhook endpoint."),
    ("events", Kind::Number, "How many events went."),
    ("export", Kind::Id, "The export."),
    ("fields", Kind::Words, "Which fields were changed."),
    ("from", Kind::Number, "From which place of the audit chain on it was opened."),
    ("host", Kind::Word, "The host that the webhook endpoint is at."),
    ("identity", Kind::Id, "The identity at another service."),
    ("invitation", Kind::Id, "The invitation."),
    ("invited_by", Kind::Id, "By whom."),
    ("issuer", Kind::Word, "Who vouches for the identity."),
    ("key", Kind::Id, "The API key that the call was made with."),
    ("keys", Kind::Number, "How many API keys were revoked."),
    ("method", Kind::Word, "What was shown, or set up."),
    ("minutes", Kind::Number, "In how many minutes."),
    ("name", Kind::Word, "What it is called."),
    ("needs_link", Kind::Flag, "Whether only a mailed link helps."),
    ("new_device", Kind::Flag, "Whether the device was unknown."),
    ("overlap_hours", Kind::Number, "For how many hours the API key before goes on."),
    ("passkey", Kind::Id, "The passkey."),
    ("permissions", Kind::Words, "What the role allows."),
    ("provider", Kind::Word, "The provider, by its name in the settings."),
    ("purpose", Kind::Word, "What the keys are for."),
    ("reason", Kind::Word, "Why it was refused, or had no effect."),
    ("replaces", Kind::Id, "The API key before."),
    ("requires_second_factor", Kind::Flag, "Whether the role counts with a second factor only."),
    ("role", Kind::Word, "The role."),
    ("roles", Kind::Words, "The roles."),
    ("scopes", Kind::Words, "What the API key lets through."),
    ("second_factor", Kind::Word, "The second factor that was shown."),
    ("session", Kind::Id, "The session."),
    ("sessions", Kind::Number, "How many sessions ended."),
    ("source", Kind::Word, "The source of the webhook, by its name in the settings."),
    ("status", Kind::Number, "The HTTP status that the webhook endpoint answered."),
    ("through", Kind::Number, "The last place of the audit chain that went."),
    ("transport", Kind::Word, "How the session is carried."),
    ("try", Kind::Number, "Which try it was."),
    ("type", Kind::Word, "What kind of event the webhook tells."),
    ("until", Kind::Number, "Up to which place of the audit chain it was opened; missing: to its end."),
    ("viewer_roles", Kind::Words, "Roles that may read the document."),
    ("viewers", Kind::Ids, "Accounts that may read the document."),
    ("webhook", Kind::Id, "The webhook that came in."),
];

/// Longest word, in characters: an issuer's address.
const LONGEST: usize = 500;
/// Most items of a field.
const MOST: usize = 100;

impl Kind {
    fn admits(self, value: &Value) -> bool {
        let all = |of: fn(&Value) -> bool| value.as_array().is_some_and(|items| items.len() <= MOST && items.iter().all(of));
        match self {
            Self::Id => is_id(value),
            Self::Ids => all(is_id),
            Self::Flag => value.is_boolean(),
            Self::Number => value.is_i64() || value.is_u64(),
            Self::Word => is_word(value),
            Self::Words => all(is_word),
            Self::Rights => all(|item| is_word(item) || is_role(item)),
        }
    }

    fn schema(self) -> Schema {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let id = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
        let word = || text().min_length(Some(1)).max_length(Some(LONGEST)).pattern(Some(r"^[^\x00-\x1f\x7f]+$"));
        match self {
            Self::Id => id().into(),
            Self::Ids => ArrayBuilder::new().items(id()).max_items(Some(MOST)).into(),
            Self::Flag => ObjectBuilder::new().schema_type(Type::Boolean).into(),
            Self::Number => {
                let number = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
                number.minimum(Some(0)).maximum(Some(i64::MAX)).into()
            }
            Self::Word => word().into(),
            Self::Words => ArrayBuilder::new().items(word()).max_items(Some(MOST)).into(),
            Self::Rights => {
                let end = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
                let role = ObjectBuilder::new().property("role", word()).property("expires_at", end).required("role");
                ArrayBuilder::new().items(OneOfBuilder::new().item(word()).item(role)).max_items(Some(MOST)).into()
            }
        }
    }
}

fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| Uuid::try_parse(text).is_ok())
}

fn is_word(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= LONGEST && !text.contains(char::is_control))
}

fn is_role(value: &Value) -> bool {
    value.as_object().is_some_and(|role| {
        role.contains_key("role") && role.iter().all(|(name, value)| ["role", "expires_at"].contains(&name.as_str()) && is_word(value))
    })
}

fn is_listed(name: &str, value: &Value) -> bool {
    FIELDS.iter().any(|(listed, kind, _)| *listed == name && kind.admits(value))
}

/// What an event tells besides: listed fields of the right kind, and nothing else.
#[derive(Debug, Default, Serialize)]
pub struct Detail(Map<String, Value>);

impl Detail {
    /// To be written.
    ///
    /// # Errors
    /// A field that is not on the list, or not of its kind: the deed fails with its event.
    pub(super) fn to_write(fields: &Value) -> Result<Self, StoreError> {
        let told: Map<String, Value> = fields.as_object().cloned().unwrap_or_default().into_iter().filter(|(_, value)| !value.is_null()).collect();
        match told.iter().find(|(name, value)| !is_listed(name, value)) {
            Some((name, _)) => Err(serde_json::Error::custom(format!("no event tells `{name}` like this; src/audit/detail.rs has the list")).into()),
            None => Ok(Self(told)),
        }
    }

    /// As it was written, perhaps by another version.
    pub(super) fn to_show(fields: Value) -> Self {
        match fields {
            Value::Object(fields) => Self(fields.into_iter().filter(|(name, value)| is_listed(name, value)).collect()),
            _ => Self::default(),
        }
    }
}

impl PartialSchema for Detail {
    fn schema() -> RefOr<Schema> {
        let described = |(name, kind, about): (&str, Kind, &str)| {
            let mut schema = kind.schema();
            match &mut schema {
                Schema::Object(object) => object.description = Some(about.into()),
                Schema::Array(array) => array.description = Some(about.into()),
                _ => {}
            }
            (name.to_owned(), schema)
        };
        let listed = FIELDS.into_iter().map(described);
        let object = listed.fold(ObjectBuilder::new(), |object, (name, schema)| object.property(name, schema));
        object.description(Some("What an event tells besides: what it has of these.")).into()
    }
}

impl ToSchema for Detail {
    fn name() -> Cow<'static, str> {
        "EventDetail".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_on_the_list_is_neither_written_nor_shown() {
        let id = Uuid::nil();
        for fine in [
            json!({}),
            json!({ "session": id, "second_factor": null, "new_device": true, "try": 3, "method": "password" }),
            json!({ "before": ["users:read"], "after": [{ "role": "auditor", "expires_at": "2100-01-01T00:00:00Z" }, { "role": "staff" }] }),
        ] {
            assert!(Detail::to_write(&fine).is_ok(), "{fine}");
        }
        for wrong in [
            json!({ "email": "ada@example.org" }),
            json!({ "session": "not an id" }),
            json!({ "method": { "password": "wet gravel" } }),
            json!({ "reason": "line\nbreak" }),
            json!({ "roles": ["x", 1] }),
            json!({ "after": [{ "role": "x", "password": "y" }] }),
            json!({ "sessions": "many" }),
        ] {
            assert!(Detail::to_write(&wrong).is_err(), "{wrong}");
            assert_eq!(serde_json::to_value(Detail::to_show(wrong)).unwrap(), json!({}));
        }
        let shown = Detail::to_show(json!({ "session": id, "token": "x", "second_factor": null }));
        assert_eq!(serde_json::to_value(shown).unwrap(), json!({ "session": id }));
    }
}
