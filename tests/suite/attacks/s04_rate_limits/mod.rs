mod address_flood;
mod code_guessing;
mod forwarded_for_spoofing;
mod hash_flood;
mod letter_bombing;
mod password_guessing;
mod slow_body;
