//! Who may change what people may do.
//!
//! Nobody grants what they do not hold, nor for longer than they hold it, be it by giving a role, by editing one or by inviting somebody; nobody touches the roles
//! of, or acts on, somebody who holds more; built-in roles stay as they are (also by a trigger); and an administrator always
//! remains. Every change of authority takes one lock first and looks at the actor again behind it, so that two at once cannot do
//! together what neither may do alone.
//! Practices 1.rbac, 1.never-trust-client. Attacks: `tests/suite/attacks/s01_authorization/`.

pub use crate::access::actor::{Actor, Holder, Person};

use crate::access::{
    permission::{Held, Permission, Permissions},
    policy::Subject,
    store,
};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use uuid::Uuid;

/// The role that always has somebody.
pub const ADMINISTRATOR: &str = "administrator";

/// Most roles of one account, and most roles there are.
pub const MAX_ROLES: usize = 100;

/// A role's name: lower-case letters, digits and hyphens, at most 50, beginning with a letter.
///
/// # Errors
/// A reason that can be shown to the sender.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let is_fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 50
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_fine { Ok(()) } else { Err("must be lower-case letters, digits and hyphens, at most 50, beginning with a letter") }
}

/// A role with its permissions.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name, which identifies it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is protected.
    pub built_in: bool,
    /// What it allows.
    pub permissions: Permissions,
    /// Whether it counts only for who has shown a second factor.
    pub requires_second_factor: bool,
}

/// A role that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: String,
    /// It ends at this time.
    pub expires_at: Option<OffsetDateTime>,
}

/// Why authority was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The actor does not hold all that this would give, take or touch.
    #[error("this needs permissions that the actor does not hold")]
    BeyondOwn,
    /// No such account, or no such role.
    #[error("not found")]
    NotFound,
    /// A role of this name does not exist.
    #[error("unknown role {0}")]
    UnknownRole(String),
    /// The role is there already.
    #[error("the role exists")]
    Exists,
    /// The role is built in.
    #[error("the role is built in")]
    BuiltIn,
    /// The role counts with a second factor only, and the actor has not shown one.
    #[error("this needs a second factor")]
    NeedsSecondFactor,
    /// Nobody could administer any more.
    #[error("the last administrator must stay")]
    LastAdministrator,
    /// There are too many roles already.
    #[error("too many roles")]
    TooMany,
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What an active account may do now at this assurance level: some roles count for the second only.
///
/// # Errors
/// When the database is away.
pub async fn permissions_of(connection: &mut PgConnection, account: Uuid, assurance: i16, now: OffsetDateTime) -> Result<Held, sqlx::Error> {
    Ok(store::permissions_of(connection, account, assurance, now).await?.into_iter().collect())
}

/// An active account as policies see it: with what it belongs to, and what it holds by the guard's word.
///
/// # Errors
/// When the database is away.
pub async fn subject(
    connection: &mut PgConnection,
    account: Uuid,
    assurance: i16,
    held: &Held,
    now: OffsetDateTime,
) -> Result<Option<Subject>, sqlx::Error> {
    let standing = store::standing_of(connection, account, assurance, now).await?;
    Ok(standing.map(|(department, roles)| Subject { account, department, roles, permissions: held.names() }))
}

/// What an active account may do now at this assurance level, and which version of its authority that is: for whoever keeps a copy. `None`: it is not active.
///
/// # Errors
/// When the database is away.
pub async fn authority_of(
    connection: &mut PgConnection,
    account: Uuid,
    assurance: i16,
    now: OffsetDateTime,
) -> Result<Option<(i32, Held)>, sqlx::Error> {
    let found = store::authority_of(connection, account, assurance, now).await?;
    Ok(found.map(|(version, held)| (version, held.into_iter().collect())))
}

/// Waits for its turn to change authority, until the end of the transaction, and then looks at the actor again: they must still
/// hold what let them in, and nobody acts on somebody who holds more.
///
/// # Errors
/// [`AccessError::BeyondOwn`], or when the database is away.
pub async fn begin_change(connection: &mut PgConnection, actor: Actor, subject: Option<Uuid>, now: OffsetDateTime) -> Result<Held, AccessError> {
    store::lock(connection).await?;
    let (held, demanded) = match actor {
        Actor::Person(Person { account, by, assurance, session }) => {
            // ended while its call came in
            if let Some(session) = session
                && !store::is_session_live(connection, account, session, now).await?
            {
                return Err(AccessError::BeyondOwn);
            }
            (permissions_of(connection, account, assurance, now).await?, by)
        }
        Actor::CommandLine | Actor::Source => (Held::everything(), None),
    };
    if demanded.is_some_and(|demanded| !held.holds(demanded)) {
        return Err(AccessError::BeyondOwn);
    }
    if let Some(subject) = subject {
        ensure_covers(connection, &held, subject, now).await?;
    }
    Ok(held)
}

/// Whether all that somebody may do, or would again when enabled, is held by who acts on them. To be asked behind [`begin_change`].
///
/// # Errors
/// [`AccessError::BeyondOwn`], or when the database is away.
pub async fn ensure_covers(connection: &mut PgConnection, held: &Held, subject: Uuid, now: OffsetDateTime) -> Result<(), AccessError> {
    let others = store::all_permissions_of(connection, subject, now).await?.into_iter().collect();
    if held.covers(&others) { Ok(()) } else { Err(AccessError::BeyondOwn) }
}

/// How many people are administrators for good and may sign in.
///
/// # Errors
/// When the database is away.
pub async fn administrators(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    store::administrators(connection, ADMINISTRATOR).await
}

/// To be asked at the end of every change after which this account does not act any more: it was an administrator for good, and
/// none is left who is active and whose role does not run out.
///
/// # Errors
/// [`AccessError::LastAdministrator`], or when the database is away.
pub async fn ensure_dispensable(connection: &mut PgConnection, account: Uuid) -> Result<(), AccessError> {
    if store::is_administrator(connection, account, ADMINISTRATOR).await? { ensure_administrator_remains(connection).await } else { Ok(()) }
}

async fn ensure_administrator_remains(connection: &mut PgConnection) -> Result<(), AccessError> {
    if store::administrators(connection, ADMINISTRATOR).await? == 0 { Err(AccessError::LastAdministrator) } else { Ok(()) }
}

fn named<'r>(roles: &'r [Role], name: &str) -> Result<&'r Role, AccessError> {
    roles.iter().find(|role| role.name == name).ok_or_else(|| AccessError::UnknownRole(name.to_owned()))
}

/// Sets the roles of an account to exactly these.
///
/// # Errors
/// [`AccessError`]; the caller rolls back.
pub async fn assign(
    connection: &mut PgConnection,
    actor: Actor,
    subject: Holder,
    wanted: &[Assignment],
    now: OffsetDateTime,
) -> Result<Vec<Assignment>, AccessError> {
    let held = begin_change(connection, actor, None, now).await?;
    if !store::account_exists(connection, subject).await? {
        return Err(AccessError::NotFound);
    }
    ensure_covers(connection, &held, subject.id(), now).await?;
    set(connection, &held, actor, subject.id(), wanted, now).await
}

/// Whether somebody may act through an account with this department and these roles: policies open objects by them, whatever permissions
/// they bring. Who does not place people or give roles anyway has only their own to give.
///
/// # Errors
/// [`AccessError::BeyondOwn`], or when the database is away.
pub async fn ensure_may_place(
    connection: &mut PgConnection,
    (actor, held): (Uuid, &Held),
    department: Option<&str>,
    roles: &[String],
    now: OffsetDateTime,
) -> Result<(), AccessError> {
    let (own_department, own_roles) = store::standing_of(connection, actor, 2, now).await?.ok_or(AccessError::BeyondOwn)?;
    let is_own = department.is_none() || department == own_department.as_deref();
    let are_own = roles.iter().all(|role| own_roles.contains(role));
    let may = (is_own || held.holds(Permission::UsersManage)) && (are_own || held.holds(Permission::RolesAssign));
    if may { Ok(()) } else { Err(AccessError::BeyondOwn) }
}

/// Adds roles to those that an account was born with. Nobody acts on anybody by that: it has nothing else yet.
///
/// # Errors
/// [`AccessError`]; the caller rolls back.
pub async fn welcome(connection: &mut PgConnection, actor: Actor, newcomer: Uuid, roles: &[String], now: OffsetDateTime) -> Result<(), AccessError> {
    let held = begin_change(connection, actor, None, now).await?;
    let mut wanted = store::assignments_of(connection, newcomer, now).await?;
    let added = roles.iter().filter(|role| !wanted.iter().any(|born| born.role == **role)).cloned().collect::<Vec<_>>();
    wanted.extend(added.into_iter().map(|role| Assignment { role, expires_at: None }));
    set(connection, &held, actor, newcomer, &wanted, now).await.map(drop)
}

async fn set(
    connection: &mut PgConnection,
    held: &Held,
    actor: Actor,
    subject: Uuid,
    wanted: &[Assignment],
    now: OffsetDateTime,
) -> Result<Vec<Assignment>, AccessError> {
    let before = store::assignments_of(connection, subject, now).await?;
    let was_administrator = store::is_administrator(connection, subject, ADMINISTRATOR).await?;
    let roles = store::roles(connection).await?;
    let changed = wanted.iter().filter(|a| !before.contains(a)).chain(before.iter().filter(|a| !wanted.contains(a)));
    for Assignment { role, expires_at } in changed {
        if !held.outlasts(&named(&roles, role)?.permissions, *expires_at) {
            return Err(AccessError::BeyondOwn);
        }
    }
    store::set_assignments(connection, subject, wanted, actor.person(), now).await?;
    store::bump_account(connection, subject).await?;
    if was_administrator {
        ensure_administrator_remains(connection).await?;
    }
    Ok(before)
}

/// Whether the actor may give all of these roles: for invitations, before they are sent.
///
/// # Errors
/// [`AccessError::BeyondOwn`], [`AccessError::UnknownRole`], or when the database is away.
pub async fn ensure_may_give(connection: &mut PgConnection, actor: Actor, names: &[String], now: OffsetDateTime) -> Result<(), AccessError> {
    let held = begin_change(connection, actor, None, now).await?;
    let roles = store::roles(connection).await?;
    for name in names {
        if !held.outlasts(&named(&roles, name)?.permissions, None) {
            return Err(AccessError::BeyondOwn);
        }
    }
    Ok(())
}

/// Makes a role.
///
/// # Errors
/// [`AccessError`]; the caller rolls back.
pub async fn create(connection: &mut PgConnection, actor: Actor, role: &Role, now: OffsetDateTime) -> Result<(), AccessError> {
    let held = begin_change(connection, actor, None, now).await?;
    if !held.outlasts(&role.permissions, None) {
        return Err(AccessError::BeyondOwn);
    }
    if store::roles(connection).await?.len() >= MAX_ROLES {
        return Err(AccessError::TooMany);
    }
    if !store::insert_role(connection, role, now).await? {
        return Err(AccessError::Exists);
    }
    Ok(store::set_permissions(connection, &role.name, &role.permissions.names()).await?)
}

/// Sets a role's description and permissions; everybody who has it feels it at once. Returns the role before.
///
/// # Errors
/// [`AccessError`]; the caller rolls back.
pub async fn change(connection: &mut PgConnection, actor: Actor, role: &Role, now: OffsetDateTime) -> Result<Role, AccessError> {
    let old = own_custom_role(connection, actor, &role.name, Some(&role.permissions), now).await?;
    store::describe_role(connection, &role.name, &role.description).await?;
    store::set_permissions(connection, &role.name, &role.permissions.names()).await?;
    store::bump_holders(connection, &role.name).await?;
    Ok(old)
}

/// Whether one of these roles counts only for who has shown a second factor.
///
/// # Errors
/// When the database is away.
pub async fn any_requires_second_factor(connection: &mut PgConnection, names: &[String]) -> Result<bool, sqlx::Error> {
    Ok(store::roles(connection).await?.iter().any(|role| role.requires_second_factor && names.contains(&role.name)))
}

/// Sets whether a role, built in or not, counts only for who has shown a second factor; everybody who has it feels it at once. `false`: it
/// did already.
///
/// # Errors
/// [`AccessError`]; the caller rolls back.
pub async fn require_second_factor(
    connection: &mut PgConnection,
    actor: Actor,
    name: &str,
    is_required: bool,
    now: OffsetDateTime,
) -> Result<(Role, bool), AccessError> {
    let held = begin_change(connection, actor, None, now).await?;
    let role = store::roles(connection).await?.into_iter().find(|role| role.name == name).ok_or(AccessError::NotFound)?;
    if !held.outlasts(&role.permissions, None) {
        return Err(AccessError::BeyondOwn);
    }
    actor.ensure_second_factor()?;
    let is_change = role.requires_second_factor != is_required;
    if is_change {
        store::require_second_factor(connection, name, is_required).await?;
        store::bump_holders(connection, name).await?;
    }
    Ok((Role { requires_second_factor: is_required, ..role }, is_change))
}

/// Deletes a role; nobody has it any more.
///
/// # Errors
/// [`AccessError`]; the caller rolls back.
pub async fn delete(connection: &mut PgConnection, actor: Actor, name: &str, now: OffsetDateTime) -> Result<(), AccessError> {
    own_custom_role(connection, actor, name, None, now).await?;
    store::bump_holders(connection, name).await?;
    Ok(store::delete_role(connection, name).await?)
}

/// A role that the actor may change: not built in, and within what they hold, before and after.
async fn own_custom_role(
    connection: &mut PgConnection,
    actor: Actor,
    name: &str,
    after: Option<&Permissions>,
    now: OffsetDateTime,
) -> Result<Role, AccessError> {
    let held = begin_change(connection, actor, None, now).await?;
    let old = store::roles(connection).await?.into_iter().find(|role| role.name == name).ok_or(AccessError::NotFound)?;
    if old.built_in {
        return Err(AccessError::BuiltIn);
    }
    // else somebody without could do away with the demand, or with the role and make it anew
    if old.requires_second_factor {
        actor.ensure_second_factor()?;
    }
    if !held.outlasts(&old.permissions, None) || after.is_some_and(|after| !held.outlasts(after, None)) {
        return Err(AccessError::BeyondOwn);
    }
    Ok(old)
}

/// The permissions that names stand for.
///
/// # Errors
/// The first name that is none.
pub fn parse_permissions(names: &BTreeSet<String>) -> Result<Permissions, String> {
    names.iter().map(|name| Permission::named(name).ok_or_else(|| name.clone())).collect::<Result<Vec<_>, _>>().map(Permissions::from_iter)
}
