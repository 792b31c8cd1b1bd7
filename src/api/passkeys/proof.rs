//! A passkey as a proof: judged, used up, and asked for beside a password or in a session that is there. What is asked is bound to the
//! sign-in that waits, or to the session.
//! Practices 10.mfa, 10.step-up. Attacks: `tests/suite/attacks/s10_access_control/`.

use crate::{
    accounts::Email,
    api::{
        mailed,
        passkeys::{PasskeyRequest, count_question},
        second_factor::awaited,
        shapes::OpaqueToken,
        sign_in::Waiting,
    },
    audit::{self, Entry, Event},
    credentials::{
        challenge::{self, Begin, Purpose},
        passkey::{
            PasskeyError, Question, Shown, Used,
            options::RequestOptions,
            store::{self, Stored},
        },
    },
    edge::{
        guard::{Anyone, Caller, SignedIn},
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
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

/// How somebody with a passkey has shown who they are (RFC 8176): a key, and what the device asked for before it used it.
pub(in crate::api) const AMR: [&str; 2] = ["pop", "mfa"];

/// Judges an answer with the passkey that it names. `None`: it is wrong. A copy of the key is told to its owner.
pub(in crate::api) async fn judge(
    state: &State,
    caller: &Caller,
    question: Question,
    found: Option<(Stored, Email)>,
    shown: Shown,
) -> Result<Option<Used>, ApiError> {
    let Some((passkey, email)) = found else { return Ok(None) };
    let (account, id) = (passkey.account, passkey.id);
    match state.settings.relying_party.verify(question, passkey, shown) {
        Ok(used) => Ok(Some(used)),
        Err(PasskeyError::Refused(_)) => Ok(None),
        Err(PasskeyError::Cloned) => {
            let may_notify = mailed::may_notify_of(state, "copied passkey", &email).await?;
            let mut transaction = state.pool.begin().await?;
            let entry = Entry::new(Event::PasskeyCopied, &caller.origin, None, Some(account)).refused().detail(json!({ "passkey": id }));
            audit::record(&mut transaction, &state.keyring, state.clock.now(), entry).await?;
            if may_notify {
                mailed::send(&mut transaction, state, &email, Letter::PasskeyCopied).await?;
            }
            transaction.commit().await?;
            mailed::sent(state);
            Ok(None)
        }
    }
}

/// A sign-in that waits for the second factor.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AwaitedSignIn {
    /// From the answer to the sign-in.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = OpaqueToken)]
    mfa_token: String,
}

/// Options for `navigator.credentials.get()`.
#[derive(Serialize, ToSchema)]
pub struct SecondFactorOptions {
    /// For `PublicKeyCredential.parseRequestOptionsFromJSON()`.
    options: RequestOptions,
}

/// What the account's passkeys are asked.
async fn ask(connection: &mut PgConnection, state: &State, account: Uuid) -> Result<(RequestOptions, Question), ApiError> {
    let known = store::stored(connection, &state.keyring, account).await?;
    if known.is_empty() {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    state.settings.relying_party.ask(Some((account, &known))).map_err(ApiError::internal)
}

/// Ask for a passkey as the second factor
///
/// Gives options for `navigator.credentials.get()`; the answer goes to `/v1/auth/mfa/verify` with the same token. Asking again makes the
/// options before worthless.
#[utoipa::path(post, path = "/v1/auth/mfa/options", tag = "auth", request_body = AwaitedSignIn,
    responses((status = 200, description = "The options", body = SecondFactorOptions)))]
pub async fn ask_second_factor(anyone: Anyone, state: Data<State>, body: Valid<Json<AwaitedSignIn>>) -> Result<HttpResponse, ApiError> {
    count_question(&state, &anyone.caller).await?;
    let (id, evidence, _) = awaited(&state, &anyone.caller, body.0.into_inner().mfa_token).await?;
    let mut transaction = state.pool.begin().await?;
    let (options, question) = ask(&mut transaction, &state, evidence.account).await?;
    let waiting = Waiting { basis: evidence.basis, carriage: evidence.carriage, device: evidence.device, question: Some(question) };
    challenge::replace_state(&mut transaction, &state.keyring, id, &waiting).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(SecondFactorOptions { options }))
}

/// Ask for a passkey to show once more that it is you
///
/// Gives options for `navigator.credentials.get()`; the answer goes to `/v1/auth/step-up` with the token.
#[utoipa::path(post, path = "/v1/auth/step-up/options", tag = "auth",
    responses((status = 200, description = "The options", body = PasskeyRequest)))]
pub async fn ask_step_up(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    count_question(&state, &caller).await?;
    let mut transaction = state.pool.begin().await?;
    let (options, question) = ask(&mut transaction, &state, principal.account).await?;
    let begin = Begin {
        purpose: Purpose::PasskeyStepUp,
        account: Some(principal.account),
        session: Some(principal.session),
        lifetime: state.settings.terms.challenge,
    };
    let token = challenge::issue(&mut transaction, &state.keyring, state.clock.now(), begin, &question).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(PasskeyRequest { token: token.expose().to_owned(), options }))
}
