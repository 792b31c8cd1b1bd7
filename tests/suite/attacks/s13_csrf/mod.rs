mod cross_site_call;
mod cross_site_refresh;
mod login_csrf;
mod two_identities;
