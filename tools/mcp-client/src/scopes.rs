//! Lists of scopes.

/// Both lists, in order, each scope once.
pub(crate) fn union(
    a: &[String],
    b: &[String],
) -> Vec<String> {
    let mut all = a.to_vec();
    for scope in b {
        if !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    all
}
