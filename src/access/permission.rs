//! The closed list of permissions. The table `permissions` holds the same names, so that roles can refer to them; a test
//! compares the two. Practice 1.rbac.

use std::{collections::BTreeSet, fmt};

macro_rules! permissions {
    ($($(#[$about:meta])* $variant:ident = $name:literal;)*) => {
        /// The closed list of permissions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission { $($(#[$about])* $variant,)* }

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

/// What somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Whether this one is among them.
    #[must_use]
    pub fn holds(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }

    /// Whether all of the others are among them.
    #[must_use]
    pub fn covers(&self, others: &Self) -> bool {
        others.0.is_subset(&self.0)
    }

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
