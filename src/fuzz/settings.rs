//! `webhooks.toml`.

use super::{check_inside, check_shown};
use crate::config::{Overrides, Severity, load_text};
use std::path::Path;

/// A folder that is not there: a text names no files but those that are nowhere.
const FILE: &str = "/nonexistent/hookgate-fuzz/webhooks.toml";
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// Any text is a configuration, or is refused with findings that show where and why.
///
/// # Panics
/// When it is neither.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // A device as a template would be waited for.
    if text.len() > TEXT_BYTES_MAX || text.contains("/dev/") || text.contains("/proc/") {
        return;
    }
    let overrides = Overrides {
        no_secrets: true,
        ..Overrides::default()
    };
    let loaded = load_text(Path::new(FILE), text.to_owned(), &overrides);
    assert_eq!(loaded.config.is_none(), loaded.has_errors(), "{text:?}");
    for finding in &loaded.findings {
        check_shown(&finding.problem);
        let place = finding.problem.place.as_ref();
        // What is wrong in another file is shown there.
        if let Some(place) = place.filter(|place| place.file.ends_with("webhooks.toml")) {
            check_inside(place, &place.file, text);
        }
        let told =
            place.is_some() || finding.severity == Severity::Warning || text.trim().is_empty();
        assert!(told, "no place: {finding:?}");
    }
    let again = load_text(Path::new(FILE), text.to_owned(), &overrides);
    let told = |loaded: &crate::config::Loaded| serde_json::to_string(&loaded.findings).ok();
    assert_eq!(
        told(&again),
        told(&loaded),
        "another answer the second time"
    );
    if let Some(config) = &loaded.config {
        for webhook in &config.webhooks {
            assert!(!webhook.name.is_empty());
            assert!(!webhook.enabled || config.routes.contains_key(&webhook.slug));
        }
    }
}
