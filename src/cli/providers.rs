//! `providers`: the catalogue of known senders.

use super::{Exit, Global, output};
use crate::config::Severity;
use crate::config::findings::render_problem;
use crate::providers::{self, Provider};
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
                let signs = if provider.verify.is_some() {
                    "signs"
                } else {
                    "does not sign"
                };
                output::out(&format!("{name:width$}  {:24}  {signs}\n", provider.title));
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
        "signs": provider.verify.is_some(),
        "handshakes": provider.handshakes.len(),
        "methods": provider.methods,
        "delivery_key": !provider.delivery_key.is_empty(),
        "status": provider.answer.status,
        "template": provider.template.as_ref().map(|(_, path)| path),
    })
}

fn page(provider: &Provider) -> String {
    let Provider { name, title, .. } = provider;
    let has = |yes: bool, text: &'static str, no: &'static str| if yes { text } else { no };
    let secret = format!("{}_WEBHOOK_SECRET", name.to_uppercase().replace('-', "_"));
    let mut lines = vec![
        output::bold(title),
        format!(
            "  signature     {}",
            has(
                provider.verify.is_some(),
                "checked with your secret",
                "none"
            )
        ),
        format!(
            "  handshake     {}",
            has(provider.handshakes.is_empty(), "none", "answered")
        ),
        format!(
            "  delivery key  {}",
            has(
                provider.delivery_key.is_empty(),
                "none",
                "redeliveries give no second event"
            )
        ),
        format!("  methods       {}", provider.methods.join(" ")),
        format!("  answer        {}", provider.answer.status),
        format!(
            "  template      {}",
            has(provider.template.is_some(), "built in", "none: write one")
        ),
        String::new(),
        "In webhooks.toml:".to_owned(),
        "  [[webhook]]".to_owned(),
        format!("  name = \"{name}\""),
        "  slug = \"\"  # 22 random characters of A-Z a-z 0-9".to_owned(),
        format!("  provider = \"{name}\""),
    ];
    if provider.verify.is_some() {
        lines.push(format!("  secret = {{ env = \"{secret}\" }}"));
    }
    format!("{}\n", lines.join("\n"))
}
