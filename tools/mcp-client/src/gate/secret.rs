//! A secret that cannot be printed, logged or sent by accident.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::redact;

/// A token, a password, an authorization code, a client secret or the value of a cookie.
#[derive(Clone, PartialEq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the requests that this folder makes.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Enough to tell two of them apart.
    pub(crate) fn shown(&self) -> String {
        redact::shorten(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

/// A secret as the cache keeps it, in a file that its user alone can read. Only what is kept can be
/// serialized, so that no secret gets into the JSON of a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Kept {
    #[serde(with = "plain")]
    pub(crate) secret: Secret,
}

impl From<Secret> for Kept {
    fn from(secret: Secret) -> Self {
        Self {
            secret,
        }
    }
}

mod plain {
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;

    use super::Secret;

    pub(super) fn serialize<S: Serializer>(
        secret: &Secret,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D
    ) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret)
    }
}
