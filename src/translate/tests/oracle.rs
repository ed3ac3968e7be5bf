//! Templates × requests against Jinja2 itself: `tests/oracle/oracle.py` makes pairs and says what Python gives.

use super::request;
use crate::model::http_file::Masking;
use crate::translate::{Keys, ParsedBody, Scope, Template, Translator};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

/// The interpreter that has the packages `jinja2` and `jinja2-humanize-extension`.
const PYTHON: &str = "HOOKGATE_TEST_JINJA";
/// The seed of another run.
const SEED: &str = "HOOKGATE_TEST_SEED";

/// Python's text that no one can want: addresses of objects, and what `docs/templates.md` lists as different on purpose,
/// by a piece of the template and a piece of Python's answer.
const ON_PURPOSE: &[(&str, &str)] = &[
    ("", " object at 0x"),
    ("{% for x in [1, 2] %}{% block a %}", ""),
    ("{{ self }}", ""),
    ("self.a is defined", ""),
    ("\\N{", ""),
    ("encode()", ""),
    ("maketrans", ""),
    (".real", ""),
    (".imag", ""),
    (".numerator", ""),
    (".to_bytes", ""),
    (".from_bytes", ""),
    (".as_integer_ratio", ""),
    (".hex()", ""),
    (".fromhex", ""),
    ("**", "j)"),
    // Safe text is remembered for whole texts, not for their parts.
    ("('a'|e)[0] is escaped", ""),
    ("", "Markup("),
    ("|safe)[0]", ""),
    ("|safe|upper }}{{ ['<'", ""),
    ("1e400|tojson", ""),
    ("pprint", "\n"),
    (":", "range("),
    ("<b>x", ""),
    ("autoescape body.t", ""),
    ("{% filter upper %}{% set q", ""),
    // Texts are not unpacked into names, and `with` sets one name at a time.
    ("'xy'", ""),
    ("{% with a, b =", ""),
    // The last digits of what was shifted by powers of ten.
    ("'floor'", "e+"),
    ("'ceil'", "e+"),
];

/// Errors of Python that are answers here, by a piece of the template and the beginning of the error.
const LENIENT: &[(&str, &str)] = &[
    // A filter block prints what its filter gives, text or not.
    ("filter length", "TypeError: sequence item"),
    // None is a loop without a pass.
    (" in ", "TypeError: 'NoneType' object is not iterable"),
    // Without a loader there is no other template either way.
    ("ignore missing", "TypeError: no loader"),
    // Views and generators have JSON and a length.
    ("tojson", "TypeError: Object of type"),
    ("tojson", "TypeError: '<' not supported"),
    ("", "TypeError: object of type 'generator'"),
    ("", "TypeError: 'generator' object"),
    // `is filter` and `is test` say no to what is no name; a dict may have a list for a key.
    ("", "TypeError: unhashable type"),
    // Younger Pythons have it.
    ("is_integer", "UndefinedError"),
    ("encode(", "LookupError: unknown encoding"),
    // The engine reads a little more than the grammar says.
    ("", "TemplateSyntaxError: expected name or number"),
    ("", "TemplateSyntaxError: You cannot chain multiple tests"),
    ("{% for", "TemplateSyntaxError: expected token 'in'"),
    ("macro m(a, a)", "SyntaxError: duplicate argument"),
    ("{{+", "TemplateSyntaxError"),
    ("a=1, a=2", "SyntaxError: keyword argument repeated"),
    ("'split'", "TemplateRuntimeError: No filter named 'split'"),
    ("\\ud83d", "UnicodeEncodeError"),
    ("namespace(", ""),
    // A constant that Python folds into a name that its own code has not.
    ("", "NameError: name"),
];

fn pairs(arguments: &[&str]) -> Option<Vec<Json>> {
    let Ok(python) = std::env::var(PYTHON) else {
        assert!(std::env::var_os("CI").is_none(), "{PYTHON} is not set");
        println!(
            "not run: set {PYTHON} to a Python with the packages jinja2 and jinja2-humanize-extension"
        );
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/oracle.py");
    let output = Command::new(&python)
        .arg("-B")
        .arg(script)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{python} cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{}\npip install jinja2 jinja2-humanize-extension",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let pairs: Vec<Json> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    Some(pairs)
}

fn with_scope<T>(pair: &Json, run: impl FnOnce(&Scope<'_>) -> T) -> T {
    let request_of = &pair["request"];
    let headers: Vec<(&str, &str)> = request_of["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let request = request(&headers, request_of["body"].as_str().unwrap().as_bytes());
    run(&Scope {
        request: &request,
        webhook: "oracle",
        masking: &Masking::default(),
        keys: &Keys::None,
        own_keys: false,
        default_payload: true,
        body: &ParsedBody::default(),
    })
}

/// The template as plain text, which is what Jinja2 prints.
fn text(pair: &Json) -> Result<String, String> {
    let template = Template::compile("t", pair["template"].as_str().unwrap().to_owned());
    template
        .and_then(|template| with_scope(pair, |scope| template.render_text(scope)))
        .map_err(|problem| problem.message)
}

/// What the template prints into a string of an event.
fn payload(pair: &Json) -> Result<String, String> {
    let template = pair["template"].as_str().unwrap();
    let source = format!(
        "{{\"event\": \"e\", \"resource\": {{\"prefect.resource.id\": \"r\"}}, \"payload\": {{\"v\": \"{template}\"}}}}"
    );
    let template = Template::compile("t", source).map_err(|problem| problem.message)?;
    let translated = with_scope(pair, |scope| {
        Translator::Template(template).translate(scope)
    });
    let events = translated
        .map_err(|failure| failure.problem.message)?
        .events;
    let event = serde_json::to_value(&events[0]).unwrap();
    Ok(event["payload"]["v"].as_str().unwrap().to_owned())
}

/// How a pair disagrees.
fn difference(pair: &Json) -> Option<String> {
    let template = pair["template"].as_str().unwrap();
    let got = text(pair);
    let want = match pair["text"].as_str() {
        Some(want) => want,
        None => {
            let error = pair["error"].as_str().unwrap();
            return match got {
                Ok(got)
                    if !LENIENT.iter().any(|(piece, said)| {
                        template.contains(piece) && error.starts_with(said)
                    }) =>
                {
                    Some(format!("{template}\n  Jinja2: {error}\n  here:   {got:?}"))
                }
                _ => None,
            };
        }
    };
    if got.as_deref() != Ok(want) {
        let answer = format!("{want} {}", got.as_ref().err().map_or("", String::as_str));
        let allowed = ON_PURPOSE.iter().any(|(piece, said)| {
            (template.contains(piece) || answer.contains(piece)) && answer.contains(said)
        });
        return (!allowed).then(|| format!("{template}\n  Jinja2: {want:?}\n  here:   {got:?}"));
    }
    // The same inside of an event's string, where the text of the template itself needs no escaping.
    let printed = template.starts_with("{{") && template.find("}}") == Some(template.len() - 2);
    if !printed || template.contains("|safe") || template.contains('\\') {
        return None;
    }
    let inside = payload(pair);
    (inside.as_deref() != Ok(want))
        .then(|| format!("{template}\n  Jinja2: {want:?}\n  in JSON: {inside:?}"))
}

fn agree(arguments: &[&str]) {
    let Some(pairs) = pairs(arguments) else {
        return;
    };
    let different: Vec<String> = pairs.iter().filter_map(difference).collect();
    println!("{} of {} agree", pairs.len() - different.len(), pairs.len());
    if let Ok(file) = std::env::var("ORACLE_OUT") {
        std::fs::write(file, different.join("\n")).unwrap();
    }
    assert!(
        different.is_empty(),
        "{} of {} pairs differ ({}):\n{}",
        different.len(),
        pairs.len(),
        arguments.join(" "),
        different.join("\n")
    );
}

#[test]
fn random_templates_agree_with_jinja2() {
    // Another seed each day finds more than the same one always; it is printed, and can be set.
    let seed = std::env::var(SEED)
        .unwrap_or_else(|_| (jiff::Timestamp::now().as_second() / 86_400).to_string());
    println!("{SEED}={seed}");
    agree(&["--seed", &seed, "--count", "2000"]);
}

#[test]
fn every_filter_test_method_and_operator_agrees_with_jinja2() {
    agree(&["--sweep"]);
}
