//! What can be made to go wrong, path by path, by name.

use std::fmt;
use std::str::FromStr;

/// Something that a provider does and should not, or that a client should not rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500 with a page.
    ServerError,
    /// No answer, ever.
    Hang,
    /// No answer until the fault is taken away; then the usual one.
    Hold,
    /// Good headers, and a body that never ends, a byte at a time.
    Drip,
    /// A megabyte.
    Huge,
    /// 302 to itself.
    Redirect,
    /// A page with status 200.
    Html,
    /// A good answer's status and type, and no JSON.
    NotJson,
    /// Status 200, `error` in the body.
    Error,
    /// Form-encoded, whatever was asked for.
    Form,
    /// 403 with a page, as for a request without `User-Agent`.
    Forbidden,
    /// 403 as the primary rate limit.
    RateLimit,
    /// 429 as the secondary one.
    SecondaryLimit,
    /// 401, as for a token that was revoked.
    Unauthorized,
    /// The token endpoint gives a token that was issued to another app.
    OtherApp,
    /// `/user` answers as somebody else.
    OtherUser,
    /// The browser comes back with another `iss`.
    OtherIssuer,
}

const NAMES: &[(&str, Fault)] = &[
    ("500", Fault::ServerError),
    ("hang", Fault::Hang),
    ("hold", Fault::Hold),
    ("drip", Fault::Drip),
    ("huge", Fault::Huge),
    ("redirect", Fault::Redirect),
    ("html", Fault::Html),
    ("not-json", Fault::NotJson),
    ("error", Fault::Error),
    ("form", Fault::Form),
    ("403", Fault::Forbidden),
    ("rate-limit", Fault::RateLimit),
    ("secondary-limit", Fault::SecondaryLimit),
    ("401", Fault::Unauthorized),
    ("other-app", Fault::OtherApp),
    ("other-user", Fault::OtherUser),
    ("other-issuer", Fault::OtherIssuer),
];

/// There is no fault of that name.
#[derive(Debug)]
pub struct UnknownFault;

impl fmt::Display for UnknownFault {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        write!(f, "no such fault; there are {}", names.join(", "))
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, fault)| *fault).ok_or(UnknownFault)
    }
}
