//! An account begins when its mailbox is proven: `begin` answers everyone alike and sends a letter, `complete` takes the letter's
//! link or code together with the first password. No password exists before the address is proven, so nobody can prepare an
//! account for somebody else's address.
//! Practices 2.password-policy, 3.schema, 4.sensitive-routes.
//! Attacks: `tests/suite/attacks/s15_broken_authentication/`.

use crate::{
    accounts::{
        self, Account, AccountId, Email, Name,
        registration::{self, Proof},
    },
    credentials::{self, password::Password},
    edge::{
        guard::Anyone,
        rate_limit::{Quota, spend, subject},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode, FieldError},
    letters,
    platform::{crypto, db, outbox},
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks for an account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRegistration {
    /// Where the letter goes.
    #[garde(dive)]
    #[schema(value_type = String, format = "email", max_length = 254, example = "ada@example.org")]
    email: Field<Email>,
}

/// A registration that waits for proof of the mailbox. The same for every address.
#[derive(Serialize, ToSchema)]
pub struct RegistrationBegun {
    /// Names the registration when the code is typed.
    registration_id: Uuid,
    /// Seconds until link and code run out.
    #[schema(example = 900)]
    expires_in: i64,
}

/// Begin a registration
///
/// Sends a letter with a link and a code. The answer is the same whether the address has an account or not.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", request_body = BeginRegistration,
    responses((status = 202, description = "A letter is on its way", body = RegistrationBegun)))]
pub async fn begin(_: Anyone, state: Data<State>, body: Valid<Json<BeginRegistration>>) -> Result<HttpResponse, ApiError> {
    let email = body.0.into_inner().email.take("email")?;
    spend(&state, Quota::Letters, &subject(&state, &[email.as_str()])).await?;

    let (now, lifetime, public_url) = (state.clock.now(), state.settings.registration, &state.settings.public_url);
    let mut transaction = state.pool.begin().await?;
    let is_known = accounts::store::is_known(&mut transaction, &email).await?;
    // for a known address too: the work is the same, and its token is never sent
    let issued = registration::issue(&mut transaction, &state.keyring, now, lifetime, &email).await?;
    let letter =
        if is_known { letters::already_registered(&email, public_url) } else { letters::registration(&email, public_url, &issued, lifetime) };
    outbox::enqueue(&mut transaction, &state.keyring, now, &letter).await?;
    transaction.commit().await?;
    state.letter_waits.notify_one();
    Ok(HttpResponse::Accepted().json(RegistrationBegun { registration_id: issued.id, expires_in: lifetime.whole_seconds() }))
}

/// Completes a registration. Give `token`, or `registration_id` and `code`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteRegistration {
    /// From the letter's link.
    #[garde(length(bytes, max = 64))]
    token: Option<String>,
    /// From the answer to `register`.
    #[garde(skip)]
    registration_id: Option<Uuid>,
    /// The letter's eight digits.
    #[garde(length(bytes, max = 8))]
    #[schema(example = "01234567")]
    code: Option<String>,
    /// What the person wants to be called.
    #[garde(dive)]
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "Ada")]
    name: Field<Name>,
    /// The first password: 15 to 128 characters, nothing common, nothing about its owner.
    #[garde(skip)]
    #[schema(value_type = String, format = "password", min_length = 15, max_length = 128)]
    password: Password,
}

impl CompleteRegistration {
    fn proof(&mut self) -> Result<Proof, ApiError> {
        match (self.token.take(), self.registration_id, self.code.take()) {
            (Some(token), None, None) => Ok(Proof::Link(token)),
            (None, Some(registration), Some(code)) => Ok(Proof::Code { registration, code }),
            _ => Err(ApiError::invalid(vec![FieldError { field: "token".into(), reason: "or registration_id and code must be given".into() }])),
        }
    }
}

/// The new account.
#[derive(Serialize, ToSchema)]
pub struct AccountCreated {
    /// Its id.
    account_id: AccountId,
}

/// Complete a registration
///
/// Spends the link or code and creates the account. Nobody is signed in by this.
#[utoipa::path(post, path = "/v1/auth/register/complete", tag = "auth", request_body = CompleteRegistration,
    responses((status = 201, description = "The account exists", body = AccountCreated)))]
pub async fn complete(_: Anyone, state: Data<State>, body: Valid<Json<CompleteRegistration>>) -> Result<HttpResponse, ApiError> {
    let mut body = body.0.into_inner();
    let (proof, name) = (body.proof()?, body.name.take("name")?);
    let proven = registration::check(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), &proof).await?;

    // no connection is held while the password is hashed, and a refused password leaves the proof unspent
    let context = vec![proven.email.as_str().to_owned(), name.as_str().to_owned()];
    let hash = state.passwords.create(&body.password, context).await?;

    let now = state.clock.now();
    let (id, email) = (AccountId(crypto::uuid_v7(now)), proven.email.as_str().to_owned());
    let account = Account { id, email, name: name.as_str().to_owned(), created_at: now, updated_at: now };
    let mut transaction = state.pool.begin().await?;
    registration::spend(&mut transaction, now, &proven).await?;
    accounts::store::insert(&mut transaction, &account).await.map_err(taken_meanwhile)?;
    credentials::store::insert_password(&mut transaction, id.0, &hash, now).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(AccountCreated { account_id: id }))
}

/// Another registration of the address came first, or it always had an account: told like any other dead proof.
fn taken_meanwhile(error: sqlx::Error) -> ApiError {
    if db::violates(&error, "users_email_unique") { ApiError::new(ErrorCode::InvalidProof) } else { error.into() }
}
