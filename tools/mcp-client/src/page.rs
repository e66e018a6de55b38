//! As much HTML as a headless login needs: the forms of a page, and a summary for the record.
//!
//! It is meant for plain pages such as those of `auth-server`, and is no HTML parser: pages that
//! need scripts want a real browser.

use crate::gate::sealed::Field as Value;
use crate::gate::secret::Secret;

/// A form and what a browser would send from it.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<Field>,
}

/// An `input` or a `button` with a name.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Form {
    /// Whether this is where a user signs in.
    pub(crate) fn asks_password(&self) -> bool {
        self.fields.iter().any(|field| field.kind == "password")
    }

    /// What is sent when the user signs in.
    pub(crate) fn sign_in<'a>(
        &'a self,
        user: &'a str,
        password: &'a Secret,
    ) -> Vec<(&'a str, Value<'a>)> {
        let fields = self.fields.iter().filter(|field| field.kind != "submit");
        fields
            .map(|field| match field.kind.as_str() {
                "password" => (field.name.as_str(), Value::Secret(password)),
                "hidden" | "checkbox" => field.as_it_is(),
                _ => (field.name.as_str(), Value::Text(user)),
            })
            .collect()
    }

    /// What is sent when the user presses the first button: the one that goes on.
    pub(crate) fn press_first(&self) -> Vec<(&str, Value<'_>)> {
        let (buttons, others): (Vec<_>, Vec<_>) =
            self.fields.iter().partition(|field| field.kind == "submit");
        let pressed = buttons.into_iter().take(1);
        others
            .into_iter()
            .chain(pressed)
            .map(Field::as_it_is)
            .collect()
    }
}

impl Field {
    fn as_it_is(&self) -> (&str, Value<'_>) {
        (&self.name, Value::Text(&self.value))
    }
}

/// All forms of a page.
pub(crate) fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for (name, attributes) in tags(html) {
        let attribute = |key| attribute(attributes, key).unwrap_or_default();
        match name {
            "form" => forms.push(Form {
                action: attribute("action"),
                ..Form::default()
            }),
            "input" | "button" => {
                let kind = attribute("type").to_ascii_lowercase();
                let is_button = name == "button" && kind.is_empty();
                let field = Field {
                    kind: if is_button { "submit".to_owned() } else { kind },
                    name: attribute("name"),
                    value: attribute("value"),
                };
                let form = forms.last_mut().filter(|_| !field.name.is_empty());
                if let Some(form) = form {
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

fn shown(field: &Field) -> String {
    match field.kind.as_str() {
        "submit" => format!("[{}={}]", field.name, field.value),
        _ => field.name.clone(),
    }
}
