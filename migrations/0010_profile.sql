-- What people write about themselves: the one rich text. The service cleans it before it comes here, and stores the clean form only.
-- It goes with its row when a person is erased; the grants on the table cover it.
ALTER TABLE users ADD COLUMN about text NOT NULL DEFAULT '' CHECK (char_length(about) <= 4000);
