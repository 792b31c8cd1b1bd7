mod cross_site_call;
mod login_csrf;
mod two_identities;
