//! `render REQUEST`: one request to its events, or the error.

mod source;

use super::client::Server;
use super::{Exit, Global, output, request, watch};
use crate::codes;
use crate::config::findings::render_problem;
use crate::config::{self, Config, Finding, Overrides, Severity, Webhook};
use crate::engine;
use crate::intake::EdgeSettings;
use crate::model::delivery::Verification;
use crate::model::{Outcome, Problem, Request};
use crate::translate::{Template, Translator};
use source::Source;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What `render` takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Arguments {
    /// Request in .http form, `-` for stdin, or the id of a delivery that the running gateway has kept
    request: PathBuf,
    /// Webhook that it is for [default: the delivery's, or the only one]
    #[arg(short, long, value_name = "NAME")]
    webhook: Option<String>,
    /// Use this template instead; then no configuration is needed
    #[arg(short, long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Check the signature too
    #[arg(long)]
    verify: bool,
    /// Say what was read of the request, and what it was
    #[arg(long)]
    trace: bool,
    /// Change the request first: header.x=…, query.x=…, body.a.b=…
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Render again whenever the request, the template or the configuration changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    server: Server,
}

/// Why there is nothing to show.
struct Stop(Exit);

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let overrides = overrides(arguments);
    // What is kept of it is where the gateway listens.
    let admin = || config::load(&global.config(), &overrides).config;
    let source = match Source::find(&arguments.request, &arguments.server, admin) {
        Ok(source) => source,
        Err(failure) => return failure.report(global),
    };
    if !arguments.watch {
        return once(global, arguments, &source);
    }
    let source = Arc::new(source);
    let (global_files, arguments_files) = (global.clone(), arguments.clone());
    let (global_run, arguments_run) = (global.clone(), arguments.clone());
    let source_files = Arc::clone(&source);
    watch::watch(
        global,
        move || files(&global_files, &arguments_files, &source_files),
        move || once(&global_run, &arguments_run, &source),
    )
}

fn once(global: &Global, arguments: &Arguments, source: &Source) -> Exit {
    match render(global, arguments, source) {
        Ok(exit) | Err(Stop(exit)) => exit,
    }
}

/// What is read: request, template, configuration and what that names.
fn files(global: &Global, arguments: &Arguments, source: &Source) -> Vec<PathBuf> {
    let mut files = source.files();
    files.extend(arguments.template.clone());
    files.extend(config::load(&global.config(), &overrides(arguments)).files);
    files.push(global.config());
    files
}

fn overrides(arguments: &Arguments) -> Overrides {
    Overrides {
        // Secrets matter to signatures alone.
        no_secrets: !arguments.verify,
        ..Overrides::from_env()
    }
}

fn render(global: &Global, arguments: &Arguments, source: &Source) -> Result<Exit, Stop> {
    let template = match &arguments.template {
        Some(path) => Some(template(global, path)?),
        None => None,
    };
    let name = arguments.webhook.as_deref().or(source.webhook());
    let (edge, chosen) = configured(global, arguments, name)?;
    let webhook = with_template(chosen, template).ok_or(Stop(Exit::Bug))?;
    let webhook = webhook.as_ref();
    let request = source.request().and_then(|mut request| {
        engine::receive(&mut request, webhook, edge.as_ref()).map(|()| request)
    });
    let mut request = request.map_err(|problem| {
        tell(global, Severity::Error, &problem, None);
        Stop(Exit::Usage)
    })?;
    for change in &arguments.set {
        request::set(&mut request, change).map_err(|why| usage(global, &why))?;
    }
    if arguments.verify {
        let verdict = engine::explain(webhook, &request, request.received);
        told(global, &verdict.record, verdict.failure.is_some());
        let masked = source.masked(&request);
        if !masked.is_empty() && !global.quiet() && !global.json() {
            let names = masked.join(", ");
            output::err(&format!(
                "  of the kept request, {names} has no value any more: it was a secret\n"
            ));
        }
        if let Some(problem) = verdict.failure {
            tell(global, Severity::Error, &problem, Some(&webhook.name));
            return Ok(Exit::No);
        }
    }
    if arguments.trace {
        trace(global, webhook, &request);
    }
    Ok(show(global, webhook, &engine::translate(webhook, &request)))
}

/// One line on stderr for each path that is read.
fn trace(global: &Global, webhook: &Webhook, request: &Request) {
    for traced in engine::trace(webhook, request) {
        let place = traced.place.as_ref();
        if global.json() {
            output::json_error(&serde_json::json!({
                "trace": traced.path,
                "value": traced.value,
                "file": place.map(|p| &p.file),
                "line": place.map(|p| p.line),
                "column": place.map(|p| p.column),
            }));
        } else {
            let at = place.map_or_else(String::new, |p| {
                format!("  ({}:{}:{})", p.file, p.line, p.column)
            });
            output::err(&format!("{} = {}{at}\n", traced.path, traced.value));
        }
    }
}

/// Shows check by check what was found; as JSON only where the request is refused.
fn told(global: &Global, record: &Verification, refused: bool) {
    if global.json() {
        if refused {
            output::json_error(&serde_json::json!({"severity": "note", "verification": record}));
        }
        return;
    }
    if global.quiet() && !refused {
        return;
    }
    output::err(&format!("verified by {}\n", record.scheme));
    for check in &record.checks {
        let mark = match (check.passed, check.name.as_str()) {
            (true, _) => "ok  ",
            (false, "hint") => "?   ",
            (false, _) => "no  ",
        };
        output::err(&format!("  {mark}{}: {}\n", check.name, check.detail));
    }
}

/// The webhook with another template; without a webhook, one that has nothing but the template.
fn with_template(
    webhook: Option<Arc<Webhook>>,
    template: Option<Template>,
) -> Option<Arc<Webhook>> {
    let Some(template) = template else {
        return webhook;
    };
    let translator = Translator::Template(template);
    match webhook {
        Some(mut shared) => {
            // Its configuration has ended: this is the last owner.
            Arc::get_mut(&mut shared)?.translator = translator;
            Some(shared)
        }
        None => config::bare_webhook("render", translator).map(Arc::new),
    }
}

fn show(global: &Global, webhook: &Webhook, translation: &engine::Translation) -> Exit {
    if !global.quiet() {
        for note in &translation.notes {
            let code = note.code.unwrap_or(codes::NO_EFFECT);
            let problem = Problem::new(code, note.message.clone());
            tell(global, Severity::Warning, &problem, Some(&webhook.name));
        }
    }
    if let Some(problem) = &translation.error {
        tell(global, Severity::Error, problem, Some(&webhook.name));
        return Exit::No;
    }
    for event in &translation.events {
        if global.json() {
            output::json_line(event);
        } else {
            let text = serde_json::to_value(event)
                .and_then(|value| serde_json::to_string_pretty(&value))
                .unwrap_or_default();
            output::out(&format!("{text}\n"));
        }
    }
    if translation.outcome == Outcome::Ignored && !global.quiet() && !global.json() {
        output::err("ignored: the webhook makes no event of this request\n");
    }
    Exit::Done
}

/// The public listener and the webhook that is meant; `None` where a template is all there is.
fn configured(
    global: &Global,
    arguments: &Arguments,
    name: Option<&str>,
) -> Result<(Option<EdgeSettings>, Option<Arc<Webhook>>), Stop> {
    let path = global.config();
    if arguments.template.is_some() && arguments.webhook.is_none() && !path.exists() {
        return Ok((None, None));
    }
    let loaded = config::load(&path, &overrides(arguments));
    let Some(config) = loaded.config else {
        for finding in loaded
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Error)
        {
            tell_finding(global, finding);
        }
        return Err(Stop(Exit::Invalid));
    };
    let webhook = choose(global, arguments, name, &config)?;
    Ok((Some(config.edge), webhook))
}

fn choose(
    global: &Global,
    arguments: &Arguments,
    name: Option<&str>,
    config: &Config,
) -> Result<Option<Arc<Webhook>>, Stop> {
    let names = || config.webhooks.iter().map(|w| w.name.as_str());
    let Some(name) = name else {
        return match (config.webhooks.as_slice(), &arguments.template) {
            ([only], _) => Ok(Some(Arc::clone(only))),
            (_, Some(_)) => Ok(None),
            _ => {
                let all = names().collect::<Vec<_>>().join(", ");
                Err(usage(
                    global,
                    &format!("which webhook? --webhook one of: {all}"),
                ))
            }
        };
    };
    if let Some(found) = config.webhooks.iter().find(|w| w.name == name) {
        return Ok(Some(Arc::clone(found)));
    }
    let near = config::nearest(name, names());
    let help = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    usage(global, &format!("there is no webhook `{name}`{help}"));
    Err(Stop(Exit::Missing))
}

fn template(global: &Global, path: &Path) -> Result<Template, Stop> {
    let name = path.display().to_string();
    let invalid = |problem: Problem| {
        tell(global, Severity::Error, &problem, None);
        Stop(Exit::Invalid)
    };
    let text = config::read_text(path, 1 << 20).map_err(|why| {
        let message = format!("the template {name} cannot be read: {why}");
        invalid(Problem::new(codes::TEMPLATE_UNREADABLE, message))
    })?;
    Template::compile(&name, text).map_err(invalid)
}

fn usage(global: &Global, message: &str) -> Stop {
    if global.json() {
        output::json_error(&serde_json::json!({"severity": "error", "message": message}));
    } else {
        output::err(&format!("{} {message}\n", output::red("error:")));
    }
    Stop(Exit::Usage)
}

fn tell(global: &Global, severity: Severity, problem: &Problem, webhook: Option<&str>) {
    tell_finding(
        global,
        &Finding {
            severity,
            problem: problem.clone(),
            webhook: webhook.map(str::to_owned),
        },
    );
}

fn tell_finding(global: &Global, finding: &Finding) {
    if global.json() {
        output::json_error(finding);
    } else {
        output::err(&format!(
            "{}\n",
            render_problem(finding.severity, &finding.problem)
        ));
    }
}
