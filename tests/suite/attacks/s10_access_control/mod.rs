mod around_the_second_factor;
mod factor_reset;
mod replayed_code;
mod role_without_second_factor;
mod stale_session;
mod thiefs_factor;
