//! The catalogue of known senders: a folder of data each in `templates/providers/<name>/`, compiled into
//! the binary, overridable from the same path beside the user's `webhooks.toml`.
//!
//! - `provider.toml`: verification, handshakes, delivery key, methods, answer, what to paste at the sender.
//!   A handshake that `teaches` delivers the secret itself; `docs/learned-secrets.md` says how that is used.
//! - `event.json.j2`: the default template.
//! - `samples/<name>.http`, each with the events it becomes in `samples/<name>.events.json`: partial events of
//!   a webhook named like the provider, without the webhook itself among the related resources.
//!
//! To add a provider is to add a folder, as `docs/providers.md` says; no Rust. A file beside the configuration
//! replaces the built-in one of the same name, whole.

mod confirm;
mod consent;
mod handshake;
mod load;
mod teaching;

pub use confirm::Confirmation;
pub(crate) use consent::ANYONE;
pub use handshake::{Handshake, HandshakeAnswer};
pub use load::{load, names, samples};

use crate::verify::{ValueSpec, VerifySpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// A known sender, as data.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Name, such as `github`.
    pub name: String,
    /// Title for people, such as `GitHub`.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// The sender's own documents.
    pub docs: Vec<String>,
    /// Day on which the data were last held against those, `2026-11-24`.
    pub checked: Option<String>,
    /// Who has confirmed how it signs.
    pub evidence: Option<Evidence>,
    /// Where its data are from: documents, libraries, versions.
    pub source: Option<String>,
    /// How it signs; none: it does not.
    pub verify: Option<VerifySpec>,
    /// Handshakes, tried in order.
    pub handshakes: Vec<Handshake>,
    /// Methods of its deliveries, upper case.
    pub methods: Vec<String>,
    /// Where its delivery key is: the first that is present wins; empty: it has none.
    pub delivery_key: Vec<ValueSpec>,
    /// Where its name of the event is: the first that is present.
    pub event_type: Vec<ValueSpec>,
    /// How long it repeats a delivery that failed; none where nobody says.
    pub retries: Option<Duration>,
    /// Answer to what was accepted, ignored or a duplicate.
    pub answer: ProviderAnswer,
    /// Text of its default template `event.json.j2`, with the path for errors.
    pub template: Option<(String, String)>,
    /// The secret it signs with.
    pub secret: Option<SecretInfo>,
    /// What to fill in at the sender.
    pub setup: Vec<Setup>,
    /// Files beside the configuration that were read: what a reload watches.
    pub files: Vec<PathBuf>,
}

impl Provider {
    /// Whether it delivers its secret itself, in a handshake: then the owner need not configure one.
    #[must_use]
    pub fn teaches(&self) -> bool {
        self.handshakes.iter().any(Handshake::is_teaching)
    }

    /// Everything about it that a person or a tool may ask, as JSON: how it signs, what to fill in at the
    /// sender, handshakes, delivery key, answer, documents.
    #[must_use]
    pub fn describe(&self) -> Value {
        let labels = |values: &[ValueSpec]| values.iter().map(ValueSpec::label).collect::<Vec<_>>();
        let handshakes: Vec<_> = self
            .handshakes
            .iter()
            .map(|h| {
                json!({
                    "title": h.title,
                    "signed": h.signed,
                    "methods": h.methods(),
                    "teaches": h.teaches(),
                })
            })
            .collect();
        json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "signs": self.verify.as_ref().is_some_and(VerifySpec::verifies),
            "verify": self.verify.as_ref().map(VerifySpec::summary),
            "secret": self.secret,
            "setup": self.setup,
            "handshakes": handshakes,
            "methods": self.methods,
            "delivery_key": labels(&self.delivery_key),
            "event_type": labels(&self.event_type),
            "answer": {
                "status": self.answer.status,
                "content_type": self.answer.content_type,
                "body": self.answer.body,
            },
            "retries_s": self.retries.map(|time| time.as_secs()),
            "template": self.template.as_ref().map(|(_, file)| file),
            "docs": self.docs,
            "checked": self.checked,
            "evidence": self.evidence,
            "source": self.source,
        })
    }
}

/// Who has confirmed how a provider signs, from strong to weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The sender's own library agrees with it.
    Library,
    /// The sender's documents say so.
    Documents,
    /// Other receivers' code or documents say so.
    Others,
    /// Nobody but memory: not yet confirmed.
    Knowledge,
}

impl Evidence {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Library => "confirmed by the sender's own library",
            Self::Documents => "from the sender's documents",
            Self::Others => "from other receivers, not from the sender",
            Self::Knowledge => "from knowledge alone, not yet confirmed",
        }
    }
}

/// What a provider wants to hear on success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAnswer {
    /// Status, 2xx.
    pub status: u16,
    /// Content type of the body.
    pub content_type: Option<String>,
    /// Body, often empty.
    pub body: String,
    /// Whether a 401 must have no body.
    pub bare_refusals: bool,
}

/// The secret of a provider, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretInfo {
    /// What the sender calls it, such as `Signing secret`.
    pub name: String,
    /// What it looks like.
    pub form: String,
}

/// What to fill in at one place of the sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The way to the page, in the sender's words.
    #[serde(rename = "where")]
    pub place: String,
    /// Fields on it.
    pub fields: Vec<SetupField>,
}

impl Setup {
    /// Its fields with the URL and the place of the secret put in. Without one of them, the fields that hold it are
    /// left out, and so are those that hold neither: what has not changed need not be filled in again.
    #[must_use]
    pub fn filled(&self, url: Option<&str>, secret: Option<&str>) -> Vec<SetupField> {
        let value = |field: &SetupField| {
            let has = |name| field.value.contains(name);
            match (has("{url}"), has("{secret}")) {
                (true, _) => url.map(|url| field.value.replace("{url}", url)),
                (_, true) => secret.map(|secret| field.value.replace("{secret}", secret)),
                _ if url.is_some() && secret.is_some() => Some(field.value.clone()),
                _ => None,
            }
        };
        let filled = self.fields.iter().filter_map(|field| {
            Some(SetupField {
                value: value(field)?,
                ..field.clone()
            })
        });
        filled.collect()
    }
}

/// One field, in the sender's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupField {
    /// Its name.
    pub name: String,
    /// What goes there; `{url}` is the webhook's URL, `{secret}` its secret.
    pub value: String,
    /// What to mind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// A sample request.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Name, such as `push`.
    pub name: String,
    /// The `.http` form.
    pub request: Vec<u8>,
    /// The events it becomes: a JSON array of partial events.
    pub events: Option<String>,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_answers;
#[cfg(test)]
mod tests_any;
#[cfg(test)]
mod tests_docs;
#[cfg(test)]
mod tests_strict;
