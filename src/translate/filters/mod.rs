//! Filters, tests, functions and methods beside the engine's own, and in place of those that differ from Jinja2's.

mod args;
mod cloudevent;
mod codec;
mod humanize;
mod lists;
mod methods;
mod numbers;
mod pyformat;
mod words;

use minijinja::Environment;

/// Filters of the engine that stay as they are.
const ENGINE_FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
    "zip",
];

/// Filters of ours.
const OWN_FILTERS: &[&str] = &[
    "b64decode",
    "b64encode",
    "flow_run_id",
    "fromjson",
    "iso",
    "regex_match",
    "regex_replace",
    "regex_search",
    "sha256",
    "uuid5",
];

/// Tests.
pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// Functions.
pub(crate) const FUNCTIONS: &[&str] = &["cycler", "dict", "joiner", "lipsum", "namespace", "range"];

/// All filters, for suggestions.
pub(crate) fn filter_names() -> Vec<&'static str> {
    ENGINE_FILTERS
        .iter()
        .chain(OWN_FILTERS)
        .chain(humanize::NAMES)
        .copied()
        .collect()
}

/// Registers all of it.
pub(crate) fn register(env: &mut Environment<'static>) {
    env.remove_global("debug");
    env.set_unknown_method_callback(methods::call);
    codec::register(env);
    words::register(env);
    numbers::register(env);
    lists::register(env);
    humanize::register(env);
    cloudevent::register(env);
}
