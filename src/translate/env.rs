//! The engine as set up for every template: filters, tests, functions, limits.

use super::filters;
use super::sink;
use crate::model::limits;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use std::sync::OnceLock;

/// The set-up, made once; templates live in clones of it, which share its tables.
pub(crate) fn base() -> &'static Environment<'static> {
    static BASE: OnceLock<Environment<'static>> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut env = Environment::new();
        env.set_debug(false);
        env.set_undefined_behavior(UndefinedBehavior::Chainable);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_fuel(Some(limits::TEMPLATE_FUEL));
        env.set_recursion_limit(limits::TEMPLATE_RECURSION_MAX * 4);
        env.set_formatter(sink::format);
        filters::register(&mut env);
        env
    })
}

/// The nearest of `names` to `name`, if near enough to be meant.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, known)| *distance <= 1 + known.len().min(name.len()) / 4)
        .min()
        .map(|(_, known)| known)
}

fn suggest(name: &str, names: &[&str], kind: &str) -> Option<String> {
    let near = nearest(name, names.iter().copied())?;
    Some(format!("Did you mean the {kind} `{near}`?"))
}

/// A hint for a filter that does not exist.
pub(crate) fn suggest_filter(name: &str) -> Option<String> {
    suggest(name, &filters::filter_names(), "filter")
}

/// A hint for a test that does not exist.
pub(crate) fn suggest_test(name: &str) -> Option<String> {
    suggest(name, filters::TESTS, "test")
}

/// A hint for a function that does not exist.
pub(crate) fn suggest_function(name: &str) -> Option<String> {
    suggest(name, filters::FUNCTIONS, "function")
}
