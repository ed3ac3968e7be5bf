//! Which values that a template reads the request has not, and what it has instead. Looked at only when something
//! undefined was printed.

use super::env;
use super::text;
use crate::codes;
use crate::model::Note;
use minijinja::Value;

/// Notes of one delivery.
const NOTES_MAX: usize = 10;
/// Names that are compared.
const NAMES_MAX: usize = 1_000;

/// Notes for the paths of a template, such as `body.pull_request.number`, that are undefined.
pub(crate) fn notes(context: &Value, paths: &[String], printed: usize) -> Vec<Note> {
    let mut notes: Vec<Note> = paths
        .iter()
        .filter_map(|path| missing(context, path))
        .take(NOTES_MAX)
        .collect();
    if notes.is_empty() {
        let times = if printed == 1 {
            "once".to_owned()
        } else {
            format!("{printed} times")
        };
        notes.push(Note::new(
            codes::UNDEFINED_VALUE,
            format!("The template printed an undefined value as nothing, {times}."),
        ));
    }
    notes
}

fn missing(context: &Value, path: &str) -> Option<Note> {
    let mut current = context.clone();
    let mut reached = String::new();
    for name in path.split('.') {
        let next = current.get_attr(name).unwrap_or_default();
        if next.is_undefined() {
            // A name of the template's own, or of the engine.
            if reached.is_empty() {
                return None;
            }
            let names: Vec<String> = text::pairs(&current)
                .take(NAMES_MAX)
                .map(|(key, _)| text::printed(&key))
                .collect();
            let near = env::nearest(name, names.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| {
                format!(" Did you mean `{reached}.{near}`?")
            });
            return Some(Note::new(
                codes::UNDEFINED_VALUE,
                format!("The template reads `{path}`, which the request has not.{hint}"),
            ));
        }
        if !reached.is_empty() {
            reached.push('.');
        }
        reached.push_str(name);
        current = next;
    }
    None
}
