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
    fresh_until INTEGER,          -- documents: fetched again after this
    seen_at     INTEGER,          -- last time a user came from it: it may be signing somebody in
    answer      TEXT,             -- registrations: JSON, what the client was told of itself, no secrets
    access_hash TEXT              -- registrations: of the token that reads and deletes this one
) STRICT;

-- Assertions that clients proved themselves with: each counts once.
CREATE TABLE IF NOT EXISTS assertions (
    client_id TEXT NOT NULL,
    jti_hash  TEXT NOT NULL,
    forget_at INTEGER NOT NULL,   -- when it counts for nothing any more
    PRIMARY KEY (client_id, jti_hash)
) STRICT, WITHOUT ROWID;

-- Browsers that are signed in.
CREATE TABLE IF NOT EXISTS sessions (
    id_hash      TEXT PRIMARY KEY,
    sid          TEXT NOT NULL UNIQUE,  -- its name in ID tokens; opens nothing
    username     TEXT NOT NULL,
    credential   TEXT NOT NULL,   -- digest of what the user signed in with: ends with the password
    signed_in_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

-- What one user approved for one client. Everything issued hangs from it, so revoking it is one
-- update. It lives as long as the longest-lived token under it.
CREATE TABLE IF NOT EXISTS grants (
    id         TEXT PRIMARY KEY,
    client_id  TEXT NOT NULL,
    username   TEXT NOT NULL,
    credential TEXT NOT NULL,     -- as in sessions
    scope      TEXT NOT NULL,
    resources  TEXT NOT NULL,     -- JSON array
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS grants_by_client ON grants (client_id);
CREATE INDEX IF NOT EXISTS grants_by_user ON grants (username);

-- A code is redeemed when it has a grant. The row stays as long as that grant, so that a second
-- use is recognised and revokes it.
CREATE TABLE IF NOT EXISTS codes (
    code_hash      TEXT PRIMARY KEY,
    client_id      TEXT NOT NULL,
    username       TEXT NOT NULL,
    credential     TEXT NOT NULL,     -- as in sessions
    sid            TEXT NOT NULL,     -- of the session in which it was approved
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

-- One chain of refresh tokens for each grant that has any. All tokens of a chain begin with the
-- same handle, so an old one is recognised without a row of its own.
CREATE TABLE IF NOT EXISTS refresh_tokens (
    grant_id      TEXT PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
    handle_hash   TEXT NOT NULL UNIQUE,
    token_hash    TEXT NOT NULL,      -- the newest
    replaced_hash TEXT,               -- the one before, which works for the grace period
    rotated_at    INTEGER,            -- when that one was replaced
    expires_at    INTEGER NOT NULL
) STRICT;

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

-- Browsers that were sent to the upstream provider and have not come back yet.
CREATE TABLE IF NOT EXISTS upstream_flows (
    state_hash   TEXT PRIMARY KEY,
    browser_hash TEXT NOT NULL,      -- of the cookie: it counts in that browser only
    request      TEXT NOT NULL,      -- the client's authorization request, as a query
    expires_at   INTEGER NOT NULL
) STRICT;

-- Users who signed in at the upstream provider. Local users are in a file.
CREATE TABLE IF NOT EXISTS upstream_users (
    sub          TEXT PRIMARY KEY,   -- name of the provider, colon, its subject
    credential   TEXT NOT NULL,      -- digest of the provider and of our client id there
    login        TEXT NOT NULL,      -- what they called themselves, for people to read
    name         TEXT,
    signed_in_at INTEGER NOT NULL
) STRICT;

-- What opens the upstream provider's API in a user's name, sealed with a key that is not in here.
CREATE TABLE IF NOT EXISTS upstream_tokens (
    sub    TEXT PRIMARY KEY REFERENCES upstream_users (sub) ON DELETE CASCADE,
    sealed BLOB NOT NULL
) STRICT;
