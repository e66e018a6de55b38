-- From version 1, which knew neither what a user had signed in with nor chains of refresh tokens.
-- Everybody signs in once more; clients stay registered, and what was revoked stays revoked.
DROP TABLE refresh_tokens;
DROP TABLE codes;
DROP TABLE sessions;
ALTER TABLE grants ADD COLUMN credential TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN seen_at INTEGER;
ALTER TABLE clients ADD COLUMN answer TEXT;
ALTER TABLE clients ADD COLUMN access_hash TEXT;
