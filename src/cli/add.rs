//! `add [PROVIDER]`: a webhook for a known sender, written into `webhooks.toml`; says what to set here and what
//! to paste there.

use super::toml_file::{self, Refused, TomlFile};
use super::{Exit, Global, output};
use crate::codes;
use crate::config::{Config, secret_variable};
use crate::model::Slug;
use crate::providers::{self, Provider, Setup};
use crate::verify::VerifySpec;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use toml_edit::{InlineTable, Item, Table, value};

/// What is written beside `undefined = "error"`.
const UNDEFINED: &str =
    "  # a template that prints what a request has not parks it; \"empty\": prints nothing";
/// Providers that are listed at once.
const LISTED: usize = 20;

/// What `add` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Sender of the catalogue: `hookgate providers` lists them
    provider: Option<String>,
    /// The webhook's name [default: the provider's]
    #[arg(long)]
    name: Option<String>,
    /// Show what would be written
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    add(global, arguments).unwrap_or_else(|refused| refused.tell(global))
}

fn add(global: &Global, arguments: &Arguments) -> Result<Exit, Refused> {
    let path = global.config();
    let beside = folder(&path);
    let name = match &arguments.provider {
        Some(name) => name.clone(),
        None => ask(global, &beside)?,
    };
    let provider = providers::load(&name, Some(&beside)).map_err(|problems| {
        let unknown = problems.iter().any(|p| p.code == codes::UNKNOWN_PROVIDER);
        let exit = if unknown {
            Exit::Missing
        } else {
            Exit::Invalid
        };
        let problem = problems.into_iter().next();
        let (message, help) = problem.map_or_else(Default::default, |p| (p.message, p.help));
        Refused {
            help,
            ..Refused::new(exit, message)
        }
    })?;
    let mut file = TomlFile::open(&path)?;
    let name = free_name(&file, arguments.name.as_deref(), &provider.name)?;
    let slug = toml_file::new_slug()?;
    file.push_webhook(table(&provider, &name, &slug))?;
    let config = file.validated(global)?;
    if arguments.dry_run {
        if global.json() {
            output::json_line(&json!({"written": false, "diff": file.diff()}));
        } else {
            output::out(&file.diff());
        }
        return Ok(Exit::Done);
    }
    file.write()?;
    tell(global, &file, &config, &provider, &name);
    Ok(Exit::Done)
}

pub(super) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The name that is meant, if no webhook has it.
fn free_name(file: &TomlFile, wanted: Option<&str>, provider: &str) -> Result<String, Refused> {
    let name = wanted.unwrap_or(provider);
    let taken = file.names();
    if !taken.iter().any(|other| other == name) {
        return Ok(name.to_owned());
    }
    let free = (2..).map(|n| format!("{name}-{n}"));
    let free = free.take(1_000).find(|free| !taken.contains(free));
    let message = format!("there is a webhook `{name}` already");
    let refused = Refused::new(Exit::Usage, message);
    Err(match free {
        Some(free) => refused.help(format!("--name {free} is free")),
        None => refused,
    })
}

/// Whether deliveries are checked with a secret of the owner.
fn signs(provider: &Provider) -> bool {
    let spec = provider.verify.as_ref();
    spec.is_some_and(VerifySpec::needs_secret) && !provider.teaches()
}

fn asks_for_token(provider: &Provider) -> bool {
    provider
        .handshakes
        .iter()
        .any(|shake| shake.asks_for_token())
}

fn token_variable(name: &str) -> String {
    secret_variable(name).replace("_WEBHOOK_SECRET", "_VERIFY_TOKEN")
}

fn env(variable: &str) -> Item {
    let mut table = InlineTable::new();
    table.insert("env", variable.into());
    value(table)
}

fn table(provider: &Provider, name: &str, slug: &Slug) -> Table {
    let mut table = Table::new();
    table.insert("name", value(name));
    table.insert("slug", value(slug.expose()));
    table.insert("provider", value(provider.name.as_str()));
    if signs(provider) {
        table.insert("secret", env(&secret_variable(name)));
    }
    if asks_for_token(provider) {
        table.insert("verify_token", env(&token_variable(name)));
    }
    // The built-in template asks before it reads what a sender may leave out; this is for the owner's own.
    let mut undefined = toml_edit::Value::from("error");
    undefined.decor_mut().set_suffix(UNDEFINED);
    table.insert("undefined", Item::Value(undefined));
    table
}

fn tell(global: &Global, file: &TomlFile, config: &Config, provider: &Provider, name: &str) {
    let (url, public) = toml_file::url_of(config, name).unwrap_or_default();
    let mut variables = Vec::new();
    if signs(provider) {
        let form = provider.secret.as_ref();
        let form = form.map_or_else(String::new, |s| format!("{}: {}", s.name, s.form));
        variables.push((secret_variable(name), form));
    }
    if asks_for_token(provider) {
        let form = "any text; the sender asks for it once".to_owned();
        variables.push((token_variable(name), form));
    }
    let next = next(config, provider, name);
    let evidence = provider.evidence.map(|evidence| evidence.text());
    let path = file.path().display().to_string();
    if global.json() {
        let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
        output::json_line(&json!({
            "written": true, "file": path, "webhook": name, "provider": provider.name, "url": url,
            "public": public, "variables": names, "setup": provider.setup, "evidence": evidence,
            "next": next,
        }));
        return;
    }
    let mut lines = vec![
        format!("added webhook {} to {path}", output::bold(name)),
        String::new(),
        format!("  url        {url}"),
    ];
    if !public {
        lines.push(
            "             (set `public_url` in [server] to what the sender can reach)".to_owned(),
        );
    }
    for (variable, form) in &variables {
        lines.push(format!("  variable   {variable}  {form}"));
        let set = std::env::var_os(variable).is_some();
        if !set {
            lines.push(format!(
                "             export {variable}='…'  before `hookgate serve` starts"
            ));
        }
    }
    if provider.teaches() {
        lines.push(format!(
            "  secret     {} delivers it: within 15 minutes of the first start with this webhook",
            provider.title
        ));
    } else if provider.verify.as_ref().is_some_and(VerifySpec::verifies) && !signs(provider) {
        lines.push(format!(
            "  secret     none needed: {} signs with keys that it publishes",
            provider.title
        ));
    } else if !signs(provider) {
        lines.push(format!(
            "  secret     none: {} does not sign, anyone who knows the URL can call it",
            provider.title
        ));
    }
    lines.extend(evidence.map(|text| format!("  evidence   how it signs is {text}")));
    let secret = secret_variable(name);
    lines.extend(setup(&provider.setup, Some(&url), Some(&secret)));
    lines.extend([String::new(), format!("next: {next}")]);
    output::out(&format!("{}\n", lines.join("\n")));
}

/// What to fill in at the sender, in its words. Without `url` or `secret` the fields that hold it are left out.
pub(super) fn setup(setup: &[Setup], url: Option<&str>, secret: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    for place in setup {
        let secret = secret.map(|secret| format!("the value of {secret}"));
        let fields = place.filled(url, secret.as_deref()).into_iter();
        let mut fields: Vec<String> = fields
            .map(|field| {
                let note = field.note.as_ref();
                let note = note.map_or_else(String::new, |note| format!("  ({note})"));
                format!("  {:16} {}{note}", field.name, field.value)
            })
            .collect();
        if !fields.is_empty() {
            lines.extend([String::new(), output::bold(&place.place)]);
            lines.append(&mut fields);
        }
    }
    lines
}

/// The command that shows that it works.
fn next(config: &Config, provider: &Provider, name: &str) -> String {
    if provider.teaches() {
        return format!("hookgate webhooks show {name}");
    }
    let beside = config.file.parent();
    let samples = providers::samples(&provider.name, beside).unwrap_or_default();
    let names: Vec<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    let event = ["push", "message"].into_iter().find(|n| names.contains(n));
    match event.or_else(|| names.first().copied()) {
        Some(event) => format!("hookgate send {name} {event}"),
        None => format!("hookgate send {name}"),
    }
}

/// Asks which sender is meant: text filters, a number or a whole name chooses.
fn ask(global: &Global, beside: &Path) -> Result<String, Refused> {
    let there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !there || global.json() {
        return Err(
            Refused::new(Exit::Usage, "which sender? `hookgate add PROVIDER`")
                .help("`hookgate providers` lists them"),
        );
    }
    let all: Vec<(String, String)> = providers::names(Some(beside))
        .into_iter()
        .filter_map(|name| {
            let title = providers::load(&name, Some(beside)).ok()?.title;
            Some((name, title))
        })
        .collect();
    let mut shown: Vec<&(String, String)> = Vec::new();
    let mut lines = std::io::stdin().lock().lines();
    loop {
        output::err("which sender? (part of its name, a number of the list, empty to stop): ");
        let line = lines.next().and_then(Result::ok).unwrap_or_default();
        let word = line.trim().to_lowercase();
        if word.is_empty() {
            return Err(Refused::new(Exit::Usage, "no sender was chosen"));
        }
        let chosen = word
            .parse()
            .ok()
            .and_then(|n: usize| shown.get(n.checked_sub(1)?));
        if let Some((name, _)) = chosen {
            return Ok(name.clone());
        }
        let found = matching(&all, &word);
        match found.as_slice() {
            [] => output::err("none has that in its name\n"),
            [(name, _)] => return Ok(name.clone()),
            many => {
                for (number, (name, title)) in (1..).zip(many.iter().take(LISTED)) {
                    output::err(&format!("{number:>4}  {name:24}  {title}\n"));
                }
                if many.len() > LISTED {
                    output::err(&format!("      … and {} more\n", many.len() - LISTED));
                }
            }
        }
        shown = found;
    }
}

/// The one that is named so, else all that have it in name or title.
fn matching<'a>(all: &'a [(String, String)], word: &str) -> Vec<&'a (String, String)> {
    if let Some(exact) = all.iter().find(|(name, _)| name == word) {
        return vec![exact];
    }
    let has = |text: &str| text.to_lowercase().contains(word);
    all.iter()
        .filter(|(name, title)| has(name) || has(title))
        .collect()
}

#[cfg(test)]
mod tests;
