//! The cases of `tests/cases/templates.json`: what Jinja2 gives, or `hookgate` where the promise that a template
//! cannot be broken asks for another answer.

use super::cloudevents::same;
use super::request;
use crate::model::http_file::Masking;
use crate::translate::{Failure, Keys, ParsedBody, Scope, Template, Translated, Translator};
use serde_json::Value as Json;

fn run(case: &Json) -> Result<Translated, Failure> {
    let request_of = &case["request"];
    let mut headers: Vec<(String, String)> = match &request_of["headers"] {
        Json::Object(map) => map
            .iter()
            .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
            .collect(),
        list => serde_json::from_value(list.clone()).unwrap(),
    };
    if let Some(kind) = request_of["content_type"].as_str()
        && !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        headers.push(("content-type".into(), kind.into()));
    }
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let mut request = request(
        &headers,
        request_of["body"].as_str().unwrap_or("").as_bytes(),
    );
    request.method = request_of["method"].as_str().unwrap().to_uppercase();
    let masking = Masking::default();
    let scope = Scope {
        request: &request,
        webhook: "c",
        masking: &masking,
        keys: &Keys::None,
        own_keys: true,
        default_payload: true,
        body: &ParsedBody::default(),
    };
    let template = Template::compile("case.j2", case["template"].as_str().unwrap().to_owned())?;
    Translator::Template(template).translate(&scope)
}

fn instant(text: &str) -> Option<i64> {
    crate::model::time::parse(text).map(|t| t.as_microsecond())
}

fn event_difference(want: &Json, got: &Json) -> Option<String> {
    for field in ["event", "resource", "payload", "follows"] {
        if want.get(field).is_some_and(|want| !same(want, &got[field])) {
            return Some(format!("{field}: {} for {}", got[field], want[field]));
        }
    }
    if let Some(related) = want["related"].as_array() {
        let got = got["related"].as_array().unwrap();
        if related.iter().zip(got).any(|(a, b)| a != b) || got.len() < related.len() {
            return Some(format!("related: {got:?}"));
        }
    }
    if let Some(occurred) = want.get("occurred") {
        let text = occurred
            .as_str()
            .map_or_else(|| occurred.to_string(), str::to_owned);
        if instant(&text) != instant(got["occurred"].as_str().unwrap()) {
            return Some(format!("occurred: {}", got["occurred"]));
        }
    }
    None
}

fn difference(case: &Json) -> Option<String> {
    let want = case.get("hookgate").unwrap_or(&case["expect"]);
    let got = run(case);
    if want["error"] == true {
        // Being more lenient than Python at render is tolerated.
        return match got {
            Ok(_) if want["stage"] != "render" => {
                Some(format!("an error is due ({})", want["stage"]))
            }
            _ => None,
        };
    }
    let translated = match got {
        Ok(translated) => translated,
        Err(failure) => {
            return Some(format!(
                "{} {}",
                failure.problem.code, failure.problem.message
            ));
        }
    };
    let got = serde_json::to_value(&translated.events).unwrap();
    let got = got.as_array().unwrap();
    let want: Vec<&Json> = match (want.get("events"), want.get("event")) {
        (Some(events), _) => events.as_array().unwrap().iter().collect(),
        (None, Some(event)) => vec![event],
        (None, None) => vec![],
    };
    if want.len() != got.len() {
        return Some(format!("{} events for {}", got.len(), want.len()));
    }
    want.iter()
        .zip(got)
        .find_map(|(want, got)| event_difference(want, got))
}

#[test]
fn cases_agree() {
    let cases: Vec<Json> =
        serde_json::from_str(include_str!("../../../tests/cases/templates.json")).unwrap();
    let (mut bad, mut corner_bad, mut total) = (Vec::new(), Vec::new(), 0);
    for case in &cases {
        let tags = case["tags"].as_array().cloned().unwrap_or_default();
        let corner = tags.iter().any(|tag| tag == "lenient" || tag == "exotic");
        total += usize::from(!corner);
        if let Some(difference) = difference(case) {
            let list = if corner { &mut corner_bad } else { &mut bad };
            list.push(format!("{}: {difference}", case["name"].as_str().unwrap()));
        }
    }
    println!(
        "templates: {}/{total}, {} corner cases differ",
        total - bad.len(),
        corner_bad.len()
    );
    println!("{}\n--- corner\n{}", bad.join("\n"), corner_bad.join("\n"));
    assert!(bad.is_empty(), "{} of {total} differ", bad.len());
}
