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

/// What is needed, was asked for, and was not granted: asking again cannot help.
pub(crate) fn dropped(
    needed: &[String],
    asked: &[String],
    granted: &[String],
) -> Vec<String> {
    let is_dropped = |scope: &&String| asked.contains(scope) && !granted.contains(scope);
    needed.iter().filter(is_dropped).cloned().collect()
}

/// One try, then this.
pub(crate) fn granted_only(
    granted: &[String],
    dropped: &[String],
) -> String {
    let granted = match granted {
        [] => "nothing".to_owned(),
        some => some.join(" "),
    };
    format!(
        "the issuer granted only {granted}, and not {}: the user may not lend it, or this client \
         may not ask for it",
        dropped.join(" ")
    )
}
