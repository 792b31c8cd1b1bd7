mod cut_feed;
mod ended_elsewhere;
mod forged_tokens;
mod guessable_passwords;
mod old_keys;
mod outdated_hashes;
mod refresh_replay;
mod secrets_in_a_database_dump;
