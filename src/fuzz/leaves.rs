//! Templates of ours whose events are known for every request: each place where a value is printed, with what must
//! come out there.

use super::now;
use serde_json::{Value as Json, json};

/// The texts that a request of these templates holds.
pub(super) struct Texts<'a> {
    /// `body.a` and the others that a request has.
    pub(super) a: &'a str,
    pub(super) b: &'a str,
    pub(super) list: [&'a str; 3],
}

impl Texts<'_> {
    /// The body that holds them.
    pub(super) fn body(&self) -> Json {
        let Self { a, b, list } = self;
        json!({"a": a, "b": b, "list": list, "obj": {"k": a, "deep": [{"v": b}]}, "n": 7, "yes": true})
    }
}

/// A place of a template, and what stands there in the event.
type Leaf = (&'static str, fn(&Texts<'_>) -> Json);

/// Every one is a member of the payload, in the order of the template.
pub(super) const LEAVES: &[Leaf] = &[
    (r#""{{ body.a }}""#, |t| json!(t.a)),
    (r#""{{ body['a'] }} and {{ body.obj.deep[0].v }}.""#, |t| {
        json!(format!("{} and {}.", t.a, t.b))
    }),
    (r#""{{ body.a }}{{ body.b }}{{ body.a }}""#, |t| {
        json!([t.a, t.b, t.a].concat())
    }),
    (r#""\"{{ body.a }}\"""#, |t| json!(format!("\"{}\"", t.a))),
    (r#""\\{{ body.a }}\\""#, |t| json!(format!("\\{}\\", t.a))),
    ("{{ body.a|tojson }}", |t| json!(t.a)),
    ("{{ body.list|tojson }}", |t| json!(t.list)),
    ("{{ body.list }}", |t| json!(t.list)),
    (
        "{{ body.obj }}",
        |t| json!({"k": t.a, "deep": [{"v": t.b}]}),
    ),
    (r#""{{ body.a ~ body.b }}""#, |t| json!([t.a, t.b].concat())),
    (r#""{{ body.a + body.b }}""#, |t| json!([t.a, t.b].concat())),
    (r#""{{ '%s-%s' % (body.a, body.b) }}""#, |t| {
        json!(format!("{}-{}", t.a, t.b))
    }),
    (r#""{{ '{}-{}'.format(body.a, body.b) }}""#, |t| {
        json!(format!("{}-{}", t.a, t.b))
    }),
    (
        r#""{{ body.missing|default(body.a) }}{{ body.missing }}""#,
        |t| json!(t.a),
    ),
    (r#""{{ body.list|join('|') }}""#, |t| {
        json!(t.list.join("|"))
    }),
    (r#""{{ body.list|first }}{{ body.list|last }}""#, |t| {
        json!([t.list[0], t.list[2]].concat())
    }),
    (
        r#"[{% for x in body.list %}"{{ x }}"{% if not loop.last %},{% endif %}{% endfor %}]"#,
        |t| json!(t.list),
    ),
    (r#"["{{ body.list|join('", "') }}"]"#, |t| json!(t.list)),
    (r#"{% set x = body.a %}"{{ x }}""#, |t| json!(t.a)),
    (r#"{% set x %}{{ body.a }}{% endset %}"{{ x }}""#, |t| {
        json!(t.a)
    }),
    (
        r#""{% if body.yes %}{{ body.a }}{% else %}{{ body.b }}{% endif %}""#,
        |t| json!(t.a),
    ),
    (
        r#"{% macro m(v) %}{{ v }}{% endmacro %}"{{ m(body.a) }}""#,
        |t| json!(t.a),
    ),
    (
        r#"{% macro q(v) %}"{{ v }}"{% endmacro %}{{ q(body.a) }}"#,
        |t| json!(t.a),
    ),
    (r#"{% with v = body.b %}"{{ v }}"{% endwith %}"#, |t| {
        json!(t.b)
    }),
    (r#"{% raw %}"{{ body.a }}"{% endraw %}"#, |_| {
        json!("{{ body.a }}")
    }),
    (r#""{{ body.a|replace('zqzq', '') }}""#, |t| {
        json!(t.a.replace("zqzq", ""))
    }),
    (r#""{{ body.a[:3] }}""#, |t| {
        json!(t.a.chars().take(3).collect::<String>())
    }),
    (r#""{{ body.a|string }}""#, |t| json!(t.a)),
    (
        r#"{"k": "{{ body.obj.k }}", "n": {{ body.n }}, "s": "{{ body.n }}", "t": {{ body.yes }}, "u": "{{ body.yes }}"}"#,
        |t| json!({"k": t.a, "n": 7, "s": "7", "t": true, "u": "True"}),
    ),
    (r#""{{ body.a|length }}""#, |t| {
        json!(t.a.chars().count().to_string())
    }),
    ("{{ body.nothing }}", |_| Json::Null),
    (
        r#""{{ headers['x-h'] }}{{ headers.authorization }}""#,
        |_| json!("fake-header-0001"),
    ),
    (r#""{{ received }}""#, |_| {
        json!(crate::model::time::to_rfc3339(now()))
    }),
];

/// The template with all leaves.
pub(super) fn template() -> String {
    let members = LEAVES.iter().enumerate();
    let members: Vec<String> = members
        .map(|(i, (text, _))| format!("\"v{i}\": {text}"))
        .collect();
    format!(
        "{{\"event\": \"t.{{{{ body.a }}}}\", \"resource\": {{\"prefect.resource.id\": \"r.{{{{ body.a }}}}\", \"b\": \"{{{{ body.b }}}}\"}},\n\"payload\": {{\n{}\n}}}}",
        members.join(",\n")
    )
}
