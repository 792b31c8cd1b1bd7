mod cross_site_call;
mod cross_site_refresh;
mod every_unsafe_call;
mod login_csrf;
mod two_identities;
