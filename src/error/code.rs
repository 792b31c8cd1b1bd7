//! The closed list of error codes, each with its status, its public text, and what a client should do. Practices 8.no-leak, 8.envelope.

use actix_web::http::StatusCode;

macro_rules! error_codes {
    ($($(#[doc = $about:literal])* $variant:ident = $status:ident, $code:literal, $message:literal;)*) => {
        /// The closed list of error codes. Clients decide by these; texts may change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
        pub enum ErrorCode { $($(#[doc = $about])* #[schema(rename = $code)] $variant,)* }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name in the answer.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            /// The public text.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),* }
            }

            /// When it is given, for the page of codes.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),*).trim_ascii()),* }
            }
        }
    };
}

error_codes! {
    /// Not to be read as HTTP or JSON.
    Malformed = BAD_REQUEST, "MALFORMED", "The request could not be read.";
    /// A one-time link or code that is unknown, used, expired or tried too often; nobody is told which.
    InvalidProof = BAD_REQUEST, "INVALID_PROOF", "The link or code is not valid, or not any more. Ask for a new letter.";
    /// Nobody is signed in.
    Unauthenticated = UNAUTHORIZED, "UNAUTHENTICATED", "Sign in first.";
    /// An access token or an API key that is wrong in any way; nobody is told which.
    InvalidToken = UNAUTHORIZED, "INVALID_TOKEN", "The access token or API key is not valid, or not any more.";
    /// A refresh token that leads to no live session.
    InvalidRefreshToken = UNAUTHORIZED, "INVALID_REFRESH_TOKEN", "The refresh token is missing, unknown or over. Sign in again.";
    /// A refresh token of a session that ended because one of its tokens was used twice.
    RefreshTokenReplayed = UNAUTHORIZED, "REFRESH_TOKEN_REPLAYED", "One of this session's refresh tokens was used twice: somebody else may have had it, so the session was ended. Sign in again.";
    /// A webhook whose signature, time or id does not hold; nobody is told which.
    WebhookRefused = UNAUTHORIZED, "WEBHOOK_REFUSED", "The webhook's signature, time or id does not hold.";
    /// Address or password is wrong, or the passkey; nobody is told which.
    InvalidCredentials = UNAUTHORIZED, "INVALID_CREDENTIALS", "The address or the password is wrong, or the passkey is not known.";
    /// An unsafe call that did not come from an allowed page.
    CsrfRejected = FORBIDDEN, "CSRF_REJECTED", "The call does not come from an allowed origin or lacks the session's CSRF token.";
    /// A cross-origin call of a page that is not on the list.
    OriginNotAllowed = FORBIDDEN, "ORIGIN_NOT_ALLOWED", "Pages of this origin may not make this call.";
    /// A call over clear text; whatever it carried has been seen on the way.
    HttpsRequired = FORBIDDEN, "HTTPS_REQUIRED", "Use HTTPS. Change every secret that this call carried.";
    /// The operators' listener under a name that a stranger may have pointed at it.
    WrongHost = MISDIRECTED_REQUEST, "WRONG_HOST", "Nothing is served under this name.";
    /// Signed in, but without the permission, or beyond it: nobody gives, takes or touches what they do not hold. Or an API key without the scope, or where only people are let in.
    Forbidden = FORBIDDEN, "FORBIDDEN", "You are not allowed to do this.";
    /// Registration is for invited people only.
    RegistrationClosed = FORBIDDEN, "REGISTRATION_CLOSED", "Accounts are for invited people only.";
    /// Something that was begun (a sign-in that waits for the second factor, a ceremony with a passkey) and is unknown, finished, too old
    /// or tried too often; nobody is told which.
    InvalidChallenge = BAD_REQUEST, "INVALID_CHALLENGE", "What was begun is over, or was never begun. Begin again.";
    /// A second factor that is wrong or was used before.
    InvalidSecondFactor = FORBIDDEN, "INVALID_SECOND_FACTOR", "The second factor is wrong, or was used before.";
    /// Signed in, but who it is was shown too long ago, or not well enough; `step_up` and the challenge say what is missing.
    StepUpRequired = UNAUTHORIZED, "STEP_UP_REQUIRED", "Show once more that it is you.";
    /// The first second factor, another way in, and removing a second factor need the owner's agreement by mail.
    MailboxProofRequired = FORBIDDEN, "MAILBOX_PROOF_REQUIRED", "Show first that you read the account's mail.";
    /// Nobody could get into the account any more.
    LastWayIn = CONFLICT, "LAST_WAY_IN", "This is the last way into the account. Add another one first.";
    /// An identity at another service that leads to no account, and of which none may be made.
    IdentityUnknown = FORBIDDEN, "IDENTITY_UNKNOWN", "No account belongs to this identity. Sign in and link it.";
    /// What came back from the other service proves nobody.
    IdentityRefused = FORBIDDEN, "IDENTITY_REFUSED", "The other service did not confirm who you are.";
    /// The current password is wrong.
    WrongPassword = FORBIDDEN, "WRONG_PASSWORD", "The current password is wrong.";
    /// Nothing here, or nothing of yours.
    NotFound = NOT_FOUND, "NOT_FOUND", "There is nothing here.";
    /// Another method is needed; `Allow` lists them.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "This method is not allowed here.";
    /// The request did not arrive in time.
    Timeout = REQUEST_TIMEOUT, "TIMEOUT", "The request took too long.";
    /// There is one of this name already.
    AlreadyExists = CONFLICT, "ALREADY_EXISTS", "There is one of this name already.";
    /// Built-in roles stay as they are.
    BuiltInRole = CONFLICT, "BUILT_IN_ROLE", "Built-in roles cannot be changed.";
    /// Somebody must be able to administer the service.
    LastAdministrator = CONFLICT, "LAST_ADMINISTRATOR", "The last administrator must stay one.";
    /// `If-Match` names another version than there is now.
    PreconditionFailed = PRECONDITION_FAILED, "PRECONDITION_FAILED", "It was changed meanwhile.";
    /// `If-Match` is missing, or cannot be read: a change names the version that it changes.
    PreconditionRequired = PRECONDITION_REQUIRED, "PRECONDITION_REQUIRED", "Say which version you change.";
    /// The limit on how many of these there can be.
    TooMany = CONFLICT, "TOO_MANY", "There are too many of these already.";
    /// The body is larger than allowed.
    TooLarge = PAYLOAD_TOO_LARGE, "TOO_LARGE", "The body is too large.";
    /// The body is not plain JSON.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json, not encoded.";
    /// The target and the header fields are larger, or the fields more, than allowed.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "HEADERS_TOO_LARGE", "The request's target and headers are too large or too many.";
    /// Well-formed, but fields are missing, unknown or out of range.
    Invalid = UNPROCESSABLE_ENTITY, "INVALID", "Some fields are not as they should be.";
    /// A quota is used up; `Retry-After` says for how long.
    RateLimited = TOO_MANY_REQUESTS, "RATE_LIMITED", "Too many requests. Try again later.";
    /// Our mistake.
    Internal = INTERNAL_SERVER_ERROR, "INTERNAL", "Something went wrong on our side.";
    /// A dependency is away or busy; `Retry-After` says when to try again.
    Unavailable = SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is not available right now. Try again soon.";
}

impl ErrorCode {
    /// What a client should do, for the page of codes.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Malformed => "Mend the request; sent again as it is, it fails again.",
            Self::InvalidProof => "Ask for a new letter; do not try codes, five wrong ones spend the letter.",
            Self::Unauthenticated => "Sign in, then repeat the call with the session cookie or an access token.",
            Self::InvalidToken => {
                "Refresh the access token once and repeat the call; if that fails too, sign in. An API key that is refused stays refused: use its successor, or ask its owner for another."
            }
            Self::InvalidRefreshToken => "Forget both tokens and sign in.",
            Self::RefreshTokenReplayed => "Forget both tokens, tell the person that somebody else may have had the token, and sign in.",
            Self::WebhookRefused => {
                "Sign the body as it is sent, with the key and the scheme that were agreed on, the time of this attempt, and an id that no other message had. The audit log here says which of them it was."
            }
            Self::InvalidCredentials => "Let the person correct the entry, or ask for a letter that sets a new password. Do not repeat it by itself.",
            Self::CsrfRejected => "Fetch the token from `GET /v1/auth/csrf`, send it as `X-CSRF-Token`, and call from an allowed origin.",
            Self::OriginNotAllowed => {
                "Call from an origin that the service lists in `PORTCULLIS_CORS_ORIGINS`, with a method and headers that the API document names."
            }
            Self::HttpsRequired => "Use the `https` address, and change every password and token that went over clear text.",
            Self::WrongHost => "Ask by IP address, or list the name in `PORTCULLIS_OPERATOR_HOSTS`.",
            Self::Forbidden => "Do not repeat the call; an administrator can give the permission.",
            Self::RegistrationClosed => "Ask an administrator for an invitation.",
            Self::InvalidChallenge => "Begin again: sign in anew, or ask for new options.",
            Self::InvalidSecondFactor => "Let the person enter the next code; a code counts once, and wrong ones are counted.",
            Self::StepUpRequired => {
                "Let the person prove who they are at `POST /v1/auth/step-up`, with a second factor where `acr` is `aal2` (set one up if there is none), then repeat the call."
            }
            Self::MailboxProofRequired => {
                "Ask for a code by `POST /v1/me/mailbox`, let the person type it into `POST /v1/me/mailbox/confirm`, then repeat the call."
            }
            Self::LastWayIn => "Set a password, or add a passkey or another identity, then remove this one.",
            Self::IdentityUnknown => "Let the person sign in another way, or register, and then link the identity.",
            Self::IdentityRefused => {
                "Begin again: the person may have refused at the other service. If it goes on, the settings or that service are wrong."
            }
            Self::WrongPassword => "Let the person enter the current password again; wrong ones are counted.",
            Self::NotFound => "Do not repeat the call. What belongs to others looks the same as what does not exist.",
            Self::MethodNotAllowed => "Use one of the methods in `Allow`.",
            Self::Timeout => "Send the request again, whole and faster, on a new connection.",
            Self::AlreadyExists => "Choose another name, or read the one that exists.",
            Self::BuiltInRole => "Make a role of your own.",
            Self::LastAdministrator => "Make somebody else an administrator first.",
            Self::PreconditionFailed => "Read it again, look at what has changed, and send the change with the new `ETag`.",
            Self::PreconditionRequired => "Read it, and send its `ETag` as `If-Match`, with its quotes.",
            Self::TooMany => "Delete some first.",
            Self::TooLarge => "Send less; `PORTCULLIS_BODY_LIMIT` is the number.",
            Self::UnsupportedMediaType => "Send JSON with `Content-Type: application/json` and no `Content-Encoding`.",
            Self::HeadersTooLarge => {
                "Send fewer and shorter headers and a shorter query; `PORTCULLIS_HEADER_LIMIT` and `PORTCULLIS_HEADER_FIELDS` are the numbers."
            }
            Self::Invalid => "Correct what `fields` names: each entry has the field and the reason.",
            Self::RateLimited => "Wait for as many seconds as `Retry-After` says; earlier calls are refused too.",
            Self::Internal => "Report `request_id` to whoever runs the service. A safe call may be repeated, with growing pauses.",
            Self::Unavailable => "Wait for as many seconds as `Retry-After` says, then repeat the call; nothing was lost.",
        }
    }

    /// The code's place on the page of codes (and in `docs/errors.md`).
    #[must_use]
    pub fn anchor(self) -> String {
        self.name().to_ascii_lowercase()
    }
}
