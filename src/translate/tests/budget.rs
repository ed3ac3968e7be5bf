//! Nothing that a template asks for costs more than its budget. No clock is asked: what counts is what was counted.

#[path = "../../../tests/fixtures/bombs.rs"]
mod bombs;

use super::{request, translate};
use crate::model::http_file::Masking;
use crate::model::{Request, limits};
use crate::translate::input::Input;
use crate::translate::{Definition, Expression, Keys, ParsedBody, Scope, Template, Translator};
use crate::translate::{env, rewrite};
use minijinja::Value;
use serde_json::json;
use std::collections::HashSet;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Runs `with` in the scope of a request that was read before.
fn scoped<T>(request: &Request, with: impl FnOnce(&Scope<'_>) -> T) -> T {
    let masking = Masking::default();
    with(&Scope {
        request,
        webhook: "w",
        masking: &masking,
        keys: &Keys::None,
        own_keys: false,
        default_payload: false,
        body: &ParsedBody::default(),
    })
}

#[test]
fn a_bomb_is_stopped_by_budget() {
    // A hundredth of it, and of what it is spent on a tenth, since this is not built for speed; `benches/budget.rs` has the whole.
    const FUEL: u64 = limits::TEMPLATE_FUEL / 100;
    let request = request(&JSON, bombs::body(10).as_bytes());
    let mut wrong = Vec::new();
    scoped(&request, |scope| {
        for (line, [once, on_and_on]) in bombs::templates() {
            for (endless, source) in [(false, once), (true, on_and_on)] {
                let Ok(mut template) = Template::compile("bomb", source) else {
                    continue;
                };
                template.set_fuel(FUEL);
                match Translator::Template(template).translate(scope) {
                    Ok(_) if endless && !line.contains("{%") => {
                        wrong.push(format!("{line}: never stopped"));
                    }
                    Ok(_) => {}
                    Err(failure) => {
                        let problem = failure.problem;
                        let code = problem.code.to_string();
                        // Too much; a wrong type, value or width; no JSON; no event.
                        if !matches!(code.as_str(), "HG0303" | "HG0304" | "HG0306")
                            && !code.starts_with("HG04")
                        {
                            wrong.push(format!("{line}: {code} {}", problem.message));
                        }
                    }
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The instructions that one evaluation takes; none where that is an error.
fn cost(input: &Input<'_>, expression: &str) -> Option<u64> {
    let mut env = env::base().clone();
    let source = rewrite::operators_of(&format!("{{% set x = {expression} %}}")).source;
    env.add_template_owned("t", source).unwrap();
    let names: HashSet<String> = ["body".to_owned(), "headers".to_owned()].into();
    let context = Value::from_object(input.context(&names));
    let captured = env
        .get_template("t")
        .unwrap()
        .render_captured(context)
        .ok()?;
    captured.state().fuel_levels().map(|(used, _)| used)
}

/// Expressions over 20,000 bytes or 10,000 items, and the instructions that are the least they take.
const COSTS: &[(&str, u64)] = &[
    ("body.s|upper", 2_000),
    ("body.s|title", 2_000),
    ("body.s|trim", 1_000),
    ("body.s|e", 2_000),
    ("body.s|striptags", 3_000),
    ("body.s|wordcount", 2_000),
    ("body.s|wordwrap(40)", 5_000),
    ("body.s|urlize", 50_000),
    ("body.s|urlencode", 5_000),
    ("body.s|sha256", 2_000),
    ("body.s|b64encode", 2_000),
    ("body.s|uuid5", 2_000),
    ("body.s|truncate(19000)", 1_000),
    ("body.s|replace('a', 'b')", 2_000),
    ("body.s|regex_search('zz')", 2_000),
    ("body.s|regex_search('(z{1,40}){1,9}')", 100_000),
    ("body.s|regex_replace('o(.*zz)?', 'b')", 100_000),
    ("body.s.split()", 5_000),
    ("body.s.swapcase()", 5_000),
    ("body.s.count('a')", 1_000),
    ("body.s[::-1]", 1_000),
    ("body.s ~ body.s", 1_000),
    ("body.s == body.s2", 200),
    ("body.s in body.s2", 1_000),
    ("body.s < body.s2", 200),
    ("body.l == body.l2", 5_000),
    ("body.l == body.l2 == body.l", 5_000),
    ("[body.l] == [body.l2]", 5_000),
    ("body.l2 in [body.l]", 5_000),
    ("body.l|sort", 100_000),
    ("body.l|unique|list", 50_000),
    ("body.l|groupby(0)|list", 0),
    ("body.l|max", 10_000),
    ("body.l|string", 5_000),
    ("body.l|tojson", 4_000),
    ("body.l|pprint", 20_000),
    ("body.l|join(',')", 10_000),
    ("'%s' % body.l", 5_000),
    ("'{}'.format(body.l)", 5_000),
    ("body.l ~ ''", 5_000),
    ("body.l|upper", 5_000),
    ("body.d.items()", 10_000),
    ("dict(body.d)", 10_000),
    ("body.d|dictsort", 50_000),
    ("body.big + body.big", 100),
    ("body.big|string", 1_000),
    ("body.big|string|int", 1_000),
    ("range(100)", 100),
    ("2 ** 14000", 50),
];

#[test]
fn what_filters_methods_and_operators_do_is_counted() {
    let list = |blank: &str| -> String {
        let items: Vec<String> = (0..10_000)
            .map(|i| format!("{blank}{}", i * 7919 % 10_000))
            .collect();
        items.join(",")
    };
    let members: Vec<String> = (0..10_000).map(|i| format!("\"k{i}\":{i}")).collect();
    let text = "some Words ".repeat(20_000 / 11);
    let body = format!(
        "{{\"s\":\"{text}\",\"s2\":\"{text}\",\"l\":[{}],\"l2\":[{}],\"d\":{{{}}},\"big\":{}}}",
        list(""),
        list(" "),
        members.join(","),
        "9".repeat(4_300)
    );
    let request = request(&JSON, body.as_bytes());
    let cheap: Vec<String> = scoped(&request, |scope| {
        let input = Input::new(scope);
        let costs = COSTS
            .iter()
            .map(|(expression, least)| (expression, least, cost(&input, expression)));
        costs
            .filter(|(_, least, cost)| cost.is_some_and(|cost| cost < **least))
            .map(|(expression, least, cost)| format!("{expression}: {cost:?} for {least}"))
            .collect()
    });
    assert!(cheap.is_empty(), "{}", cheap.join("\n"));
    // What has a large list is not asked for all of it.
    scoped(&request, |scope| {
        let input = Input::new(scope);
        for expression in [
            "body.l|first",
            "body.l|length",
            "body.l[9999]",
            "body.d.k9999",
            "body.s == 'x'",
        ] {
            assert!(cost(&input, expression).unwrap() < 100, "{expression}");
        }
    });
}

#[test]
fn errors_of_budgets_name_the_limit() {
    let body = json!({"s": "x".repeat(300_000), "l": vec![0; 100_000], "n": 1}).to_string();
    let request = request(&JSON, body.as_bytes());
    for (expression, code, part) in [
        ("body.l|sort", "HG0304", "budget of 500,000 instructions"),
        ("'x' * 20000000", "HG0304", "larger than 16 MiB"),
        ("[1] * 250001", "HG0304", "more than 250000 items"),
        ("2 ** 100000", "HG0304", "more than 4,300 digits"),
        (
            "body.s|regex_search('y')",
            "HG0304",
            "more than 256 KiB of text",
        ),
        (
            "body.n|regex_search('y' * 2000)",
            "HG0304",
            "longer than 1024 bytes",
        ),
        ("range(101)", "HG0303", "at most 100 items"),
        ("body.s|center(10001)", "HG0303", "at most 10000"),
    ] {
        let source = format!("{{% set x = {expression} %}}");
        let template = Translator::Template(Template::compile("t", source).unwrap());
        let problem = translate(&template, &request).unwrap_err().problem;
        assert_eq!(problem.code.to_string(), code, "{expression}: {problem:?}");
        assert!(problem.message.contains(part), "{expression}: {problem:?}");
    }
    let deep = Template::compile(
        "t",
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}".into(),
    );
    let problem = translate(&Translator::Template(deep.unwrap()), &request)
        .unwrap_err()
        .problem;
    assert_eq!(problem.code.to_string(), "HG0304");
    assert!(problem.message.contains("recursion"), "{problem:?}");
}

#[test]
fn a_large_batch_is_no_bomb() {
    let item = |i: usize| json!({"id": i, "name": format!("Name \"{i}\""), "status": "open", "url": format!("https://example.com/{i}/of/many"), "labels": {"team": "a", "zone": null}});
    let items: Vec<_> = (0..10_000).map(item).collect();
    let body = json!({"kind": "report", "rows": items}).to_string();
    assert!(body.len() > 1_000_000, "{}", body.len());
    let source = r#"{"event": "report.{{ body.kind }}", "resource": {"prefect.resource.id": "r"},
 "payload": {"rows": [{% for row in body.rows %}
   {"id": {{ row.id }}, "name": "{{ row.name }}", "status": "{{ row.status|upper }}", "team": {{ row.labels.team|tojson }}, "open": {{ row.status == "open" }}}{{ "," if not loop.last }}{% endfor %}]}}"#;
    let template = Translator::Template(Template::compile("t", source.into()).unwrap());
    let request = request(&JSON, body.as_bytes());
    let translated = translate(&template, &request).unwrap();
    let event = serde_json::to_value(&translated.events[0]).unwrap();
    let rows = event["payload"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 10_000);
    assert_eq!(
        rows[9_999],
        json!({"id": 9999, "name": "Name \"9999\"", "status": "OPEN", "team": "a", "open": true})
    );
}

#[test]
fn the_largest_event_is_no_bomb() {
    let rows: Vec<_> = (0..14_000)
        .map(|i| json!({"id": i, "name": format!("Name {i}"), "text": "some words that make it longer, and longer still", "l": [1, 2]}))
        .collect();
    let body = json!({"rows": rows}).to_string();
    assert!(
        (1_300_000..1_500_000).contains(&body.len()),
        "{}",
        body.len()
    );
    for printed in ["{{ body }}", "{{ body|tojson }}"] {
        let source = format!(
            r#"{{"event": "e", "resource": {{"prefect.resource.id": "r"}}, "payload": {printed}}}"#
        );
        let template = Translator::Template(Template::compile("t", source).unwrap());
        let translated = translate(&template, &request(&JSON, body.as_bytes()));
        assert_eq!(translated.unwrap().events.len(), 1, "{printed}");
    }
}

#[test]
fn the_expressions_of_a_delivery_share_a_budget() {
    let table = json!({"event": "e", "resource": {"prefect.resource.id": "r.{{ item.i }}"}, "payload": {"n": "{{ body.l|selectattr('ok')|list|length }}", "t": "{{ item.i }} of {{ body.l|length }}"}});
    let definition = || {
        Definition::compile(table.as_object().unwrap(), &|_| None)
            .unwrap()
            .for_each(Expression::compile("each", "body.l").unwrap())
    };
    let run = |n: usize| {
        let items: Vec<_> = (0..n).map(|i| json!({"i": i, "ok": true})).collect();
        let body = json!({"l": items}).to_string();
        translate(
            &Translator::Definition(definition()),
            &request(&JSON, body.as_bytes()),
        )
    };
    let events = run(100).unwrap().events;
    let last = serde_json::to_value(&events[99]).unwrap();
    assert_eq!(last["payload"], json!({"n": 100, "t": "99 of 100"}));
    // Each is small; all together are the square of what was sent.
    let problem = run(5_000).unwrap_err().problem;
    assert_eq!(problem.code.to_string(), "HG0304", "{problem:?}");
    assert!(
        problem.message.contains("500,000 instructions"),
        "{problem:?}"
    );
}
