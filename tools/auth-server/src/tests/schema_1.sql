-- Times are seconds since 1970. A column named *_hash holds a SHA-256, never the value itself.

CREATE TABLE IF NOT EXISTS secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Clients that registered themselves, and the last copy of each Client ID Metadata Document.
CREATE TABLE IF NOT EXISTS clients (
    id          TEXT PRIMARY KEY,
    source      TEXT NOT NULL,    -- registration | document
    metadata    TEXT NOT NULL,    -- JSON
    secret_hash TEXT,
    created_at  INTEGER NOT NULL,
    used_at     INTEGER,          -- last time a user approved it; never-used ones are evicted first
    fresh_until INTEGER           -- documents: fetched again after this
) STRICT;

-- Browsers that are signed in.
CREATE TABLE IF NOT EXISTS sessions (
    id_hash      TEXT PRIMARY KEY,
    username     TEXT NOT NULL,
    signed_in_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

-- What one user approved for one client. Everything issued hangs from it, so revoking it is one
-- update. It lives as long as the longest-lived token under it.
CREATE TABLE IF NOT EXISTS grants (
    id         TEXT PRIMARY KEY,
    client_id  TEXT NOT NULL,
    username   TEXT NOT NULL,
    scope      TEXT NOT NULL,
    resources  TEXT NOT NULL,     -- JSON array
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS grants_by_client ON grants (client_id);

-- A code is redeemed when it has a grant. The row stays as long as that grant, so that a second
-- use is recognised and revokes it.
CREATE TABLE IF NOT EXISTS codes (
    code_hash      TEXT PRIMARY KEY,
    client_id      TEXT NOT NULL,
    username       TEXT NOT NULL,
    redirect_uri   TEXT NOT NULL,
    redirect_given INTEGER NOT NULL,  -- 1 if the request named it: then the token request must too
    challenge      TEXT NOT NULL,
    scope          TEXT NOT NULL,
    resources      TEXT NOT NULL,     -- JSON array
    nonce          TEXT,
    signed_in_at   INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    grant_id       TEXT REFERENCES grants (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX IF NOT EXISTS codes_by_grant ON codes (grant_id);

-- A rotated token stays, with the hash of its successor, so that reuse is recognised.
CREATE TABLE IF NOT EXISTS refresh_tokens (
    token_hash     TEXT PRIMARY KEY,
    grant_id       TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    expires_at     INTEGER NOT NULL,
    rotated_at     INTEGER,
    successor_hash TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS refresh_tokens_by_grant ON refresh_tokens (grant_id);

-- Access tokens are JWTs and need no row to be valid; the row ties a `jti` to its grant, so that
-- introspection and userinfo know what was revoked.
CREATE TABLE IF NOT EXISTS access_tokens (
    jti        TEXT PRIMARY KEY,
    grant_id   TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS access_tokens_by_grant ON access_tokens (grant_id);

-- The current key itself lies in the keys directory; here is what must be published beside it.
CREATE TABLE IF NOT EXISTS signing_keys (
    kid         TEXT PRIMARY KEY,
    role        TEXT NOT NULL,    -- next | current | old
    public_jwk  TEXT NOT NULL,    -- JSON
    private_pem TEXT,             -- of the next key only
    due_at      INTEGER           -- next: signs from then on; old: published until then
) STRICT;

INSERT INTO clients (id, source, metadata, created_at) VALUES
    ('old-client', 'registration', '{"redirect_uris":["http://127.0.0.1:5000/callback"]}', 1700000000);
INSERT INTO grants VALUES ('g', 'old-client', 'alice', 'mcp:read', '["http://localhost:9000/mcp"]',
    1700000000, 4000000000, NULL);
INSERT INTO refresh_tokens VALUES ('hash', 'g', 4000000000, NULL, NULL);
INSERT INTO access_tokens VALUES ('jti', 'g', 4000000000, NULL);
INSERT INTO sessions VALUES ('session', 'alice', 1700000000, 4000000000);
PRAGMA user_version = 1;
