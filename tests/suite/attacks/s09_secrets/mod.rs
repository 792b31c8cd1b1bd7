mod foreign_key_encryption_key;
mod forged_api_keys;
mod keys_for_people_only;
mod outlived_api_keys;
mod schema_change_by_the_service;
mod stolen_api_key;
