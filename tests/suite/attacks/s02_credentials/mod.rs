mod guessable_passwords;
mod outdated_hashes;
mod secrets_in_a_database_dump;
