//! The words of the walk: what each exchange is for, why it is so, and the clause that says so.
//!
//! All of it is data, so that the code beside it shows the protocol and nothing else.

use std::borrow::Cow;

use crate::exchange::Note;
use crate::exchange::Party;
use crate::exchange::Tale;

/// Makes the list of notes read like one.
const fn note(
    from: Party,
    to: Party,
    title: &'static str,
    why: &'static str,
    clause: &'static str,
) -> Note {
    Note {
        from,
        to,
        title: Cow::Borrowed(title),
        why,
        clause,
    }
}

/// A request that nobody reads about.
pub(crate) const QUIET: Note = note(Party::Client, Party::Server, "", "", "");

// ---- the MCP server ----

pub(crate) const KNOCK: Note = note(
    Party::Client,
    Party::Server,
    "Call without a token",
    "A client tries first: only a 401 tells it that a token is needed, and where to begin.",
    "MCP authorization, \"Authorization Flow Steps\"; RFC 6750 section 3",
);
pub(crate) const GREET: Note = note(
    Party::Client,
    Party::Server,
    "Ask what the server is",
    "The request of the beginning again, now with the token in its header; it goes into every \
     request, and never into a URL. One round trip instead of a handshake.",
    "MCP server/discover; MCP authorization, \"Token Requirements\"",
);
pub(crate) const HANDSHAKE: Note = note(
    Party::Client,
    Party::Server,
    "Shake hands",
    "Older servers are greeted first: version and capabilities are agreed on once.",
    "MCP 2025-11-25, basic/lifecycle; MCP streamable HTTP, \"Backward Compatibility\"",
);
pub(crate) const READY: Note = note(
    Party::Client,
    Party::Server,
    "Say that we are ready",
    "A notification has no id and gets no answer, only 202.",
    "MCP 2025-11-25, basic/lifecycle",
);
pub(crate) const LIST: Note = note(
    Party::Client,
    Party::Server,
    "List the tools",
    "Reading the list needs no more than the scope for reading.",
    "MCP server/tools, \"Listing Tools\"",
);
pub(crate) const CALL: Note = note(
    Party::Client,
    Party::Server,
    "Call the tool",
    "Calling is more than reading: the server may demand another scope for it.",
    "MCP server/tools, \"Calling Tools\"",
);

// ---- finding the way ----

const RESOURCE_CLAUSE: &str = "RFC 9728 section 3; MCP authorization server discovery, \
                               \"Protected Resource Metadata Discovery Requirements\"";
pub(crate) const RESOURCE_NAMED: Note = note(
    Party::Client,
    Party::Server,
    "Ask for the protected resource metadata",
    "The 401 named this document: it says which resource this is and who issues its tokens.",
    RESOURCE_CLAUSE,
);
pub(crate) const RESOURCE_PROBED: Note = note(
    Party::Client,
    Party::Server,
    "Ask for the protected resource metadata",
    "The challenge names no document, so the client tries the well-known places: first with the \
     path of the endpoint, then at the root.",
    RESOURCE_CLAUSE,
);
pub(crate) const ISSUER: Note = note(
    Party::Client,
    Party::Issuer,
    "Ask for the authorization server's metadata",
    "The issuer is only a name; this document says where to log in and what the server can do. \
     Clients try RFC 8414 with the path inserted, then OpenID Connect with it inserted, then \
     appended.",
    "RFC 8414 section 3; MCP authorization server discovery, \"Authorization Server Metadata \
     Discovery\"",
);

// ---- registration ----

const REGISTRATION: &str = "MCP client registration";
pub(crate) const PREREGISTERED: Tale = Tale {
    title: "Use the pre-registered client",
    why: "Somebody registered this client before, so there is nothing to ask for.",
    clause: REGISTRATION,
};
pub(crate) const METADATA_DOCUMENT: Tale = Tale {
    title: "Use the client metadata document",
    why: "The URL of a document that describes this client is its id: nothing to register, and \
          the same id at every authorization server.",
    clause: "OAuth Client ID Metadata Document draft; MCP client registration",
};
pub(crate) const REGISTER: Note = note(
    Party::Client,
    Party::Issuer,
    "Register this client",
    "They have never met: the client says what it is called and where codes may be sent, and gets \
     an id. It asks for no secret (`none`), because a program on the user's machine cannot keep \
     one.",
    "RFC 7591 section 3; MCP client registration, \"Dynamic Client Registration\"",
);

// ---- the login ----

pub(crate) const PKCE: Tale = Tale {
    title: "Make the PKCE pair, and remember the request",
    why: "The client makes a secret and will show only its hash. Whoever steals the code on its \
          way back through the browser lacks the secret, and the code is worthless.",
    clause: "RFC 7636 section 4; MCP authorization, \"Authorization Response Validation\"",
};
pub(crate) const AUTHORIZATION_REQUEST: Tale = Tale {
    title: "Build the authorization request",
    why: "The request travels through the browser, so everybody on the way may read it: there is \
          no secret in it. `resource` names the one server the token shall be for.",
    clause: "OAuth 2.1 section 4.1.1; RFC 8707 section 2",
};
pub(crate) const OPEN: Note = note(
    Party::Browser,
    Party::Issuer,
    "The browser opens the authorization URL",
    "From here on the user deals with the authorization server alone; the client sees neither the \
     page nor the password.",
    "RFC 6749 section 4.1.1; OAuth 2.1 section 4.1.1",
);
pub(crate) const FOLLOW: Note = note(
    Party::Browser,
    Party::Issuer,
    "The browser follows the redirect",
    "Signed in now, it comes back to the same request, whose parameters are checked again.",
    "RFC 6749 section 3.1",
);
pub(crate) const SIGN_IN: Note = note(
    Party::Browser,
    Party::Issuer,
    "The user signs in",
    "The password goes to the authorization server and to nobody else: that is the point of \
     OAuth.",
    "RFC 6749 section 1",
);
pub(crate) const CONSENT: Note = note(
    Party::Browser,
    Party::Issuer,
    "The user allows it",
    "Consent names the client, the scopes and where the answer goes, so that nobody can lend \
     access without noticing. The answer is a redirect with the code.",
    "RFC 6749 sections 3.1 and 4.1.2; MCP security best practices, \"Confused Deputy Problem\"",
);
pub(crate) const CALLBACK: Note = note(
    Party::Browser,
    Party::Client,
    "The browser brings the code",
    "A listener of the client on this machine takes the redirect. The code is in a URL, which is \
     why it works once, for a minute, and only together with the verifier.",
    "RFC 8252 section 7.3; RFC 6749 section 4.1.2",
);
pub(crate) const REDEEM: Note = note(
    Party::Client,
    Party::Issuer,
    "Exchange the code for tokens",
    "Straight to the authorization server, not through the browser. The verifier proves that \
     whoever redeems the code also asked for it; `resource` is named again.",
    "OAuth 2.1 section 4.1.3; RFC 7636 section 4.5; RFC 8707 section 2",
);
const MACHINE: &str = "OAuth 2.1 section 4.2; RFC 8707 section 2; MCP extension \
                       io.modelcontextprotocol/oauth-client-credentials";
pub(crate) const CLIENT_CREDENTIALS: Note = note(
    Party::Client,
    Party::Issuer,
    "Ask for a token in the client's own name",
    "No user, no browser, no code: the client proves itself, by its secret or by an assertion that \
     its key signed for this issuer alone, and says for which server the token is to be.",
    MACHINE,
);
pub(crate) const CLIENT_CREDENTIALS_AGAIN: Note = note(
    Party::Client,
    Party::Issuer,
    "Ask for what the client has",
    "What a machine may do was decided when it was set up, and nobody can be asked for more. \
     Without a scope it gets what it has. Where it signs, this is a new assertion: each counts once.",
    MACHINE,
);
pub(crate) const REFRESH: Note = note(
    Party::Client,
    Party::Issuer,
    "Refresh the token",
    "Access tokens live for minutes. The refresh token gets a new one without the user, and is \
     itself replaced, so that a stolen copy is noticed.",
    "OAuth 2.1 section 4.3",
);
pub(crate) const LOOK_INSIDE: Tale = Tale {
    title: "Look into the access token",
    why: "To the client a token is opaque; we look inside to learn. `aud` names the one server \
          that may accept it, `scope` what the user lent to this client, `roles` what the user may \
          do at all, `exp` the end.",
    clause: "RFC 9068 section 2; MCP authorization, \"Token Handling\"",
};
pub(crate) const STEP_UP: Tale = Tale {
    title: "Work out which scopes to ask for",
    why: "The 403 says insufficient_scope and names what is needed. A refresh cannot widen a \
          grant, so the user is asked again: for all scopes together, or the new token would lose \
          the old ones.",
    clause: "RFC 6750 section 3.1; MCP authorization, \"Step-Up Authorization Flow\"",
};

/// What each check prevents.
pub(crate) mod prevents {
    pub(crate) const NO_CHALLENGE: &str = "RFC 9110 section 15.5.2 demands one; without it a \
                                           client does not know what to do";
    pub(crate) const PLAIN_SERVER: &str = "over plain http everybody on the way could read the \
                                           token, and use it";
    pub(crate) const FOREIGN_DOCUMENT: &str = "a challenge that points elsewhere could make the \
                                               client fetch any URL it can reach";
    pub(crate) const OTHER_RESOURCE: &str = "RFC 9728 section 3.3: a malicious server could name \
                                             another one, and collect tokens for it";
    pub(crate) const PLAIN_ISSUER: &str = "over plain http everybody on the way could read the \
                                           password and the code";
    pub(crate) const OTHER_ISSUER: &str = "the user said which authorization server it is; a \
                                           server that names others may want a password for them";
    pub(crate) const MIXED_ISSUER: &str = "RFC 8414 section 3.3: else one server could speak for \
                                           another (mix-up attack)";
    pub(crate) const NO_PKCE: &str = "without PKCE whoever intercepts the code can redeem it; a \
                                      client must refuse to go on";
    pub(crate) const PLAIN_ENDPOINT: &str = "OAuth 2.1 section 1.5: passwords, codes and tokens \
                                             travel there";
    pub(crate) const CHANGED_REDIRECT: &str = "the server may change what was asked for (RFC 7591 \
                                               section 3.2.1); better to know now";
    pub(crate) const FOREIGN_STATE: &str = "RFC 6749 section 10.12: somebody could make this \
                                            client redeem a code of theirs";
    pub(crate) const FOREIGN_ISS: &str = "RFC 9207 section 2.4: with several authorization \
                                          servers, a hostile one could have the client bring it an \
                                          honest one's code (mix-up attack)";
    pub(crate) const TOKEN_TYPE: &str = "RFC 6749 section 7.1: a client must not use a token whose \
                                         type it does not know";
}
