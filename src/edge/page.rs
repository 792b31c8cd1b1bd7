//! Lists come in keyset pages: `limit` and an opaque `cursor`, which names the last item seen and is sealed for its list and its
//! reader, so that a made-up or borrowed one is refused instead of interpreted, and one that stands on an item which its reader may not
//! see tells nothing of it.
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
/// Length of a sealed cursor in characters.
const CURSOR_LEN: usize = 64;

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
    #[param(pattern = "^[A-Za-z0-9_-]{64}$", min_length = 64, max_length = 64)]
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
        let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{64}$")).max_length(Some(CURSOR_LEN));
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
    list: &'w str,
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
    pub fn read(state: &'w State, list: &'w str, reader: Uuid, limit: Option<i64>, cursor: Option<&str>) -> Result<Self, ApiError> {
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

    /// How many items the page has at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or_default()
    }

    /// Makes the page of the rows that were found.
    ///
    /// # Errors
    /// 500 when no cursor can be sealed.
    pub fn page<R, T>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> Uuid, show: impl FnMut(R) -> T) -> Result<Page<T>, ApiError> {
        let has_more = rows.len() > self.limit();
        rows.truncate(self.limit());
        let next = rows.last().filter(|_| has_more).map(id);
        self.page_before(rows.into_iter().map(show).collect(), next)
    }

    /// Makes a page of items that were chosen, the next of which begins behind this id, shown or not.
    ///
    /// # Errors
    /// 500 when no cursor can be sealed.
    pub fn page_before<T>(&self, items: Vec<T>, next: Option<Uuid>) -> Result<Page<T>, ApiError> {
        Ok(Page { items, next_cursor: next.map(|last| self.cursor(last)).transpose()? })
    }

    fn cursor(&self, last: Uuid) -> Result<String, ApiError> {
        let (version, sealed) = self.state.keyring.seal(Purpose::Cursor, &self.context(), last.as_bytes()).map_err(ApiError::internal)?;
        Ok(URL_SAFE_NO_PAD.encode([version.to_be_bytes().as_slice(), &sealed].concat()))
    }

    fn open(&self, cursor: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (version, sealed) = bytes.split_first_chunk()?;
        let key = self.state.keyring.accepted(Purpose::Cursor, i32::from_be_bytes(*version), self.state.clock.now())?;
        let last = crypto::open(key.expose(), &self.context(), sealed).ok()?;
        Uuid::from_slice(&last).ok()
    }

    /// The reader's id has one length, so that no two lists share a context.
    fn context(&self) -> Vec<u8> {
        [self.reader.as_bytes().as_slice(), self.list.as_bytes()].concat()
    }
}
