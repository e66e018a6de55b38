//! A user's profile at GitHub: the members that everybody can see there, and no other.
//!
//! `GET /user` with the user's own token also holds private ones: the plan, private repositories,
//! two-factor authentication. They are left behind here, before any tool sees them.

use auth_server::ApiError;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::github;

/// What the `sub` of a user from GitHub begins with.
const GITHUB: &str = "github:";

/// What is passed on. Members that GitHub has not are left out.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Profile {
    login: String,
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// The address that the user shows to everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_repos: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    followers: Option<u64>,
}

/// The profile of the user whose `sub` that is. The error is a sentence for that user.
pub(crate) async fn of(sub: &str) -> Result<Profile, String> {
    let Some(id) = sub.strip_prefix(GITHUB) else {
        return Err("you did not sign in with GitHub".to_owned());
    };
    let api = github::api().ok_or_else(|| ApiError::Unavailable.to_string())?;
    let document = api.get(sub, "/user").await.map_err(|error| error.to_string())?;
    read(document, id)
}

/// Whoever GitHub speaks of, it has to be who asks: anything else would be somebody else's profile.
fn read(
    document: Value,
    id: &str,
) -> Result<Profile, String> {
    let profile: Profile = serde_json::from_value(document)
        .map_err(|_| "GitHub's answer is not a profile: try again in a minute".to_owned())?;
    if profile.id.to_string() == id {
        Ok(profile)
    } else {
        Err("GitHub's answer is about somebody else: sign in with GitHub again".to_owned())
    }
}

/// JSON Schema of what [`Profile`] serializes to.
pub(crate) fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let count =
        |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    json!({
        "type": "object",
        "properties": {
            "login": text("The login name, which may change hands"),
            "id": count("The account's number, which never does"),
            "name": text("The display name"),
            "html_url": text("The profile's page"),
            "avatar_url": text("The picture"),
            "bio": text("What the user says of themselves"),
            "company": text("Where they work"),
            "location": text("Where they are"),
            "email": text("The email address that everybody can see"),
            "created_at": text("When the account was made, as in RFC 3339"),
            "public_repos": count("Public repositories"),
            "followers": count("Followers"),
        },
        "required": ["login", "id"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_members_and_nulls_stay_behind() {
        let document = json!({
            "login": "octocat",
            "id": 583_231,
            "name": null,
            "email": "octocat@github.example",
            "followers": 20,
            "two_factor_authentication": true,
            "plan": {"name": "pro"},
            "private_gists": 81,
        });
        let profile = json!(read(document, "583231").unwrap());
        let expected = json!({
            "login": "octocat",
            "id": 583_231,
            "email": "octocat@github.example",
            "followers": 20,
        });
        assert_eq!(profile, expected);
    }

    #[test]
    fn every_member_is_in_the_schema() {
        let text = "x".to_owned();
        let full = Profile {
            login: text.clone(),
            id: 1,
            name: Some(text.clone()),
            html_url: Some(text.clone()),
            avatar_url: Some(text.clone()),
            bio: Some(text.clone()),
            company: Some(text.clone()),
            location: Some(text.clone()),
            email: Some(text.clone()),
            created_at: Some(text),
            public_repos: Some(1),
            followers: Some(1),
        };
        let (full, schema) = (json!(full), schema());
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(keys(&full), keys(&schema["properties"]));
    }

    #[test]
    fn somebody_elses_profile_is_nobodys() {
        let document = |id: Value| json!({"login": "hubot", "id": id});
        for id in [
            json!(480_938),
            json!("583231"),
            json!(583_231.5),
            Value::Null,
        ] {
            assert!(read(document(id.clone()), "583231").is_err(), "{id}");
        }
        assert!(read(json!([]), "583231").is_err());
        assert!(read(document(json!(583_231)), "583231").is_ok());
    }
}
