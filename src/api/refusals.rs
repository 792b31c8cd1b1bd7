//! How the rooms' errors are told to callers: here, once.

use crate::{
    accounts::registration::RegistrationError,
    credentials::password::NewPasswordError,
    error::{ApiError, ErrorCode},
    platform::{crypto::Unsealable, outbox::OutboxError},
};

impl From<RegistrationError> for ApiError {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::InvalidProof => Self::new(ErrorCode::InvalidProof),
            RegistrationError::Database(error) => error.into(),
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

impl From<OutboxError> for ApiError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Database(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<Unsealable> for ApiError {
    fn from(error: Unsealable) -> Self {
        Self::internal(error)
    }
}

/// The session state could not be read or written as JSON.
impl From<actix_session::SessionInsertError> for ApiError {
    fn from(error: actix_session::SessionInsertError) -> Self {
        Self::internal(anyhow::anyhow!("{error}"))
    }
}
