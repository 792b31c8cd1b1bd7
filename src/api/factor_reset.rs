//! The way back for who has lost the second factor and the recovery codes: an administrator who knows the person lets a letter go out, whose
//! link takes the second factors away within a day. Neither does so alone: the administrator cannot read the letter, and whoever reads the
//! letters cannot ask for one.
//! Practice 10.mfa. Attacks: `tests/suite/attacks/s10_access_control/factor_reset.rs`.

use crate::{
    access::{permission::demand::UsersManage, role},
    accounts::{
        self, AccountId, Email,
        directory::store::find,
        proof::{self, Claim, Proof, Purpose},
    },
    api::{
        api_keys, mailed,
        mfa::{lock_account, own_email},
        recovery::{FollowLink, check},
    },
    audit::{self, Entry, Event},
    credentials::second_factor,
    edge::{
        guard::{Anyone, Fresh, May},
        rate_limit::{Count, Quota, spend},
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    sessions,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Let somebody take a lost second factor away
///
/// Sends the owner a link that does it, for a day. Make sure who is asking: to others the account is as safe as the mailbox while the
/// link is good. Nobody does this for somebody who may do more than they.
#[utoipa::path(post, path = "/v1/users/{id}/second-factor/reset", tag = "users", params(("id" = Uuid, Path, description = "The account")),
    responses((status = 204, description = "A letter is on its way")))]
pub async fn allow_second_factor_reset(may: Fresh<May<UsersManage>>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), id, now) = (may, id.0.into_inner(), state.clock.now());
    // looked at before anything is counted: nobody uses up the letters of somebody on whom they may not act
    let mut looking = state.pool.begin().await?;
    helped(&mut looking, &may, id, now).await?;
    looking.rollback().await?;
    spend(&state, &[Count::of(&state, Quota::MailboxCodes, &[&id.to_string(), "reset"])]).await?;
    let mut transaction = state.pool.begin().await?;
    // and again behind the account's lock: the letter goes to the address that it has now
    let email = helped(&mut transaction, &may, id, now).await?;
    proof::store::end_proofs(&mut transaction, AccountId(id), &[Purpose::SecondFactorReset], now).await?;
    let lifetime = state.settings.terms.factor_reset;
    let claim = Claim { purpose: Purpose::SecondFactorReset, email: &email, account: Some(AccountId(id)), session: None, lifetime };
    mailed::send_proof(&mut transaction, &state, claim, |issued| Letter::SecondFactorReset(issued)).await?;
    let entry = Entry::new(Event::SecondFactorResetAllowed, &may.caller.origin, Some(may.principal.account), Some(id));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::NoContent().finish())
}

/// The address of somebody who can be helped, behind the locks of authority, mailbox and account.
async fn helped(connection: &mut PgConnection, may: &May<UsersManage>, id: Uuid, now: OffsetDateTime) -> Result<Email, ApiError> {
    role::begin_change(connection, may.actor(), Some(id), now).await?;
    let none = || ApiError::new(ErrorCode::NotFound);
    find(connection, AccountId(id), now).await?.ok_or_else(none)?;
    let email = lock_account(connection, id).await.map_err(|_| none())?;
    if second_factor::store::factors(connection, id).await?.is_on() { Ok(email) } else { Err(none()) }
}

/// Take a lost second factor away
///
/// Spends the link that an administrator let go out: authenticator app, passkeys and recovery codes are gone, everybody is signed
/// out and API keys end. Signing in asks for the first factor as before.
#[utoipa::path(post, path = "/v1/auth/mfa/reset", tag = "auth", request_body = FollowLink,
    responses((status = 204, description = "There is no second factor any more")))]
pub async fn reset_second_factor(anyone: Anyone, state: Data<State>, body: Valid<Json<FollowLink>>) -> Result<HttpResponse, ApiError> {
    let (proven, owner) = check(&state, &anyone.caller, Purpose::SecondFactorReset, Proof::Link(body.0.into_inner().token)).await?;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    proof::spend(&mut transaction, now, &proven).await?;
    accounts::store::lock(&mut transaction, owner).await?;
    // an address that the account had before proves nothing
    if own_email(&mut transaction, owner.0).await?.as_str() != proven.email.as_str() {
        return Err(ApiError::new(ErrorCode::InvalidProof));
    }
    second_factor::remove_all(&mut transaction, owner.0, now).await?;
    sessions::end_all(&mut transaction, &state.revocations, owner.0, now).await?;
    api_keys::revoke_all(&mut transaction, &state, &anyone.caller.origin, (owner.0, owner.0)).await?;
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::SecondFactorReset, &anyone.caller.origin, owner.0)).await?;
    mailed::send(&mut transaction, &state, &proven.email, Letter::SecondFactorRemoved("all")).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::NoContent().finish())
}
