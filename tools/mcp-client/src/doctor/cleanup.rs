//! Leaving as little behind as the authorization server lets us: tokens are revoked (RFC 7009), the
//! session is ended (OpenID Connect RP-Initiated Logout 1.0), registrations are deleted (RFC 7592).
//!
//! What stays is listed in the report. It is no finding: a server may do without all three.

use anyhow::Result;
use anyhow::ensure;

use crate::doctor::exam::Exam;
use crate::doctor::login::Stay;
use crate::gate::sealed::Field;
use crate::gate::secret::Secret;
use crate::http::Http;
use crate::login::Grant;
use crate::login::Login;
use crate::register::Registration;
use crate::story;

/// Takes back what can be taken back.
pub(crate) async fn examine(
    exam: &mut Exam,
    stay: Option<Stay>,
) {
    if let Some(mut stay) = stay {
        grants(exam, &stay).await;
        session(exam, &mut stay.login).await;
    }
    clients(exam).await;
}

async fn grants(
    exam: &mut Exam,
    stay: &Stay,
) {
    let mut failed = None;
    for grant in &stay.grants {
        if let Err(error) = revoke(&mut exam.http, &stay.login, grant).await {
            failed = Some(error);
        }
    }
    if let Some(error) = failed {
        exam.report.leave_behind(format!(
            "the tokens of {} logins: {error:#}",
            stay.grants.len()
        ));
    }
}

/// The refresh token first: with it goes the whole grant.
async fn revoke(
    http: &mut Http,
    login: &Login,
    grant: &Grant,
) -> Result<()> {
    let tokens = [
        ("refresh_token", grant.refresh_token.as_ref()),
        ("access_token", Some(&grant.access_token)),
    ];
    for (kind, token) in tokens {
        if let Some(token) = token {
            revoke_one(http, login, kind, token).await?;
        }
    }
    Ok(())
}

async fn revoke_one(
    http: &mut Http,
    login: &Login,
    kind: &str,
    token: &Secret,
) -> Result<()> {
    let endpoint = login.way.issuer().endpoint("revocation_endpoint")?;
    let fields = [
        ("token", Field::Secret(token)),
        ("token_type_hint", Field::Text(kind)),
    ];
    let request = login.as_client(&endpoint, &fields)?;
    let reply = http.send(story::QUIET, request).await?;
    ensure!(reply.status == 200, "{}", reply.status_text());
    Ok(())
}

async fn session(
    exam: &mut Exam,
    login: &mut Login,
) {
    if let Err(error) = end_session(&mut exam.http, login).await {
        exam.report.leave_behind(format!("the session of the user: {error:#}"));
    }
}

async fn end_session(
    http: &mut Http,
    login: &mut Login,
) -> Result<()> {
    let endpoint = login.way.issuer().endpoint("end_session_endpoint")?;
    let request = endpoint.with_query(&[("client_id", &login.client.id)]);
    login.headless.log_out(http, &request).await
}

async fn clients(exam: &mut Exam) {
    for (id, registration) in std::mem::take(&mut exam.registered) {
        let why = match registration {
            Registration::FromBefore => continue,
            Registration::Lasting => "the server offers no way to delete it".to_owned(),
            Registration::Deletable(management) => match management.delete(&mut exam.http).await {
                Ok(()) => continue,
                Err(error) => format!("{error:#}"),
            },
        };
        exam.report.leave_behind(format!("the client {id}: {why}"));
    }
}
