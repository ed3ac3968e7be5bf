//! `[[webhook.test]]`: a request, and what must come of it.

use super::{Translation, explain, receive, translate};
use crate::codes::{self, Code};
use crate::config::{Config, Webhook, WebhookTest};
use crate::model::{Note, Outcome, Problem, Request, http_file};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of a request file: the largest body, and its headers.
const REQUEST_FILE_BYTES_MAX: u64 = 65 << 20;

/// How one test went.
#[derive(Debug, Clone)]
pub struct TestResult {
    /// Webhook that it belongs to.
    pub webhook: String,
    /// Its name.
    pub name: String,
    /// Line of `[[webhook.test]]`.
    pub line: u32,
    /// What its request was translated with.
    pub notes: Vec<Note>,
    /// What was read that its request has not, with its place.
    pub undefined: Vec<Problem>,
    /// How long it took, reading the file included.
    pub duration: Duration,
    /// Why it failed; none: it passed.
    pub failure: Option<TestFailure>,
}

/// Why a test failed.
#[derive(Debug, Clone)]
pub enum TestFailure {
    /// The request file cannot be used.
    Request(Problem),
    /// The sender is not verified, and the test asks for it.
    Unverified(Problem),
    /// Translation failed.
    Failed(Problem),
    /// Other events than expected, both as JSON with only the fields that are expected.
    Events {
        /// As the file says.
        expected: String,
        /// As they came.
        found: String,
    },
    /// Another error than expected, or none.
    OtherError {
        /// As the file says.
        expected: Code,
        /// As it came; none: the request was translated.
        found: Option<Problem>,
    },
}

/// Runs the tests of all webhooks, or those of one name.
#[must_use]
pub fn check_tests(config: &Config, only: Option<&str>) -> Vec<TestResult> {
    let folder = folder(config);
    let mut results = Vec::new();
    for webhook in &config.webhooks {
        for test in &webhook.tests {
            if only.is_none_or(|name| name == test.name) {
                results.push(run(config, webhook, test, folder));
            }
        }
    }
    results
}

/// Runs the first tests of one webhook, `max` at most.
#[must_use]
pub fn check_webhook(config: &Config, webhook: &Webhook, max: usize) -> Vec<TestResult> {
    let tests = webhook.tests.iter().take(max);
    tests
        .map(|test| run(config, webhook, test, folder(config)))
        .collect()
}

fn folder(config: &Config) -> &Path {
    config.file.parent().unwrap_or(Path::new("."))
}

fn run(config: &Config, webhook: &Webhook, test: &WebhookTest, folder: &Path) -> TestResult {
    let start = Instant::now();
    let (mut notes, mut undefined) = (Vec::new(), Vec::new());
    let name = test.request.display().to_string();
    let failure = read_named(&folder.join(&test.request), &name)
        .and_then(|mut request| {
            receive(&mut request, webhook, Some(&config.edge)).map(|()| request)
        })
        .map_err(TestFailure::Request)
        .and_then(|request| outcome(webhook, test, &request))
        .and_then(|translation| {
            notes.clone_from(&translation.notes);
            undefined.clone_from(&translation.undefined);
            compare(test, translation)
        })
        .err();
    TestResult {
        webhook: webhook.name.clone(),
        name: test.name.clone(),
        line: test.line,
        notes,
        undefined,
        duration: start.elapsed(),
        failure,
    }
}

/// The files that the tests read: requests, and the bodies these stand in for.
#[must_use]
pub fn test_files(config: &Config) -> Vec<PathBuf> {
    let folder = config.file.parent().unwrap_or(Path::new("."));
    let tests = config.webhooks.iter().flat_map(|webhook| &webhook.tests);
    tests
        .flat_map(|test| request_files(&folder.join(&test.request)))
        .collect()
}

/// A request file, and the file of its body where it names one.
#[must_use]
pub fn request_files(path: &Path) -> Vec<PathBuf> {
    let mut files = vec![path.to_path_buf()];
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Ok(bytes) = crate::config::read_bytes(path, REQUEST_FILE_BYTES_MAX)
        && let Ok(request) = http_file::parse(&bytes, Timestamp::UNIX_EPOCH)
    {
        files.extend(included(&request.body).map(|body| folder.join(body)));
    }
    files
}

/// Reads an `.http` file. A body that is one line `< file` is that file's content.
///
/// # Errors
/// `HG0101` for a file that cannot be read, `HG0103` for one that is no request.
pub fn read_request(path: &Path) -> Result<Request, Problem> {
    read_named(path, &path.display().to_string())
}

fn read_named(path: &Path, name: &str) -> Result<Request, Problem> {
    let bytes = crate::config::read_bytes(path, REQUEST_FILE_BYTES_MAX).map_err(|why| {
        let message = format!("the request file {name} cannot be read: {why}");
        Problem::new(codes::FILE_UNREADABLE, message)
    })?;
    parse_request(&bytes, path.parent().unwrap_or(Path::new(".")), name)
}

/// Reads a request in `.http` form; `< file` starts at `folder`.
///
/// # Errors
/// As [`read_request`]; `name` is the request's in errors.
pub fn parse_request(bytes: &[u8], folder: &Path, name: &str) -> Result<Request, Problem> {
    let mut request = http_file::parse(bytes, Timestamp::now()).map_err(|error| {
        Problem::new(
            codes::REQUEST_FILE,
            format!("{name} is no request: {error}"),
        )
        .help("request line, headers, an empty line, then the body or `< file`")
    })?;
    if let Some(included) = included(&request.body) {
        let path = folder.join(included);
        let body = crate::config::read_bytes(&path, REQUEST_FILE_BYTES_MAX).map_err(|why| {
            let message = format!(
                "the body of {name}, {}, cannot be read: {why}",
                path.display()
            );
            Problem::new(codes::FILE_UNREADABLE, message)
                .help("the path after `<` starts at the request file's folder")
        })?;
        request.body = body.into();
        request.wire_body = request.body.clone();
    }
    Ok(request)
}

/// The file that a body stands in for. `<` needs a blank after it: XML begins with it too.
fn included(body: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(body).ok()?.trim_end();
    let path = line.strip_prefix("< ")?.trim();
    (!path.is_empty() && !path.contains('\n')).then_some(path)
}

fn outcome(
    webhook: &Webhook,
    test: &WebhookTest,
    request: &Request,
) -> Result<Translation, TestFailure> {
    if test.verify
        && let verdict = explain(webhook, request, Timestamp::now())
        && let Some(mut problem) = verdict.failure
    {
        let hints = verdict
            .record
            .checks
            .into_iter()
            .filter(|c| c.name == "hint");
        for hint in hints {
            let help = problem.help.take().unwrap_or_default();
            problem.help = Some(format!("Hint: {}. {help}", hint.detail));
        }
        return match test.expect_error {
            Some(code) if code == problem.code => Ok(Translation::failed(problem)),
            Some(expected) => Err(TestFailure::OtherError {
                expected,
                found: Some(problem),
            }),
            None => Err(TestFailure::Unverified(problem)),
        };
    }
    Ok(translate(webhook, request))
}

fn compare(test: &WebhookTest, translation: Translation) -> Result<(), TestFailure> {
    match (test.expect_error, translation.error) {
        (Some(expected), Some(problem)) if problem.code == expected => return Ok(()),
        (Some(expected), found) => return Err(TestFailure::OtherError { expected, found }),
        (None, Some(problem)) => return Err(TestFailure::Failed(problem)),
        (None, None) => {}
    }
    debug_assert_ne!(translation.outcome, Outcome::Parked);
    let Some(expected) = &test.expect else {
        return Ok(());
    };
    let found: Vec<Value> = translation
        .events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap_or(Value::Null))
        .collect();
    let same = expected.len() == found.len()
        && expected.iter().zip(&found).all(|(e, f)| holds_event(e, f));
    if same {
        return Ok(());
    }
    let shown = found
        .iter()
        .enumerate()
        .map(|(i, event)| match expected.get(i) {
            Some(expected) => project(expected, event),
            None => glance(event),
        });
    Err(TestFailure::Events {
        expected: pretty(&Value::Array(expected.clone())),
        found: pretty(&shown.collect()),
    })
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Whether an event has what a partial event says.
fn holds_event(expected: &Value, event: &Value) -> bool {
    let Some(fields) = expected.as_object() else {
        return false;
    };
    fields.iter().all(|(field, wanted)| {
        let Some(found) = event.get(field) else {
            return false;
        };
        match field.as_str() {
            // The webhook itself comes after what a template says.
            "related" => match (wanted.as_array(), found.as_array()) {
                (Some(wanted), Some(found)) => {
                    wanted.len() <= found.len()
                        && wanted.iter().zip(found).all(|(w, f)| holds(w, f))
                }
                _ => false,
            },
            "occurred" => {
                let time = |v: &Value| match v {
                    Value::String(text) => crate::model::time::parse(text),
                    other => crate::model::time::parse(&other.to_string()),
                };
                time(wanted).is_some() && time(wanted) == time(found)
            }
            "id" | "follows" => match (wanted.as_str(), found.as_str()) {
                (Some(wanted), Some(found)) => wanted.eq_ignore_ascii_case(found),
                _ => wanted == found,
            },
            _ => holds(wanted, found),
        }
    })
}

/// Whether `found` holds `wanted`: objects may have more keys, lists are as long.
fn holds(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| holds(wanted, found))),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, f)| holds(w, f))
        }
        // `1` and `1.0` are one number in JSON.
        (Value::Number(wanted), Value::Number(found)) => {
            wanted == found || wanted.as_f64() == found.as_f64()
        }
        (wanted, found) => wanted == found,
    }
}

/// What of `found` stands beside `expected`, so that a difference is not buried.
fn project(expected: &Value, found: &Value) -> Value {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .filter_map(|(key, expected)| Some((key.clone(), project(expected, found.get(key)?))))
            .collect::<Map<_, _>>()
            .into(),
        (Value::Array(expected), Value::Array(found)) => {
            let item = |(i, found): (usize, &Value)| match expected.get(i) {
                Some(expected) => project(expected, found),
                None => found.clone(),
            };
            found.iter().enumerate().map(item).collect()
        }
        _ => found.clone(),
    }
}

/// An event that nobody expected, at a glance.
fn glance(event: &Value) -> Value {
    let field = |key: &str| Some((key.to_owned(), event.get(key)?.clone()));
    ["event", "resource"]
        .into_iter()
        .filter_map(field)
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn partial_events() {
        let event = json!({
            "event": "a", "occurred": "2026-01-01T00:00:00Z", "payload": {"n": 1, "l": [1, 2]},
            "related": [{"prefect.resource.id": "x"}, {"prefect.resource.id": "hookgate.webhook.w"}],
        });
        for (expected, holds) in [
            (json!({}), true),
            (json!({"event": "a"}), true),
            (json!({"event": "b"}), false),
            (json!({"payload": {"n": 1.0}}), true),
            (json!({"payload": {"l": [1]}}), false),
            (json!({"payload": {"m": null}}), false),
            (json!({"occurred": "2026-01-01T01:00:00+01:00"}), true),
            (json!({"related": [{"prefect.resource.id": "x"}]}), true),
            (json!({"related": [{"prefect.resource.id": "y"}]}), false),
            (json!({"follows": null}), false),
            (json!("a"), false),
        ] {
            assert_eq!(holds_event(&expected, &event), holds, "{expected}");
        }
        let shown = project(&json!({"event": "b", "payload": {"n": 2}}), &event);
        assert_eq!(shown, json!({"event": "a", "payload": {"n": 1}}));
        assert_eq!(glance(&event), json!({"event": "a"}));
    }

    #[test]
    fn a_body_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.json"), "{\"a\":1}").unwrap();
        let file = folder.path().join("r.http");
        std::fs::write(&file, "POST /hooks/x HTTP/1.1\n\n< b.json\n").unwrap();
        assert_eq!(&read_request(&file).unwrap().body[..], b"{\"a\":1}");
        std::fs::write(&file, "POST /hooks/x HTTP/1.1\n\n< c.json\n").unwrap();
        assert_eq!(
            read_request(&file).unwrap_err().code,
            codes::FILE_UNREADABLE
        );
        std::fs::write(&file, "POST /hooks/x HTTP/1.1\n\n<xml/>").unwrap();
        assert_eq!(&read_request(&file).unwrap().body[..], b"<xml/>");
        std::fs::write(&file, "nothing\n").unwrap();
        assert_eq!(read_request(&file).unwrap_err().code, codes::REQUEST_FILE);
    }
}
