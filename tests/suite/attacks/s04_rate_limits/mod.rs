mod address_flood;
mod code_guessing;
mod forwarded_for_spoofing;
mod hash_flood;
mod letter_bombing;
mod lock_out_weapon;
mod password_guessing;
mod slow_body;
