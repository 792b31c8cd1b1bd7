//! Documents: the demonstration resource, with an owner, a department, a classification and shares, on which policies decide. What comes
//! from the store is [`Unjudged`]: nobody gets at it but through a [`Judge`], so that a handler cannot forget the check on the object.
//! Practices 1.object-check, 1.abac, 10.object-level, 10.layered. Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`.

mod judge;
pub mod store;

pub use judge::{Judge, Refusal, Unjudged};

use crate::{
    access::policy::Object,
    accounts::{Name, RichText},
};
use std::{collections::BTreeSet, str::FromStr};
use time::OffsetDateTime;
use uuid::Uuid;

/// Most accounts or roles of one kind that one document is shared with.
pub const MAX_SHARES: usize = 50;

/// How much harm would come of its being known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Classification {
    /// None: everybody who is signed in reads it.
    Public,
    /// Little: its department reads it.
    Internal,
    /// Some: who is let in reads it, with a second factor.
    Confidential,
    /// Much: the same, in one's own networks; changed in working hours.
    Restricted,
}

impl Classification {
    const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Confidential, Self::Restricted];

    /// As policies and the database know it, 0 to 3.
    #[must_use]
    pub fn level(self) -> i16 {
        self as i16
    }

    /// The highest for a number that is none: doubt gets a refusal.
    fn of(level: i16) -> Self {
        Self::ALL.into_iter().find(|known| known.level() == level).unwrap_or(Self::Restricted)
    }
}

impl FromStr for Classification {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "public" => Ok(Self::Public),
            "internal" => Ok(Self::Internal),
            "confidential" => Ok(Self::Confidential),
            "restricted" => Ok(Self::Restricted),
            _ => Err("must be public, internal, confidential or restricted"),
        }
    }
}

/// A document, as far as policies let somebody at it.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// Where it belongs.
    pub department: Option<String>,
    /// How much harm would come of its being known.
    pub classification: Classification,
    /// What it is called.
    pub title: String,
    /// What it says: clean HTML.
    pub body: String,
    /// Rises with every change.
    pub version: i32,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
    /// Who else may read or edit it.
    pub shares: Shares,
}

/// Who else may read or edit a document: each account and each role at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    /// Accounts that may read it.
    pub viewers: BTreeSet<Uuid>,
    /// Accounts that may edit it.
    pub editors: BTreeSet<Uuid>,
    /// Roles that may read it.
    pub viewer_roles: BTreeSet<String>,
    /// Roles that may edit it.
    pub editor_roles: BTreeSet<String>,
}

/// What its writer decides about a new document.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it is called.
    pub title: Name,
    /// What it says.
    pub body: RichText,
    /// Where it belongs.
    pub department: Option<Name>,
    /// How much harm would come of its being known.
    pub classification: Classification,
}

/// What is to be changed; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// What it is called.
    pub title: Option<Name>,
    /// What it says.
    pub body: Option<RichText>,
    /// Where it belongs; `Some(None)`: nowhere.
    pub department: Option<Option<Name>>,
    /// How much harm would come of its being known.
    pub classification: Option<Classification>,
}

impl Document {
    /// A new one. It is not stored yet.
    #[must_use]
    pub fn new(id: Uuid, owner: Uuid, draft: &Draft, now: OffsetDateTime) -> Self {
        let Draft { title, body, department, classification } = draft;
        Self {
            id,
            owner,
            department: department.as_ref().map(|department| department.as_str().to_owned()),
            classification: *classification,
            title: title.as_str().to_owned(),
            body: body.as_str().to_owned(),
            version: 1,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            shares: Shares::default(),
        }
    }

    /// As it is to be.
    #[must_use]
    pub fn changed(&self, change: &Change, now: OffsetDateTime) -> Self {
        let text = |name: &Name| name.as_str().to_owned();
        Self {
            title: change.title.as_ref().map_or_else(|| self.title.clone(), text),
            body: change.body.as_ref().map_or_else(|| self.body.clone(), |body| body.as_str().to_owned()),
            department: change.department.as_ref().map_or_else(|| self.department.clone(), |department| department.as_ref().map(text)),
            classification: change.classification.unwrap_or(self.classification),
            version: self.version + 1,
            updated_at: now,
            ..self.clone()
        }
    }

    /// As policies see it.
    fn object(&self) -> Object {
        let Shares { viewers, editors, viewer_roles, editor_roles } = self.shares.clone();
        Object {
            id: self.id,
            owner: self.owner,
            department: self.department.clone(),
            classification: self.classification.level().into(),
            viewers: viewers.into_iter().collect(),
            editors: editors.into_iter().collect(),
            viewer_roles: viewer_roles.into_iter().collect(),
            editor_roles: editor_roles.into_iter().collect(),
        }
    }
}

impl Change {
    /// Whether it touches what the document says.
    #[must_use]
    pub fn edits(&self) -> bool {
        self.title.is_some() || self.body.is_some()
    }

    /// Whether it touches who may see it.
    #[must_use]
    pub fn classifies(&self) -> bool {
        self.department.is_some() || self.classification.is_some()
    }

    /// The fields that it touches, for the record.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        let fields = [
            self.title.as_ref().map(|_| "title"),
            self.body.as_ref().map(|_| "body"),
            self.department.as_ref().map(|_| "department"),
            self.classification.map(|_| "classification"),
        ];
        fields.into_iter().flatten().collect()
    }
}
