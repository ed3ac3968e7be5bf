//! `providers`: the catalogue of known senders.

use super::{Exit, Global, output};
use crate::config::Severity;
use crate::config::findings::render_problem;
use crate::providers::{self, Provider};
use crate::verify::VerifySpec;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What `providers` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Provider to explain
    name: Option<String>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let file = global.config();
    let beside = file.parent().map(|folder| {
        if folder.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            folder.to_path_buf()
        }
    });
    match &arguments.name {
        Some(name) => one(global, name, beside.as_deref()),
        None => all(global, beside.as_deref()),
    }
}

fn all(global: &Global, beside: Option<&Path>) -> Exit {
    let names = providers::names(beside);
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut exit = Exit::Done;
    for name in names {
        match providers::load(&name, beside) {
            Ok(provider) if global.json() => output::json_line(&object(&provider)),
            Ok(provider) => {
                let scheme = scheme(&provider);
                output::out(&format!("{name:width$}  {:20}  {scheme}\n", provider.title));
            }
            Err(problems) => {
                exit = Exit::Invalid;
                report(global, &problems);
            }
        }
    }
    exit
}

fn one(global: &Global, name: &str, beside: Option<&Path>) -> Exit {
    match providers::load(name, beside) {
        Ok(provider) if global.json() => output::json_line(&object(&provider)),
        Ok(provider) => output::out(&page(&provider)),
        Err(problems) => {
            report(global, &problems);
            let unknown = problems
                .iter()
                .any(|p| p.code == crate::codes::UNKNOWN_PROVIDER);
            return if unknown {
                Exit::Missing
            } else {
                Exit::Invalid
            };
        }
    }
    Exit::Done
}

fn report(global: &Global, problems: &[crate::model::Problem]) {
    for problem in problems {
        if global.json() {
            output::json_error(problem);
        } else {
            output::err(&format!("{}\n", render_problem(Severity::Error, problem)));
        }
    }
}

fn object(provider: &Provider) -> Value {
    json!({
        "name": provider.name,
        "title": provider.title,
        "description": provider.description,
        "docs": provider.docs,
        "checked": provider.checked,
        "scheme": scheme(provider),
        "needs_secret": needs_secret(provider),
        "handshakes": provider.handshakes.iter().map(|h| &h.title).collect::<Vec<_>>(),
        "methods": provider.methods,
        "delivery_key": !provider.delivery_key.is_empty(),
        "status": provider.answer.status,
        "template": provider.template.is_some(),
    })
}

fn scheme(provider: &Provider) -> String {
    provider
        .verify
        .as_ref()
        .map_or_else(|| "none".to_owned(), VerifySpec::summary)
}

fn needs_secret(provider: &Provider) -> bool {
    provider
        .verify
        .as_ref()
        .is_some_and(VerifySpec::needs_secret)
}

fn page(provider: &Provider) -> String {
    let name = &provider.name;
    let has = |yes: bool, text: &'static str, no: &'static str| if yes { text } else { no };
    let handshakes: Vec<&str> = provider
        .handshakes
        .iter()
        .map(|h| h.title.as_str())
        .collect();
    let handshakes = if handshakes.is_empty() {
        "none".to_owned()
    } else {
        handshakes.join(", ")
    };
    let key = has(
        provider.delivery_key.is_empty(),
        "none",
        "a redelivery gives no second event",
    );
    let template = has(
        provider.template.is_some(),
        "built in",
        "none: write `event` or `template`",
    );
    let mut lines = vec![
        format!(
            "{}  {}",
            output::bold(&provider.title),
            provider.description
        ),
        String::new(),
        format!("  signature     {}", scheme(provider)),
        format!("  handshake     {handshakes}"),
        format!("  delivery key  {key}"),
        format!("  methods       {}", provider.methods.join(" ")),
        format!("  answer        {}", provider.answer.status),
        format!("  template      {template}"),
    ];
    if let Some(secret) = &provider.secret {
        lines.push(format!("  secret        {}: {}", secret.name, secret.form));
    }
    lines.extend([
        String::new(),
        output::bold("In webhooks.toml"),
        "  [[webhook]]".to_owned(),
        format!("  name     = \"{name}\""),
        "  slug     = \"…\"  # 22 random characters of A-Z a-z 0-9".to_owned(),
        format!("  provider = \"{name}\""),
    ]);
    if needs_secret(provider) {
        let variable = crate::config::secret_variable(name);
        lines.push(format!("  secret   = {{ env = \"{variable}\" }}"));
    }
    for setup in &provider.setup {
        lines.extend([String::new(), output::bold(&setup.place)]);
        for field in &setup.fields {
            let note = field
                .note
                .as_ref()
                .map_or_else(String::new, |note| format!("  ({note})"));
            lines.push(format!("  {:16} {}{note}", field.name, field.value));
        }
    }
    if !provider.docs.is_empty() {
        lines.extend([String::new(), output::bold("Documents")]);
        lines.extend(provider.docs.iter().map(|url| format!("  {url}")));
    }
    format!("{}\n", lines.join("\n"))
}
