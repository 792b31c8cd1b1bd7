//! What is asked of the policies, and how it looks in Cedar's words. `policies/schema.cedarschema` says the same.

use cedar_policy::{Context, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    str::FromStr,
};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

/// What keeps a question from being asked; whoever gets it refuses.
pub(super) type Unaskable = Box<dyn std::error::Error>;

macro_rules! actions {
    ($($(#[$about:meta])* $variant:ident = $name:literal;)*) => {
        /// What somebody wants to do to an object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Action { $($(#[$about])* $variant,)* }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in policies.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

actions! {
    /// Read it.
    Read = "read";
    /// Let it be as it is to be: asked of that, when it is made or moved.
    File = "file";
    /// Change what it says.
    Edit = "edit";
    /// Change its department or classification: asked of it as it is.
    Classify = "classify";
    /// See and change who else may read or edit it.
    Share = "share";
    /// Delete it.
    Delete = "delete";
    /// Take that back.
    Restore = "restore";
}

impl Action {
    pub(super) fn uid(self) -> Result<EntityUid, Unaskable> {
        uid("Action", self.name())
    }
}

/// Who wants to do it.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The account.
    pub account: Uuid,
    /// Where it belongs.
    pub department: Option<String>,
    /// Its roles that count now.
    pub roles: Vec<String>,
    /// What it may do now.
    pub permissions: Vec<String>,
}

impl Subject {
    pub(super) fn uid(&self) -> Result<EntityUid, Unaskable> {
        user(self.account)
    }

    /// The account, and its roles.
    pub(super) fn entities(&self) -> Result<Vec<Entity>, Unaskable> {
        let mut attributes = HashMap::from([("permissions".to_owned(), texts(&self.permissions))]);
        attributes.extend(self.department.clone().map(|department| ("department".to_owned(), RestrictedExpression::new_string(department))));
        let roles = self.roles.iter().map(|name| uid("Role", name)).collect::<Result<HashSet<_>, _>>()?;
        let mut all: Vec<Entity> = roles.iter().map(|role| Entity::new_no_attrs(role.clone(), HashSet::new())).collect();
        all.push(Entity::new(self.uid()?, attributes, roles)?);
        Ok(all)
    }
}

/// What they want to do it to.
#[derive(Debug, Clone, Default)]
pub struct Object {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// Where it belongs.
    pub department: Option<String>,
    /// 0 public to 3 restricted.
    pub classification: i64,
    /// Accounts that may read it.
    pub viewers: Vec<Uuid>,
    /// Accounts that may edit it.
    pub editors: Vec<Uuid>,
    /// Roles that may read it.
    pub viewer_roles: Vec<String>,
    /// Roles that may edit it.
    pub editor_roles: Vec<String>,
}

impl Object {
    pub(super) fn uid(&self) -> Result<EntityUid, Unaskable> {
        uid("Document", &self.id.to_string())
    }

    pub(super) fn entity(&self) -> Result<Entity, Unaskable> {
        let users = |ids: &[Uuid]| set(ids.iter().map(|id| user(*id)));
        let roles = |names: &[String]| set(names.iter().map(|name| uid("Role", name)));
        let mut attributes = HashMap::from([
            ("owner".to_owned(), RestrictedExpression::new_entity_uid(user(self.owner)?)),
            ("classification".to_owned(), RestrictedExpression::new_long(self.classification)),
            ("viewers".to_owned(), users(&self.viewers)?),
            ("editors".to_owned(), users(&self.editors)?),
            ("viewer_roles".to_owned(), roles(&self.viewer_roles)?),
            ("editor_roles".to_owned(), roles(&self.editor_roles)?),
        ]);
        attributes.extend(self.department.clone().map(|department| ("department".to_owned(), RestrictedExpression::new_string(department))));
        Ok(Entity::new(self.uid()?, attributes, HashSet::new())?)
    }
}

/// How they want to do it.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// The authenticator assurance level, 1 or 2.
    pub assurance: i16,
    /// When.
    pub at: OffsetDateTime,
    /// From where.
    pub address: IpAddr,
}

impl Circumstances {
    pub(super) fn context(self) -> Result<Context, Unaskable> {
        let at = self.at.to_offset(UtcOffset::UTC);
        let written = at.format(time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"))?;
        Ok(Context::from_pairs([
            ("assurance".to_owned(), RestrictedExpression::new_long(self.assurance.into())),
            ("now".to_owned(), RestrictedExpression::new_datetime(written)),
            ("weekday".to_owned(), RestrictedExpression::new_long(at.weekday().number_from_monday().into())),
            // an IPv4 address is one, however the socket writes it
            ("address".to_owned(), RestrictedExpression::new_ip(self.address.to_canonical().to_string())),
        ])?)
    }
}

/// The id is data: it is never parsed as Cedar.
fn uid(kind: &str, id: &str) -> Result<EntityUid, Unaskable> {
    Ok(EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind)?, EntityId::new(id)))
}

fn user(id: Uuid) -> Result<EntityUid, Unaskable> {
    uid("User", &id.to_string())
}

fn set(uids: impl Iterator<Item = Result<EntityUid, Unaskable>>) -> Result<RestrictedExpression, Unaskable> {
    Ok(RestrictedExpression::new_set(uids.map(|uid| uid.map(RestrictedExpression::new_entity_uid)).collect::<Result<Vec<_>, _>>()?))
}

fn texts(all: &[String]) -> RestrictedExpression {
    RestrictedExpression::new_set(all.iter().cloned().map(RestrictedExpression::new_string))
}
