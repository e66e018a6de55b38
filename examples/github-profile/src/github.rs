//! The way of GitHub's API to a tool.
//!
//! Step 8's files hand a tool the call and its user, and know nothing of GitHub. So what asks GitHub
//! comes along with the request's task. It is no token: those stay in the vault of the authorization
//! server, and each answer is for the user whose `sub` is asked for.

use auth_server::GitHubApi;
use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;

tokio::task_local! {
    static API: GitHubApi;
}

/// The middleware of `/mcp`: whatever handles the request can ask GitHub.
pub(crate) async fn provide(
    State(api): State<GitHubApi>,
    request: Request,
    next: Next,
) -> Response {
    API.scope(api, next.run(request)).await
}

/// What asks GitHub; `None` outside of a request.
pub(crate) fn api() -> Option<GitHubApi> {
    API.try_with(Clone::clone).ok()
}
