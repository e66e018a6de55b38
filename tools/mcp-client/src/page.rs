//! As much HTML as a headless login needs: the forms of a page, and a summary for the record.
//!
//! It is meant for plain pages such as those of `auth-server`, and is no HTML parser: pages that
//! need scripts want a real browser.

/// A form and what a browser would send from it.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<Input>,
}

/// An `input` or a `button` with a name.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Form {
    /// Whether this is where a user signs in.
    pub(crate) fn asks_password(&self) -> bool {
        self.fields.iter().any(|field| field.kind == "password")
    }
}

/// A page has a handful of forms and fields; what is beyond is not looked at.
const MOST: usize = 50;

/// All forms of a page.
pub(crate) fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for (name, attributes) in tags(html) {
        let attribute = |key| attribute(attributes, key).unwrap_or_default();
        match name {
            "form" if forms.len() < MOST => forms.push(Form {
                action: attribute("action"),
                ..Form::default()
            }),
            "input" | "button" => {
                let kind = attribute("type").to_ascii_lowercase();
                let is_button = name == "button" && kind.is_empty();
                let field = Input {
                    kind: if is_button { "submit".to_owned() } else { kind },
                    name: attribute("name"),
                    value: attribute("value"),
                };
                let form = forms.last_mut();
                if let Some(form) = form
                    && !field.name.is_empty()
                    && form.fields.len() < MOST
                {
                    form.fields.push(field);
                }
            }
            _ => {}
        }
    }
    forms
}

/// Name and attribute text of every opening tag.
fn tags(html: &str) -> impl Iterator<Item = (&str, &str)> {
    html.split('<').skip(1).map(|tag| {
        let tag = tag.split('>').next().unwrap_or_default();
        tag.split_once(char::is_whitespace).unwrap_or((tag, ""))
    })
}

fn attribute(
    attributes: &str,
    key: &str,
) -> Option<String> {
    let start = format!("{key}=\"");
    let at = attributes.find(&start)? + start.len();
    let before = attributes[..at - start.len()].chars().last();
    if before.is_some_and(|c| !c.is_whitespace()) {
        return None;
    }
    let value = attributes[at..].split('"').next()?;
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    text.replace("&#38;", "&")
        .replace("&#x26;", "&")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// A page in one or two lines: its title and the fields that it asks for.
pub(crate) fn summary(html: &str) -> String {
    let title = html.split_once("<title>").map_or("", |(_, rest)| rest);
    let title = title.split("</title>").next().unwrap_or_default().trim();
    let mut lines = vec![format!("(a web page: {:?})", unescape(title))];
    for form in forms(html) {
        let names: Vec<_> = form.fields.iter().map(shown).collect();
        lines.push(format!("(a form to {}: {})", form.action, names.join(", ")));
    }
    lines.join("\n")
}

fn shown(field: &Input) -> String {
    match field.kind.as_str() {
        "submit" => format!("[{}={}]", field.name, field.value),
        _ => field.name.clone(),
    }
}
