//! Why somebody cannot be signed in at the upstream provider.

/// What the provider says of itself may be long, and goes to the log: so many characters of it.
const MAX_REASON: usize = 200;

/// Each ends differently for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The user said no there: `access_denied`.
    Denied,
    /// What came back is not good for this sign-in: `access_denied`, with this fixed sentence.
    Refused(&'static str),
    /// The provider gave no usable answer: `temporarily_unavailable`. The text, without any secret,
    /// is for the log.
    Unavailable(String),
}

impl Failure {
    /// The provider gave no usable answer.
    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable(why.into().chars().take(MAX_REASON).collect())
    }

    /// The OAuth error code (RFC 6749 section 4.1.2.1) for the client.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Denied | Self::Refused(_) => "access_denied",
            Self::Unavailable(_) => "temporarily_unavailable",
        }
    }

    /// A sentence for the client and its user.
    pub(crate) fn description(&self) -> &'static str {
        match self {
            Self::Denied => "The user did not sign in at the provider.",
            Self::Refused(why) => why,
            Self::Unavailable(_) => {
                "The provider at which users sign in gives no usable answer. Try again later."
            }
        }
    }
}
