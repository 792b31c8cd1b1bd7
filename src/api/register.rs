//! An account begins when its mailbox is proven: `begin_registration` answers everyone alike and sends a letter, `complete_registration` takes the letter's
//! link or code together with the first password. No password exists before the address is proven, so nobody can prepare an
//! account for somebody else's address. An invitation is such a letter that somebody else asked for.
//! Practices 2.password-policy, 3.schema, 4.sensitive-routes.
//! Attacks: `tests/suite/attacks/s15_broken_authentication/`.

use crate::{
    access::{
        permission::Permission,
        role::{self, AccessError, Actor, Person},
    },
    accounts::{
        self, Account, AccountId, Email, Name, invitation,
        proof::{self, Claim, Proven, Purpose},
    },
    api::{
        mailed::{self, LetterSent},
        shapes::{Code, NewPassword, OpaqueToken},
    },
    audit::{self, Entry, Event},
    credentials::{self, password::Password},
    edge::{
        guard::Anyone,
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    platform::db,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks for an account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRegistration {
    /// Where the letter goes.
    #[garde(dive)]
    #[schema(value_type = Email)]
    email: Field<Email>,
}

/// Begin a registration
///
/// Sends a letter with a link and a code. The answer is the same whether the address has an account or not. Calling again sends
/// another letter, after a while.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", request_body = BeginRegistration,
    responses((status = 202, description = "A letter is on its way", body = LetterSent)))]
pub async fn begin_registration(anyone: Anyone, state: Data<State>, body: Valid<Json<BeginRegistration>>) -> Result<HttpResponse, ApiError> {
    if !state.settings.open_registration {
        return Err(ApiError::new(ErrorCode::RegistrationClosed));
    }
    let email = body.0.into_inner().email.take("email")?;
    mailed::spend_letter(&state, &anyone.caller, &email).await?;

    let lifetime = state.settings.terms.proof;
    let mut transaction = state.pool.begin().await?;
    let is_known = accounts::store::is_known(&mut transaction, &email).await?;
    // for a known address too: the work is the same, and its token is never sent
    let claim = Claim { purpose: Purpose::Registration, email: &email, account: None, session: None, lifetime };
    let issued =
        mailed::send_proof(&mut transaction, &state, claim, |issued| if is_known { Letter::AlreadyRegistered } else { Letter::Registration(issued) })
            .await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(LetterSent::answer(issued.id, lifetime))
}

/// Completes a registration. Give `token`, or `proof_id` and `code`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteRegistration {
    /// From the letter's link.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = Option<OpaqueToken>)]
    token: Option<String>,
    /// From the answer to `register`.
    #[garde(skip)]
    proof_id: Option<Uuid>,
    /// The letter's eight digits.
    #[garde(length(bytes, max = 8))]
    #[schema(value_type = Option<Code>)]
    code: Option<String>,
    /// What the person wants to be called.
    #[garde(dive)]
    #[schema(value_type = Name)]
    name: Field<Name>,
    /// The first password: 15 to 128 characters, nothing common, nothing about its owner.
    #[garde(skip)]
    #[schema(value_type = NewPassword)]
    password: Password,
}

/// The new account.
#[derive(Serialize, ToSchema)]
pub struct AccountCreated {
    /// Its id.
    account_id: AccountId,
}

/// Complete a registration
///
/// Spends the link or code of a registration, or the link of an invitation, and creates the account. Nobody is signed in by this.
#[utoipa::path(post, path = "/v1/auth/register/complete", tag = "auth", request_body = CompleteRegistration,
    responses((status = 201, description = "The account exists", body = AccountCreated)))]
pub async fn complete_registration(anyone: Anyone, state: Data<State>, body: Valid<Json<CompleteRegistration>>) -> Result<HttpResponse, ApiError> {
    let CompleteRegistration { token, proof_id, code, name, password } = body.0.into_inner();
    let (proof, name) = (mailed::proof(token, proof_id, code)?, name.take("name")?);
    let purposes = [Purpose::Registration, Purpose::Invitation];
    let proven = mailed::check(&state, &anyone.caller, &purposes, &proof).await?;
    if proven.purpose == Purpose::Registration && !state.settings.open_registration {
        return Err(ApiError::new(ErrorCode::RegistrationClosed));
    }

    // no connection is held while the password is hashed, and a refused password leaves the proof unspent
    let context = vec![proven.email.as_str().to_owned(), name.as_str().to_owned()];
    let hash = mailed::new_password(&state, proven.id, &password, context).await?;

    let now = state.clock.now();
    let account = Account::new(&proven.email, &name, now);
    let mut transaction = state.pool.begin().await?;
    proof::spend(&mut transaction, now, &proven).await?;
    accounts::store::insert(&mut transaction, &account).await.map_err(taken_meanwhile)?;
    credentials::store::set_password(&mut transaction, account.id.0, &hash, now).await?;
    accounts::proof::store::end_registrations(&mut transaction, &proven.email, now).await?;
    let created = Entry::own(Event::AccountCreated, &anyone.caller.origin, account.id.0).email(proven.email.as_str());
    audit::record(&mut transaction, &state.keyring, now, created).await?;
    if proven.purpose == Purpose::Invitation {
        accept(&mut transaction, &state, &anyone, &proven, account.id).await?;
    }
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(AccountCreated { account_id: account.id }))
}

/// The invitation's roles and department, if whoever invited may still give them.
async fn accept(transaction: &mut PgConnection, state: &State, anyone: &Anyone, proven: &Proven, account: AccountId) -> Result<(), ApiError> {
    let now = state.clock.now();
    let invited = invitation::store::accept(transaction, proven.id, account).await?.ok_or_else(|| ApiError::new(ErrorCode::InvalidProof))?;
    // what they hold at their best: they need not be there
    let inviter = Person { account: invited.invited_by, by: Some(Permission::InvitationsManage), assurance: 2, session: None };
    let given = role::welcome(transaction, Actor::Person(inviter), account.0, &invited.roles, now).await;
    given.map_err(|error| match error {
        // whoever invited has lost the right meanwhile: the invitation is worth nothing any more
        AccessError::BeyondOwn => ApiError::new(ErrorCode::InvalidProof),
        other => other.into(),
    })?;
    let detail = json!({ "invitation": proven.id, "invited_by": invited.invited_by, "roles": invited.roles });
    let entry = Entry::own(Event::InvitationAccepted, &anyone.caller.origin, account.0).detail(detail);
    Ok(audit::record(transaction, &state.keyring, now, entry).await?)
}

/// Another registration of the address came first, or it always had an account: told like any other dead proof.
pub(super) fn taken_meanwhile(error: sqlx::Error) -> ApiError {
    if db::violates(&error, "users_email_unique") { ApiError::new(ErrorCode::InvalidProof) } else { error.into() }
}
