//! The catalogue against signed and forged requests of the senders' own libraries.

use super::*;
use crate::codes;
use crate::model::http_file::{self, Masking};
use crate::model::{Headers, Request, Secret};
use crate::translate::{Keys, ParsedBody, Scope, Template, Translator};
use crate::verify::{DatedSecret, SchemeError, Verdict, Verifier};
use base64::Engine;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

fn secrets(texts: &[&str]) -> Vec<DatedSecret> {
    let dated = |text: &&str| DatedSecret {
        secret: Secret::new((*text).to_owned()),
        until: None,
    };
    texts.iter().map(dated).collect()
}

/// The cases of a kind: `<name>.json` and every file of the folder `<folder>`, in `tests/cases`.
fn cases(name: &str, folder: &str) -> Vec<Value> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files = vec![root.join(format!("{name}.json"))];
    let entries = root.join(folder).read_dir().into_iter().flatten();
    let more = entries.map(|entry| entry.unwrap().path());
    files.extend(more.filter(|path| path.extension().is_some_and(|e| e == "json")));
    files.sort();
    let read = |file: &std::path::PathBuf| -> Vec<Value> {
        let text = std::fs::read_to_string(file).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    };
    let only = std::env::var("CASES").ok();
    let all = files.iter().flat_map(read);
    all.filter(|case| {
        only.as_ref()
            .is_none_or(|only| case["provider"] == only.as_str())
    })
    .filter(|case| {
        // CloudEvents are no provider, and some cases wait for theirs: the story over HTTP has the list.
        let provider = case["provider"].as_str().unwrap();
        let provider = provider.strip_suffix("-form").unwrap_or(provider);
        load(provider, None).is_ok()
    })
    .collect()
}

fn request(case: &Value) -> Request {
    let url = case["url"].as_str().unwrap();
    let mut headers = Headers::new();
    for pair in case["headers_list"].as_array().into_iter().flatten() {
        headers.push(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    }
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        headers.push(name, value.as_str().unwrap());
    }
    let body = match case["body_base64"].as_str() {
        Some(text) => base64::prelude::BASE64_STANDARD.decode(text).unwrap(),
        None => case["body"].as_str().unwrap_or("").as_bytes().to_vec(),
    };
    let body = Bytes::from(body);
    Request {
        method: case["method"].as_str().unwrap().to_owned(),
        path: String::new(),
        query: url.split_once('?').map_or("", |(_, q)| q).to_owned(),
        headers,
        wire_body: body.clone(),
        body,
        peer: [127, 0, 0, 1].into(),
        received: Timestamp::UNIX_EPOCH,
        url: url.to_owned(),
    }
}

fn compile(provider: &str, texts: &[&str]) -> Result<Verifier, SchemeError> {
    let provider = load(provider, None).unwrap();
    Verifier::compile(&provider.verify.unwrap(), &secrets(texts))
}

#[test]
fn signatures_of_the_senders_libraries() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for case in cases("signatures", "signatures") {
        let label = format!("{}: {}", case["provider"], case["name"]);
        // Some senders have a second form, whose cases have a name of their own.
        let provider = case["provider"].as_str().unwrap();
        let provider = provider.strip_suffix("-form").unwrap_or(provider);
        let one = [case["secret"].as_str().unwrap()];
        let list: Option<Vec<&str>> = case["secrets"]
            .as_array()
            .map(|list| list.iter().filter_map(Value::as_str).collect());
        let texts = list.as_deref().unwrap_or(&one);
        let verifier = match compile(provider, texts) {
            Ok(verifier) => verifier,
            Err(error) => {
                assert_eq!(error.to_string(), "secret 1 is blank", "{label}");
                assert_eq!(case["expect"], "rejected", "{label}");
                checked += 1;
                continue;
            }
        };
        let now = Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap();
        let verdict = verifier.verify(&request(&case), now);
        let verified = case["expect"] == "verified";
        if verdict.failure.is_none() != verified || verdict.record.verified != verified {
            wrong.push(format!("{label}: {:?}", verdict.failure));
        }
        let text = format!("{verdict:?}{verifier:?}");
        assert!(!texts.iter().any(|t| text.contains(t)), "{label}: {text}");
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        checked > 60 || std::env::var_os("CASES").is_some(),
        "{checked}"
    );
}

#[test]
fn handshakes_of_the_senders_documents() {
    for case in cases("signatures-handshakes", "handshakes") {
        let label = format!("{}: {}", case["provider"], case["name"]);
        let mut provider = load(case["provider"].as_str().unwrap(), None).unwrap();
        if let Some(token) = case["config"]["verify_token"].as_str() {
            for shake in provider
                .handshakes
                .iter_mut()
                .filter(|h| h.asks_for_token())
            {
                shake.set_token(Secret::new(token.to_owned()));
            }
        }
        let want = &case["expect_response"];
        let request = request(&case["request"]);
        // A case's placeholder for "any key" is none.
        let secret = case["secret"]
            .as_str()
            .filter(|s| !s.starts_with("fake: any"));
        let known: Vec<Secret> = secret
            .map(|s| Secret::new(s.to_owned()))
            .into_iter()
            .collect();
        let found = provider
            .handshakes
            .iter()
            .find_map(|h| h.answer(&request, &known).map(|answer| (h, answer)));
        let now = Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap();
        let refused = || {
            let key = "4f06e7622373968fa93c70c870d68d0c6b7612890210f9044608ba37b257e444";
            let verifier = compile(&provider.name, &[secret.unwrap_or(key)]).unwrap();
            verifier.verify(&request, now).failure.is_some()
        };
        let Some((handshake, answer)) = found else {
            if want["status"] == 401 {
                assert!(refused(), "{label}");
                continue;
            }
            let taken = provider.methods.contains(&request.method);
            assert_eq!(taken, want["status"] != 405, "{label}");
            if taken && secret.is_some() {
                assert!(!refused(), "{label}");
                let body = want["body"].as_str().unwrap_or(&provider.answer.body);
                assert_eq!(body, provider.answer.body, "{label}");
            }
            continue;
        };
        // A secret is learned where none is configured.
        if handshake.is_teaching() && secret.is_some() {
            assert_eq!(want["status"], 401, "{label}");
            continue;
        }
        if handshake.signed {
            assert_eq!(refused(), want["status"] == 401, "{label}");
            if want["status"] == 401 {
                continue;
            }
        }
        assert_eq!(
            u64::from(answer.status),
            want["status"].as_u64().unwrap(),
            "{label}"
        );
        answers(&answer, want, &label);
    }
}

/// Whether an answer is the wanted one.
fn answers(answer: &HandshakeAnswer, want: &Value, label: &str) {
    if let Some(body) = want["body"].as_str() {
        assert_eq!(answer.body, body, "{label}");
    }
    if !want["json"].is_null() {
        let json: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(json, want["json"], "{label}");
    }
    for (name, value) in want["headers"].as_object().into_iter().flatten() {
        let mut own = answer.headers.iter();
        let own = own.find(|(n, _)| n.eq_ignore_ascii_case(name));
        let found = match name.as_str() {
            "Content-Type" => answer.content_type.as_deref(),
            // Every reflecting answer has it.
            "X-Content-Type-Options" => Some("nosniff"),
            _ => own.map(|(_, value)| value.as_str()),
        };
        assert_eq!(found, value.as_str(), "{label}: {name}");
    }
}

/// A GitHub request with the signature header lines given.
fn github(lines: &[&str], body: &str) -> Verdict {
    let mut headers = Headers::new();
    for line in lines {
        headers.push("X-Hub-Signature-256", *line);
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers,
        wire_body: body.clone(),
        body,
        peer: [127, 0, 0, 1].into(),
        received: Timestamp::UNIX_EPOCH,
        url: "http://localhost/hooks/x".into(),
    };
    let verifier = compile("github", &["fake-github-secret-0001"]).unwrap();
    verifier.verify(&request, Timestamp::UNIX_EPOCH)
}

#[test]
fn forged_empty_stripped_and_duplicated_headers() {
    const RIGHT: &str = "sha256=7d38cdd689735b008b3c702edd92eea23791c5f6e49b0f66a5a1d1dcf3d5a6b5";
    let mac =
        crate::verify::hmac_text("sha256", "hex", b"fake-github-secret-0001", "body").unwrap();
    let right = format!("sha256={mac}");
    let upper = format!("sha256={}", mac.to_uppercase());
    let spaced = format!("  {right} ");
    let name_upper = format!("SHA256={mac}");
    let twice = format!("{right},{right}");
    let long = format!("{right}00");
    let none = None;
    let missing = Some(codes::CREDENTIAL_MISSING);
    let malformed = Some(codes::CREDENTIAL_MALFORMED);
    let mismatch = Some(codes::SIGNATURE_MISMATCH);
    let table: &[(&[&str], Option<codes::Code>)] = &[
        (&[&right], none),
        (&[&upper], none),
        (&[&spaced], none),
        (&[&right, &right], none),
        (&[], missing),
        (&[""], malformed),
        (&["sha256="], malformed),
        (&[&mac], malformed),
        (&[&name_upper], malformed),
        (
            &["sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709"],
            malformed,
        ),
        (&[&right, RIGHT], malformed),
        (&[RIGHT, &right], malformed),
        (&["", &right], malformed),
        (&[RIGHT], mismatch),
        (&[&twice], mismatch),
        (&[&long], mismatch),
        (&["sha256=zz"], mismatch),
        (&["sha256=00"], mismatch),
    ];
    for (lines, want) in table {
        let verdict = github(lines, "body");
        assert_eq!(verdict.failure.map(|p| p.code), *want, "{lines:?}");
    }
    let verdict = github(&[RIGHT], "body");
    let detail = &verdict.record.checks.last().unwrap().detail;
    assert!(
        detail.contains(&format!("expected {}…", mac.get(..8).unwrap())),
        "{detail}"
    );
    assert!(!detail.contains(mac.get(..9).unwrap()), "{detail}");
}

/// What is signed must be what the template reads.
#[test]
fn a_signed_payload_is_the_one_that_is_used() {
    let secret = "fake-gitea-secret-0001";
    let signed = r#"{"ref":"refs/heads/main","repository":{"full_name":"a/b"}}"#;
    let forged = r#"{"ref":"refs/heads/evil","repository":{"full_name":"a/b"}}"#;
    let mac = crate::verify::hmac_text("sha256", "hex", secret.as_bytes(), signed).unwrap();
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (good, bad) = (encode(signed), encode(forged));
    let form = "Content-Type: application/x-www-form-urlencoded";
    let json = "Content-Type: application/json";
    let gitea = load("gitea", None).unwrap();
    let verifier = compile("gitea", &[secret]).unwrap();
    for (line, head, body, verified) in [
        ("POST /x", json, signed.to_owned(), true),
        ("POST /x", json, forged.to_owned(), false),
        ("POST /x", form, format!("payload={good}"), true),
        ("POST /x", form, format!("payload={bad}"), false),
        (
            "POST /x",
            form,
            format!("payload={good}&payload={bad}"),
            false,
        ),
        (
            "POST /x",
            form,
            format!("payload={bad}&payload={good}"),
            false,
        ),
        (&format!("GET /x?payload={good}"), json, String::new(), true),
        (&format!("GET /x?payload={bad}"), json, String::new(), false),
        (
            &format!("GET /x?payload={good}&payload={bad}"),
            json,
            String::new(),
            false,
        ),
        (
            &format!("POST /x?payload={good}"),
            json,
            forged.to_owned(),
            false,
        ),
        (
            &format!("GET /x?payload={bad}"),
            json,
            signed.to_owned(),
            true,
        ),
    ] {
        let text = format!("{line} HTTP/1.1\n{head}\nX-Gitea-Signature: {mac}\n\n{body}");
        let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        let verdict = verifier.verify(&request, Timestamp::UNIX_EPOCH);
        assert_eq!(verdict.failure.is_none(), verified, "{line} {body}");
        if verified {
            let events = serde_json::to_string(&translate(&gitea, &request)).unwrap();
            assert!(!events.contains("evil"), "{line}: {events}");
        }
    }
}

/// Secrets that a sender puts into its payload.
#[test]
fn secrets_in_payloads_are_not_passed_on() {
    for (name, text) in [
        ("gogs", "fake-gogs-secret"),
        ("terraform-run-task", "fake-run-task-token"),
        ("figma", "fake-figma-passcode"),
        // The URL of the webhook itself.
        ("twitch", "fake-slug"),
        ("trello", "fake-slug"),
        ("webex", "fake-slug"),
    ] {
        let provider = load(name, None).unwrap();
        let mut found = false;
        for sample in samples(name, None).unwrap() {
            found |= String::from_utf8_lossy(&sample.request).contains(text);
            let request = http_file::parse(&sample.request, Timestamp::UNIX_EPOCH).unwrap();
            let events = serde_json::to_string(&translate(&provider, &request)).unwrap();
            assert!(!events.contains(text), "{name}/{}", sample.name);
        }
        assert!(found, "{name}");
    }
}

#[test]
fn every_provider_loads_whole() {
    let names = names(None);
    assert!(names.len() > 3, "{names:?}");
    for name in names {
        let provider = load(&name, None).unwrap();
        assert!(provider.template.is_some(), "{name}");
        let verify = provider.verify.as_ref().expect(&name);
        assert_eq!(verify.needs_secret(), provider.secret.is_some(), "{name}");
        assert!(
            provider.evidence.is_some() && provider.source.is_some(),
            "{name}"
        );
        assert!(
            !provider.docs.is_empty() && provider.checked.is_some(),
            "{name}"
        );
        assert!(
            provider.setup.iter().all(|s| !s.fields.is_empty()),
            "{name}"
        );
        assert!((200..300).contains(&provider.answer.status), "{name}");
        let samples = samples(&name, None).unwrap();
        assert!(!samples.is_empty(), "{name}");
        assert!(samples.iter().all(|s| s.events.is_some()), "{name}");
    }
    assert_eq!(load("slack", None).unwrap().answer.status, 200);
}

#[test]
fn unknown_names_get_suggestions() {
    let help = |name: &str| {
        let problems = load(name, None).unwrap_err();
        assert_eq!(problems[0].code, codes::UNKNOWN_PROVIDER);
        problems[0].help.clone().unwrap()
    };
    for (wrong, near) in [
        ("githbu", "github"),
        ("GitHub", "github"),
        ("standard", "standard-webhooks"),
    ] {
        let help = help(wrong);
        assert!(
            help.starts_with(&format!("Did you mean `{near}`")),
            "{help}"
        );
    }
    assert!(
        help("../github").contains("hookgate providers") || help("../github").contains("github")
    );
    assert!(help("zzz").contains("hookgate providers"));
}

#[test]
fn files_beside_the_configuration_win_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("templates/providers/github");
    std::fs::create_dir_all(&own).unwrap();
    let path = own.join("event.json.j2");
    std::fs::write(&path, "{}").unwrap();
    let provider = load("github", Some(folder.path())).unwrap();
    assert_eq!(provider.title, "GitHub");
    assert_eq!(provider.files, [path]);
    let (text, file) = provider.template.unwrap();
    assert_eq!(
        (text.as_str(), file.as_str()),
        ("{}", "templates/providers/github/event.json.j2")
    );

    std::fs::write(
        own.join("provider.toml"),
        "title = \"x\"\n\n[verify]\nscheme = \"hmac-sha257\"\nheader = \"x\"\n",
    )
    .unwrap();
    let problem = load("github", Some(folder.path())).unwrap_err().remove(0);
    let place = problem.place.unwrap();
    assert_eq!(problem.code, codes::PROVIDER_DATA);
    assert_eq!(
        (place.file.as_str(), place.line),
        ("templates/providers/github/provider.toml", 4)
    );
    assert_eq!(place.source.as_deref(), Some("scheme = \"hmac-sha257\""));
    assert!(
        problem.message.contains("hmac-sha256"),
        "{}",
        problem.message
    );

    for (text, line) in [
        ("title = \"x\"\nheaders = 1\n", 2),
        ("title = \"x\"\nanswer = { status = 302 }\n", 2),
        (
            "title = \"x\"\n[verify]\nscheme = \"hmac-sha256\"\nheader = \"x\"\nsigned = \"{ts}.{body}\"\n",
            2,
        ),
        (
            "title = \"x\"\n[[handshake]]\ntitle = \"y\"\nmatch = {}\n",
            2,
        ),
        ("title = \"x\"\ndelivery_key = [\"headr:x\"]\n", 2),
        ("title = \"x\n", 1),
    ] {
        std::fs::write(own.join("provider.toml"), text).unwrap();
        let problem = load("github", Some(folder.path())).unwrap_err().remove(0);
        assert_eq!(
            problem.place.as_ref().map(|p| p.line),
            Some(line),
            "{text}: {problem:?}"
        );
    }

    let own = folder.path().join("templates/providers/my-sender");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("provider.toml"), "title = \"Mine\"").unwrap();
    assert!(names(Some(folder.path())).contains(&"my-sender".to_owned()));
    assert_eq!(
        load("my-sender", Some(folder.path())).unwrap().methods,
        ["POST"]
    );
}

/// The events that a provider's default template makes of a request.
fn translate(provider: &Provider, request: &Request) -> Vec<Value> {
    let translator = default_translator(provider);
    translate_with(&translator, provider, request).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn default_translator(provider: &Provider) -> Translator {
    let (text, file) = provider.template.clone().unwrap();
    Translator::Template(Template::compile(&file, text).unwrap())
}

/// The events, or what is wrong.
pub(super) fn translate_with(
    translator: &Translator,
    provider: &Provider,
    request: &Request,
) -> Result<Vec<Value>, String> {
    let key = provider
        .delivery_key
        .iter()
        .find_map(|k| k.read(request).into_iter().next());
    let scope = Scope {
        request,
        webhook: &provider.name,
        masking: &Masking::default(),
        keys: &key.map_or(Keys::None, Keys::Delivery),
        own_keys: true,
        default_payload: true,
        body: &ParsedBody::default(),
    };
    let made = translator
        .translate(&scope)
        .map_err(|f| format!("{}: {:?}", provider.name, f.problem))?;
    // A template that prints undefined values has forgotten a case.
    let mut notes = made.notes.iter();
    match notes.find(|n| n.code == Some(codes::UNDEFINED_VALUE)) {
        Some(note) => Err(format!("{}: {note:?}", provider.name)),
        None => Ok(made
            .events
            .iter()
            .map(|e| serde_json::to_value(e).unwrap())
            .collect()),
    }
}

/// Whether `partial` is in `whole`: objects by their keys, everything else whole.
fn within(partial: &Value, whole: &Value) -> bool {
    match (partial, whole) {
        (Value::Object(partial), Value::Object(whole)) => partial
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|found| within(value, found))),
        (Value::Array(partial), Value::Array(whole)) => {
            partial.len() == whole.len() && partial.iter().zip(whole).all(|(p, w)| within(p, w))
        }
        _ => partial == whole,
    }
}

#[test]
fn samples_become_the_events_beside_them() {
    for name in names(None) {
        let provider = load(&name, None).unwrap();
        for sample in samples(&name, None).unwrap() {
            let label = format!("{name}/{}", sample.name);
            let request = http_file::parse(&sample.request, Timestamp::UNIX_EPOCH).unwrap();
            let mut events = translate(&provider, &request);
            for event in &mut events {
                // The webhook itself, which the gateway adds.
                event["related"].as_array_mut().unwrap().pop();
            }
            let want: Vec<Value> = serde_json::from_str(&sample.events.unwrap()).unwrap();
            assert_eq!(events.len(), want.len(), "{label}");
            for (want, event) in want.iter().zip(&events) {
                assert!(within(want, event), "{label}: {event:#}");
            }
            assert!(provider.methods.contains(&request.method), "{label}");
        }
    }
}

/// A request to a provider's webhook.
fn posted(head: &str, body: &str) -> Request {
    let text = format!("POST /hooks/x HTTP/1.1\n{head}\n\n{body}");
    http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
}

#[test]
fn templates_give_an_event_whatever_comes() {
    let hostile = r#"{"action":"a\"},{\"b\\\n{{ 7*7 }}","repository":{"full_name":"x\",\"y"},"sender":{"login":"\ufdd0\u0000"},"type":"t\"","data":{"id":"\"}]","object":{"id":1,"object":"\\"}},"event":{"type":"m\"","channel":"\\"}}"#;
    for name in names(None) {
        let provider = load(&name, None).unwrap();
        for head in [
            "Content-Type: application/json",
            "Content-Type: application/x-www-form-urlencoded",
            "X-GitHub-Event: push\"},{\"",
            "webhook-timestamp: 1767225600",
        ] {
            for body in [
                "{}",
                "[]",
                "null",
                "17",
                "",
                "text",
                "a=b",
                "payload=%7B%7D",
                hostile,
            ] {
                // A time that is none parks a request, as it should; these have one or none.
                let head = format!("{head}\nwebhook-timestamp: 1767225600");
                let events = translate(&provider, &posted(&head, body));
                assert_eq!(events.len(), 1, "{name} {head} {body}");
                let event = &events[0];
                assert!(event["payload"].is_object(), "{name} {head} {body}");
                assert_ne!(
                    event["resource"]["prefect.resource.id"], "",
                    "{name} {head} {body}"
                );
                let related = event["related"].as_array().unwrap();
                assert!(related.iter().all(|r| r["b"].is_null() && r["y"].is_null()));
            }
        }
    }
}

#[test]
fn slacks_verification_token_is_not_passed_on() {
    let slack = load("slack", None).unwrap();
    for sample in samples("slack", None).unwrap() {
        let request = http_file::parse(&sample.request, Timestamp::UNIX_EPOCH).unwrap();
        let events = translate(&slack, &request);
        let text = serde_json::to_string(&events).unwrap();
        assert!(
            !text.contains("fake-verification-token"),
            "{}: {text}",
            sample.name
        );
    }
}

#[test]
fn delivery_keys_where_the_sender_puts_them() {
    let key = |name: &str, head: &str, body: &str| {
        let provider = load(name, None).unwrap();
        let request = posted(head, body);
        provider
            .delivery_key
            .iter()
            .find_map(|k| k.read(&request).into_iter().next())
    };
    assert_eq!(
        key("github", "X-GitHub-Delivery: d1", "{}").as_deref(),
        Some("d1")
    );
    assert_eq!(
        key(
            "stripe",
            "A: b",
            r#"{"id":"evt_1","data":{"object":{"id":"x"}}}"#
        )
        .as_deref(),
        Some("evt_1")
    );
    assert_eq!(
        key("slack", "A: b", r#"{"event_id":"Ev1"}"#).as_deref(),
        Some("Ev1")
    );
    assert_eq!(
        key(
            "slack",
            "Content-Type: application/x-www-form-urlencoded",
            "command=%2Fx"
        ),
        None
    );
    assert_eq!(
        key("standard-webhooks", "webhook-id: msg_1", "{}").as_deref(),
        Some("msg_1")
    );
}

#[test]
fn a_provider_describes_itself() {
    let slack = load("slack", None).unwrap().describe();
    assert_eq!(
        slack["verify"],
        "hmac-sha256 (hex) of v0:{ts}:{body} in header x-slack-signature"
    );
    assert_eq!(slack["delivery_key"], serde_json::json!(["body /event_id"]));
    assert_eq!(slack["handshakes"][0]["signed"], true);
    assert_eq!(slack["setup"][0]["fields"][0]["value"], "{url}");
    assert_eq!(slack["answer"]["status"], 200);
}
