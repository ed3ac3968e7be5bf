//! hookgate's own events about its configuration.

use crate::config::{Config, Finding, Severity};
use crate::log::{Append, own_event};
use crate::model::{Labels, event};
use serde_json::{Map, Value, json};

/// Errors that an event about a refused configuration names.
const ERRORS_MAX: usize = 20;

/// `hookgate.config.reloaded` or `hookgate.config.refused`; `config` is what runs afterwards.
///
/// Errors are told by code and place. Their messages quote the file, and what is wrong in it may be a secret.
pub(super) fn reload(config: &Config, findings: &[Finding], ok: bool) -> Append {
    let mut resource = Labels::new();
    resource.insert(event::RESOURCE_ID.to_owned(), "hookgate.config".to_owned());
    let mut payload = Map::from_iter([
        // Of what runs now.
        ("hash".to_owned(), json!(config.hash)),
        ("webhooks".to_owned(), json!(config.webhooks.len())),
        ("sinks".to_owned(), json!(config.sinks.len())),
    ]);
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    payload.insert("warnings".to_owned(), json!(count(Severity::Warning)));
    if ok {
        return own_event("hookgate.config.reloaded", resource, &payload);
    }
    payload.insert("error_count".to_owned(), json!(count(Severity::Error)));
    let errors: Vec<Value> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .take(ERRORS_MAX)
        .map(error)
        .collect();
    payload.insert("errors".to_owned(), errors.into());
    own_event("hookgate.config.refused", resource, &payload)
}

fn error(finding: &Finding) -> Value {
    let problem = &finding.problem;
    let place = problem.place.as_ref();
    json!({
        "code": problem.code,
        "title": problem.code.title(),
        "file": place.map(|place| &place.file),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "webhook": finding.webhook,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use crate::config::{Overrides, load};
    use crate::model::{Place, Problem};

    #[test]
    fn a_reload_as_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("webhooks.toml");
        std::fs::write(&file, "").unwrap();
        let config = load(&file, &Overrides::default()).config.unwrap();
        let said = |findings: &[Finding], ok| {
            let append = reload(&config, findings, ok);
            let event = append.delivery.events.into_iter().next().unwrap();
            assert_eq!(event.resource_id(), "hookgate.config");
            let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
            (event.event, payload)
        };
        let (name, payload) = said(&[], true);
        assert_eq!(name, "hookgate.config.reloaded");
        assert_eq!(
            (&payload["webhooks"], &payload["warnings"]),
            (&json!(0), &json!(0))
        );
        let place = Place {
            file: "webhooks.toml".into(),
            line: 3,
            column: 8,
            end_column: None,
            source: Some("slug = \"fake-secret-0001\"".into()),
        };
        let finding = Finding {
            severity: Severity::Error,
            problem: Problem::new(codes::INVALID_VALUE, "fake-secret-0001").at(place),
            webhook: Some("w".into()),
        };
        let (name, payload) = said(&vec![finding; 30], false);
        assert_eq!(name, "hookgate.config.refused");
        assert_eq!(payload["error_count"], 30);
        assert_eq!(payload["errors"].as_array().unwrap().len(), ERRORS_MAX);
        let first = &payload["errors"][0];
        assert_eq!(
            (&first["code"], &first["line"]),
            (&json!("HG0204"), &json!(3))
        );
        assert!(!payload.to_string().contains("fake-secret"), "{payload}");
    }
}
