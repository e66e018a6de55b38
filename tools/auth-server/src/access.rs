//! What an access token is worth right now: asked by introspection and userinfo.
//!
//! A signature says what was true when the token was made. Since then it may have been revoked,
//! the user may be gone or have a new password, and the key may have been withdrawn.

use crate::mint;
use crate::mint::Claims;
use crate::state::AppState;
use crate::store;
use crate::store::StoreError;

/// The claims of a token that is good now; `None` for every other.
///
/// A token without a row was made by gen-token with the same key; it is good, as it is for every
/// server of this workspace.
pub(crate) async fn verify(
    state: &AppState,
    token: &str,
) -> Result<Option<Claims>, StoreError> {
    let ring = state.keys.ring();
    let issuer = &state.config.issuer.text;
    let Some(claims) = mint::read_access(token, &ring, issuer, state.now()) else {
        return Ok(None);
    };
    let jti = claims.jti.clone();
    let found = state.store.run(move |tx| store::grants::find_access(tx, &jti)).await?;
    let Some(access) = found else {
        return Ok(Some(claims));
    };
    let user = state.users.get(&access.username);
    let same_user = user.is_some_and(|user| user.credential == access.credential);
    let good = same_user && !access.revoked;
    Ok(good.then_some(claims))
}
