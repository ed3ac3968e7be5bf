//! Translation as a whole: definitions, templates, the cases of `tests/cases`.

mod broken;
mod budget;
mod cloudevents;
mod hostile;
mod oracle;
mod templates;

use super::*;
use crate::model::Headers;
use serde_json::{Value as Json, json};

/// A request with these headers and this body.
pub(crate) fn request(headers: &[(&str, &str)], body: &[u8]) -> Request {
    let mut lines = Headers::new();
    for (name, value) in headers {
        lines.push(name, value.as_bytes());
    }
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers: lines,
        wire_body: bytes::Bytes::copy_from_slice(body),
        body: bytes::Bytes::copy_from_slice(body),
        peer: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        received: "2026-11-01T10:00:00Z".parse().unwrap(),
        url: String::new(),
    }
}

/// Translates with a delivery key `k1`, for a webhook named `shop`.
pub(crate) fn translate(translator: &Translator, request: &Request) -> Result<Translated, Failure> {
    let masking = Masking {
        headers: vec!["x-shop-token".into()],
        ..Masking::default()
    };
    let keys = Keys::Delivery("k1".into());
    translator.translate(&Scope {
        request,
        webhook: "shop",
        masking: &masking,
        keys: &keys,
        own_keys: true,
        default_payload: true,
        body: &ParsedBody::default(),
    })
}

pub(crate) fn template(source: &str) -> Translator {
    Translator::Template(Template::compile("t.json.j2", source.to_owned()).unwrap())
}

pub(crate) fn events(translator: &Translator, body: &str) -> Json {
    let request = request(
        &[
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("authorization", "Bearer fake-0001"),
            ("x-shop-token", "fake-0002"),
        ],
        body.as_bytes(),
    );
    match translate(translator, &request) {
        Ok(translated) => serde_json::to_value(&translated.events).unwrap(),
        Err(failure) => panic!("{:?}", failure.problem),
    }
}

#[test]
fn a_template_gives_an_event() {
    let got = events(
        &template(
            r#"{"event": "gh.{{ headers['X-GitHub-Event'] }}", "resource": {"prefect.resource.id": "r.{{ body.id }}"}}"#,
        ),
        r#"{"id": 7, "big": 123456789012345678901234567890}"#,
    );
    let event = &got[0];
    assert_eq!(event["event"], "gh.push");
    assert_eq!(event["occurred"], "2026-11-01T10:00:00Z");
    assert_eq!(event["resource"], json!({"prefect.resource.id": "r.7"}));
    assert_eq!(
        event["related"],
        json!([{"prefect.resource.id": "hookgate.webhook.shop", "prefect.resource.role": "webhook", "prefect.resource.name": "shop"}])
    );
    assert_eq!(event["payload"]["method"], "POST");
    assert_eq!(
        event["payload"]["headers"],
        json!({"content-type": "application/json", "x-github-event": "push"})
    );
    assert_eq!(
        event["payload"]["body"]["big"].to_string(),
        "123456789012345678901234567890"
    );
    assert_eq!(
        event["id"],
        schema::derived_id(&["shop", "k1", "0"]).to_string()
    );
}

#[test]
fn a_definition_gives_values() {
    let table = json!({"event": "shop.{{ body.type }}", "resource": {"prefect.resource.id": "order.{{ body.id }}", "n": "{{ body.n }}", "none": "{{ body.missing }}"}, "payload": "{{ body }}"});
    let definition = Definition::compile(table.as_object().unwrap(), &|_| None).unwrap();
    let got = events(
        &Translator::Definition(definition),
        r#"{"type": "a\"b\\", "id": 7, "n": 1.50, "big": 12345678901234567890123}"#,
    );
    assert_eq!(got[0]["event"], "shop.a\"b\\");
    assert_eq!(
        got[0]["resource"],
        json!({"prefect.resource.id": "order.7", "n": "1.5"})
    );
    assert_eq!(
        got[0]["payload"]["big"].to_string(),
        "12345678901234567890123"
    );
}

#[test]
fn a_static_definition_is_checked_at_once() {
    let table = json!({"event": "nightly", "resource": {"prefect.resource.id": "job"}});
    assert!(Definition::compile(table.as_object().unwrap(), &|_| None).is_ok());
    let table = json!({"event": "", "resorce": {"prefect.resource.id": "{{ body. }}"}});
    let problems = Definition::compile(table.as_object().unwrap(), &|_| None).unwrap_err();
    let text: Vec<String> = problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.message))
        .collect();
    assert!(
        text.iter().any(|t| t.contains("HG0201"))
            && text.iter().any(|t| t.contains("HG0301"))
            && text.iter().any(|t| t.contains("no `resource`")),
        "{text:?}"
    );
}

/// A template's problem, at load or at render.
fn problem(source: &str, body: &str) -> Problem {
    match Template::compile("t.json.j2", source.to_owned()) {
        Err(problem) => problem,
        Ok(template) => {
            let request = request(&[("content-type", "application/json")], body.as_bytes());
            translate(&Translator::Template(template), &request)
                .unwrap_err()
                .problem
        }
    }
}

/// Template, code, part of the message, line, column, part of the help.
const ERRORS: &[(&str, &str, &str, u32, u32, &str)] = &[
    (
        "{\n \"a\": {{ body.x|trunkate }}\n}",
        "HG0302",
        "There is no filter `trunkate`.",
        2,
        17,
        "Did you mean the filter `truncate`?",
    ),
    (
        "\n{{ lenght(body) }}",
        "HG0302",
        "There is no function `lenght`.",
        2,
        4,
        "",
    ),
    (
        "{{ body.x is defind }}",
        "HG0302",
        "There is no test `defind`.",
        1,
        14,
        "Did you mean the test `defined`?",
    ),
    (
        "{% if body.x %}\n{{ body.y }}",
        "HG0301",
        "The template does not compile",
        1,
        1,
        "endif",
    ),
    (
        "{\"a\": \"{{ body.l|join('\", \"') }}\",\n \"b\": {{ body.missing + 1 }}}",
        "HG0303",
        "`body.missing` is undefined",
        2,
        10,
        "`|default('…')`",
    ),
    (
        "{% for i in range(101) %}{{ i }}{% endfor %}",
        "HG0303",
        "range gives at most 100 items",
        1,
        13,
        "",
    ),
    (
        "{\"event\": \"e\"\n \"resource\": {{ body.r }}}",
        "HG0306",
        "a comma is missing behind this",
        1,
        13,
        "Put a comma",
    ),
    (
        "{\"event\": {{ body.n }}{{ body.n }}x}",
        "HG0306",
        "a comma or a closing bracket is missing",
        1,
        35,
        "|tojson",
    ),
    (
        "{% macro m(x) %}{% if x %}\"{% endif %}{{ x }}\"{% endmacro %}{{ m(1) }}",
        "HG0301",
        "leaves a JSON string open",
        1,
        28,
        "each branch",
    ),
    (
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "HG0304",
        "",
        1,
        20,
        "budget",
    ),
    (
        "{\"resource\": {\"prefect.resource.id\": \"r\"}}",
        "HG0402",
        "`event` is missing",
        1,
        1,
        "",
    ),
];

#[test]
fn errors_name_file_line_and_column() {
    for &(source, code, message, line, column, help) in ERRORS {
        let got = problem(source, r#"{"n": 1, "l": []}"#);
        let place = got.place.as_ref().map_or((0, 0), |p| (p.line, p.column));
        assert_eq!(
            (got.code.to_string().as_str(), place),
            (code, (line, column)),
            "{source}: {got:?}"
        );
        assert!(
            got.message.contains(message) && got.help.clone().unwrap_or_default().contains(help),
            "{source}: {got:?}"
        );
    }
}

#[test]
fn errors_of_expressions_are_placed() {
    let expression = Expression::compile("when", "body.n == 1 and body.x > 3").unwrap();
    let request = request(
        &[("content-type", "application/json")],
        br#"{"n": 1, "x": "a"}"#,
    );
    let problem = expression
        .is_true(&Scope {
            request: &request,
            webhook: "w",
            masking: &Masking::default(),
            keys: &Keys::None,
            own_keys: false,
            default_payload: true,
            body: &ParsedBody::default(),
        })
        .unwrap_err();
    let place = problem.place.unwrap();
    assert_eq!((place.column, place.end_column), (17, Some(27)));
}

#[test]
fn undefined_values_are_noted_with_the_nearest_name() {
    let translator = template(
        r#"{"event": "e{{ body.repositry.name }}", "resource": {"prefect.resource.id": "r"}, "extra": 1}"#,
    );
    let request = request(
        &[("content-type", "application/json")],
        br#"{"repository": {"name": "x"}}"#,
    );
    let notes = translate(&translator, &request).unwrap().notes;
    let text: Vec<String> = notes
        .iter()
        .map(|n| format!("{} {}", n.code.unwrap(), n.message))
        .collect();
    assert_eq!(
        text,
        [
            "HG0407 The unknown field `extra` of the event was dropped.",
            "HG0312 The template reads `body.repositry.name`, which the request has not. It is read in t.json.j2 line 1, column 16. Did you mean `body.repository`?",
        ]
    );
}

#[test]
fn what_an_author_does_not_choose_is_not_missing() {
    let translator = template(
        r#"{"event": "e{{ ".x" if body.a % 2 == 0}}{{ body.a|string if body.b else ".y" if body.c }}", "resource": {"prefect.resource.id": "r"},
            "payload": {"l": [{% for x in body.l %}{{ x }}{{ "," if not loop.last }}{% endfor %}], "n": {{ 1 if body.b }},
            {%- macro m(v) %}"m": {{ v if v }}{% endmacro %}{{ m(body.b) }}, "t": "{{ (1 if body.b, 2)|length }}"{{ ', "u": 1' if body.b }}}}"#,
    );
    let request = request(
        &[("content-type", "application/json")],
        br#"{"a": 1, "b": 0, "c": false, "l": [1, 2]}"#,
    );
    let translated = translate(&translator, &request).unwrap();
    assert_eq!(translated.undefined, []);
    assert_eq!(translated.events[0].event, "e");
    assert_eq!(
        translated.events[0].payload.get(),
        r#"{"l":[1,2],"n":null,"m":null,"t":"2"}"#
    );
    let chosen = template(
        r#"{"event": "e{{ body.name if body.a }}", "resource": {"prefect.resource.id": "r"}}"#,
    );
    let translated = translate(&chosen, &request).unwrap();
    assert_eq!(translated.undefined.len(), 1, "it is chosen and missing");
}

#[test]
fn an_object_of_printed_keys_is_a_piece_of_json() {
    let translator = template(
        r#"{% set s %}{ {{ body.k|tojson }}: {{ body.v }} }{% endset %}{% macro m(k, v) %}{ {{ k|tojson }}: {{ v }} }{% endmacro -%}
           {"event": "e", "resource": {"prefect.resource.id": "r"}, "payload": {"s": {{ s }}, "m": {{ m("k", body.v) }}, "n": {{ m("n", 1) }}}}"#,
    );
    let request = request(
        &[("content-type", "application/json")],
        br#"{"k": "a", "v": "1, \"x\": 2"}"#,
    );
    let translated = translate(&translator, &request).unwrap();
    assert_eq!(
        serde_json::from_str::<Json>(translated.events[0].payload.get()).unwrap(),
        serde_json::json!({"s": {"a": "1, \"x\": 2"}, "m": {"k": "1, \"x\": 2"}, "n": {"n": 1}})
    );
}

const PUSH: &str = include_str!("../../../tests/cases/push.json.j2");

/// Every way a value is printed, over two strings of a body.
const PLACES: &str = r#"{% macro kv(k, v) %}"{{ k }}": "{{ v }}"{% endmacro %}{% set who %}"{{ body.a }}"{% endset %}{% set made = '{"x": "' ~ body.a ~ '"}' %}
{"event": "e.{{ body.a|truncate(20)|default('x', true) }}x", "resource": {"prefect.resource.id": "r.{{ body.b }}", "l": {{ body.a }}, {{ kv("m", body.b) }}},
 "payload": {"a": {{ body.a|tojson }}, "b": "{{ body.b }}", "c": [{% for x in body.l %}"{{ x }}"{{ "," if not loop.last }}{% endfor %}], "d": ["{{ body.l|join('", "') }}"],
  "e": {{ who }}, "f": "{{ body.a|replace('"', '\\"') }}", "g": "{{ (body.b|tojson)[1:-1] }}", "h": {{ body.a ~ body.b }}, "i": {% filter trim %} "{{ body.b }}"{% endfilter %},
  "j": {{ '{"x": "' ~ body.a ~ '", "y": ' ~ body.l|tojson ~ '}' }}, "k": {{ '{"x": "%s"}' % body.a }}, "l": {{ '{{"x": "{}"}}'.format(body.b) }}, "m": {{ made }},
  "n": {{ '{"x": "%s"}'|format(body.a) }}, "o": {{ '["' + body.a + '"]' }}, "p": {{ '["' ~ body.l|join('", "') ~ '"]' }},
  "q": [{% for i in [{'n': body.a, 'c': [{'n': body.b, 'c': []}]}] recursive %}{"n": "{{ i.n }}", "c": [{{ loop(i.c) if i.c }}]}{% endfor %}]}}"#;

mod promise {
    use super::*;
    use proptest::prelude::*;

    fn keys(value: &Json) -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            "[\"\\\\{}\\[\\]:, \n\t\u{0}-\u{1f}a-z0-9\u{fdd0}-\u{fdd3}\u{ffff}]{0,12}",
            Just(r#"x", "event": "taken", "y": ""#.to_owned()),
            Just(r#""}, "event": "taken", "resource": {"prefect.resource.id": "evil"#.to_owned()),
            Just("\\".to_owned()),
            Just("\\\"".to_owned()),
            Just("{{ body }}".to_owned()),
            Just("null".to_owned()),
            Just("1, 2".to_owned()),
            Just("\",\"".to_owned()),
        ];
        proptest::collection::vec(piece, 1..3).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_template_cannot_be_broken_or_taken_over(a in hostile(), b in hostile(), l in proptest::collection::vec(hostile(), 1..4)) {
            let translator = template(PLACES);
            let body = json!({"a": a, "b": b, "l": l}).to_string();
            let request = request(&[("content-type", "application/json")], body.as_bytes());
            let translated = match translate(&translator, &request) {
                Ok(translated) => translated,
                // A bare text that is JSON itself chooses its type: no label can be a list.
                Err(failure) => {
                    prop_assert!(failure.problem.code == crate::codes::EVENT_FIELD_INVALID, "{:?}", failure.problem);
                    return Ok(());
                }
            };
            let event = serde_json::to_value(&translated.events[0]).unwrap();
            prop_assert_eq!(keys(&event), ["occurred", "event", "resource", "related", "payload", "id", "follows"]);
            prop_assert!(event["event"].as_str().unwrap().starts_with("e."));
            prop_assert_eq!(keys(&event["resource"]), ["prefect.resource.id", "l", "m"]);
            prop_assert_eq!(&event["resource"]["prefect.resource.id"], &json!(format!("r.{b}")));
            prop_assert_eq!(&event["resource"]["m"], &json!(b.clone()));
            let payload = &event["payload"];
            prop_assert_eq!(keys(payload), ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"]);
            prop_assert_eq!(&payload["j"], &json!({"x": a, "y": l}));
            for name in ["k", "m", "n"] {
                prop_assert_eq!(&payload[name], &json!({"x": a}));
            }
            prop_assert_eq!(&payload["l"], &json!({"x": b}));
            prop_assert_eq!(&payload["o"], &json!([a]));
            prop_assert_eq!(&payload["p"], &json!(l));
            prop_assert_eq!(&payload["q"], &json!([{"n": a, "c": [{"n": b, "c": []}]}]));
            prop_assert_eq!(&payload["a"], &json!(a.clone()));
            prop_assert_eq!(&payload["b"], &json!(b.clone()));
            prop_assert_eq!(&payload["c"], &json!(l.clone()));
            prop_assert_eq!(&payload["d"], &json!(l));
            prop_assert_eq!(&payload["e"], &json!(a));
            prop_assert_eq!(&payload["g"], &json!(b));
            prop_assert!(payload["f"].is_string() && payload["i"].is_string());
        }

        #[test]
        fn any_body_is_answered(body in proptest::collection::vec(any::<u8>(), 0..300), kind in "(application/json|text/plain|application/cloudevents\\+json|application/x-www-form-urlencoded)") {
            let request = request(&[("content-type", &kind)], &body);
            drop(translate(&template(PUSH), &request));
            drop(translate(&Translator::CloudEvents(CloudEventsOptions::default()), &request));
        }

        #[test]
        fn any_template_is_judged(source in r#"(\{\{|\}\}|\{%|%\}|"|'|\\|body|\.a|\||tojson|join|macro m\(x\)|endmacro|if x|else|endif|set y|endset|filter upper|endfilter|call m\(1\)|endcall|m\(1\)|[(){}\[\]:, x]){0,30}"#) {
            if let Ok(template) = Template::compile("t", source) {
                let request = request(&[], br#"{"a": "x\"y"}"#);
                drop(translate(&Translator::Template(template), &request));
            }
        }
    }
}

/// What a GitHub push costs from body to event. Run with `cargo test --release … -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_push() {
    let mut body = json!({"ref": "refs/heads/main", "before": "a", "after": "b", "forced": false, "sender": {"login": "octo"}, "commits": []});
    let repository: serde_json::Map<String, Json> = (0..88)
        .map(|i| {
            (
                format!("some_url_{i}"),
                json!("https://api.github.com/repos/octo/hello/x"),
            )
        })
        .collect();
    body["repository"] = Json::Object(repository);
    body["repository"]["name"] = json!("hello");
    body["repository"]["full_name"] = json!("octo/hello");
    for i in 0..3 {
        body["commits"].as_array_mut().unwrap().push(json!({"id": format!("c{i}"), "message": "Fix \"it\"\n\nlong text", "author": {"name": "A", "email": "a@example.com"}}));
    }
    let body = body.to_string();
    let request = request(
        &[
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("user-agent", "GitHub-Hookshot/1"),
            ("accept", "*/*"),
        ],
        body.as_bytes(),
    );
    let translator = template(PUSH);
    let rounds = 20_000;
    for _ in 0..2 {
        let started = std::time::Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(translate(&translator, &request).unwrap());
        }
        println!(
            "{} bytes: {:?} each",
            body.len(),
            started.elapsed() / rounds
        );
    }
}

#[test]
fn expressions_and_texts_give_values_unescaped() {
    let request = request(
        &[("content-type", "application/json")],
        br#"{"type": "a\"b", "n": 7, "l": [1]}"#,
    );
    let masking = Masking::default();
    let scope = Scope {
        request: &request,
        webhook: "shop",
        masking: &masking,
        keys: &Keys::None,
        own_keys: true,
        default_payload: true,
        body: &ParsedBody::default(),
    };
    let value = |source: &str| {
        Expression::compile("when", source)
            .unwrap()
            .evaluate(&scope)
            .unwrap()
    };
    assert_eq!(value("body.n + 1"), Some(json!(8)));
    assert_eq!(value("body.l"), Some(json!([1])));
    assert_eq!(value("body.missing.deep"), None);
    assert_eq!(
        value("'%s-%03d' % (body.type, body.n)"),
        Some(json!("a\"b-007"))
    );
    assert!(
        Expression::compile("when", "body.n == 7")
            .unwrap()
            .is_true(&scope)
            .unwrap()
    );
    let problem = Expression::compile("when", "body.n|lenght").unwrap_err();
    assert_eq!(
        (
            problem.code.to_string().as_str(),
            problem.place.unwrap().column
        ),
        ("HG0302", 8)
    );
    assert_eq!(
        Expression::compile("when", "body.n ==")
            .unwrap_err()
            .code
            .to_string(),
        "HG0301"
    );
    let text = Template::compile(
        "response",
        r#"{% macro q(x) %}"{{ x }}"{% endmacro %}{{ q(body.type) }} {{ body.l }}"#.into(),
    )
    .unwrap();
    assert_eq!(text.render_text(&scope).unwrap(), r#""a"b" [1]"#);
}

#[test]
fn a_list_cannot_be_nested_until_the_stack_ends() {
    let translator = template(
        r#"{% set ns = namespace(x=[], n=0) %}{% for i in body.l %}{% set ns.n = ns.n + 1 %}{% set ns.x = [ns.x] %}{% endfor %}null"#,
    );
    let run = |n: usize| {
        let body = json!({"l": vec![1; n]}).to_string();
        translate(
            &translator,
            &request(&[("content-type", "application/json")], body.as_bytes()),
        )
    };
    assert!(run(2_000).unwrap().events.is_empty());
    assert_eq!(run(100_000).unwrap_err().problem.code.to_string(), "HG0304");
}
