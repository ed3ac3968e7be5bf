use super::*;
use clap::Parser;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    arguments: Arguments,
}

/// The page for people and the exit code, in a folder with these files.
fn check(flags: &[&str], files: &[(&str, &str)]) -> (String, Vec<Finding>, Exit) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let file = folder.path().join("webhooks.toml");
    let line = Line::parse_from(["check", "-c", file.to_str().unwrap()].iter().chain(flags));
    let checked = examine(&line.global, &line.arguments).unwrap();
    let page = text(&checked, &line.arguments, &line.global);
    let page = anstream::adapter::strip_str(&page).to_string();
    (
        page.replace(&folder.path().display().to_string(), "DIR"),
        all(&checked),
        checked.exit(),
    )
}

const GOOD: &str = r#"
[[webhook]]
name = "w"
slug = "fakeslug00000000000001"
verify = "none"
template = "t.json.j2"
[[webhook.test]]
name = "one"
request = "r.http"
expect = [{ event = "a" }]
"#;
const TEMPLATE: (&str, &str) = (
    "templates/t.json.j2",
    r#"{"event": "{{ body.e }}", "resource": {"prefect.resource.id": "r"}}"#,
);

#[test]
fn a_good_file() {
    let files = [
        ("webhooks.toml", GOOD),
        TEMPLATE,
        ("r.http", "POST / HTTP/1.1\n\n{\"e\": \"a\"}"),
    ];
    let (page, findings, exit) = check(&[], &files);
    assert_eq!((exit, findings.len()), (Exit::Done, 0));
    insta::assert_snapshot!(page, @r#"
    webhooks.toml        ok      1 webhook, 0 sinks
    secrets              ok      none
    templates/t.json.j2  ok
    tests                ok      1 passed, 0 failed
    "#);
}

#[test]
fn a_failed_test() {
    let files = [
        ("webhooks.toml", GOOD),
        TEMPLATE,
        ("r.http", "POST / HTTP/1.1\n\n{\"e\": \"b\"}"),
    ];
    let (page, findings, exit) = check(&[], &files);
    assert_eq!(exit, Exit::No);
    assert_eq!(findings[0].problem.code, codes::TEST_FAILED);
    assert_eq!(findings[0].webhook.as_deref(), Some("w"));
    insta::assert_snapshot!(page, @r#"
    webhooks.toml        ok      1 webhook, 0 sinks
    secrets              ok      none
    templates/t.json.j2  ok
    tests                error   0 passed, 1 failed

    test "one" … FAILED     webhooks.toml:7
        [
          {
      -     "event": "a"
      +     "event": "b"
          }
        ]
        rerun: hookgate check -c DIR/webhooks.toml --test "one"
    "#);
    let (page, _, exit) = check(&[], &files[..2]);
    assert_eq!(exit, Exit::No);
    insta::assert_snapshot!(page, @r#"
    webhooks.toml        ok      1 webhook, 0 sinks
    secrets              ok      none
    templates/t.json.j2  ok
    tests                error   0 passed, 1 failed

    test "one" … FAILED     webhooks.toml:7
    error[HG0101]: the request file r.http cannot be read: there is no such file
     │
     ╰ more: hookgate explain HG0101
        rerun: hookgate check -c DIR/webhooks.toml --test "one"
    "#);
}

#[test]
fn warnings_can_be_denied() {
    let open = GOOD.replace("verify = \"none\"\n", "");
    let files = [
        ("webhooks.toml", open.as_str()),
        TEMPLATE,
        ("r.http", "POST / HTTP/1.1\n\n{\"e\": \"a\"}"),
    ];
    assert_eq!(check(&[], &files).2, Exit::Done);
    assert!(!check(&["-q"], &files).0.contains("HG0216"));
    let (page, _, exit) = check(&["--deny-warnings", "-q"], &files);
    assert!(
        exit == Exit::Invalid && page.contains("error[HG0216]"),
        "{page}"
    );
}

#[test]
fn secrets_can_be_left_out() {
    let signed = GOOD.replace(
        "verify = \"none\"",
        "provider = \"github\"\nsecret = { env = \"HOOKGATE_NO_SUCH_VARIABLE\" }",
    );
    let files = [
        ("webhooks.toml", signed.as_str()),
        TEMPLATE,
        ("r.http", "POST / HTTP/1.1\n\n{\"e\": \"a\"}"),
    ];
    let (page, _, exit) = check(&[], &files);
    assert_eq!(exit, Exit::Invalid);
    assert!(
        page.contains("0 of 1 can be read") && page.contains("not run"),
        "{page}"
    );
    let (page, _, exit) = check(&["--no-secrets"], &files);
    assert!(
        exit == Exit::Done && page.contains("not read (--no-secrets)"),
        "{page}"
    );
}

#[test]
fn differences_are_shown_by_line() {
    let (a, b) = (
        "{\n  \"a\": 1,\n  \"b\": 2\n}",
        "{\n  \"a\": 1,\n  \"b\": 3\n}",
    );
    assert_eq!(
        diff(a, b, false),
        "    {\n      \"a\": 1,\n  -   \"b\": 2\n  +   \"b\": 3\n    }\n"
    );
}

#[test]
fn what_came_is_blessed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("webhooks.toml", GOOD),
        ("r.http", "POST / HTTP/1.1\n\n{\"e\": \"b\"}"),
        TEMPLATE,
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let file = folder.path().join("webhooks.toml");
    let line = |flags: &[&str]| {
        let all = ["check", "-c", file.to_str().unwrap()];
        Line::parse_from(all.iter().chain(flags).copied())
    };
    let plain = line(&[]);
    assert_eq!(run(&plain.global, &plain.arguments), Exit::No);
    let blessing = line(&["--bless"]);
    assert_eq!(run(&blessing.global, &blessing.arguments), Exit::Done);
    assert_eq!(run(&plain.global, &plain.arguments), Exit::Done);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, GOOD.replace("event = \"a\"", "event = \"b\""));
}

#[test]
fn an_undefined_value_has_its_place_in_the_template() {
    let template = (
        "templates/t.json.j2",
        "{\"event\": \"a{{ body.repositry }}\",\n \"resource\": {\"prefect.resource.id\": \"r\"}}",
    );
    let files = [
        ("webhooks.toml", GOOD),
        template,
        ("r.http", "POST / HTTP/1.1\n\n{\"repository\": 1}"),
    ];
    let (_, findings, exit) = check(&[], &files);
    let place = findings[0].problem.place.clone().unwrap();
    assert_eq!((exit, findings.len()), (Exit::Done, 1));
    assert_eq!(
        (place.file.as_str(), place.line, place.column),
        ("templates/t.json.j2", 1, 16)
    );
    let help = findings[0].problem.help.clone().unwrap();
    assert!(
        help.contains("`body.repository`") && help.contains("test \"one\""),
        "{help}"
    );
    let (_, _, exit) = check(&["--deny-warnings"], &files);
    assert_eq!(exit, Exit::Invalid);
}

/// Names and contents of elements, in order, of well-formed XML without comments; a stack says that it is.
fn elements(xml: &str) -> Vec<(String, String)> {
    let mut rest = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
        .unwrap();
    let (mut open, mut found) = (Vec::new(), Vec::new());
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        let end = tag.find('>').unwrap();
        let (tag, after) = tag.split_at(end);
        let (tag, after) = (
            tag.strip_prefix('<').unwrap(),
            after.strip_prefix('>').unwrap(),
        );
        assert!(
            !tag.contains('<') && tag.matches('"').count() % 2 == 0,
            "{tag}"
        );
        for entity in text.split('&').skip(1).chain(tag.split('&').skip(1)) {
            let (name, _) = entity.split_once(';').unwrap();
            assert!(
                ["amp", "lt", "gt", "quot", "apos", "#10"].contains(&name),
                "{name}"
            );
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else {
            let name = tag.split([' ', '/']).next().unwrap().to_owned();
            let content = after.split('<').next().unwrap().to_owned();
            found.push((tag.to_owned(), content));
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    found
}

#[test]
fn junit_has_a_case_for_each_test_and_each_group_of_findings() {
    let two = GOOD.replace("verify = \"none\"\n", "")
        + "[[webhook.test]]\nname = \"two <&> \\\"quoted\\\"\"\nrequest = \"r.http\"\nexpect = [{ event = \"<b>\" }]\n";
    let files = [
        ("webhooks.toml", two.as_str()),
        TEMPLATE,
        ("r.http", "POST / HTTP/1.1\n\n{\"e\": \"a\"}"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let file = folder.path().join("webhooks.toml");
    let line = Line::parse_from(["check", "-c", file.to_str().unwrap()]);
    let checked = examine(&line.global, &line.arguments).unwrap();
    let found = elements(&junit::xml(&checked, "sub/", false));
    let cases: Vec<&str> = found
        .iter()
        .filter(|(tag, _)| tag.starts_with("testcase "))
        .map(|(tag, _)| tag.split(" time=").next().unwrap())
        .collect();
    assert_eq!(
        cases,
        [
            "testcase classname=\"webhooks.toml\" name=\"webhooks.toml\" file=\"sub/webhooks.toml\" line=\"2\"",
            "testcase classname=\"webhooks.toml\" name=\"secrets\" file=\"sub/webhooks.toml\"",
            "testcase classname=\"webhooks.toml\" name=\"templates/t.json.j2\" file=\"sub/templates/t.json.j2\"",
            "testcase classname=\"w\" name=\"one\" file=\"sub/webhooks.toml\" line=\"6\"",
            "testcase classname=\"w\" name=\"two &lt;&amp;&gt; &quot;quoted&quot;\" file=\"sub/webhooks.toml\" line=\"10\"",
        ]
    );
    let of = |begin: &'static str| found.iter().filter(move |(tag, _)| tag.starts_with(begin));
    // A warning is no failure, and is there to be read.
    let (_, warning) = of("system-out").next().unwrap();
    assert!(warning.contains("HG0216"), "{warning}");
    let failures: Vec<_> = of("failure").collect();
    assert_eq!(failures.len(), 1);
    let (tag, text) = failures[0];
    assert!(
        tag.contains("type=\"HG0217\" message=\"other events"),
        "{tag}"
    );
    assert!(
        text.contains("-     &quot;event&quot;: &quot;&lt;b&gt;&quot;\n"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
    let (tag, _) = of("testsuites").next().unwrap();
    assert!(tag.contains("tests=\"5\" failures=\"1\""), "{tag}");

    let denied = Line::parse_from(["check", "--deny-warnings", "-c", file.to_str().unwrap()]);
    let checked = examine(&denied.global, &denied.arguments).unwrap();
    let found = elements(&junit::xml(&checked, "", true));
    let tags: Vec<&str> = found.iter().map(|(tag, _)| tag.as_str()).collect();
    assert!(
        tags.iter()
            .any(|tag| tag.starts_with("failure type=\"HG0216\"")),
        "{tags:?}"
    );
    assert!(
        tags.contains(&"skipped message=\"--no-secrets\"/"),
        "{tags:?}"
    );
}
