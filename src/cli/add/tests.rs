use super::*;
use crate::config::{self, Overrides, Severity};
use crate::engine;
use crate::model::Outcome;
use serde_json::Value;

#[test]
fn a_word_finds_names_and_titles() {
    let all = [
        ("github", "GitHub"),
        ("gitlab", "GitLab"),
        ("x", "X (Twitter)"),
    ]
    .map(|(name, title)| (name.to_owned(), title.to_owned()));
    let names = |word: &str| -> Vec<&str> {
        matching(&all, word)
            .into_iter()
            .map(|(name, _)| name.as_str())
            .collect()
    };
    assert_eq!(names("git"), ["github", "gitlab"]);
    assert_eq!(names("x"), ["x"]);
    assert_eq!(names("twitter"), ["x"]);
    assert!(names("none").is_empty());
}

/// Every sample of every sender, through the webhook that `add` writes: no finding but what an owner has still to say,
/// and the same events as without `undefined = "error"`.
#[test]
fn what_is_written_takes_every_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("webhooks.toml");
    let overrides = Overrides {
        no_secrets: true,
        ..Overrides::default()
    };
    let slug = Slug::parse("fakeslug00000000000001").unwrap();
    let mut samples = 0;
    for name in providers::names(None) {
        let provider = providers::load(&name, None).unwrap();
        let mut file = TomlFile::open(&path).unwrap();
        file.push_webhook(table(&provider, &name, &slug)).unwrap();
        let text = file.text();
        assert!(text.contains("undefined = \"error\"  # "), "{text}");
        let load = |text: String| {
            let loaded = config::load_text(&path, text, &overrides);
            assert!(
                !loaded
                    .findings
                    .iter()
                    .any(|f| f.severity == Severity::Error),
                "{name}: {:?}",
                loaded.findings
            );
            loaded.config.unwrap()
        };
        let strict = load(text.clone());
        let lenient = load(text.replace("\"error\"", "\"empty\""));
        for sample in providers::samples(&name, None).unwrap() {
            let translate = |config: &Config| {
                let webhook = &config.webhooks[0];
                let mut request =
                    engine::parse_request(&sample.request, Path::new("."), &sample.name).unwrap();
                engine::receive(&mut request, webhook, None).unwrap();
                request.received = jiff::Timestamp::UNIX_EPOCH;
                let made = engine::translate(webhook, &request);
                assert_ne!(made.outcome, Outcome::Parked, "{name}: {:?}", made.error);
                let event = |event| {
                    let mut event = serde_json::to_value(event).unwrap();
                    // Without a delivery key it is made anew each time.
                    event["id"] = Value::Null;
                    event
                };
                made.events.iter().map(event).collect::<Vec<_>>()
            };
            assert_eq!(translate(&strict), translate(&lenient), "{name}");
            samples += 1;
        }
    }
    assert!(samples > 300, "{samples}");
}
