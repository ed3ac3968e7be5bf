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

/// What other languages call it, and what it is here.
const ELSEWHERE: [(&[&str], &str); 14] = [
    (&["lowercase", "downcase", "tolower", "lcase"], "lower"),
    (&["uppercase", "upcase", "toupper", "ucase"], "upper"),
    (
        &["json", "jsonify", "stringify", "json_encode", "json_escape"],
        "tojson",
    ),
    (
        &["parsejson", "from_json", "json_decode", "parse_json"],
        "fromjson",
    ),
    (&["size", "len"], "length"),
    (&["strip", "trimmed"], "trim"),
    (&["tostring", "str", "to_s", "string_value"], "string"),
    (&["toint", "integer", "to_i", "parseint", "number"], "int"),
    (
        &[
            "date",
            "strftime",
            "todate",
            "isoformat",
            "date_format",
            "datetime",
        ],
        "iso",
    ),
    (&["base64", "base64encode", "base64_encode"], "b64encode"),
    (&["base64decode", "base64_decode"], "b64decode"),
    (&["regex", "match", "search"], "regex_search"),
    (&["contains", "includes"], "regex_match"),
    (&["concat", "implode"], "join"),
];

/// What a name of another language is here.
fn elsewhere(name: &str) -> Option<&'static str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "");
    let name = plain(name);
    let mut names = ELSEWHERE.iter();
    let (_, here) = names.find(|(names, _)| names.iter().any(|other| plain(other) == name))?;
    Some(here)
}

/// Methods of texts, maps and lists that people write.
const METHODS: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "copy",
    "count",
    "decode",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "get",
    "index",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isspace",
    "istitle",
    "isupper",
    "items",
    "join",
    "keys",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "values",
];

/// A hint for a method that a value has not.
pub(crate) fn suggest_method(name: &str) -> Option<String> {
    // The words of other languages end as the filters do: `toLowerCase` is `lower`.
    let plain = name.to_ascii_lowercase().replace('_', "");
    let plain = plain.strip_prefix("to").unwrap_or(&plain);
    let near = match plain.strip_suffix("case").unwrap_or(plain) {
        "trim" => Some("strip"),
        "starts" | "beginswith" => Some("startswith"),
        "ends" => Some("endswith"),
        "length" | "size" | "len" => return Some("Did you mean the filter `length`?".to_owned()),
        "includes" | "contains" | "has" | "haskey" => {
            return Some("Ask with `in`: `'x' in body.name`.".to_owned());
        }
        "string" | "str" | "s" => return Some("Did you mean the filter `string`?".to_owned()),
        "slice" | "substring" | "substr" => return Some("Cut it: `body.name[0:5]`.".to_owned()),
        plain => METHODS.into_iter().find(|method| *method == plain),
    };
    let near = near.or_else(|| nearest(name, METHODS.into_iter()))?;
    Some(format!("Did you mean `.{near}()`?"))
}

fn suggest(name: &str, names: &[&str], kind: &str) -> Option<String> {
    let near = nearest(name, names.iter().copied())?;
    Some(format!("Did you mean the {kind} `{near}`?"))
}

/// A hint for a filter that does not exist.
pub(crate) fn suggest_filter(name: &str) -> Option<String> {
    let near = suggest(name, &filters::filter_names(), "filter");
    near.or_else(|| Some(format!("Did you mean the filter `{}`?", elsewhere(name)?)))
}

/// A hint for a test that does not exist.
pub(crate) fn suggest_test(name: &str) -> Option<String> {
    suggest(name, filters::TESTS, "test")
}

/// A hint for a function that does not exist.
pub(crate) fn suggest_function(name: &str) -> Option<String> {
    suggest(name, filters::FUNCTIONS, "function")
}
