//! Lists come in keyset pages: `limit` and an opaque `cursor`, which names the last item seen and is tagged for its list and its
//! reader, so that a made-up or borrowed one is refused instead of interpreted.
//! Practice 3.query. Attacks: `tests/suite/attacks/s01_authorization/cursor_tampering.rs`.

use crate::{
    error::ApiError,
    platform::{crypto, keyring::Purpose},
    state::State,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::{
    __dev::ComposeSchema,
    IntoParams, ToSchema,
    openapi::{Ref, RefOr, Schema, Type, schema::ObjectBuilder},
};
use uuid::Uuid;

/// Most items of one page.
pub const MAX_LIMIT: i64 = 100;
/// Items of a page when the caller does not say.
const DEFAULT_LIMIT: i64 = 20;
/// Length of a cursor's tag in bytes.
const TAG_LEN: usize = 16;

/// Which page of a list that has no filter.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items of a page, 1 to 100.
    #[garde(range(min = 1, max = MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<i64>,
    /// From the page before.
    #[garde(length(bytes, max = 64))]
    #[param(pattern = "^[A-Za-z0-9_-]{43}$", min_length = 43, max_length = 43)]
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Serialize)]
pub struct Page<T> {
    /// The items.
    items: Vec<T>,
    /// To be sent as `cursor` for the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Refers to the item's schema, where utoipa's own would repeat it.
impl<T: ToSchema> ComposeSchema for Page<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let items = Ref::from_schema_name(T::name()).to_array_builder().max_items(usize::try_from(MAX_LIMIT).ok());
        let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{43}$")).max_length(Some(43));
        let cursor = cursor.description(Some("To be sent as `cursor` for the next page; missing on the last one."));
        let page = ObjectBuilder::new().property("items", items).property("next_cursor", cursor).required("items");
        page.description(Some("A page of a list.")).into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        "Page".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// Where a page begins and how long it is.
pub struct Window<'w> {
    state: &'w State,
    list: &'static str,
    reader: Uuid,
    limit: i64,
    /// The last item of the page before.
    pub after: Option<Uuid>,
}

impl<'w> Window<'w> {
    /// Reads `limit` and `cursor`.
    ///
    /// # Errors
    /// 422 for a cursor that this service did not give to this reader of this list.
    pub fn read(state: &'w State, list: &'static str, reader: Uuid, limit: Option<i64>, cursor: Option<&str>) -> Result<Self, ApiError> {
        let mut this = Self { state, list, reader, limit: limit.unwrap_or(DEFAULT_LIMIT), after: None };
        if let Some(cursor) = cursor {
            this.after = Some(this.open(cursor).ok_or_else(|| ApiError::invalid_field("cursor", "is not one of this list"))?);
        }
        Ok(this)
    }

    /// How many rows to ask for: one more than shown tells whether there is another page.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// Makes the page of the rows that were found.
    #[must_use]
    pub fn page<R, T>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> Uuid, show: impl FnMut(R) -> T) -> Page<T> {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).map(|row| self.cursor(id(row)));
        Page { items: rows.into_iter().map(show).collect(), next_cursor }
    }

    fn cursor(&self, last: Uuid) -> String {
        let (_, key) = self.state.keyring.active(Purpose::Lookup);
        URL_SAFE_NO_PAD.encode([last.as_bytes().as_slice(), &self.tag(key.expose(), last)].concat())
    }

    fn open(&self, cursor: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (last, tag) = bytes.split_at_checked(16)?;
        let last = Uuid::from_slice(last).ok()?;
        let (_, key) = self.state.keyring.active(Purpose::Lookup);
        crypto::equal(&self.tag(key.expose(), last), tag).then_some(last)
    }

    fn tag(&self, key: &[u8; 32], last: Uuid) -> [u8; TAG_LEN] {
        let mac = crypto::mac(key, &[b"cursor", self.list.as_bytes(), self.reader.as_bytes(), last.as_bytes()]);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&mac[..TAG_LEN]);
        tag
    }
}
