mod cookie_tossing;
mod forged_cookie;
mod forgotten_session;
mod password_change;
mod session_fixation;
mod stolen_cookie_after_sign_out;
mod unsafe_cookie;
