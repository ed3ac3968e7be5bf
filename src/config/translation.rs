//! How a webhook's requests become events: `event`, `template` or `cloudevents`, compiled.

use super::document::Context;
use super::table::Table;
use super::value::Value;
use super::{Severity, secrets};
use crate::codes;
use crate::model::{Place, Problem};
use crate::providers::Provider;
use crate::translate::{CloudEventsOptions, Definition, Expression, Template, Translator};
use std::path::{Component, Path};
use toml::de::DeValue;

/// Bytes of a template file.
pub(crate) const TEMPLATE_FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the one of `event`, `template` and `cloudevents` that is there, or the provider's default.
pub(super) fn read(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    provider: Option<&Option<Provider>>,
) -> Option<Translator> {
    let event = table.get("event");
    let template = table.get("template");
    let cloudevents = table.get("cloudevents");
    let given: Vec<_> = [&event, &template, &cloudevents]
        .into_iter()
        .flatten()
        .collect();
    if let [first, second, ..] = given.as_slice() {
        cx.error_help(
            codes::TWO_TRANSLATIONS,
            second.key_span.clone(),
            format!("`{}` says already how requests become events", first.name),
            format!("keep `{}` or `{}`", first.name, second.name),
        );
    }
    // Each is compiled though there are two: its mistakes count whichever is kept.
    let each = each(cx, table, event.is_some());
    let event = event.map(|v| {
        let definition = definition(cx, &v)?;
        Some(Translator::Definition(match each {
            Some(each) => definition.for_each(each?),
            None => definition,
        }))
    });
    let template = template.map(|v| self::template(cx, &v).map(Translator::Template));
    let cloudevents = cloudevents.map(|v| options(cx, &v).map(Translator::CloudEvents));
    if let Some(translator) = event.or(template).or(cloudevents) {
        return translator;
    }
    match provider {
        Some(None) => None,
        Some(Some(provider)) => match &provider.template {
            Some((text, path)) => match Template::compile(path, text.clone()) {
                Ok(template) => Some(Translator::Template(template)),
                Err(problem) => {
                    cx.report(Severity::Error, problem);
                    None
                }
            },
            None => none(cx, table, "; its provider has no default template"),
        },
        None => none(cx, table, ""),
    }
}

/// The list that gives a definition's events.
fn each(cx: &Context, table: &Table<'_, '_, '_>, has_event: bool) -> Option<Option<Expression>> {
    let value = table.get("each")?;
    if !has_event {
        cx.error_help(
            codes::NO_EFFECT,
            value.key_span.clone(),
            "`each` needs a definition, `event = { … }`",
            "in a template, a loop prints a list of events",
        );
    }
    Some(expression(cx, &value))
}

fn none(cx: &Context, table: &Table<'_, '_, '_>, more: &str) -> Option<Translator> {
    cx.error_help(
        codes::NO_TRANSLATION,
        table.span.clone(),
        format!("the webhook says not how requests become events{more}"),
        "add one of `event = { … }`, `template = \"name.json.j2\"`, `cloudevents = true`",
    );
    None
}

fn definition(cx: &Context, value: &Value<'_, '_>) -> Option<Definition> {
    if !value.value.is_table() {
        value.wrong_type(cx, "a table");
        return None;
    }
    let json = value.json(cx)?;
    let place = |path: &[&str]| place_of(cx, value, path);
    match Definition::compile(json.as_object()?, &place) {
        Ok(definition) => {
            warn(cx, definition.warnings().to_vec());
            Some(definition)
        }
        Err(problems) => {
            report_all(cx, value, problems);
            None
        }
    }
}

/// Reports problems of a definition; those without a place stand at its table.
fn report_all(cx: &Context, value: &Value<'_, '_>, problems: Vec<Problem>) {
    for mut problem in problems {
        if problem.place.is_none() {
            problem = problem.at(cx.place(value.span.clone()));
        }
        cx.report(Severity::Error, problem);
    }
}

/// The place of the value at a path of keys and indexes; of the deepest part that is there.
fn place_of(cx: &Context, value: &Value<'_, '_>, path: &[&str]) -> Option<Place> {
    let mut span = value.span.clone();
    let mut at = value.value;
    for step in path {
        let next = match at {
            DeValue::Table(table) => table.get(*step),
            DeValue::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => None,
        };
        let Some(next) = next else {
            break;
        };
        span = next.span();
        at = next.get_ref();
    }
    Some(cx.place(span))
}

/// A template by file name, or `{ inline = "…" }`.
fn template(cx: &Context, value: &Value<'_, '_>) -> Option<Template> {
    if value.value.is_table() {
        let table = value.table(cx)?;
        let help = "template = { inline = \"\"\"…\"\"\" }, or the name of a file in templates/";
        let inline = table.require("inline", help);
        table.finish();
        return template_text(cx, &inline?);
    }
    let name = value.filled(cx)?;
    let text = read_template(cx, value, name)?;
    match Template::compile(&format!("templates/{name}"), text) {
        Ok(template) => {
            warn(cx, template.warnings());
            Some(template)
        }
        Err(problem) => {
            cx.report(Severity::Error, problem);
            None
        }
    }
}

/// A template whose text stands in this file.
pub(super) fn template_text(cx: &Context, value: &Value<'_, '_>) -> Option<Template> {
    let text = value.text(cx)?;
    match Template::compile(&cx.text_name(&value.name), text.to_owned()) {
        Ok(template) => {
            let template = match value.origin(cx) {
                Some(origin) => template.from_place(origin),
                None => template,
            };
            warn(cx, template.warnings());
            Some(template)
        }
        Err(problem) => {
            cx.report(Severity::Error, value.relocate(cx, problem));
            None
        }
    }
}

/// An expression whose text stands in this file.
pub(super) fn expression(cx: &Context, value: &Value<'_, '_>) -> Option<Expression> {
    let text = value.filled(cx)?;
    match Expression::compile(&cx.text_name(&value.name), text) {
        Ok(expression) => {
            let expression = match value.origin(cx) {
                Some(origin) => expression.from_place(origin),
                None => expression,
            };
            warn(cx, expression.warnings());
            Some(expression)
        }
        Err(mut problem) => {
            problem.message = format!("`{}`: {}", value.name, problem.message);
            cx.report(Severity::Error, value.relocate(cx, problem));
            None
        }
    }
}

fn warn(cx: &Context, problems: Vec<Problem>) {
    for problem in problems {
        cx.report(Severity::Warning, problem);
    }
}

/// Whether a path is relative and only goes down.
pub(super) fn is_plain_path(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\0', '\\'])
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

fn read_template(cx: &Context, value: &Value<'_, '_>, name: &str) -> Option<String> {
    let folder = cx.folder.join("templates");
    let path = folder.join(name);
    let problem = |why: String| {
        let help = similar_file(&folder, name).map_or_else(
            || "the name starts at the folder templates/ beside this file".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        let message = format!("the template {name:?} cannot be read: {why}");
        let code = codes::TEMPLATE_UNREADABLE;
        cx.error_help(code, value.span.clone(), message, help);
    };
    if !is_plain_path(name) {
        problem("a template lies in the folder templates/, or below it".to_owned());
        return None;
    }
    cx.note_file(&path);
    // Links may point about inside the folder (as mounted volumes do), not out of it.
    if let (Ok(real), Ok(home)) = (path.canonicalize(), folder.canonicalize())
        && !real.starts_with(&home)
    {
        problem("it is a link that leaves the folder templates/".to_owned());
        return None;
    }
    match secrets::read_text(&path, TEMPLATE_FILE_BYTES_MAX) {
        Ok(text) => Some(text),
        Err(why) => {
            problem(why);
            None
        }
    }
}

/// The file in the folder whose name is nearest.
fn similar_file(folder: &Path, name: &str) -> Option<String> {
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .take(1_000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|other| other != name)
        .collect();
    super::document::nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Fields of an event that `cloudevents = { … }` can override.
const OVERRIDES: [&str; 7] = [
    "event", "resource", "occurred", "payload", "related", "id", "follows",
];

fn options(cx: &Context, value: &Value<'_, '_>) -> Option<CloudEventsOptions> {
    match value.value {
        DeValue::Boolean(true) => Some(CloudEventsOptions::default()),
        DeValue::Boolean(false) => {
            value.invalid_help(cx, "can be true or a table", "leave the key out");
            None
        }
        DeValue::Table(_) => {
            let table = value.table(cx)?;
            let decode = table.get("percent_decode").map(|v| v.bool(cx));
            let overrides = overrides(cx, value, &table);
            table.finish();
            Some(CloudEventsOptions {
                percent_decode: match decode {
                    Some(decode) => decode?,
                    None => true,
                },
                overrides: overrides?,
            })
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            value.wrong_type(cx, "true or a table");
            None
        }
    }
}

/// The fields that are there, compiled; the outer `None` where one is wrong.
fn overrides(
    cx: &Context,
    value: &Value<'_, '_>,
    table: &Table<'_, '_, '_>,
) -> Option<Option<Definition>> {
    let mut fields = serde_json::Map::new();
    for key in OVERRIDES {
        if let Some(field) = table.get(key) {
            fields.insert(key.to_owned(), field.json(cx)?);
        }
    }
    if fields.is_empty() {
        return Some(None);
    }
    let place = |path: &[&str]| place_of(cx, value, path);
    match Definition::compile_part(&fields, &place) {
        Ok(definition) => Some(Some(definition)),
        Err(problems) => {
            report_all(cx, value, problems);
            None
        }
    }
}
