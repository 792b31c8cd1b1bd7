//! Every handler, one file a story, and the route table. The table is the only way to a handler: it is grouped by guard, does
//! not compile for a handler whose first argument is another guard, and the API document is written from it.
//! Practices 1.route-guard, 10.deny-default, 15.automated.

mod api_keys;
mod csrf;
mod devices;
mod document;
mod documents;
mod email;
mod events;
mod export_contents;
mod factor_reset;
mod health;
mod identities;
mod inbound;
mod invitations;
mod login;
mod logout;
mod mailbox;
mod mailed;
mod me;
mod mfa;
mod oauth;
mod pages;
mod passkeys;
mod password;
mod personal_data;
mod reauthenticate;
mod recovery;
mod refusals;
mod register;
mod roles;
mod routes;
mod second_factor;
mod service_accounts;
mod shapes;
mod sign_in;
mod step_up;
mod tokens;
mod users;
mod webhook_endpoints;

use crate::{
    access::permission::demand::{
        AuditRead, DocumentsRead, DocumentsWrite, InvitationsManage, RolesAssign, RolesManage, RolesRead, ServiceAccountsManage, UsersManage,
        UsersRead, WebhooksManage,
    },
    edge::guard::{Anyone, Fresh, May, SignedIn, WithCookie, WithToken},
    error::ErrorCode::{
        AlreadyExists, BuiltInRole, Forbidden, IdentityRefused, IdentityUnknown, InvalidChallenge, InvalidCredentials, InvalidProof,
        InvalidRefreshToken, InvalidSecondFactor, LastAdministrator, LastWayIn, MailboxProofRequired, NotFound, PreconditionFailed,
        PreconditionRequired, RateLimited, RefreshTokenReplayed, RegistrationClosed, StepUpRequired, TooLarge, TooMany, WebhookRefused,
        WrongPassword,
    },
};
use actix_web::web::ServiceConfig;
use routes::Routes;
use utoipa::openapi::OpenApi;

/// The closed list of what can be called, by whom, and how it may be refused beyond what the guard, the body and the parameters say.
fn table() -> Routes {
    let mut routes = Routes::new();
    routes
        .open_to::<Anyone>()
        .route(health::__path_livez, health::livez, &[])
        .route(health::__path_readyz, health::readyz, &[])
        .route(pages::__path_openapi, pages::openapi, &[])
        .route(pages::__path_docs, pages::docs, &[])
        .route(pages::__path_errors, pages::errors, &[])
        .route(pages::__path_docs_file, pages::docs_file, &[])
        .route(pages::__path_link, pages::link, &[])
        .route(pages::__path_oauth, pages::oauth, &[])
        .route(pages::__path_asset, pages::asset, &[])
        .route(oauth::__path_providers, oauth::providers, &[])
        .route(oauth::__path_authorize, oauth::authorize, &[RateLimited])
        .route(
            oauth::__path_callback,
            oauth::callback,
            &[InvalidChallenge, InvalidCredentials, IdentityRefused, IdentityUnknown, AlreadyExists, TooMany],
        )
        .route(register::__path_begin_registration, register::begin_registration, &[RateLimited, RegistrationClosed])
        .route(register::__path_complete_registration, register::complete_registration, &[InvalidProof, RegistrationClosed])
        .route(login::__path_login, login::login, &[InvalidCredentials, RateLimited])
        .route(
            second_factor::__path_verify_second_factor,
            second_factor::verify_second_factor,
            &[InvalidChallenge, InvalidCredentials, InvalidSecondFactor],
        )
        .route(passkeys::proof::__path_ask_second_factor, passkeys::proof::ask_second_factor, &[InvalidChallenge, NotFound])
        .route(passkeys::sign_in::__path_begin_passkey_sign_in, passkeys::sign_in::begin_passkey_sign_in, &[])
        .route(passkeys::sign_in::__path_passkey_login, passkeys::sign_in::passkey_login, &[InvalidChallenge, InvalidCredentials])
        .route(factor_reset::__path_reset_second_factor, factor_reset::reset_second_factor, &[InvalidProof])
        .route(tokens::__path_refresh_tokens, tokens::refresh_tokens, &[InvalidRefreshToken, RefreshTokenReplayed])
        .route(tokens::__path_jwks, tokens::jwks, &[])
        .route(recovery::__path_forgot_password, recovery::forgot_password, &[RateLimited])
        .route(recovery::__path_reset_password, recovery::reset_password, &[InvalidProof])
        .route(recovery::__path_disown_session, recovery::disown_session, &[InvalidProof])
        .route(recovery::__path_trust_device, recovery::trust_device, &[InvalidProof])
        .route(email::__path_confirm_email, email::confirm_email, &[InvalidProof])
        .route(email::__path_undo_email_change, email::undo_email_change, &[InvalidProof])
        .route(personal_data::__path_keep_account, personal_data::keep_account, &[InvalidProof]);
    routes
        .open_to::<SignedIn>()
        .route(logout::__path_logout, logout::logout, &[Forbidden])
        .route(devices::__path_logout_all, devices::logout_all, &[])
        .route(me::__path_read, me::read, &[])
        .route(me::__path_change, me::change, &[])
        .route(me::__path_read_roles, me::read_roles, &[])
        .route(step_up::__path_step_up, step_up::step_up, &[Forbidden, InvalidChallenge, InvalidSecondFactor, StepUpRequired, WrongPassword])
        .route(passkeys::proof::__path_ask_step_up, passkeys::proof::ask_step_up, &[NotFound])
        .route(mfa::__path_read_second_factors, mfa::read_second_factors, &[])
        .route(passkeys::__path_list_passkeys, passkeys::list_passkeys, &[])
        .route(passkeys::__path_rename_passkey, passkeys::rename_passkey, &[])
        .route(devices::__path_list_sessions, devices::list_sessions, &[])
        .route(devices::__path_revoke_other_sessions, devices::revoke_other_sessions, &[])
        .route(devices::__path_revoke_session, devices::revoke_session, &[])
        .route(identities::__path_list, identities::list, &[])
        .route(api_keys::__path_list_api_keys, api_keys::list_api_keys, &[])
        .route(api_keys::__path_revoke_api_key, api_keys::revoke_api_key, &[])
        .route(events::__path_list_own_events, events::list_own_events, &[])
        .route(personal_data::__path_read_export, personal_data::read_export, &[NotFound]);
    routes
        .open_to::<Fresh<SignedIn>>()
        .route(password::__path_change_password, password::change_password, &[MailboxProofRequired, WrongPassword])
        .route(email::__path_change_email, email::change_email, &[])
        .route(passkeys::__path_begin_passkey, passkeys::begin_passkey, &[MailboxProofRequired, TooMany])
        .route(passkeys::__path_add_passkey, passkeys::add_passkey, &[Forbidden, InvalidChallenge, MailboxProofRequired, TooMany])
        .route(passkeys::__path_remove_passkey, passkeys::remove_passkey, &[LastWayIn, MailboxProofRequired])
        .route(mfa::__path_begin_totp, mfa::begin_totp, &[AlreadyExists, MailboxProofRequired])
        .route(mfa::__path_confirm_totp, mfa::confirm_totp, &[Forbidden, InvalidSecondFactor, MailboxProofRequired])
        .route(mailbox::__path_request_mailbox_code, mailbox::request_mailbox_code, &[])
        .route(mailbox::__path_confirm_mailbox, mailbox::confirm_mailbox, &[InvalidProof])
        .route(mfa::__path_remove_totp, mfa::remove_totp, &[MailboxProofRequired, NotFound])
        .route(mfa::__path_replace_recovery_codes, mfa::replace_recovery_codes, &[NotFound])
        .route(identities::__path_authorize, identities::authorize, &[Forbidden, MailboxProofRequired])
        .route(identities::__path_unlink, identities::unlink, &[LastWayIn])
        .route(api_keys::__path_create_api_key, api_keys::create_api_key, &[TooMany])
        .route(api_keys::__path_rotate_api_key, api_keys::rotate_api_key, &[TooMany])
        .route(personal_data::__path_request_export, personal_data::request_export, &[])
        .route(personal_data::__path_fetch_export, personal_data::fetch_export, &[])
        .route(personal_data::__path_close_account, personal_data::close_account, &[LastAdministrator]);
    routes.open_to::<WithCookie>().route(csrf::__path_csrf, csrf::csrf, &[]);
    routes.open_to::<WithToken>().route(tokens::__path_verify, tokens::verify, &[Forbidden, StepUpRequired]);
    routes.open_to::<May<UsersRead>>().route(users::__path_list, users::list, &[]).route(users::__path_read, users::read, &[]).route(
        users::__path_read_roles,
        users::read_roles,
        &[],
    );
    routes
        .open_to::<Fresh<May<UsersManage>>>()
        .route(users::__path_set_disabled, users::set_disabled, &[LastAdministrator])
        .route(users::__path_set_department, users::set_department, &[])
        .route(users::__path_end_sessions, users::end_sessions, &[])
        .route(factor_reset::__path_allow_second_factor_reset, factor_reset::allow_second_factor_reset, &[]);
    routes.open_to::<Fresh<May<RolesAssign>>>().route(users::__path_set_roles, users::set_roles, &[LastAdministrator]);
    routes.open_to::<May<RolesRead>>().route(roles::__path_list, roles::list, &[]).route(roles::__path_permissions, roles::permissions, &[]);
    routes
        .open_to::<Fresh<May<RolesManage>>>()
        .route(roles::__path_create, roles::create, &[AlreadyExists, TooMany])
        .route(roles::__path_change, roles::change, &[BuiltInRole])
        .route(roles::__path_require_second_factor, roles::require_second_factor, &[])
        .route(roles::__path_delete, roles::delete, &[BuiltInRole]);
    routes.open_to::<May<InvitationsManage>>().route(invitations::__path_list, invitations::list, &[]);
    routes.open_to::<Fresh<May<InvitationsManage>>>().route(invitations::__path_create, invitations::create, &[]).route(
        invitations::__path_revoke,
        invitations::revoke,
        &[],
    );
    routes
        .open_to::<May<DocumentsRead>>()
        .route(documents::listing::__path_list, documents::listing::list, &[])
        .route(documents::__path_read, documents::read, &[StepUpRequired])
        .route(documents::shares::__path_read_shares, documents::shares::read_shares, &[StepUpRequired]);
    routes
        .open_to::<May<DocumentsWrite>>()
        .route(documents::__path_create, documents::create, &[StepUpRequired, TooMany])
        .route(documents::__path_change, documents::change, &[PreconditionFailed, PreconditionRequired, StepUpRequired])
        .route(documents::__path_delete, documents::delete, &[StepUpRequired])
        .route(documents::__path_restore, documents::restore, &[StepUpRequired])
        .route(documents::shares::__path_set_shares, documents::shares::set_shares, &[StepUpRequired]);
    routes
        .open_to::<May<ServiceAccountsManage>>()
        .route(service_accounts::__path_list, service_accounts::list, &[])
        .route(service_accounts::__path_read, service_accounts::read, &[])
        .route(service_accounts::__path_list_keys, service_accounts::list_keys, &[]);
    routes
        .open_to::<Fresh<May<ServiceAccountsManage>>>()
        .route(service_accounts::__path_create, service_accounts::create, &[TooMany])
        .route(service_accounts::__path_set_roles, service_accounts::set_roles, &[])
        .route(service_accounts::__path_set_disabled, service_accounts::set_disabled, &[])
        .route(service_accounts::__path_delete, service_accounts::delete, &[])
        .route(service_accounts::__path_create_key, service_accounts::create_key, &[TooMany])
        .route(service_accounts::__path_rotate_key, service_accounts::rotate_key, &[TooMany])
        .route(service_accounts::__path_revoke_key, service_accounts::revoke_key, &[]);
    routes.open_to::<Anyone>().route(inbound::__path_receive, inbound::receive, &[Forbidden, TooLarge, WebhookRefused]);
    routes.open_to::<May<WebhooksManage>>().route(inbound::__path_list, inbound::list, &[]).route(inbound::__path_read, inbound::read, &[]);
    routes
        .open_to::<May<WebhooksManage>>()
        .route(webhook_endpoints::__path_list_endpoints, webhook_endpoints::list_endpoints, &[])
        .route(webhook_endpoints::__path_read_endpoint, webhook_endpoints::read_endpoint, &[])
        .route(webhook_endpoints::deliveries::__path_list_deliveries, webhook_endpoints::deliveries::list_deliveries, &[])
        .route(webhook_endpoints::deliveries::__path_test_endpoint, webhook_endpoints::deliveries::test_endpoint, &[])
        .route(webhook_endpoints::deliveries::__path_replay_delivery, webhook_endpoints::deliveries::replay_delivery, &[])
        .route(webhook_endpoints::deliveries::__path_replay_since, webhook_endpoints::deliveries::replay_since, &[]);
    routes
        .open_to::<Fresh<May<WebhooksManage>>>()
        .route(webhook_endpoints::__path_create_endpoint, webhook_endpoints::create_endpoint, &[TooMany])
        .route(webhook_endpoints::__path_change_endpoint, webhook_endpoints::change_endpoint, &[])
        .route(webhook_endpoints::__path_delete_endpoint, webhook_endpoints::delete_endpoint, &[])
        .route(webhook_endpoints::__path_rotate_secret, webhook_endpoints::rotate_secret, &[]);
    routes.open_to::<May<AuditRead>>().route(events::__path_list, events::list, &[]);
    routes
}

/// Puts every handler into the application.
pub fn configure(config: &mut ServiceConfig) {
    table().configure(config);
}

/// Only what operators need: for their own listener.
pub fn configure_health(config: &mut ServiceConfig) {
    let mut routes = Routes::new();
    routes.open_to::<Anyone>().route(health::__path_livez, health::livez, &[]).route(health::__path_readyz, health::readyz, &[]);
    routes.configure(config);
}

/// The API document, OpenAPI 3.1.
#[must_use]
pub fn document() -> OpenApi {
    table().into_document()
}
