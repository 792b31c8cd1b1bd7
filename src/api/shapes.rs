//! What strings look like in the API document, where a room has no type of its own for them. Said once, so that a length or an
//! alphabet is the same in every body, parameter and answer. Practices 3.schema, 15.excessive-data.

#![expect(dead_code, reason = "described, never made")]

use utoipa::ToSchema;

/// 256 random bits in base64url: what a letter's link carries, a CSRF or a refresh token.
#[derive(ToSchema)]
#[schema(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$", example = "dGhpcyBpcyBub3QgYSB0b2tlbiwganVzdCBhIHNoYXA")]
pub struct OpaqueToken(String);

/// A letter's eight digits.
#[derive(ToSchema)]
#[schema(min_length = 8, max_length = 8, pattern = "^[0-9]{8}$", example = "01234567")]
pub struct Code(String);

/// An authenticator app's six digits.
#[derive(ToSchema)]
#[schema(min_length = 6, max_length = 6, pattern = "^[0-9]{6}$", example = "012345")]
pub struct TotpCode(String);

/// The seed of an authenticator app, in base32.
#[derive(ToSchema)]
#[schema(min_length = 32, max_length = 32, pattern = "^[A-Z2-7]{32}$")]
pub struct TotpSecret(String);

/// The same with everything else that an authenticator app needs.
#[derive(ToSchema)]
#[schema(format = "uri", max_length = 2000, pattern = "^otpauth://totp/[!-~]+$")]
pub struct OtpauthUri(String);

/// A picture, as an SVG document.
#[derive(ToSchema)]
#[schema(max_length = 200000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+$")]
pub struct Picture(String);

/// A recovery code: 24 letters and digits, in groups of four. Case, blanks and hyphens do not matter.
#[derive(ToSchema)]
#[schema(min_length = 24, max_length = 64, pattern = "^[0-9A-Za-z -]+$", example = "0123-4567-89ab-cdef-ghjk-mnpq")]
pub struct RecoveryCode(String);

/// The place in a list where a page begins.
#[derive(ToSchema)]
#[schema(
    min_length = 64,
    max_length = 64,
    pattern = "^[A-Za-z0-9_-]{64}$",
    example = "AAAAAZAAAAAAcACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)]
pub struct Cursor(String);

/// An access token (RFC 9068).
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 8192, pattern = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")]
pub struct AccessToken(String);

/// An API key: `docs/api-keys.md` takes it apart.
#[derive(ToSchema)]
#[schema(min_length = 89, max_length = 90, pattern = "^pc_(live|dev)_[0-9a-f]{32}_[0-9A-Za-z]{49}$")]
pub struct ApiKeyText(String);

/// A network in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), no bits set behind the prefix.
#[derive(ToSchema)]
#[schema(min_length = 4, max_length = 43, pattern = "^[0-9a-fA-F.:]+/[0-9]{1,3}$", example = "203.0.113.0/24")]
pub struct NetworkRange(String);

/// A secret that a webhook endpoint shares: `docs/webhooks.md` says how it verifies.
#[derive(ToSchema)]
#[schema(min_length = 50, max_length = 50, pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
pub struct WebhookSecret(String);

/// The public half of a key that signs webhooks.
#[derive(ToSchema)]
#[schema(min_length = 49, max_length = 49, pattern = "^whpk_[A-Za-z0-9+/]{43}=$", example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
pub struct WebhookPublicKey(String);

/// A password that somebody has: never judged, only compared.
#[derive(ToSchema)]
#[schema(format = "password", max_length = 4096)]
pub struct CurrentPassword(String);

/// A password to be: 15 to 128 characters, nothing common, nothing about its owner.
#[derive(ToSchema)]
#[schema(format = "password", min_length = 15, max_length = 128, example = "wet gravel under a tin moon")]
pub struct NewPassword(String);

/// A network address, or as much of it as this service keeps.
#[derive(ToSchema)]
#[schema(min_length = 2, max_length = 45, pattern = "^[0-9a-fA-F.:]+$", example = "203.0.113.0")]
pub struct NetworkAddress(String);

/// A device, as its browser calls itself.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]+$", example = "Firefox on Linux")]
pub struct DeviceName(String);

/// What something is for, for people.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 500, pattern = r"^[^\x00-\x1f\x7f]+$")]
pub struct Description(String);

/// How it ended.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Outcome {
    Success,
    Refused,
}

/// What became of an invitation.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum InvitationStatus {
    Open,
    Used,
    Revoked,
    Expired,
}

/// How far an export is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ExportStatus {
    Pending,
    Ready,
}

/// That it can.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum HealthStatus {
    Ok,
}

/// How an access token is sent (RFC 6750).
#[derive(ToSchema)]
pub enum TokenType {
    Bearer,
}

/// Permissions, separated by spaces (RFC 6749 §3.3).
#[derive(ToSchema)]
#[schema(max_length = 2000, pattern = "^([a-z_-]+:[a-z_-]+( [a-z_-]+:[a-z_-]+)*)?$", example = "users:read audit:read")]
pub struct Scope(String);

/// Authenticator assurance level (NIST SP 800-63B-4).
#[derive(ToSchema)]
#[schema(minimum = 1, maximum = 2)]
pub struct Assurance(i32);

/// A page that links in letters lead to.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum LinkPage {
    Register,
    Reset,
    Email,
    Undo,
    Disown,
    Trust,
    Keep,
    Factor,
    Export,
}

/// A script or style of those pages.
#[derive(ToSchema)]
pub enum LinkAsset {
    #[schema(rename = "link.js")]
    Link,
    #[schema(rename = "export.js")]
    Export,
    #[schema(rename = "oauth.js")]
    OAuth,
    #[schema(rename = "page.css")]
    Page,
}

/// A file of the viewer.
#[derive(ToSchema)]
pub enum ViewerFile {
    #[schema(rename = "index.html")]
    Index,
    #[schema(rename = "index.css")]
    IndexStyle,
    #[schema(rename = "swagger-ui.css")]
    Style,
    #[schema(rename = "swagger-initializer.js")]
    Initializer,
    #[schema(rename = "swagger-ui-bundle.js")]
    Bundle,
    #[schema(rename = "swagger-ui-standalone-preset.js")]
    Preset,
    #[schema(rename = "favicon-32x32.png")]
    Icon,
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(format = "binary", max_length = 4_194_304)]
pub struct FileContents(String);

/// Versions of an answer that the caller has (RFC 9110 §13.1.2).
#[derive(ToSchema)]
#[schema(max_length = 1024, pattern = r#"^(\*|(W/)?"[\x21\x23-\x7e]*"([ \t]*,[ \t]*(W/)?"[\x21\x23-\x7e]*")*)?$"#, example = "*")]
pub struct EntityTags(String);

/// What a provider speaks.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ProviderKind {
    Oidc,
    Github,
}

/// A provider's page, with what it is asked.
#[derive(ToSchema)]
#[schema(format = "uri", max_length = 4096, pattern = "^https?://[!-~]+$")]
pub struct AuthorizationUrl(String);

/// A provider's code, as it came.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 4096, pattern = r"^[^\x00]+$")]
pub struct AuthorizationCode(String);

/// A provider's error, as it came (RFC 6749 §4.1.2.1).
#[derive(ToSchema)]
#[schema(max_length = 100, pattern = r"^[^\x00]*$", example = "access_denied")]
pub struct OAuthError(String);

/// An issuer of identities.
#[derive(ToSchema)]
#[schema(max_length = 500, pattern = r"^[^\x00]*$", example = "https://accounts.google.com")]
pub struct IssuerName(String);

/// Who somebody is, by an issuer's word.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f]+$", example = "248289761001")]
pub struct SubjectName(String);

/// The public keys of tokens (RFC 7517 §5).
#[derive(ToSchema)]
pub struct PublicKeys {
    /// Each good for verifying only.
    #[schema(max_items = 100)]
    keys: Vec<PublicKey>,
}

/// A public key: of these members those that its kind has.
#[derive(ToSchema)]
pub struct PublicKey {
    kty: KeyKind,
    /// `sig`: it verifies.
    #[schema(rename = "use", value_type = KeyUse)]
    of: KeyUse,
    alg: KeyAlgorithm,
    /// Its thumbprint (RFC 7638).
    #[schema(value_type = KeyPart)]
    kid: KeyPart,
    #[schema(value_type = Option<KeyCurve>, nullable = false)]
    crv: Option<KeyCurve>,
    #[schema(value_type = Option<KeyPart>, nullable = false)]
    x: Option<KeyPart>,
    #[schema(value_type = Option<KeyPart>, nullable = false)]
    y: Option<KeyPart>,
    #[schema(value_type = Option<KeyPart>, nullable = false)]
    n: Option<KeyPart>,
    #[schema(value_type = Option<KeyPart>, nullable = false)]
    e: Option<KeyPart>,
}

/// The kind of a key.
#[derive(ToSchema)]
pub enum KeyKind {
    #[schema(rename = "OKP")]
    Edwards,
    #[schema(rename = "EC")]
    Elliptic,
    #[schema(rename = "RSA")]
    Rsa,
}

/// What a key is for.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum KeyUse {
    Sig,
}

/// An algorithm of tokens (RFC 7518, RFC 8037).
#[derive(ToSchema)]
pub enum KeyAlgorithm {
    #[schema(rename = "EdDSA")]
    EdDsa,
    #[schema(rename = "ES256")]
    Es256,
    #[schema(rename = "RS256")]
    Rs256,
}

/// A curve.
#[derive(ToSchema)]
pub enum KeyCurve {
    Ed25519,
    #[schema(rename = "P-256")]
    P256,
}

/// A number or a name of a key, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 1024, pattern = "^[A-Za-z0-9_-]+$", example = "AQAB")]
pub struct KeyPart(String);

/// The name of a source of webhooks in the settings.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 30, pattern = "^[a-z0-9-]+$", example = "hr")]
pub struct SourceNameText(String);

/// The id of a webhook, as its sender gave it.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_:-]+$", example = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W")]
pub struct WebhookId(String);

/// The kind of an event that a webhook tells.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_.:-]+$", example = "user.deactivated")]
pub struct WebhookType(String);

/// What a webhook said: a JSON object, as text.
#[derive(ToSchema)]
#[schema(max_length = 10485760, pattern = r"^\s*\{")]
pub struct WebhookBody(String);

/// How far a webhook that came in is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum InboxState {
    Waiting,
    Processed,
    Dead,
}

/// Whether a webhook is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceivedStatus {
    /// It is new.
    Accepted,
    /// It came before, was given up, and is dealt with after all.
    Resumed,
    /// It came before.
    Repeated,
}
