//! Templates, definitions and expressions of owners over requests of strangers.

use super::{
    check_events, check_inside, check_place, check_shown, check_translation, in_scope, request_of,
    text_and_rest,
};
use crate::codes;
use crate::model::{Place, Problem, Request, limits};
use crate::translate::{Definition, Expression, Keys, Scope, Template, Translator};
use serde_json::{Map, Value as Json};

const FILE: &str = "fuzz.json.j2";

/// A template and, behind the cut, a request: it compiles or its errors have a place; it ends within its budget, with
/// events that obey the schema or an error that has a place.
///
/// # Panics
/// When it does not.
pub fn template(bytes: &[u8]) {
    let Some((text, rest)) = text_and_rest(bytes) else {
        return;
    };
    let template = match Template::compile(FILE, text.to_owned()) {
        Ok(template) => template,
        Err(problem) => return check_place(&problem, FILE, text),
    };
    let request = request_of(rest);
    let keys = Keys::Delivery("k-0001".to_owned());
    in_scope(&request, &keys, true, |scope| {
        let result = template.translate(scope);
        check_translation(&result);
        match &result {
            Ok(translated) => {
                for undefined in &translated.undefined {
                    check_shown(undefined);
                    // What is no path has none, such as an `if` without `else`.
                    if let Some(place) = &undefined.place {
                        check_inside(place, FILE, text);
                    }
                }
            }
            Err(failure) if is_engines(&failure.problem) => {
                check_place(&failure.problem, FILE, text);
            }
            Err(failure) => {
                if let Some(place) = &failure.problem.place {
                    check_inside(place, FILE, text);
                }
            }
        }
        for traced in template.trace(scope) {
            let place = traced.place.expect("what is read has a place");
            check_inside(&place, FILE, text);
        }
        match template.render_text(scope) {
            Ok(text) => assert!(text.len() <= limits::TEMPLATE_OUTPUT_BYTES_MAX),
            Err(problem) => check_place(&problem, FILE, text),
        }
    });
}

/// Whether the engine found it at one place of the template.
fn is_engines(problem: &Problem) -> bool {
    let codes = [
        codes::TEMPLATE_SYNTAX,
        codes::TEMPLATE_UNKNOWN_NAME,
        codes::TEMPLATE_FAILED,
        codes::TEMPLATE_BUDGET,
    ];
    codes.contains(&problem.code)
}

/// A table of TOML with `event`, and `when` and `each` where it has them; behind the cut a request. As for templates,
/// and no event without `when`.
///
/// # Panics
/// When it does not hold.
pub fn definition(bytes: &[u8]) {
    let Some((text, rest)) = text_and_rest(bytes) else {
        return;
    };
    let Ok(Json::Object(table)) = toml::from_str::<Json>(text) else {
        return;
    };
    let request = request_of(rest);
    let keys = Keys::Delivery("k-0001".to_owned());
    if let Some(when) = expression("when", &table) {
        in_scope(&request, &keys, true, |scope| {
            check_expression(&when, scope)
        });
    }
    let each = expression("each", &table);
    let Some(Json::Object(event)) = table.get("event") else {
        return;
    };
    let place = |_: &[&str]| Some(Place::of_span(FILE, text, 0..1));
    let definition = match Definition::compile(event, &place) {
        Ok(definition) => definition,
        Err(problems) => {
            assert!(!problems.is_empty());
            return problems.iter().for_each(check_shown);
        }
    };
    check_definition(Translator::Definition(definition), &request, &keys);
    if let (Some(each), Ok(definition)) = (each, Definition::compile(event, &place)) {
        let many = Translator::Definition(definition.for_each(each));
        check_definition(many, &request, &keys);
    }
}

fn expression(name: &'static str, table: &Map<String, Json>) -> Option<Expression> {
    let source = table.get(name)?.as_str()?;
    match Expression::compile(name, source) {
        Ok(expression) => Some(expression),
        Err(problem) => {
            check_place(&problem, name, source);
            None
        }
    }
}

fn check_expression(expression: &Expression, scope: &Scope<'_>) {
    let value = expression.evaluate(scope);
    let truth = expression.is_true(scope);
    let failures = [value.as_ref().err(), truth.as_ref().err()];
    failures.into_iter().flatten().for_each(check_shown);
    if let (Ok(None | Some(Json::Null)), Ok(truth)) = (&value, &truth) {
        assert!(!truth, "nothing is true");
    }
}

fn check_definition(translator: Translator, request: &Request, keys: &Keys) {
    in_scope(request, keys, true, |scope| {
        let result = translator.translate(scope);
        check_translation(&result);
        let traced = translator.trace(scope);
        assert!(traced.iter().all(|traced| !traced.path.is_empty()));
        if let Ok(translated) = result {
            check_events(&translated.events);
            translated.undefined.iter().for_each(check_shown);
        }
    });
}
