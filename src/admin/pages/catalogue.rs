//! `/catalogue` and `/catalogue/{provider}`: the senders that are known, and what each one's requests become.

use super::Ask;
use super::delivery::request::{RequestPart, request_part};
use super::show::{cut, span, thousands};
use super::tree::{self, Paths, Tree};
use crate::admin::api::{providers::load, segment};
use crate::admin::problem::ApiError;
use crate::config;
use crate::engine;
use crate::model::http_file;
use crate::providers::{self, Provider, Sample, Setup};
use crate::translate::{Template, Translator};
use crate::verify::{ValueSpec, VerifySpec};
use actix_web::{HttpRequest, HttpResponse};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Events of a sample that are drawn.
const EVENTS: usize = 5;
/// Lines of a template that are shown.
const LINES: usize = 600;

#[derive(Debug, Serialize)]
struct CataloguePage {
    q: String,
    total: String,
    cards: Vec<Card>,
}

#[derive(Debug, Serialize)]
struct Card {
    name: String,
    title: String,
    description: String,
    signs: String,
    greets: String,
    key: String,
    samples: usize,
    /// Webhooks that are of it.
    used: usize,
}

#[derive(Debug, Serialize)]
struct ProviderPage {
    name: String,
    title: String,
    description: String,
    facts: Vec<(&'static str, String)>,
    docs: Vec<String>,
    checked: Option<String>,
    setup: Vec<Setup>,
    samples: Vec<String>,
    sample: Option<SamplePart>,
    template: Option<TemplatePart>,
    toml: String,
    command: String,
    secret: Option<String>,
    used: Vec<String>,
}

/// A request, and what becomes of it.
#[derive(Debug, Serialize)]
struct SamplePart {
    name: String,
    request: RequestPart,
    events: Vec<EventPart>,
    more: usize,
    /// Why there are none.
    none: String,
}

#[derive(Debug, Serialize)]
struct EventPart {
    name: String,
    tree: Option<Tree>,
}

#[derive(Debug, Serialize)]
struct TemplatePart {
    file: String,
    lines: Vec<String>,
    is_cut: bool,
}

/// `GET /catalogue`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["q"])?;
    let q = parameters.get("q").unwrap_or("").to_owned();
    ask.answer("catalogue.html", "catalogue", move |ask| Ok(gather(ask, q)))
        .await
}

fn folder(ask: &Ask) -> Option<PathBuf> {
    ask.config().file.parent().map(PathBuf::from)
}

fn gather(ask: &Ask, q: String) -> CataloguePage {
    let beside = folder(ask);
    let config = ask.config();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for provider in config.webhooks.iter().filter_map(|w| w.provider.as_deref()) {
        *used.entry(provider).or_insert(0) += 1;
    }
    let names = providers::names(beside.as_deref());
    let total = thousands(names.len() as u64);
    let words: Vec<String> = q
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    // One whose data are damaged is for `check` to tell, and no reason to show nothing.
    let all = names
        .iter()
        .filter_map(|name| providers::load(name, beside.as_deref()).ok());
    let cards = all.filter_map(|provider| {
        let samples = providers::samples(&provider.name, beside.as_deref()).unwrap_or_default();
        let card = card(
            &provider,
            &samples,
            used.get(provider.name.as_str()).copied(),
        );
        let names = samples.iter().map(|sample| sample.name.as_str());
        let text = [
            card.name.as_str(),
            &card.title,
            &card.description,
            &card.signs,
            &card.greets,
            &card.key,
        ];
        let text = text
            .into_iter()
            .chain(names)
            .collect::<Vec<_>>()
            .join("\n")
            .to_lowercase();
        words.iter().all(|word| text.contains(word)).then_some(card)
    });
    let mut cards: Vec<Card> = cards.collect();
    // What is used comes first, then by name.
    cards.sort_by_key(|card| (card.used == 0, card.title.to_lowercase()));
    CataloguePage { q, total, cards }
}

fn card(provider: &Provider, samples: &[Sample], used: Option<usize>) -> Card {
    Card {
        name: provider.name.clone(),
        title: provider.title.clone(),
        description: provider.description.clone(),
        signs: signs(provider),
        greets: greets(provider),
        key: labels(&provider.delivery_key, "none"),
        samples: samples.len(),
        used: used.unwrap_or(0),
    }
}

fn signs(provider: &Provider) -> String {
    let spec = provider.verify.as_ref();
    spec.map_or_else(|| "not at all".to_owned(), VerifySpec::summary)
}

fn greets(provider: &Provider) -> String {
    let titles: Vec<&str> = provider
        .handshakes
        .iter()
        .map(|shake| shake.title.as_str())
        .collect();
    if titles.is_empty() {
        return "not".to_owned();
    }
    titles.join(", ")
}

/// Values in the order in which they are tried.
fn labels(values: &[ValueSpec], none: &str) -> String {
    let all: Vec<_> = values.iter().map(ValueSpec::label).collect();
    if all.is_empty() {
        return none.to_owned();
    }
    all.join(", else ")
}

/// `GET /catalogue/{provider}`.
pub(super) async fn one(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["sample"])?;
    let wanted = parameters.get("sample").map(str::to_owned);
    let name = segment(&request, "provider").to_owned();
    ask.answer("provider.html", "catalogue", move |ask| {
        provider_page(ask, &name, wanted.as_deref())
    })
    .await
}

fn provider_page(ask: &Ask, name: &str, wanted: Option<&str>) -> Result<ProviderPage, ApiError> {
    let beside = folder(ask);
    let provider = load(name, beside.as_deref())?;
    let samples = providers::samples(&provider.name, beside.as_deref()).unwrap_or_default();
    let sample = match wanted {
        Some(wanted) => {
            let found = samples.iter().find(|sample| sample.name == wanted);
            Some(found.ok_or_else(|| {
                ApiError::not_found(format!("{} has no sample `{wanted}`", provider.title))
            })?)
        }
        None => samples.first(),
    };
    let config = ask.config();
    let used = config.webhooks.iter();
    let used = used.filter(|webhook| webhook.provider.as_deref() == Some(name));
    Ok(ProviderPage {
        facts: facts(&provider),
        sample: sample.and_then(|sample| sample_part(&provider, sample)),
        template: provider.template.as_ref().map(|(text, file)| TemplatePart {
            file: file.clone(),
            lines: text.lines().take(LINES).map(str::to_owned).collect(),
            is_cut: text.lines().count() > LINES,
        }),
        toml: toml(&provider),
        command: format!("hookgate add {}", provider.name),
        secret: provider
            .secret
            .as_ref()
            .map(|secret| format!("{}: {}", secret.name, secret.form)),
        used: used.map(|webhook| webhook.name.clone()).collect(),
        samples: samples.iter().map(|sample| sample.name.clone()).collect(),
        name: provider.name,
        title: provider.title,
        description: provider.description,
        docs: provider.docs,
        checked: provider.checked,
        setup: provider.setup,
    })
}

fn facts(provider: &Provider) -> Vec<(&'static str, String)> {
    let answer = &provider.answer;
    let answer = match answer.body.trim() {
        "" => answer.status.to_string(),
        body => format!("{} {}", answer.status, cut(body, 120)),
    };
    let retries = provider.retries.map(|time| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        format!("for {}", span(SignedDuration::from_secs(seconds)))
    });
    let handshakes = provider.handshakes.iter().map(|shake| {
        let signed = match shake.teaches() {
            Some(place) => format!("delivers the secret in {place}"),
            None if shake.signed => "signed".to_owned(),
            None => "not signed".to_owned(),
        };
        format!("{} ({}, {signed})", shake.title, shake.methods().join(" "))
    });
    let handshakes: Vec<String> = handshakes.collect();
    let mut facts = vec![
        ("signature", signs(provider)),
        (
            "handshake",
            if handshakes.is_empty() {
                "none".to_owned()
            } else {
                handshakes.join(", ")
            },
        ),
        (
            "delivery key",
            labels(
                &provider.delivery_key,
                "none: what is sent twice is two deliveries",
            ),
        ),
        ("event type", labels(&provider.event_type, "none")),
        ("methods", provider.methods.join(", ")),
        ("answer", answer),
        (
            "repeats",
            retries.unwrap_or_else(|| "for how long is not known".to_owned()),
        ),
    ];
    if let Some(evidence) = provider.evidence {
        facts.push(("evidence", evidence.text().to_owned()));
    }
    if let Some(source) = &provider.source {
        facts.push(("source", source.clone()));
    }
    facts
}

fn sample_part(provider: &Provider, sample: &Sample) -> Option<SamplePart> {
    let request = http_file::parse(&sample.request, Timestamp::now()).ok()?;
    let sent = request.wire_body.len() as u64;
    let mut none = "The provider has no template: a webhook of it brings its own.".to_owned();
    let mut events = Vec::new();
    if let Some((text, file)) = &provider.template {
        let template = Template::compile(file, text.clone()).ok()?;
        let webhook = config::bare_webhook(&provider.name, Translator::Template(template))?;
        let mut received = request.clone();
        engine::undo_coding(&mut received, webhook.max_body).ok()?;
        let made = engine::translate(&webhook, &received);
        none = match &made.error {
            Some(problem) => format!("{}: {}", problem.code, problem.message),
            None => "It is ignored: no event is made of it.".to_owned(),
        };
        events = made.events;
    }
    Some(SamplePart {
        name: sample.name.clone(),
        request: request_part(&request, "pretty", sent),
        more: events.len().saturating_sub(EVENTS),
        events: events
            .iter()
            .take(EVENTS)
            .map(|event| EventPart {
                name: cut(&event.event, 200),
                tree: tree::of_json(&serde_json::to_vec(event).unwrap_or_default(), Paths::Event),
            })
            .collect(),
        none,
    })
}

/// What to write into the configuration, with a slug that nobody can guess.
fn toml(provider: &Provider) -> String {
    let name = &provider.name;
    let slug = hex::encode(rand::random::<[u8; 16]>());
    let mut text =
        format!("[[webhook]]\nname = \"{name}\"\nslug = \"{slug}\"\nprovider = \"{name}\"\n");
    let needs = provider
        .verify
        .as_ref()
        .is_some_and(VerifySpec::needs_secret);
    if needs && !provider.teaches() {
        let variable = config::secret_variable(name);
        text.push_str(&format!("secret = {{ env = \"{variable}\" }}\n"));
    }
    if provider
        .handshakes
        .iter()
        .any(|shake| shake.asks_for_token())
    {
        let variable = config::secret_variable(name).replace("_WEBHOOK_SECRET", "_VERIFY_TOKEN");
        text.push_str(&format!("verify_token = {{ env = \"{variable}\" }}\n"));
    }
    text
}
