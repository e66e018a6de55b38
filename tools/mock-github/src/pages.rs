//! The pages of the stand-in. What they show is fixed here, or random; nothing that was sent.

use axum::response::Html;

use crate::world::ACCOUNTS;
use crate::world::App;

fn page(
    title: &str,
    main: &str,
) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:16px system-ui,sans-serif;max-width:24rem;margin:4rem auto;padding:0 1rem}}\
         button{{font:inherit;padding:.5rem 1rem;margin:.25rem 0}}.note{{background:#ffe8a3;\
         padding:.5rem}}</style></head><body><p class=\"note\">A stand-in for GitHub, on this machine \
         only.</p><h1>{title}</h1>{main}</body></html>"
    ))
}

/// Who are you?
pub(crate) fn sign_in(request: &str) -> Html<String> {
    let buttons: String = ACCOUNTS
        .iter()
        .map(|(login, _, name, _)| {
            format!(
                "<p><button name=\"login\" value=\"{login}\">{name} <b>@{login}</b></button></p>"
            )
        })
        .collect();
    let form = format!(
        "<form method=\"post\" action=\"/session\"><input type=\"hidden\" name=\"request\" \
         value=\"{request}\">{buttons}</form>"
    );
    page("Choose an account", &form)
}

/// May the app?
pub(crate) fn grant(
    request: &str,
    app: &App,
    login: &str,
) -> Html<String> {
    let form = format!(
        "<p>Signed in as <b>@{login}</b>. The app may read your profile and email addresses.</p>\
         <form method=\"post\" action=\"/login/oauth/authorize\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <button name=\"decision\" value=\"authorize\">Authorize</button> \
         <button name=\"decision\" value=\"cancel\">Cancel</button></form>"
    );
    page(&format!("Authorize {}", shown(&app.name)), &form)
}

/// There is no such app.
pub(crate) fn not_found() -> Html<String> {
    page("404", "<p>There is no such page, or no such app.</p>")
}

/// The name of the first app is the operator's.
fn shown(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
