//! `providers`: the catalogue of known senders.

use super::{Exit, Global, output};
use crate::config::Severity;
use crate::config::findings::render_problem;
use crate::providers::{self, Provider};
use crate::verify::{ValueSpec, VerifySpec};
use serde_json::Value;
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
            Ok(provider) if global.json() => output::json_line(&object(&provider, beside)),
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
        Ok(provider) if global.json() => output::json_line(&object(&provider, beside)),
        Ok(provider) => output::out(&page(&provider, beside)),
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

/// What `--json` says: all that is known, and the samples' names.
fn object(provider: &Provider, beside: Option<&Path>) -> Value {
    let mut object = provider.describe();
    if let Some(fields) = object.as_object_mut() {
        fields.insert("samples".to_owned(), sample_names(provider, beside).into());
    }
    object
}

fn sample_names(provider: &Provider, beside: Option<&Path>) -> Vec<String> {
    // They are a help here, not the answer: one that cannot be read is left out.
    let samples = providers::samples(&provider.name, beside).unwrap_or_default();
    samples.into_iter().map(|sample| sample.name).collect()
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

/// Values as labels, in the order in which they are tried.
fn labels(values: &[ValueSpec], none: &str) -> String {
    if values.is_empty() {
        return none.to_owned();
    }
    let all: Vec<_> = values.iter().map(ValueSpec::label).collect();
    all.join(", else ")
}

fn retries(provider: &Provider) -> String {
    match provider.retries {
        Some(time) => format!(
            "for {}: an old secret or slug must be taken as long",
            super::toml_file::duration(time)
        ),
        None => "for how long is not known".to_owned(),
    }
}

fn facts(provider: &Provider, beside: Option<&Path>) -> Vec<String> {
    let handshakes: Vec<String> = provider
        .handshakes
        .iter()
        .map(|shake| {
            let signed = match shake.teaches() {
                Some(place) => format!("delivers the secret in {place}"),
                None if shake.signed => "signed".to_owned(),
                None => "not signed".to_owned(),
            };
            format!("{} ({}, {signed})", shake.title, shake.methods().join(" "))
        })
        .collect();
    let or_none = |list: Vec<String>| match list.len() {
        0 => "none".to_owned(),
        _ => list.join(", "),
    };
    let answer = &provider.answer;
    let kind = answer.content_type.as_ref();
    let answer = match (answer.body.is_empty(), kind) {
        (true, _) => answer.status.to_string(),
        (false, None) => format!("{} {}", answer.status, answer.body.trim()),
        (false, Some(kind)) => format!("{} {} ({kind})", answer.status, answer.body.trim()),
    };
    let template = match &provider.template {
        Some((_, file)) => file.as_str(),
        None => "none: write `event` or `template`",
    };
    let mut lines = vec![
        format!("  signature     {}", scheme(provider)),
        format!("  handshake     {}", or_none(handshakes)),
        format!(
            "  delivery key  {}",
            labels(
                &provider.delivery_key,
                "none: what is sent twice is two deliveries"
            )
        ),
        format!("  event type    {}", labels(&provider.event_type, "none")),
        format!("  methods       {}", provider.methods.join(" ")),
        format!("  answer        {answer}"),
        format!("  retries       {}", retries(provider)),
        format!("  template      {template}"),
        format!(
            "  samples       {}",
            or_none(sample_names(provider, beside))
        ),
    ];
    if let Some(evidence) = provider.evidence {
        let source = provider.source.as_ref();
        let source = source.map_or_else(String::new, |source| format!(": {source}"));
        lines.push(format!("  evidence      {}{source}", evidence.text()));
    }
    if let Some(secret) = &provider.secret {
        lines.push(format!("  secret        {}: {}", secret.name, secret.form));
    }
    lines
}

fn page(provider: &Provider, beside: Option<&Path>) -> String {
    let name = &provider.name;
    let title = output::bold(&provider.title);
    let mut lines = vec![format!("{title}  {}", provider.description), String::new()];
    lines.extend(facts(provider, beside));
    lines.extend([
        String::new(),
        output::bold("In webhooks.toml"),
        "  [[webhook]]".to_owned(),
        format!("  name     = \"{name}\""),
        "  slug     = \"…\"  # 22 random characters of A-Z a-z 0-9".to_owned(),
        format!("  provider = \"{name}\""),
    ]);
    if provider.teaches() {
        lines.push("  # no `secret`: it is learned from the handshake".to_owned());
    } else if needs_secret(provider) {
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
            let value = match field.value.as_str() {
                "{url}" => "the webhook's URL: public_url, then /hooks/<slug>",
                "{secret}" => "the secret",
                other => other,
            };
            lines.push(format!("  {:16} {value}{note}", field.name));
        }
    }
    if !provider.docs.is_empty() {
        let checked = provider.checked.as_ref();
        let checked = checked.map_or_else(String::new, |day| format!(" (read on {day})"));
        lines.extend([
            String::new(),
            format!("{}{checked}", output::bold("Documents")),
        ]);
        lines.extend(provider.docs.iter().map(|url| format!("  {url}")));
    }
    format!("{}\n", lines.join("\n"))
}
