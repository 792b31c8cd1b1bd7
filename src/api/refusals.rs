//! How the rooms' errors are told to callers: here, once.

use crate::{
    access::role::AccessError,
    accounts::proof::ProofError,
    credentials::{challenge::ChallengeError, password::NewPasswordError, second_factor::FactorError},
    documents::Refusal,
    error::{ApiError, ErrorCode, StepUp},
    platform::{crypto::Unsealable, db::StoreError},
    sessions::disabling::DisablingError,
};

impl From<ProofError> for ApiError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Invalid => Self::new(ErrorCode::InvalidProof),
            ProofError::Database(error) => error.into(),
        }
    }
}

impl From<ChallengeError> for ApiError {
    fn from(error: ChallengeError) -> Self {
        match error {
            ChallengeError::Invalid => Self::new(ErrorCode::InvalidChallenge),
            ChallengeError::Database(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<FactorError> for ApiError {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Database(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<NewPasswordError> for ApiError {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Weak(weakness) => Self::invalid_field("password", weakness.to_string()),
            NewPasswordError::Busy(busy) => Self::unavailable(busy),
            NewPasswordError::Hash(error) => Self::internal(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Hidden => Self::new(ErrorCode::NotFound),
            Refusal::Forbidden => Self::new(ErrorCode::Forbidden),
            Refusal::NeedsSecondFactor => Self::step_up(StepUp { assurance: 2, max_age: None }),
        }
    }
}

impl From<Unsealable> for ApiError {
    fn from(error: Unsealable) -> Self {
        Self::internal(error)
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::BeyondOwn => Self::new(ErrorCode::Forbidden),
            AccessError::NotFound => Self::new(ErrorCode::NotFound),
            // a name that passed its rules or came from our table
            AccessError::UnknownRole(_) => Self::invalid_field("roles", "names a role that does not exist"),
            AccessError::Exists => Self::new(ErrorCode::AlreadyExists),
            AccessError::BuiltIn => Self::new(ErrorCode::BuiltInRole),
            AccessError::LastAdministrator => Self::new(ErrorCode::LastAdministrator),
            AccessError::NeedsSecondFactor => Self::step_up(StepUp { assurance: 2, max_age: None }),
            AccessError::TooMany => Self::new(ErrorCode::TooMany),
            AccessError::Database(error) => error.into(),
        }
    }
}

impl From<DisablingError> for ApiError {
    fn from(error: DisablingError) -> Self {
        match error {
            DisablingError::Access(error) => error.into(),
            DisablingError::Store(error) => error.into(),
            DisablingError::Database(error) => error.into(),
        }
    }
}

/// The session state could not be read or written as JSON.
impl From<actix_session::SessionInsertError> for ApiError {
    fn from(error: actix_session::SessionInsertError) -> Self {
        Self::internal(anyhow::anyhow!("{error}"))
    }
}
