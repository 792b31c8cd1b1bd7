-- What people recognise their devices by.
ALTER TABLE sessions
    -- coarse ("Firefox on Linux"), from the browser's own word
    ADD COLUMN device text NOT NULL DEFAULT '' CHECK (char_length(device) <= 100),
    -- as much of the address as the settings allow
    ADD COLUMN address text CHECK (octet_length(address) <= 45);
ALTER TABLE users
    ADD COLUMN last_signed_in_at timestamptz,
    -- known-device cookies from before this time are strangers'
    ADD COLUMN devices_known_since timestamptz NOT NULL DEFAULT '-infinity';
