use super::*;
use crate::model::{Outcome, event::RESOURCE_ID};
use jiff::Timestamp;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn parse(text: &str) -> Result<Query, QueryError> {
    Query::parse(text, now())
}

fn event(name: &str, resource: &str) -> Event {
    Event {
        occurred: "2026-11-25T11:50:00Z".parse().unwrap(),
        event: name.into(),
        resource: [(RESOURCE_ID.to_owned(), resource.to_owned())].into(),
        related: Vec::new(),
        payload: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        id: uuid::Uuid::from_u128(7),
        follows: None,
    }
}

fn delivery(webhook: Option<&str>) -> Delivery {
    let mut record: Delivery = serde_json::from_value(serde_json::json!({
        "id": uuid::Uuid::from_u128(9), "received": "2026-11-25T11:55:00Z", "webhook": webhook,
        "provider": "github", "outcome": "accepted", "status": 204, "key": "k-1",
    }))
    .unwrap();
    record.code = crate::codes::Code::parse("HG0312");
    record
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn prints_in_one_form() {
    for (text, want) in [
        ("", ""),
        ("  ", ""),
        ("event:github.*", "event:github.*"),
        ("event:a AND -webhook:b", "event:a -webhook:b"),
        ("!event:a NOT event:b", "-event:a -event:b"),
        (
            "event:a OR event:b webhook:c",
            "event:a OR event:b webhook:c",
        ),
        (
            "(event:a OR event:b) webhook:c",
            "(event:a OR event:b) webhook:c",
        ),
        ("((event:a))", "event:a"),
        ("-(event:a event:b)", "-(event:a event:b)"),
        ("event:( a , \"b c\",d* )", "event:(a,\"b c\",d*)"),
        ("event:\"a*\"", "event:\"a*\""),
        (
            r#"resource:"say \"hi\" \\ \n""#,
            r#"resource:"say \"hi\" \\ \\n""#,
        ),
        (
            "resource:https://a.example/x:y",
            "resource:https://a.example/x:y",
        ),
        (
            "outcome:(parked,accepted,parked)",
            "outcome:(accepted,parked)",
        ),
        ("outcome:re*", "outcome:rejected"),
        ("code:hg03*", "code:HG03*"),
        ("seq:>5", "seq:6.."),
        ("seq:<5", "seq:..4"),
        ("seq:(1,4..9)", "seq:(1,4..9)"),
        ("received:>=-15m", "received:2026-11-25T11:45:00Z.."),
        (
            "received:2026-11-01",
            "received:2026-11-01T00:00:00Z..2026-11-01T23:59:59.999999Z",
        ),
        ("received:>2026-11-01", "received:2026-11-02T00:00:00Z.."),
        (
            "occurred:2026-11-01..2026-11-02",
            "occurred:2026-11-01T00:00:00Z..2026-11-02T23:59:59.999999Z",
        ),
        ("payload.total:>100", "payload.total:>100"),
        ("payload.total:5..1e1", "payload.total:5..10"),
        ("payload.\"a.b\".c:x*", "payload.\"a.b\".c:x*"),
        ("payload.a:\"1..2\"", "payload.a:\"1..2\""),
        ("payload.a:(1,b)", "payload.a:(1,b)"),
        (
            "resource.\"prefect.resource.name\":api",
            "resource.\"prefect.resource.name\":api",
        ),
        ("resource.prefect.resource.id:api", "resource:api"),
        (
            "related:a related.repository:b",
            "related:a related.repository:b",
        ),
        ("header.X-Thing:a", "header.x-thing:a"),
        (
            "status:>=400 method:post ip:10.*",
            "status:400.. method:POST ip:10.*",
        ),
        (
            "has:(related,follows) is:dup*",
            "has:(follows,related) is:duplicate",
        ),
        (
            "sink:dead -sink.prefect:(pending,failed)",
            "sink:dead -sink.prefect:(pending,failed)",
        ),
        (
            "Push to-main \"Two Words\" dep*",
            "push \"to main\" \"two words\" dep*",
        ),
        ("a-b*", "a.b*"),
        (
            "occurred:<\"2026-11-01 10:00\"",
            "occurred:..2026-11-01T09:59:59.999999Z",
        ),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), want, "{text}");
        assert_eq!(parse(want).unwrap().to_string(), want, "{want}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn errors_have_a_column_and_help() {
    for (text, column, message, help) in [
        (
            "resouce:x",
            1,
            "there is no key `resouce:`",
            "did you mean resource:?",
        ),
        (
            "event:a Webhook:b",
            9,
            "there is no key `Webhook:`",
            "did you mean webhook:?",
        ),
        ("zzz:1", 1, "there is no key `zzz:`", "searchable: event:"),
        (
            "payload.total:>x",
            16,
            "`x` is no number",
            "payload.total:>100",
        ),
        (
            "payload:x",
            1,
            "needs a name behind a dot",
            "payload.total:",
        ),
        (
            "header:x",
            1,
            "needs a name behind a dot",
            "header.user-agent:",
        ),
        ("payload..a:x", 1, "a part of this key is empty", ""),
        ("event.name:x", 1, "`event:` has no parts", "event:value"),
        (
            "has:wings",
            5,
            "there is no part `wings`",
            "follows, related",
        ),
        ("is:odd", 4, "there is no state `odd`", "duplicate, test"),
        ("sink.x:lost", 8, "there is no sink state `lost`", "pending"),
        ("status:x", 8, "`x` is no status", ""),
        (
            "event:a *ush",
            9,
            "at the end of a word only",
            "event:*deploy*",
        ),
        (
            "event:a ...",
            9,
            "has no word to search",
            "letters and digits",
        ),
        ("see https://a.example", 5, "no key `https:`", "quotes"),
        (
            "event: a",
            7,
            "needs a value right after its colon",
            "event:value",
        ),
        ("event:a,b", 8, "`,` is not expected here", "event:(a,b)"),
        ("(event:a", 1, "this parenthesis is never closed", ""),
        (
            "event:a)",
            8,
            "`)` is not expected here",
            "no open parenthesis",
        ),
        ("event:\"a", 7, "this quote is never closed", "\\\""),
        ("event:a OR", 11, "a term is missing", ""),
        ("event:(a", 9, "the list's `)` is missing", ""),
        (
            "--event:a",
            2,
            "`a second negation` is not expected here",
            "enough",
        ),
        (
            "outcome:lost",
            9,
            "there is no outcome `lost`",
            "accepted, ignored",
        ),
        ("received:>soon", 11, "`soon` is no time", ">-15m"),
        ("received:-5", 10, "`-5` is no time", ">-15m"),
        ("event:>a", 7, "has no order", "received:"),
        ("id:7", 4, "`7` is no UUID", ""),
        ("seq:-1", 5, "`-1` is no sequence number", "seq:12"),
        (
            "received:(2026-11-01,2026-11-02)",
            22,
            "takes one time or range",
            "",
        ),
        ("event:*a*b*c*d*e*f*g*h*i", 7, "at most 8 `*`", ""),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        let given = error.help.unwrap_or_default();
        assert!(given.contains(help), "{text}: {given}");
    }
    let deep = "(".repeat(100) + "event:a" + &")".repeat(100);
    assert!(parse(&deep).unwrap_err().message.contains("32 deep"));
    let long = "event:a ".repeat(1000);
    assert!(
        parse(&long)
            .unwrap_err()
            .message
            .contains("4096 characters")
    );
    let many = format!("event:({})", vec!["a"; 600].join(","));
    assert!(parse(&many).unwrap_err().message.contains("512 values"));
}

#[test]
fn matches() {
    let event = event("github.push", "repo.acme");
    let delivery = delivery(Some("github"));
    for (text, want) in [
        ("", true),
        ("event:github.*", true),
        ("event:(a,github.push)", true),
        ("event:GitHub.push", false),
        ("-event:github.*", false),
        ("resource:repo.* webhook:github", true),
        ("resource:x OR webhook:github", true),
        ("provider:git* code:HG0312 key:k-1", true),
        ("outcome:accepted", true),
        ("outcome:(parked,rejected)", false),
        ("id:00000000-0000-0000-0000-000000000007", true),
        ("delivery:00000000-0000-0000-0000-000000000007", false),
        ("received:>-15m", true),
        ("received:>-3m", false),
        ("occurred:>-15m", true),
        ("occurred:2026-11-24", false),
        ("seq:1", false),
    ] {
        let query = parse(text).unwrap();
        assert_eq!(query.matches_event(&event, &delivery), want, "{text}");
    }
    let query = parse("seq:3.. -event:x").unwrap();
    assert!(query.matches(None, &delivery, Some(3)));
    assert!(!query.matches(None, &delivery, Some(2)));
}

#[test]
fn matches_what_is_inside() {
    let mut event = event("github.push", "repo.acme");
    event.payload = serde_json::value::RawValue::from_string(
        r#"{"total": 250.0, "ok": true, "none": null, "id": 12345678901234567890,
            "commits": [{"author": {"name": "Ada"}, "message": "Cache the token"}, {"n": [1, "two"]}]}"#
            .into(),
    )
    .unwrap();
    event.resource.insert("name".into(), "api".into());
    let labels = |id: &str, role: &str| {
        let pairs = [
            (RESOURCE_ID, id),
            (crate::model::event::RESOURCE_ROLE, role),
        ];
        pairs
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into_iter()
            .collect()
    };
    event.related = vec![
        labels("user.ada", "actor"),
        labels("hookgate.webhook.x", "webhook"),
    ];
    let mut delivery = delivery(Some("github"));
    delivery.request = serde_json::from_value(serde_json::json!({
        "method": "POST", "content_type": "application/json", "user_agent": "hookgate-send",
        "peer": "203.0.113.9", "body_bytes": 2, "sha256": "",
    }))
    .unwrap();
    for (text, want) in [
        ("payload.total:250", true),
        ("payload.total:250.0", true),
        ("payload.total:>250", false),
        ("payload.total:>=250 payload.total:1..300", true),
        ("payload.id:12345678901234567890", true),
        ("payload.id:12345678901234567891", false),
        ("payload.ok:true payload.none:null", true),
        ("payload.commits.author.name:Ada", true),
        ("payload.commits.0.author.name:A*", true),
        ("payload.commits.1.author.name:A*", false),
        ("payload.commits.n:two", true),
        ("payload.commits:*", false),
        ("resource.name:api", true),
        ("related:user.*", true),
        ("related.actor:user.ada -related.owner:*", true),
        ("has:related -has:follows has:payload", true),
        ("is:test -is:(duplicate,replayed)", true),
        ("method:post status:200..299 ip:203.0.113.*", true),
        ("header.user-agent:hookgate* -header.x-thing:a", true),
        ("\"cache the token\" ADA", true),
        ("\"cache token\"", false),
        ("toke*", true),
        ("toke", false),
        ("commits", false),
        ("sink:pending", false),
    ] {
        let query = parse(text).unwrap();
        assert_eq!(query.matches_event(&event, &delivery), want, "{text}");
    }
}

#[test]
fn sinks_are_asked() {
    struct Sinks(Vec<SinkView>);
    impl Known for Sinks {
        fn headers(&self) -> Option<crate::model::Headers> {
            None
        }
        fn sinks(&self) -> &[SinkView] {
            &self.0
        }
    }
    let place = |seq| crate::model::Position { seq, index: 0 };
    let known = Sinks(vec![
        SinkView {
            name: "a".into(),
            cursor: 5,
            dead: [place(3)].into(),
            ..SinkView::default()
        },
        SinkView {
            name: "b".into(),
            cursor: 2,
            failing: true,
            filter: Some(parse("event:github.*").unwrap()),
            ..SinkView::default()
        },
    ]);
    let (event, delivery) = (event("github.push", "r"), delivery(Some("github")));
    for (text, seq, want) in [
        ("sink.a:delivered", 5, true),
        ("sink.a:delivered", 3, false),
        ("sink.a:dead", 3, true),
        ("sink:pending", 4, true),
        ("sink.a:pending", 4, false),
        ("sink.b:failed", 3, true),
        ("sink.b:failed", 2, false),
        ("sink.c:(pending,delivered,dead)", 3, false),
    ] {
        let subject = Subject::new(Some(&event), &delivery, Some(seq)).with(0, &known);
        assert_eq!(
            parse(text).unwrap().matches_subject(&subject),
            want,
            "{text}"
        );
    }
    assert!(parse("sink:pending").unwrap().not_of_event().is_some());
    assert!(parse("header.x-a:b").unwrap().not_of_event().is_some());
    assert!(
        parse("header.user-agent:b payload.x:1")
            .unwrap()
            .not_of_event()
            .is_none()
    );
}

#[test]
fn own_events_must_be_named() {
    let event = event("hookgate.sink.failing", "hookgate.sink.x");
    let delivery = delivery(None);
    for (text, want) in [
        ("", false),
        ("event:*", false),
        ("resource:hookgate.*", false),
        ("-event:hookgate.*", false),
        ("event:hookgate.*", true),
        ("event:(a,hookgate.sink.failing)", true),
        ("-(-event:hookgate.*)", true),
        ("event:hookgate.config.*", false),
    ] {
        let query = parse(text).unwrap();
        assert_eq!(query.matches_event(&event, &delivery), want, "{text}");
    }
}

#[test]
fn parameters_join_with_a_query() {
    let event = Query::parameter("event", &["github.*", "a b"], now()).unwrap();
    let since = Query::parameter("since", &["-1h"], now()).unwrap();
    let query = parse("outcome:parked OR code:HG0312")
        .unwrap()
        .and(event)
        .and(since);
    let text =
        "(outcome:parked OR code:HG0312) event:(github.*,\"a b\") received:2026-11-25T11:00:00Z..";
    assert_eq!(query.to_string(), text);
    assert_eq!(Query::default().and(Query::default()), Query::default());
    assert!(Query::parameter("event", &["a b*"], now()).is_err());
    assert!(Query::parameter("until", &["2026-11-01", "x"], now()).is_err());
    assert!(Query::parameter("nothing", &["x"], now()).is_err());
    assert!(Query::parameter("event", &[], now()).is_err());
}

fn term() -> impl Strategy<Value = Term> {
    let word = prop_oneof![
        "[a-z.:/\\\\*<>=!-]{1,8}".prop_map(|t| Pattern::word(&t)),
        any::<String>().prop_map(Pattern::exact),
    ]
    .prop_filter("starts as a comparison", |p| {
        p.as_exact().is_some() || !p.prefix().starts_with(['>', '<'])
    })
    .prop_filter("wildcards", |p| p.wildcards() <= WILDCARDS_MAX);
    let text = (
        prop::sample::select(vec![
            TextField::Event,
            TextField::Resource,
            TextField::Webhook,
            TextField::Key,
        ]),
        prop::collection::vec(word, 1..4),
    );
    let edge = prop::option::of(0..4_000_000_000_000_000_i64);
    let range = (edge.clone(), edge)
        .prop_filter("open", |(a, b)| a.is_some() || b.is_some())
        .prop_map(|(from, to)| Range { from, to });
    let outcomes = prop::sample::subsequence(Outcome::ALL.to_vec(), 1..=6);
    prop_oneof![
        text.prop_map(|(field, any)| Term::Text(field, any)),
        outcomes.prop_map(Term::Outcome),
        prop::collection::vec(any::<u128>(), 1..3).prop_map(|ids| Term::Uuid(
            UuidField::Event,
            ids.into_iter().map(uuid::Uuid::from_u128).collect()
        )),
        prop::collection::vec(range.clone(), 1..3).prop_map(Term::Seq),
        more_terms(),
        range.prop_map(|range| Term::Time(TimeField::Occurred, range)),
    ]
}

fn more_terms() -> impl Strategy<Value = Term> {
    let name = || {
        prop_oneof!["[a-z.:\"\\\\ ]{1,6}", "\\PC{1,4}"].prop_filter("an id", |n| n != RESOURCE_ID)
    };
    let patterns = prop::collection::vec(any::<String>().prop_map(Pattern::exact), 1..3);
    let path = prop::collection::vec(name(), 1..4);
    let bound = (-1e6_f64..1e6, any::<bool>()).prop_map(|(n, inside)| Bound {
        number: Number::new(n).unwrap(),
        inside,
    });
    let amounts = prop_oneof![
        bound.clone().prop_map(|from| (Some(from), None)),
        bound.clone().prop_map(|to| (None, Some(to))),
        (bound.clone(), bound).prop_map(|(mut a, mut b)| {
            (a.inside, b.inside) = (true, true);
            (Some(a), Some(b))
        }),
    ]
    .prop_map(|(from, to)| Amounts { from, to });
    let words = ("\\PC{1,12}", any::<bool>())
        .prop_filter_map("no word", |(text, prefix)| Words::new(&text, prefix));
    let states = prop::sample::subsequence(SinkState::ALL.to_vec(), 1..=4);
    prop_oneof![
        (name(), patterns.clone()).prop_map(|(n, p)| Term::Label(LabelField::Resource(n), p)),
        (name(), patterns.clone()).prop_map(|(n, p)| Term::Label(LabelField::Role(n), p)),
        patterns
            .clone()
            .prop_map(|p| Term::Label(LabelField::Related, p)),
        ("[a-z-]{1,9}", patterns.clone()).prop_map(|(n, p)| Term::Header(n, p)),
        (path.clone(), patterns).prop_map(|(path, p)| Term::Payload(path, p)),
        (path, amounts).prop_map(|(path, amounts)| Term::Amount(path, amounts)),
        words.prop_map(Term::Words),
        prop::sample::subsequence(Has::ALL.to_vec(), 1..=6).prop_map(Term::Has),
        prop::sample::subsequence(Is::ALL.to_vec(), 1..=3).prop_map(Term::Is),
        (prop::option::of(name()), states).prop_map(|(name, any)| Term::Sink(name, any)),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    term()
        .prop_map(Expr::Term)
        .prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::all),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::any),
                inner.prop_map(|part| Expr::Not(Box::new(part))),
            ]
        })
}

proptest! {
    #[test]
    fn print_and_parse(root in expr()) {
        let query = Query::from(root);
        let text = query.to_string();
        if text.chars().count() <= CHARS_MAX {
            prop_assert_eq!(parse(&text), Ok(query), "{}", text);
        }
    }

    #[test]
    fn any_text_parses_or_tells_where(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn near_queries_parse_or_tell_where(text in "([-!(),\"\\\\*:.<>= ]|event|seq|received|payload|has|related|sink|AND|OR|NOT|[0-9a-z]|2026-11-01|é){0,24}") {
        check(&text)?;
    }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(query) => prop_assert_eq!(parse(&query.to_string()), Ok(query)),
        Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
    }
    Ok(())
}
