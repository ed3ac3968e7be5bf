//! Filters, tests, functions and methods beside the engine's own, and in place of those that differ from Jinja2's.

mod args;
mod casing;
mod cloudevent;
mod codec;
mod humanize;
mod links;
mod lists;
mod macros;
mod methods;
mod numbers;
mod operators;
mod picking;
mod pyformat;
mod sequences;
mod views;
mod words;

pub(crate) use sequences::Group;
pub(crate) use views::View;

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
    "center",
    "filesizeformat",
    "flow_run_id",
    "forceescape",
    "from_cloud_event",
    "fromjson",
    "iso",
    "random",
    "regex_match",
    "regex_replace",
    "regex_search",
    "sha256",
    "striptags",
    "truncate",
    "urlize",
    "uuid5",
    "xmlattr",
];

/// Tests.
pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "endingwith",
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
    "int",
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
    "startingwith",
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
    operators::register(env);
    sequences::register(env);
    picking::register(env);
    macros::register(env);
    casing::register(env);
    links::register(env);
    super::marks::register(env);
}

#[cfg(test)]
mod tests {
    use crate::translate::env;

    #[test]
    fn every_listed_name_exists() {
        let known = |name: &str, kind: &str| {
            let expression = format!("'{name}' is {kind}");
            env::base()
                .compile_expression(&expression)
                .unwrap()
                .eval(())
                .unwrap()
                .is_true()
        };
        for name in super::filter_names() {
            assert!(known(name, "filter"), "{name}");
        }
        for name in super::TESTS {
            assert!(known(name, "test"), "{name}");
        }
    }
}
