//! The closed list of permissions. The table `permissions` holds the same names, so that roles can refer to them; a test
//! compares the two. Practice 1.rbac.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use time::OffsetDateTime;

macro_rules! permissions {
    ($($(#[$about:meta])* $variant:ident = $name:literal;)*) => {
        /// The closed list of permissions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
        pub enum Permission { $($(#[$about])* #[schema(rename = $name)] $variant,)* }

        impl Permission {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        /// One type a permission, for guards in handler arguments.
        pub mod demand {
            use super::{Demand, Permission};
            $($(#[$about])* pub struct $variant;

            impl Demand for $variant {
                const PERMISSION: Permission = Permission::$variant;
            })*
        }
    };
}

permissions! {
    /// List accounts and read them.
    UsersRead = "users:read";
    /// Disable and enable accounts, set departments, end sessions.
    UsersManage = "users:manage";
    /// List roles and permissions.
    RolesRead = "roles:read";
    /// Make, change and delete roles.
    RolesManage = "roles:manage";
    /// Give roles to people and take them away.
    RolesAssign = "roles:assign";
    /// Invite people, list and revoke invitations.
    InvitationsManage = "invitations:manage";
    /// Read the audit log.
    AuditRead = "audit:read";
    /// List and read documents, as far as policies allow.
    DocumentsRead = "documents:read";
    /// Make, edit, share, delete and restore documents, as far as policies allow.
    DocumentsWrite = "documents:write";
    /// Answer for the documents of one's own department.
    DocumentsManage = "documents:manage";
    /// List, make, change and delete service accounts and their keys.
    ServiceAccountsManage = "service_accounts:manage";
    /// Look at webhooks in both directions; say who is told what.
    WebhooksManage = "webhooks:manage";
}

/// A permission as a type.
pub trait Demand: 'static {
    /// The permission.
    const PERMISSION: Permission;
}

impl Permission {
    /// The permission of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.name() == name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of permissions, as a role has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Their names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

/// From the names in the database. One that this binary does not know (of a newer one, while it rolls out) counts for nothing.
impl FromIterator<String> for Permissions {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        names.into_iter().filter_map(|name| Permission::named(&name)).collect()
    }
}

/// What somebody may do, and until when: of each permission the latest end among the roles that give it; `None`: for good.
#[derive(Debug, Clone, Default)]
pub struct Held(BTreeMap<Permission, Option<OffsetDateTime>>);

impl Held {
    /// Everything, for good.
    #[must_use]
    pub fn everything() -> Self {
        Self(Permission::ALL.iter().map(|permission| (*permission, None)).collect())
    }

    /// Whether this one is among them now.
    #[must_use]
    pub fn holds(&self, permission: Permission) -> bool {
        self.0.contains_key(&permission)
    }

    /// Whether all of the others are among them now: for acting on somebody who holds them.
    #[must_use]
    pub fn covers(&self, others: &Permissions) -> bool {
        others.0.iter().all(|other| self.0.contains_key(other))
    }

    /// Whether all of the others are among them for as long as they are to be given (`None`: for good). A right that ends must not
    /// make one that lasts.
    #[must_use]
    pub fn outlasts(&self, others: &Permissions, until: Option<OffsetDateTime>) -> bool {
        others.0.iter().all(|other| match (self.0.get(other), until) {
            (None, _) | (Some(Some(_)), None) => false,
            (Some(None), _) => true,
            (Some(Some(end)), Some(until)) => *end >= until,
        })
    }

    /// Only those of them that are among these: what an API key has of its account's.
    #[must_use]
    pub fn within(self, scopes: &Permissions) -> Self {
        Self(self.0.into_iter().filter(|(permission, _)| scopes.0.contains(permission)).collect())
    }

    /// Which they are, whenever they end.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.0.keys().copied().collect()
    }

    /// When the first of them runs out, if any does.
    #[must_use]
    pub fn first_end(&self) -> Option<OffsetDateTime> {
        self.0.values().flatten().min().copied()
    }

    /// Their names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.keys().map(ToString::to_string).collect()
    }
}

/// From the database: names and ends.
impl FromIterator<(String, Option<OffsetDateTime>)> for Held {
    fn from_iter<I: IntoIterator<Item = (String, Option<OffsetDateTime>)>>(rows: I) -> Self {
        Self(rows.into_iter().filter_map(|(name, end)| Some((Permission::named(&name)?, end))).collect())
    }
}
